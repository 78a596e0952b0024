/** Our layers as layers of tfjs-layers 4.22, each as one or several. */
import { TensorkilnError } from '../errors.js';
import type { WeightDescription } from '../nn/index.js';
import type { LayerCall } from './model-graph.js';

/** Where a part takes its input from: an input of the call, or a part so many before it (-1: the one before; what lies before the first part is the call's first input). */
export type PartSource = number | { readonly input: number };

/** A layer of tfjs-layers with its weights under the names that it gives them. */
export interface TfjsLayer {
  readonly className: string;
  /** Without a name; keys in snake_case. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: readonly (readonly [name: string, weight: WeightDescription, trainable: boolean])[];
  /** Default: the part before, for the first one all inputs of the call. */
  readonly from?: readonly PartSource[];
}

type Writer = (call: LayerCall) => readonly TfjsLayer[];

const LAYERS: Readonly<Record<string, Writer>> = {
  dense: (call) =>
    withActivation(call, 'Dense', { units: call.outputShapes[0]!.at(-1), use_bias: hasBias(call) }, kernelAndBias(call)),
  conv1d: (call) => (call.config['padding'] === 'causal' ? causalConvolution(call) : convolution('Conv1D')(call)),
  conv2d: convolution('Conv2D'),
  conv3d: convolution('Conv3D'),
  conv1d_transposed: (call) => asImage(call, convolution('Conv2DTranspose')),
  conv2d_transposed: convolution('Conv2DTranspose'),
  conv3d_transposed: convolution('Conv3DTranspose'),
  depthwise_conv1d: (call) => asImage(call, depthwise),
  depthwise_conv2d: depthwise,
  separable_conv1d: (call) => asImage(call, separable),
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
  global_avg_pool3d: (call) => [reshape(placesAsImage(call)), ...globalPooling('GlobalAveragePooling2D')(call)],
  global_max_pool3d: (call) => [reshape(placesAsImage(call)), ...globalPooling('GlobalMaxPooling2D')(call)],
  flatten: () => [plain('Flatten', { data_format: 'channels_last' })],
  dropout: (call) => [plain('Dropout', { rate: call.config['rate'] })],
  spatial_dropout1d: (call) => [plain('SpatialDropout1D', { rate: call.config['rate'] })],
  // Noise does nothing outside training, and Dropout of rate 0 nothing at all: formats that go on training keep the rate.
  gaussian_dropout: (call) => [plain('GaussianDropout', { rate: call.config['rate'] })],
  gaussian_noise: (call) => [plain('GaussianNoise', { stddev: call.config['stddev'] })],
  alpha_dropout: (call) => [plain('AlphaDropout', { rate: call.config['rate'] })],
  spatial_dropout2d: () => [plain('Activation', { activation: 'linear' })],
  spatial_dropout3d: () => [plain('Activation', { activation: 'linear' })],
  drop_path: () => [plain('Activation', { activation: 'linear' })],
  activation: activationLayers,
  prelu: (call) => {
    const weight = weightOf(call, 'alpha');
    const rank = call.inputShapes[0]!.length;
    const isShared = call.config['shared'] === true;
    const shared = Array.from({ length: isShared ? rank : rank - 1 }, (_, axis) => axis + 1);
    const alpha = { ...weight, shape: [...Array.from({ length: rank - 1 }, () => 1), weight.data.length] };
    return [
      { ...plain('PReLU', shared.length === 0 ? {} : { shared_axes: shared }), weights: [['alpha', alpha, true] as const] },
    ];
  },
  rescaling: (call) => [plain('Rescaling', { scale: call.config['scale'], offset: call.config['offset'] })],
  embedding: (call) => [
    {
      className: 'Embedding',
      config: { input_dim: call.config['tokens'], output_dim: call.config['units'], mask_zero: false },
      weights: [['embeddings', weightOf(call, 'table'), true]],
    },
  ],
  // A copy of the table: weights are not shared between layers of other types.
  tied_dense: (call) => {
    const table = weightOf(call, 'table');
    const [tokens, units] = table.shape as readonly [number, number];
    const kernel = { shape: [units, tokens], data: transposeMatrix(table) };
    return [{ className: 'Dense', config: { units: tokens, use_bias: false }, weights: [['kernel', kernel, true]] }];
  },
  learned_positions: (call) => addAtPlaces(call, weightOf(call, 'table').data, true),
  sinusoidal_positions: (call) => addAtPlaces(call, sinusoids(call), false),
  add: () => [plain('Add')],
  subtract: (call) => {
    const others = call.inputs.slice(1);
    return [
      ...others.map((_, index) => ({ ...negative(), from: [{ input: index + 1 }] })),
      { ...plain('Add'), from: [{ input: 0 }, ...others.map((_, index) => -1 - index)] },
    ];
  },
  dot: (call) => {
    const axes = (call.config['axes'] as readonly number[]).map((axis, index) =>
      axis < 0 ? call.inputShapes[index]!.length + axis + 1 : axis + 1,
    );
    return [plain('Dot', { axes, normalize: call.config['normalize'] })];
  },
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
  rms_norm: (call) => [...rootMeanSquare(call, call.config['epsilon'] as number), ...perChannel(call)],
  unit_norm: (call) => {
    const channels = call.inputShapes[0]!.at(-1) as number;
    // The length is the root of the mean square times that of the number of channels.
    return [...rootMeanSquare(call, TINY_LENGTH / channels), plain('Rescaling', { scale: 1 / Math.sqrt(channels), offset: 0 })];
  },
  instance_norm: (call) => {
    const axis = call.inputShapes[0]!.slice(1).map((_, index) => index + 1);
    return [plain('LayerNormalization', { ...unscaled(call), axis }), ...perChannel(call)];
  },
  group_norm: (call) => {
    const shape = call.inputShapes[0]!;
    const channels = shape.at(-1) as number;
    const groups = call.config['groups'] as number;
    const places = sizeOf(shape) / channels;
    return [
      reshape([places, groups, channels / groups]),
      plain('LayerNormalization', { ...unscaled(call), axis: [1, 3] }),
      reshape(shape),
      ...perChannel(call),
    ];
  },
  reshape: (call) => [plain('Reshape', { target_shape: call.outputShapes[0] })],
  permute: (call) => [plain('Permute', { dims: call.config['axes'] })],
  repeat_vector: (call) => [plain('RepeatVector', { n: call.config['count'] })],
  select: (call) => {
    const shape = call.inputShapes[0]!;
    if (shape.length < 2) throw layerError(call, 'rows of numbers that are no vector have no counterpart in tfjs-layers');
    const { axis: given, index } = call.config as { axis: number; index: number };
    const axis = given < 0 ? shape.length + given : given;
    const size = shape[axis] as number;
    const place = index < 0 ? size + index : index;
    const image = [sizeOf(shape.slice(0, axis)), size, sizeOf(shape.slice(axis + 1))];
    return [
      reshape(image),
      plain('Cropping2D', {
        cropping: [
          [0, 0],
          [place, size - 1 - place],
        ],
        data_format: 'channels_last',
      }),
      reshape(call.outputShapes[0]!),
    ];
  },
  zero_padding1d: (call) =>
    alongTime<Margin>(call, 'padding', (margin) => bordered('ZeroPadding2D', 'padding', [margin, [0, 0]])),
  zero_padding3d: (call) => alongVolume<Margin>(call, 'padding', (margins) => bordered('ZeroPadding2D', 'padding', margins)),
  cropping1d: (call) => alongTime<Margin>(call, 'cropping', (margin) => bordered('Cropping2D', 'cropping', [margin, [0, 0]])),
  cropping3d: (call) => alongVolume<Margin>(call, 'cropping', (margins) => bordered('Cropping2D', 'cropping', margins)),
  up_sampling1d: (call) => alongTime<number>(call, 'size', (size) => repeated([size, 1])),
  up_sampling3d: (call) => alongVolume<number>(call, 'size', repeated),
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
  // Inside, layers are wrapped one by one.
  time_in: () => [],
  time_out: () => [],
};

