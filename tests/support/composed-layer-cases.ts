/** Layers written as compositions of tfjs ops, with odd sizes: one table for their contract. */
import type * as Nn from '../../ts/nn/index.js';

export interface ComposedCase {
  readonly name: string;
  readonly make: (nn: typeof Nn) => Nn.Layer;
  readonly inputs: readonly (readonly number[])[];
  /** dtype of inputs that are not float32; int32 inputs are tokens below 5. */
  readonly dtypes?: readonly ('float32' | 'int32' | 'bool')[];
  readonly outputs: readonly (readonly number[])[];
}

const one = (
  name: string,
  make: (nn: typeof Nn) => Nn.Layer,
  shapes: { readonly from: readonly number[]; readonly to: readonly number[] },
): ComposedCase => ({ name, make, inputs: [shapes.from], outputs: [shapes.to] });

const bias = { biasInitializer: { type: 'random_normal', stddev: 0.5 } } as const;
const affine = {
  scaleInitializer: { type: 'random_uniform', min: 0.5, max: 1.5 },
  offsetInitializer: 'random_normal',
} as const;

export const COMPOSED_CASES: readonly ComposedCase[] = [
  one('conv1d', (nn) => new nn.Conv1D({ filters: 2, kernelSize: 3, strides: 2, padding: 'same', ...bias }), {
    from: [7, 3],
    to: [4, 2],
  }),
  one('conv1d, causal, dilated', (nn) => new nn.Conv1D({ filters: 2, kernelSize: 2, dilations: 3, padding: 'causal' }), {
    from: [7, 3],
    to: [7, 2],
  }),
  one('conv3d', (nn) => new nn.Conv3D({ filters: 2, kernelSize: [2, 1, 3], padding: 'same', ...bias }), {
    from: [3, 2, 5, 2],
    to: [3, 2, 5, 2],
  }),
  one('conv3d, dilated', (nn) => new nn.Conv3D({ filters: 1, kernelSize: 2, dilations: [2, 1, 2] }), {
    from: [3, 3, 5, 2],
    to: [1, 2, 3, 1],
  }),
  one('conv1d_transposed', (nn) => new nn.Conv1DTransposed({ filters: 2, kernelSize: 3, strides: 2, ...bias }), {
    from: [4, 3],
    to: [9, 2],
  }),
  one('conv2d_transposed', (nn) => new nn.Conv2DTransposed({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }), {
    from: [3, 2, 3],
    to: [6, 4, 2],
  }),
  one('conv3d_transposed', (nn) => new nn.Conv3DTransposed({ filters: 2, kernelSize: 2, strides: [1, 2, 1] }), {
    from: [2, 3, 2, 3],
    to: [3, 6, 3, 2],
  }),
  one('depthwise_conv1d', (nn) => new nn.DepthwiseConv1D({ kernelSize: 3, strides: 2, padding: 'same' }), {
    from: [7, 3],
    to: [4, 3],
  }),
  one('depthwise_conv2d', (nn) => new nn.DepthwiseConv2D({ kernelSize: [3, 2], depthMultiplier: 2, ...bias }), {
    from: [5, 4, 3],
    to: [3, 3, 6],
  }),
  one('depthwise_conv2d, dilated', (nn) => new nn.DepthwiseConv2D({ kernelSize: 2, dilations: 2 }), {
    from: [5, 4, 3],
    to: [3, 2, 3],
  }),
  one('separable_conv1d', (nn) => new nn.SeparableConv1D({ filters: 4, kernelSize: 3, ...bias }), { from: [7, 3], to: [5, 4] }),
  one('separable_conv2d', (nn) => new nn.SeparableConv2D({ filters: 2, kernelSize: 3, activation: 'tanh' }), {
    from: [5, 4, 3],
    to: [3, 2, 2],
  }),
  one('max_pool1d', (nn) => new nn.MaxPooling1D({ poolSize: 3, strides: 2, padding: 'same' }), { from: [7, 2], to: [4, 2] }),
  one('avg_pool1d', (nn) => new nn.AveragePooling1D({ poolSize: 3, strides: 2, padding: 'same' }), {
    from: [6, 2],
    to: [3, 2],
  }),
  one('max_pool3d', (nn) => new nn.MaxPooling3D(), { from: [4, 2, 5, 2], to: [2, 1, 2, 2] }),
  one('avg_pool3d', (nn) => new nn.AveragePooling3D({ poolSize: [2, 1, 3], strides: 2, padding: 'same' }), {
    from: [3, 2, 5, 2],
    to: [2, 1, 3, 2],
  }),
  one('global_avg_pool1d', (nn) => new nn.GlobalAveragePooling1D(), { from: [5, 3], to: [3] }),
  one('global_avg_pool2d', (nn) => new nn.GlobalAveragePooling2D({ keepDims: true }), { from: [5, 2, 3], to: [1, 1, 3] }),
  one('global_avg_pool3d', (nn) => new nn.GlobalAveragePooling3D(), { from: [2, 3, 2, 3], to: [3] }),
  one('global_max_pool1d', (nn) => new nn.GlobalMaxPooling1D(), { from: [5, 3], to: [3] }),
  one('global_max_pool2d', (nn) => new nn.GlobalMaxPooling2D(), { from: [5, 2, 3], to: [3] }),
  one('global_max_pool3d', (nn) => new nn.GlobalMaxPooling3D(), { from: [2, 3, 2, 3], to: [3] }),
  one('layer_norm', (nn) => new nn.LayerNorm(affine), { from: [3, 5], to: [3, 5] }),
  one('rms_norm', (nn) => new nn.RMSNorm({ useOffset: true, ...affine }), { from: [3, 5], to: [3, 5] }),
  one('group_norm', (nn) => new nn.GroupNorm({ groups: 3, ...affine }), { from: [2, 3, 6], to: [2, 3, 6] }),
  one('instance_norm', (nn) => new nn.InstanceNorm(affine), { from: [3, 2, 3], to: [3, 2, 3] }),
  one('batch_norm', (nn) => new nn.BatchNorm({ momentum: 0.8, ...affine }), { from: [5, 3], to: [5, 3] }),
  one('rnn', (nn) => new nn.RNN({ units: 3, returnSequences: true, ...bias }), { from: [4, 2], to: [4, 3] }),
  one('rnn, relu', (nn) => new nn.RNN({ units: 3, activation: 'relu', ...bias }), { from: [4, 2], to: [3] }),
  one('lstm', (nn) => new nn.LSTM({ units: 3, ...bias }), { from: [4, 2], to: [3] }),
  one('lstm, reverse', (nn) => new nn.LSTM({ units: 3, returnSequences: true, reverse: true }), { from: [4, 2], to: [4, 3] }),
  {
    name: 'lstm with mask and states',
    make: (nn) => new nn.LSTM({ units: 3, returnSequences: true, returnState: true, ...bias }),
    inputs: [[4, 2], [4]],
    dtypes: ['float32', 'bool'],
    outputs: [[4, 3], [3], [3]],
  },
  one('gru', (nn) => new nn.GRU({ units: 3, returnSequences: true, ...bias }), { from: [4, 2], to: [4, 3] }),
  one('gru, reset before', (nn) => new nn.GRU({ units: 3, resetAfter: false, ...bias }), { from: [4, 2], to: [3] }),
  one('bidirectional', (nn) => new nn.Bidirectional({ layer: new nn.LSTM({ units: 2, returnSequences: true }) }), {
    from: [3, 2],
    to: [3, 4],
  }),
  one('bidirectional, summed', (nn) => new nn.Bidirectional({ layer: new nn.GRU({ units: 2 }), merge: 'sum' }), {
    from: [3, 2],
    to: [2],
  }),
  {
    name: 'embedding',
    make: (nn) => new nn.Embedding({ tokens: 5, units: 3 }),
    inputs: [[4]],
    dtypes: ['int32'],
    outputs: [[4, 3]],
  },
  one('learned_positions', (nn) => new nn.LearnedPositions({ maxLength: 6 }), { from: [4, 3], to: [4, 3] }),
  one('sinusoidal_positions', (nn) => new nn.SinusoidalPositions(), { from: [4, 5], to: [4, 5] }),
  one('multi_head_attention', (nn) => new nn.MultiHeadAttention({ heads: 2, causal: true }), { from: [5, 6], to: [5, 6] }),
  one('multi_head_attention, rotary', (nn) => new nn.MultiHeadAttention({ heads: 3, headSize: 2, rotary: true }), {
    from: [3, 4],
    to: [3, 4],
  }),
  {
    name: 'multi_head_attention with context and mask',
    make: (nn) => new nn.MultiHeadAttention({ heads: 2, useBias: false }),
    inputs: [[3, 4], [5, 3], [5]],
    dtypes: ['float32', 'float32', 'bool'],
    outputs: [[3, 4]],
  },
  one('transformer_encoder', (nn) => new nn.TransformerEncoder({ heads: 2, hidden: 5, rotary: true }), {
    from: [3, 4],
    to: [3, 4],
  }),
  one(
    'transformer_encoder, norm last',
    (nn) => new nn.TransformerEncoder({ heads: 1, hidden: 3, normFirst: false, norm: 'rms', activation: 'tanh' }),
    { from: [3, 4], to: [3, 4] },
  ),
  {
    name: 'transformer_decoder',
    make: (nn) => new nn.TransformerDecoder({ heads: 2, hidden: 5 }),
    inputs: [
      [3, 4],
      [2, 4],
    ],
    outputs: [[3, 4]],
  },
  ...(['Add', 'Subtract', 'Multiply', 'Average', 'Maximum', 'Minimum'] as const).map((name): ComposedCase => ({
    name,
    make: (nn) => new nn[name](),
    inputs: [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    outputs: [[2, 3]],
  })),
  {
    name: 'concatenate',
    make: (nn) => new nn.Concatenate({ axis: 0 }),
    inputs: [
      [2, 3],
      [1, 3],
    ],
    outputs: [[3, 3]],
  },
  one(
    'residual',
    (nn) => new nn.Residual({ branch: new nn.Dense({ units: 3, activation: 'silu' }), shortcut: new nn.Dense({ units: 3 }) }),
    { from: [5], to: [3] },
  ),
  one('reshape', (nn) => new nn.Reshape({ shape: [3, -1] }), { from: [2, 6], to: [3, 4] }),
  one('permute', (nn) => new nn.Permute({ axes: [2, 1] }), { from: [2, 3], to: [3, 2] }),
  one('repeat_vector', (nn) => new nn.RepeatVector({ count: 3 }), { from: [2], to: [3, 2] }),
  one('zero_padding1d', (nn) => new nn.ZeroPadding1D({ padding: [[1, 2]] }), { from: [3, 2], to: [6, 2] }),
  one('zero_padding2d', (nn) => new nn.ZeroPadding2D({ padding: [[1, 0], 2] }), { from: [3, 2, 1], to: [4, 6, 1] }),
  one('cropping1d', (nn) => new nn.Cropping1D(), { from: [4, 2], to: [2, 2] }),
  one('cropping2d', (nn) => new nn.Cropping2D({ cropping: [[1, 0], 1] }), { from: [4, 3, 2], to: [3, 1, 2] }),
  one('up_sampling1d', (nn) => new nn.UpSampling1D({ size: 3 }), { from: [2, 2], to: [6, 2] }),
  one('up_sampling2d', (nn) => new nn.UpSampling2D({ size: [2, 3] }), { from: [2, 3, 2], to: [4, 9, 2] }),
  one('up_sampling2d, bilinear', (nn) => new nn.UpSampling2D({ interpolation: 'bilinear' }), {
    from: [3, 2, 2],
    to: [6, 4, 2],
  }),
  one('up_sampling3d', (nn) => new nn.UpSampling3D(), { from: [2, 1, 2, 2], to: [4, 2, 4, 2] }),
];
