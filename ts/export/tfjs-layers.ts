/** Our layers as layers of tfjs-layers 4.22, each as one or several. */
import { TensorkilnError } from '../errors.js';
import type { WeightDescription } from '../nn/index.js';
import type { LayerCall } from './model-graph.js';

/** A layer of tfjs-layers with its weights under the names that it gives them. */
export interface TfjsLayer {
  readonly className: string;
  /** Without a name; keys in snake_case. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: readonly (readonly [name: string, weight: WeightDescription, trainable: boolean])[];
}

type Writer = (call: LayerCall) => readonly TfjsLayer[];

const LAYERS: Readonly<Record<string, Writer>> = {
  dense: (call) =>
    withActivation(call, 'Dense', { units: call.outputShapes[0]!.at(-1), use_bias: hasBias(call) }, kernelAndBias(call)),
  conv1d: convolution('Conv1D'),
  conv2d: convolution('Conv2D'),
  conv3d: convolution('Conv3D'),
  conv2d_transposed: convolution('Conv2DTranspose'),
  conv3d_transposed: convolution('Conv3DTranspose'),
  depthwise_conv2d: depthwise,
  separable_conv2d: separable,
  max_pool1d: pooling('MaxPooling1D'),
  max_pool2d: pooling('MaxPooling2D'),
  max_pool3d: pooling('MaxPooling3D'),
  avg_pool1d: pooling('AveragePooling1D'),
  avg_pool2d: pooling('AveragePooling2D'),
  avg_pool3d: (call) => {
    // With 'same' the stock backend takes means of other places of a volume than tf.nn.pool's rule says.
    if (call.config['padding'] === 'same') throw layerError(call, "padding 'same' gives other means in tfjs-layers");
    return pooling('AveragePooling3D')(call);
  },
  global_avg_pool1d: globalPooling('GlobalAveragePooling1D'),
  global_avg_pool2d: globalPooling('GlobalAveragePooling2D'),
  global_max_pool1d: globalPooling('GlobalMaxPooling1D'),
  global_max_pool2d: globalPooling('GlobalMaxPooling2D'),
  flatten: () => [plain('Flatten', { data_format: 'channels_last' })],
  dropout: (call) => [plain('Dropout', { rate: call.config['rate'] })],
  spatial_dropout1d: (call) => [plain('SpatialDropout1D', { rate: call.config['rate'] })],
  // Noise does nothing outside training, and Dropout of rate 0 nothing at all: formats that go on training keep the rate.
  gaussian_dropout: (call) => [plain('GaussianDropout', { rate: call.config['rate'] })],
  gaussian_noise: (call) => [plain('GaussianNoise', { stddev: call.config['stddev'] })],
  alpha_dropout: (call) => [plain('AlphaDropout', { rate: call.config['rate'] })],
  spatial_dropout2d: () => [plain('Activation', { activation: 'linear' })],
  spatial_dropout3d: () => [plain('Activation', { activation: 'linear' })],
  activation: (call) => [activationLayer(call)],
  embedding: (call) => [
    {
      className: 'Embedding',
      config: { input_dim: call.config['tokens'], output_dim: call.config['units'], mask_zero: false },
      weights: [['embeddings', weightOf(call, 'table'), true]],
    },
  ],
  add: () => [plain('Add')],
  multiply: () => [plain('Multiply')],
  average: () => [plain('Average')],
  maximum: () => [plain('Maximum')],
  minimum: () => [plain('Minimum')],
  concatenate: (call) => {
    const axis = call.config['axis'] as number;
    return [plain('Concatenate', { axis: axis < 0 ? axis : axis + 1 })];
  },
  batch_norm: batchNorm,
  layer_norm: layerNorm,
  reshape: (call) => [plain('Reshape', { target_shape: call.outputShapes[0] })],
  permute: (call) => [plain('Permute', { dims: call.config['axes'] })],
  repeat_vector: (call) => [plain('RepeatVector', { n: call.config['count'] })],
  zero_padding2d: (call) => [plain('ZeroPadding2D', { padding: call.config['padding'], data_format: 'channels_last' })],
  cropping2d: (call) => [plain('Cropping2D', { cropping: call.config['cropping'], data_format: 'channels_last' })],
  up_sampling2d: (call) => {
    const { size, interpolation } = call.config;
    if (interpolation === 'bilinear') {
      // tfjs-layers resizes from corner to corner or from pixel 0 on, we between pixel centres.
      throw layerError(call, 'bilinear interpolation between pixel centres has no counterpart');
    }
    return [plain('UpSampling2D', { size, interpolation: 'nearest', data_format: 'channels_last' })];
  },
  rnn: (call) => recurrent(call, 'SimpleRNN', { activation: call.config['activation'] }),
  lstm: (call) =>
    recurrent(call, 'LSTM', {
      activation: 'tanh',
      recurrent_activation: 'sigmoid',
      unit_forget_bias: call.config['unitForgetBias'],
    }),
  gru: (call) => {
    if (call.config['resetAfter'] === true) {
      throw layerError(call, 'tfjs-layers has no GRU whose reset gate acts after the product: train with resetAfter: false');
    }
    return recurrent(call, 'GRU', { activation: 'tanh', recurrent_activation: 'sigmoid', reset_after: false });
  },
  bidirectional: bidirectional,
};

/** Layer types that have a counterpart in tfjs-layers; some only with certain options. */
export const TFJS_LAYER_TYPES: readonly string[] = Object.keys(LAYERS);

const ACTIVATIONS: Readonly<Record<string, string>> = {
  linear: 'linear',
  relu: 'relu',
  relu6: 'relu6',
  elu: 'elu',
  selu: 'selu',
  sigmoid: 'sigmoid',
  tanh: 'tanh',
  softmax: 'softmax',
  softplus: 'softplus',
  softsign: 'softsign',
  gelu: 'gelu',
  silu: 'swish',
  mish: 'mish',
  log_softmax: 'logSoftmax',
};

/** Slope of leaky_relu below zero where the layer names none: the default of tf.leakyRelu. */
const LEAKY_RELU_ALPHA = 0.2;

/**
 * The layers of tfjs-layers that do what a call does, in order.
 *
 * @throws E_EXPORT naming a layer or option without a counterpart
 */
export function tfjsLayers(call: LayerCall): readonly TfjsLayer[] {
  const write = Object.hasOwn(LAYERS, call.type) ? LAYERS[call.type] : undefined;
  if (write === undefined) {
    throw layerError(call, `this layer type has no counterpart in tfjs-layers: expected one of ${TFJS_LAYER_TYPES.join(', ')}`);
  }
  return write(call);
}

export function layerError(call: { readonly name: string; readonly type: string }, problem: string): TensorkilnError {
  return new TensorkilnError('E_EXPORT', `[tfjs] layer '${call.name}' (${call.type}): ${problem}.`);
}

function plain(className: string, config: Readonly<Record<string, unknown>> = {}): TfjsLayer {
  return { className, config, weights: [] };
}

function weightOf(call: LayerCall, name: string): WeightDescription {
  const weight = call.weights[name];
  if (weight === undefined) throw layerError(call, `weight '${name}' is missing`);
  return weight;
}

function hasBias(call: LayerCall): boolean {
  return call.weights['bias'] !== undefined;
}

function kernelAndBias(call: LayerCall): TfjsLayer['weights'] {
  return [
    ['kernel', weightOf(call, 'kernel'), true],
    ...(hasBias(call) ? [['bias', weightOf(call, 'bias'), true] as const] : []),
  ];
}

/** A layer that takes the activation along, or has it behind when it only exists as a layer. */
function withActivation(
  call: LayerCall,
  className: string,
  config: Readonly<Record<string, unknown>>,
  weights: TfjsLayer['weights'],
): readonly TfjsLayer[] {
  const activation = call.config['activation'] ?? 'linear';
  if (activation === 'leaky_relu') {
    return [{ className, config: { ...config, activation: 'linear' }, weights }, activationLayer(call)];
  }
  return [{ className, config: { ...config, activation: activationName(call, activation) }, weights }];
}

function activationLayer(call: LayerCall): TfjsLayer {
  const { activation, alpha = LEAKY_RELU_ALPHA } = call.config;
  if (activation === 'leaky_relu') return plain('LeakyReLU', { alpha });
  return plain('Activation', { activation: activationName(call, activation) });
}

function activationName(call: LayerCall, activation: unknown): string {
  const name = typeof activation === 'string' && Object.hasOwn(ACTIVATIONS, activation) ? ACTIVATIONS[activation] : undefined;
  if (name !== undefined) return name;
  const known = [...Object.keys(ACTIVATIONS), 'leaky_relu'].join(', ');
  throw layerError(call, `activation '${String(activation)}' has no counterpart in tfjs-layers: expected one of ${known}`);
}

function convolution(className: string): Writer {
  return (call) => {
    const { filters, padding } = call.config;
    if (padding === 'causal') throw layerError(call, "padding 'causal' is not built in tfjs-layers: pad before the layer");
    return withActivation(call, className, { filters, ...window(call), use_bias: hasBias(call) }, kernelAndBias(call));
  };
}

function window(call: LayerCall): Readonly<Record<string, unknown>> {
  const { kernelSize, strides, padding, dilations } = call.config;
  return {
    kernel_size: kernelSize,
    strides,
    padding,
    data_format: 'channels_last',
    ...(dilations === undefined ? {} : { dilation_rate: dilations }),
  };
}

function depthwise(call: LayerCall): readonly TfjsLayer[] {
  const { depthMultiplier } = call.config;
  const { kernel, own } = withoutDilations(call);
  const config = { depth_multiplier: depthMultiplier, ...window(own), use_bias: hasBias(call) };
  return withActivation(call, 'DepthwiseConv2D', config, [
    ['depthwise_kernel', kernel, true],
    ...(hasBias(call) ? [['bias', weightOf(call, 'bias'), true] as const] : []),
  ]);
}

/** The layers do not know dilations in all places: the same kernel with zeros between its taps does without. */
function withoutDilations(call: LayerCall): { readonly kernel: WeightDescription; readonly own: LayerCall } {
  const kernel = spreadTaps(weightOf(call, 'depthwise_kernel'), call.config['dilations'] as readonly number[]);
  const kernelSize = kernel.shape.slice(0, 2);
  return { kernel, own: { ...call, config: { ...call.config, kernelSize, dilations: undefined } } };
}

/** A kernel [KH,KW,...] with zeros between its taps. */
function spreadTaps(kernel: WeightDescription, dilations: readonly number[]): WeightDescription {
  const [height, width, ...rest] = kernel.shape as readonly [number, number, ...number[]];
  const [down, right] = dilations as readonly [number, number];
  if (down === 1 && right === 1) return kernel;
  const size = rest.reduce((product, dim) => product * dim, 1);
  const shape = [(height - 1) * down + 1, (width - 1) * right + 1, ...rest];
  const data = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const from = (y * width + x) * size;
      data.set(kernel.data.subarray(from, from + size), (y * down * shape[1]! + x * right) * size);
    }
  }
  return { shape, data };
}