/** Why a layer type of ours cannot be expressed. */
export const TFJS_REASONS: Readonly<Record<string, string>> = {
  masking: 'a mask is no value there',
  padding_mask: 'a mask is no value there',
  multi_head_attention: 'there is no attention',
  transformer_encoder: 'there is no attention',
  transformer_decoder: 'there is no attention',
  resize2d: 'it resizes from corner to corner or from pixel 0 on, this layer between the centres of pixels',
};

/** Layer types that have a counterpart in tfjs-layers; some only with certain options. */
export const TFJS_LAYER_TYPES: readonly string[] = Object.keys(LAYERS).filter((type) => !type.startsWith('time_'));

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
    const reason = Object.hasOwn(TFJS_REASONS, call.type)
      ? (TFJS_REASONS[call.type] as string)
      : `expected one of ${TFJS_LAYER_TYPES.join(', ')}`;
    throw layerError(call, `this layer type has no counterpart in tfjs-layers: ${reason}`);
  }
  const { within = [] } = call;
  const own = within.length > 0 && call.type === 'concatenate' ? shiftAxis(call, within.length) : call;
  return within.reduce((layers) => layers.map((layer) => distributed(call, layer)), write(own));
}

/** The axis of a concatenation behind that of the places round it. */
function shiftAxis(call: LayerCall, by: number): LayerCall {
  const axis = call.config['axis'] as number;
  return axis < 0 ? call : { ...call, config: { ...call.config, axis: axis + by } };
}

