/** Our layers as layers of tfjs-layers 4.22, each as one or several. */
import type { LayerCall } from '../model-graph.js';
import { activationLayers, withActivation } from './activations.js';
import {
  addAtPlaces,
  alongTime,
  alongVolume,
  asImage,
  bordered,
  causalConvolution,
  negative,
  perChannel,
  placesAsImage,
  repeated,
  reshape,
  rootMeanSquare,
  sinusoids,
  sizeOf,
  TINY_LENGTH,
  transposeMatrix,
  unscaled,
} from './composed.js';
import { convolution, depthwise, separable } from './convolutions.js';
import { hasBias, kernelAndBias, layerError, plain, weightOf, type TfjsLayer, type Writer } from './parts.js';

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
  zero_padding1d: (call) => alongTime(call, 'padding', (margin) => bordered('ZeroPadding2D', 'padding', [margin, [0, 0]])),
  zero_padding3d: (call) => alongVolume(call, 'padding', (margins) => bordered('ZeroPadding2D', 'padding', margins)),
  cropping1d: (call) => alongTime(call, 'cropping', (margin) => bordered('Cropping2D', 'cropping', [margin, [0, 0]])),
  cropping3d: (call) => alongVolume(call, 'cropping', (margins) => bordered('Cropping2D', 'cropping', margins)),
  up_sampling1d: (call) => alongTime(call, 'size', (size) => repeated([size, 1])),
  up_sampling3d: (call) => alongVolume(call, 'size', repeated),
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

/** Layer types that are expressed with certain options only, or not quite as they are: what stands in the documentation. */
export const TFJS_LIMITS: Readonly<Record<string, string>> = {
  activation: 'all but `exponential`',
  avg_pool3d: 'with padding `valid`; with `same` the stock backend takes other means',
  bidirectional: 'without a mask; a GRU with `resetAfter: false`',
  drop_path: 'as nothing',
  global_avg_pool1d: 'without a mask',
  gru: 'with `resetAfter: false`, without mask and first state; reversed only its last state',
  lstm: 'without mask and first states; reversed only its last state',
  rnn: 'without mask and first state; reversed only its last state',
  spatial_dropout2d: 'as nothing',
  spatial_dropout3d: 'as nothing',
  tied_dense: 'with a copy of the table',
  up_sampling2d: 'with `nearest`; its `bilinear` is not between the centres of pixels',
};

/** Layer types that have a counterpart in tfjs-layers; some only with certain options. */
export const TFJS_LAYER_TYPES: readonly string[] = Object.keys(LAYERS).filter((type) => !type.startsWith('time_'));

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