function separable(call: LayerCall): readonly TfjsLayer[] {
  const { filters, depthMultiplier } = call.config;
  const { kernel, own } = withoutDilations(call);
  const config = { filters, depth_multiplier: depthMultiplier, ...window(own), use_bias: hasBias(call) };
  const pointwise = weightOf(call, 'pointwise_kernel');
  return withActivation(call, 'SeparableConv2D', config, [
    ['depthwise_kernel', kernel, true],
    ['pointwise_kernel', { ...pointwise, shape: [1, 1, ...pointwise.shape] }, true],
    ...(hasBias(call) ? [['bias', weightOf(call, 'bias'), true] as const] : []),
  ]);
}

function pooling(className: string): Writer {
  return (call) => {
    const { poolSize, strides, padding } = call.config;
    return [plain(className, { pool_size: poolSize, strides, padding, data_format: 'channels_last' })];
  };
}

function globalPooling(className: string): Writer {
  return (call) => {
    refuseMask(call);
    // GlobalPooling of tfjs-layers always drops the axes; a reshape brings them back.
    const shape = call.outputShapes[0]!;
    const pooled = plain(className, className.endsWith('2D') ? { data_format: 'channels_last' } : {});
    return shape.length === 1 ? [pooled] : [pooled, plain('Reshape', { target_shape: shape })];
  };
}