/** Element by element, or along an axis that is counted: these take places as they are. */
const MERGES: readonly string[] = ['Add', 'Multiply', 'Average', 'Maximum', 'Minimum', 'Concatenate'];

/** The same layer at each place of a sequence. */
function distributed(call: LayerCall, layer: TfjsLayer): TfjsLayer {
  if (MERGES.includes(layer.className)) return layer;
  if ((layer.from ?? call.inputs).length > 1)
    throw layerError(call, 'TimeDistributed of tfjs-layers takes layers with one input');
  const inner = { class_name: layer.className, config: { ...layer.config, name: 'inner' } };
  return { ...layer, className: 'TimeDistributed', config: { layer: inner } };
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
  if (typeof activation === 'string' && Object.hasOwn(ACTIVATION_PARTS, activation)) {
    return [{ className, config: { ...config, activation: 'linear' }, weights }, ...activationLayers(call)];
  }
  return [{ className, config: { ...config, activation: activationName(call, activation) }, weights }];
}

/** relu6(x + 3) / 6 */
const HARD_SIGMOID: readonly TfjsLayer[] = [
  plain('Rescaling', { scale: 1, offset: 3 }),
  plain('Activation', { activation: 'relu6' }),
  plain('Rescaling', { scale: 1 / 6, offset: 0 }),
];

/** Activations that are layers of their own, or several. */
const ACTIVATION_PARTS: Readonly<Record<string, (call: LayerCall) => readonly TfjsLayer[]>> = {
  leaky_relu: ({ config: { alpha = LEAKY_RELU_ALPHA } }) => [plain('LeakyReLU', { alpha })],
  // tfjs-layers has this function as gelu_new, but reads that name from JSON as geluNew and does not know it.
  gelu_tanh: () => [
    { ...plain('Multiply'), from: [-1, -1] },
    { ...plain('Multiply'), from: [-1, -2] },
    plain('Rescaling', { scale: 0.044715, offset: 0 }),
    { ...plain('Add'), from: [-4, -1] },
    plain('Rescaling', { scale: Math.sqrt(2 / Math.PI), offset: 0 }),
    plain('Activation', { activation: 'tanh' }),
    plain('Rescaling', { scale: 0.5, offset: 0.5 }),
    { ...plain('Multiply'), from: [-8, -1] },
  ],
  hard_sigmoid: () => HARD_SIGMOID,
  hard_swish: () => [...HARD_SIGMOID, { ...plain('Multiply'), from: [-1, -4] }],
};

function activationLayers(call: LayerCall): readonly TfjsLayer[] {
  const { activation } = call.config;
  const parts =
    typeof activation === 'string' && Object.hasOwn(ACTIVATION_PARTS, activation) ? ACTIVATION_PARTS[activation] : undefined;
  return parts?.(call) ?? [plain('Activation', { activation: activationName(call, activation) })];
}

function activationName(call: LayerCall, activation: unknown): string {
  const name = typeof activation === 'string' && Object.hasOwn(ACTIVATIONS, activation) ? ACTIVATIONS[activation] : undefined;
  if (name !== undefined) return name;
  const known = [...Object.keys(ACTIVATIONS), ...Object.keys(ACTIVATION_PARTS)].join(', ');
  throw layerError(call, `activation '${String(activation)}' has no counterpart in tfjs-layers: expected one of ${known}`);
}

function convolution(className: string): Writer {
  return (call) => {
    const { filters } = call.config;
    return withActivation(call, className, { filters, ...window(call), use_bias: hasBias(call) }, kernelAndBias(call));
  };
}

/** Zeros before the first place, as many as the kernel reaches back, then a plain convolution. */
function causalConvolution(call: LayerCall): readonly TfjsLayer[] {
  const [length, channels] = call.inputShapes[0] as readonly [number, number];
  const [[size], [dilation]] = [call.config['kernelSize'], call.config['dilations']] as readonly [
    readonly [number],
    readonly [number],
  ];
  const reach = (size - 1) * dilation;
  return [
    reshape([length, 1, channels]),
    bordered('ZeroPadding2D', 'padding', [
      [reach, 0],
      [0, 0],
    ]),
    reshape([length + reach, channels]),
    ...convolution('Conv1D')({ ...call, config: { ...call.config, padding: 'valid' } }),
  ];
}