function refuseMask(call: LayerCall): void {
  if (call.inputs.length > 1) throw layerError(call, 'a mask as a second input has no counterpart in tfjs-layers');
}

function batchNorm(call: LayerCall): readonly TfjsLayer[] {
  const { momentum, epsilon } = call.config;
  const { scale, offset } = call.weights;
  return [
    {
      className: 'BatchNormalization',
      config: { axis: -1, momentum, epsilon, scale: scale !== undefined, center: offset !== undefined },
      weights: [
        ...(scale === undefined ? [] : [['gamma', scale, true] as const]),
        ...(offset === undefined ? [] : [['beta', offset, true] as const]),
        ['moving_mean', weightOf(call, 'running_mean'), false],
        ['moving_variance', weightOf(call, 'running_variance'), false],
      ],
    },
  ];
}

function layerNorm(call: LayerCall): readonly TfjsLayer[] {
  const { scale, offset } = call.weights;
  return [
    {
      className: 'LayerNormalization',
      config: { axis: -1, epsilon: call.config['epsilon'], scale: scale !== undefined, center: offset !== undefined },
      weights: [
        ...(scale === undefined ? [] : [['gamma', scale, true] as const]),
        ...(offset === undefined ? [] : [['beta', offset, true] as const]),
      ],
    },
  ];
}