/** A layer over a sequence as one over images that are one pixel wide. */
function asImage(call: LayerCall, write: Writer): readonly TfjsLayer[] {
  const wide = ([length, channels]: readonly number[]): readonly number[] => [length as number, 1, channels as number];
  const { kernelSize, strides, dilations } = call.config as Readonly<Record<string, readonly [number]>>;
  const isDepthwise = call.weights['depthwise_kernel'] !== undefined;
  const config = {
    ...call.config,
    kernelSize: [kernelSize![0], 1],
    // Depthwise kernels want equal strides; one pixel has one position with any of them.
    strides: [strides![0], isDepthwise ? strides![0] : 1],
    dilations: [dilations![0], 1],
  };
  const weights = Object.fromEntries(
    Object.entries(call.weights).map(([name, weight]) => {
      const [length, ...rest] = weight.shape;
      const isKernel = name === 'kernel' || name === 'depthwise_kernel';
      return [name, isKernel ? { ...weight, shape: [length as number, 1, ...rest] } : weight];
    }),
  );
  const inputShapes = [wide(call.inputShapes[0]!)];
  const layers = write({ ...call, config, weights, inputShapes, outputShapes: [wide(call.outputShapes[0]!)] });
  return [reshape(inputShapes[0]!), ...layers, reshape(call.outputShapes[0]!)];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function reshape(shape: readonly number[]): TfjsLayer {
  return plain('Reshape', { target_shape: shape });
}

/** The places of a volume [D, H, W, C] as an image. */
function placesAsImage({ inputShapes: [shape] }: LayerCall): readonly number[] {
  const [depth, height, width, channels] = shape as readonly [number, number, number, number];
  return [depth * height, width, channels];
}

type Margin = readonly [number, number];

function bordered(className: string, key: string, margins: readonly Margin[]): TfjsLayer {
  return plain(className, { [key]: margins, data_format: 'channels_last' });
}

function repeated(size: readonly number[]): TfjsLayer {
  return plain('UpSampling2D', { size, interpolation: 'nearest', data_format: 'channels_last' });
}

/** A change of a sequence's length as one of an image that is one pixel wide. */
function alongTime<T>(call: LayerCall, key: string, write: (setting: T) => TfjsLayer): readonly TfjsLayer[] {
  const [length, channels] = call.inputShapes[0] as readonly [number, number];
  const [setting] = call.config[key] as readonly [T];
  return [reshape([length, 1, channels]), write(setting), reshape(call.outputShapes[0]!)];
}

/** What `write` leaves alone along an axis. */
const NOTHING: Readonly<Record<string, Margin | number>> = { padding: [0, 0], cropping: [0, 0], size: 1 };

/** A change of a volume's size as two of images: its first two axes, then the third. */
function alongVolume<T>(call: LayerCall, key: string, write: (settings: readonly T[]) => TfjsLayer): readonly TfjsLayer[] {
  const [depth, height, width, channels] = call.inputShapes[0] as readonly [number, number, number, number];
  const after = call.outputShapes[0] as readonly [number, number, number, number];
  const [first, second, third] = call.config[key] as readonly [T, T, T];
  return [
    reshape([depth, height, width * channels]),
    write([first, second]),
    reshape([after[0] * after[1], width, channels]),
    write([NOTHING[key] as T, third]),
    reshape(after),
  ];
}

const negative = (): TfjsLayer => plain('Rescaling', { scale: -1, offset: 0 });

function transposeMatrix({ shape, data }: WeightDescription): Float32Array {
  const [height, width] = shape as readonly [number, number];
  return data.map((_, place) => data[(place % height) * width + Math.floor(place / height)] as number);
}

/** A batch norm of mean 0 and variance 1 with next to nothing added to it: y = x * gamma + beta over the last axis. */
function affine(
  size: number,
  {
    gamma,
    beta,
    trainable = true,
  }: { readonly gamma?: Float32Array; readonly beta?: Float32Array; readonly trainable?: boolean },
): TfjsLayer {
  const weight = (data: Float32Array): WeightDescription => ({ shape: [size], data });
  return {
    className: 'BatchNormalization',
    config: { axis: -1, momentum: 1, epsilon: 1e-12, scale: gamma !== undefined, center: beta !== undefined, trainable },
    weights: [
      ...(gamma === undefined ? [] : [['gamma', weight(gamma), trainable] as const]),
      ...(beta === undefined ? [] : [['beta', weight(beta), trainable] as const]),
      ['moving_mean', weight(new Float32Array(size)), false],
      ['moving_variance', weight(new Float32Array(size).fill(1)), false],
    ],
  };
}

/** The scale and offset of a norm, where it has them. */
function perChannel(call: LayerCall): readonly TfjsLayer[] {
  const { scale, offset } = call.weights;
  if (scale === undefined && offset === undefined) return [];
  const given = {
    ...(scale === undefined ? {} : { gamma: scale.data }),
    ...(offset === undefined ? {} : { beta: offset.data }),
  };
  return [affine(call.inputShapes[0]!.at(-1) as number, given)];
}

const unscaled = (call: LayerCall): Readonly<Record<string, unknown>> => ({
  epsilon: call.config['epsilon'],
  scale: false,
  center: false,
});

/** Added to squared lengths by UnitNorm. */
const TINY_LENGTH = 1e-12;

/** x / sqrt(mean x^2 + epsilon): the layer norm of x beside -x, whose mean is 0 and whose variance that mean square. */
function rootMeanSquare(call: LayerCall, epsilon: number): readonly TfjsLayer[] {
  const shape = call.inputShapes[0]!;
  const channels = shape.at(-1) as number;
  return [
    negative(),
    { ...plain('Concatenate', { axis: -1 }), from: [-2, -1] },
    plain('LayerNormalization', { axis: -1, epsilon, scale: false, center: false }),
    reshape([sizeOf(shape) / channels, 2 * channels, 1]),
    bordered('Cropping2D', 'cropping', [
      [0, 0],
      [0, channels],
    ]),
    reshape(shape),
  ];
}

/** Adds a vector per place: all of a row in one axis, with an offset each. */
function addAtPlaces(call: LayerCall, table: Float32Array, trainable: boolean): readonly TfjsLayer[] {
  const shape = call.inputShapes[0]!;
  const size = sizeOf(shape);
  return [reshape([size]), affine(size, { beta: table.slice(0, size), trainable }), reshape(shape)];
}

function sinusoids({ inputShapes: [shape], config }: LayerCall): Float32Array {
  const [length, size] = shape as readonly [number, number];
  return Float32Array.from({ length: length * size }, (_, i) => {
    const [place, channel] = [Math.floor(i / size), i % size];
    const angle = place / (config['base'] as number) ** ((channel - (channel % 2)) / size);
    return channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
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
  if (call.inputs.length > 1)
    throw layerError(call, 'a mask or first states as further inputs have no counterpart in tfjs-layers');
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