function recurrent(call: LayerCall, className: string, config: Readonly<Record<string, unknown>>): readonly TfjsLayer[] {
  refuseMask(call);
  const { returnSequences, reverse } = call.config;
  if (reverse === true && returnSequences === true) {
    // tfjs-layers leaves reversed outputs in the order they were made in, we at their steps.
    throw layerError(call, 'outputs of all steps of a reversed layer stand in another order in tfjs-layers');
  }
  return [{ className, config: recurrentConfig(call.config, config, hasBias(call)), weights: recurrentWeights(call, '') }];
}

function recurrentConfig(
  own: LayerCall['config'],
  more: Readonly<Record<string, unknown>>,
  useBias: boolean,
): Readonly<Record<string, unknown>> {
  return {
    units: own['units'],
    return_sequences: own['returnSequences'] ?? false,
    return_state: own['returnState'] ?? false,
    go_backwards: own['reverse'] ?? false,
    use_bias: useBias,
    ...more,
  };
}

function recurrentWeights(call: LayerCall, prefix: string): TfjsLayer['weights'] {
  const bias = call.weights[`${prefix}bias`];
  return [
    ['kernel', weightOf(call, `${prefix}kernel`), true],
    ['recurrent_kernel', weightOf(call, `${prefix}recurrent`), true],
    ...(bias === undefined ? [] : [['bias', bias, true] as const]),
  ];
}

const MERGE_MODES: Readonly<Record<string, string>> = { concat: 'concat', sum: 'sum', mul: 'mul', average: 'ave' };

function bidirectional(call: LayerCall): readonly TfjsLayer[] {
  refuseMask(call);
  const { layer, merge } = call.config as { layer: { type: string; config: Record<string, unknown> }; merge: string };
  const direction = (prefix: string): readonly TfjsLayer[] => {
    const weights = Object.fromEntries(
      Object.entries(call.weights).flatMap(([name, weight]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), weight] as const] : [],
      ),
    );
    return tfjsLayers({ ...call, type: layer.type, config: layer.config, weights });
  };
  const [forward] = direction('forward/');
  const [backward] = direction('backward/');
  return [
    {
      className: 'Bidirectional',
      config: {
        merge_mode: MERGE_MODES[merge],
        layer: { class_name: forward!.className, config: { ...forward!.config, name: layer.type } },
      },
      weights: [
        ...forward!.weights.map(([name, weight, trainable]) => [`forward_${layer.type}/${name}`, weight, trainable] as const),
        ...backward!.weights.map(([name, weight, trainable]) => [`backward_${layer.type}/${name}`, weight, trainable] as const),
      ],
    },
  ];
}
