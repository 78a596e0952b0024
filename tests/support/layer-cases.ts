/** Every layer, with odd sizes: one table for the contract of layers, their JSON form and their exports. */
import { ACTIVATIONS } from '../../ts/nn/activations.js';
import type * as Nn from '../../ts/nn/index.js';

export interface LayerCase {
  readonly name: string;
  readonly make: (nn: typeof Nn) => Nn.Layer;
  readonly inputs: readonly (readonly number[])[];
  /** dtype of inputs that are not float32; int32 inputs are tokens below 5. */
  readonly dtypes?: readonly ('float32' | 'int32' | 'bool')[];
  readonly outputs: readonly (readonly number[])[];
  /** Inputs that get no gradient although they are float32. */
  readonly constants?: readonly number[];
  /** Whether it draws random numbers in training: compared with double precision outside training only. */
  readonly isRandom?: true;
}

const one = (
  name: string,
  make: (nn: typeof Nn) => Nn.Layer,
  shapes: { readonly from: readonly number[]; readonly to: readonly number[] },
): LayerCase => ({ name, make, inputs: [shapes.from], outputs: [shapes.to] });

const random = (name: string, make: (nn: typeof Nn) => Nn.Layer, shape: readonly number[]): LayerCase => ({
  ...one(name, make, { from: shape, to: shape }),
  isRandom: true,
});

const bias = { biasInitializer: { type: 'random_normal', stddev: 0.5 } } as const;
const affine = {
  scaleInitializer: { type: 'random_uniform', min: 0.5, max: 1.5 },
  offsetInitializer: 'random_normal',
} as const;

export const LAYER_CASES: readonly LayerCase[] = [
  one('dense', (nn) => new nn.Dense({ units: 3, ...bias }), { from: [5], to: [3] }),
  one('dense, one unit, no bias', (nn) => new nn.Dense({ units: 1, useBias: false, name: 'score' }), { from: [4], to: [1] }),
  one('dense over the last axis', (nn) => new nn.Dense({ units: 2, activation: 'tanh', ...bias }), {
    from: [3, 4],
    to: [3, 2],
  }),
  one('dense with softmax', (nn) => new nn.Dense({ units: 4, activation: 'softmax', kernelInitializer: 'he_normal' }), {
    from: [6],
    to: [4],
  }),
  ...(['gelu', 'gelu_tanh', 'silu', 'mish', 'sigmoid', 'relu'] as const).map((activation) =>
    one(`dense with ${activation}`, (nn) => new nn.Dense({ units: 3, activation, ...bias }), { from: [4], to: [3] }),
  ),
  one('conv2d', (nn) => new nn.Conv2D({ filters: 2, kernelSize: 3 }), { from: [6, 5, 3], to: [4, 3, 2] }),
  one(
    'conv2d, same, uneven strides',
    (nn) => new nn.Conv2D({ filters: 3, kernelSize: [3, 2], strides: [2, 1], padding: 'same', activation: 'relu', ...bias }),
    { from: [7, 6, 2], to: [4, 6, 3] },
  ),
  one('conv2d, dilated', (nn) => new nn.Conv2D({ filters: 2, kernelSize: 2, dilations: [2, 3] }), {
    from: [6, 7, 1],
    to: [4, 4, 2],
  }),
  one(
    'conv2d, dilated, same, no bias',
    (nn) => new nn.Conv2D({ filters: 1, kernelSize: 3, dilations: 2, padding: 'same', useBias: false }),
    { from: [5, 6, 2], to: [5, 6, 1] },
  ),
  one('max_pool2d', (nn) => new nn.MaxPooling2D(), { from: [4, 6, 2], to: [2, 3, 2] }),
  one('max_pool2d, same, overlapping', (nn) => new nn.MaxPooling2D({ poolSize: 3, strides: 2, padding: 'same' }), {
    from: [5, 6, 3],
    to: [3, 3, 3],
  }),
  one('avg_pool2d', (nn) => new nn.AveragePooling2D({ poolSize: [2, 3] }), { from: [4, 6, 2], to: [2, 2, 2] }),
  one('avg_pool2d, same', (nn) => new nn.AveragePooling2D({ poolSize: 3, strides: [1, 2], padding: 'same' }), {
    from: [4, 5, 2],
    to: [4, 3, 2],
  }),
  one('flatten', (nn) => new nn.Flatten(), { from: [2, 3, 2], to: [12] }),
  random('dropout', (nn) => new nn.Dropout({ rate: 0.4 }), [8]),
  random('spatial_dropout1d', (nn) => new nn.SpatialDropout1D({ rate: 0.4 }), [3, 5]),
  random('spatial_dropout2d', (nn) => new nn.SpatialDropout2D({ rate: 0.4 }), [2, 3, 5]),
  random('spatial_dropout3d', (nn) => new nn.SpatialDropout3D({ rate: 0.4 }), [2, 1, 3, 5]),
  random('gaussian_dropout', (nn) => new nn.GaussianDropout({ rate: 0.3 }), [3, 3]),
  random('gaussian_noise', (nn) => new nn.GaussianNoise({ stddev: 0.5 }), [3, 3]),
  random('alpha_dropout', (nn) => new nn.AlphaDropout({ rate: 0.3 }), [7]),
  random('drop_path', (nn) => new nn.DropPath({ rate: 0.5 }), [3, 2]),
  ...ACTIVATIONS.map((activation) =>
    one(`activation ${activation}`, (nn) => new nn.Activation({ activation }), { from: [3, 5], to: [3, 5] }),
  ),
  one('activation leaky_relu with alpha', (nn) => new nn.Activation({ activation: 'leaky_relu', alpha: 0.01 }), {
    from: [5],
    to: [5],
  }),
  one('prelu', (nn) => new nn.PReLU({ alphaInitializer: 'random_normal' }), { from: [3, 5], to: [3, 5] }),
  one('prelu, shared', (nn) => new nn.PReLU({ shared: true }), { from: [5], to: [5] }),
  one('rescaling', (nn) => new nn.Rescaling({ scale: 0.5, offset: -1 }), { from: [3, 2], to: [3, 2] }),
  one('unit_norm', (nn) => new nn.UnitNorm(), { from: [3, 5], to: [3, 5] }),
  one('time_distributed', (nn) => new nn.TimeDistributed({ layer: new nn.Conv1D({ filters: 2, kernelSize: 2 }) }), {
    from: [3, 4, 2],
    to: [3, 3, 2],
  }),
  one(
    'sequential, nested',
    (nn) =>
      new nn.Sequential({
        seed: 3,
        layers: [
          new nn.Sequential({
            name: 'encoder',
            layers: [new nn.Conv2D({ filters: 2, kernelSize: 3, activation: 'relu' }), new nn.MaxPooling2D(), new nn.Flatten()],
          }),
          new nn.Dense({ units: 4, activation: 'relu', name: 'hidden' }),
          new nn.Dense({ units: 2 }),
        ],
      }),
    { from: [6, 6, 1], to: [2] },
  ),
  {
    name: 'graph with a tied table',
    make: (nn: typeof Nn): Nn.Layer => {
      const tokens = nn.input([4], { name: 'tokens', dtype: 'int32' });
      const vectors = nn.connect(new nn.Embedding({ tokens: 5, units: 3, name: 'table' }), tokens);
      const pooled = nn.connect(new nn.GlobalAveragePooling1D(), vectors, nn.connect(new nn.PaddingMask(), tokens));
      return new nn.Graph({ inputs: [tokens], outputs: [nn.connect(new nn.TiedDense({ to: 'table' }), pooled)], seed: 5 });
    },
    inputs: [[4]],
    dtypes: ['int32'],
    outputs: [[5]],
  },
  {
    name: 'graph with a mask of numbers',
    make: (nn: typeof Nn): Nn.Layer => {
      const numbers = nn.input([4, 2]);
      const states = nn.connect(new nn.GRU({ units: 3 }), numbers, nn.connect(new nn.Masking(), numbers));
      return new nn.Graph({ inputs: [numbers], outputs: [states] });
    },
    inputs: [[4, 2]],
    outputs: [[3]],
  },
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
  {
    name: 'global_avg_pool1d with mask',
    make: (nn) => new nn.GlobalAveragePooling1D(),
    inputs: [[5, 3], [5]],
    dtypes: ['float32', 'bool'],
    outputs: [[3]],
  },
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
  {
    name: 'lstm with mask and first states, reverse',
    make: (nn) => new nn.LSTM({ units: 3, initialState: true, reverse: true, ...bias }),
    inputs: [[4, 2], [4], [3], [3]],
    dtypes: ['float32', 'bool', 'float32', 'float32'],
    outputs: [[3]],
  },
  {
    name: 'gru with a first state',
    make: (nn) => new nn.GRU({ units: 3, initialState: true, returnState: true, ...bias }),
    inputs: [[4, 2], [3]],
    outputs: [[3], [3]],
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
  {
    name: 'embedding with padding',
    make: (nn) => new nn.Embedding({ tokens: 5, units: 3, padding: 2 }),
    inputs: [[3]],
    dtypes: ['int32'],
    outputs: [[3, 3]],
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
  {
    name: 'multi_head_attention with scores and shared keys',
    make: (nn) => new nn.MultiHeadAttention({ heads: 4, keyHeads: 2, headSize: 3, causal: true }),
    inputs: [
      [3, 4],
      [4, 3, 3],
    ],
    constants: [1],
    outputs: [[3, 4]],
  },
  {
    ...one('multi_head_attention with dropout', (nn) => new nn.MultiHeadAttention({ heads: 2, keyHeads: 1, dropout: 0.3 }), {
      from: [3, 4],
      to: [3, 4],
    }),
    isRandom: true,
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
  ...(['Add', 'Subtract', 'Multiply', 'Average', 'Maximum', 'Minimum'] as const).map((name): LayerCase => ({
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
  {
    name: 'dot',
    make: (nn) => new nn.Dot({ axes: [0, 1], normalize: true }),
    inputs: [
      [3, 2],
      [4, 3],
    ],
    outputs: [[2, 4]],
  },
  { name: 'dot of vectors', make: (nn) => new nn.Dot(), inputs: [[3], [3]], outputs: [[1]] },
  one(
    'checkpoint',
    (nn) => new nn.Checkpoint({ layer: new nn.Sequential({ layers: [new nn.Dense({ units: 3, activation: 'tanh' })] }) }),
    { from: [4], to: [3] },
  ),
  one('reshape', (nn) => new nn.Reshape({ shape: [3, -1] }), { from: [2, 6], to: [3, 4] }),
  one('permute', (nn) => new nn.Permute({ axes: [2, 1] }), { from: [2, 3], to: [3, 2] }),
  one('select', (nn) => new nn.Select({ axis: 1, index: -2 }), { from: [2, 3, 4], to: [2, 4] }),
  one('repeat_vector', (nn) => new nn.RepeatVector({ count: 3 }), { from: [2], to: [3, 2] }),
  one('zero_padding1d', (nn) => new nn.ZeroPadding1D({ padding: [[1, 2]] }), { from: [3, 2], to: [6, 2] }),
  one('zero_padding2d', (nn) => new nn.ZeroPadding2D({ padding: [[1, 0], 2] }), { from: [3, 2, 1], to: [4, 6, 1] }),
  one('zero_padding3d', (nn) => new nn.ZeroPadding3D({ padding: [[0, 1], 1, [2, 0]] }), {
    from: [2, 1, 2, 2],
    to: [3, 3, 4, 2],
  }),
  one('cropping3d', (nn) => new nn.Cropping3D({ cropping: [[0, 1], 0, 1] }), { from: [2, 1, 3, 2], to: [1, 1, 1, 2] }),
  one('resize2d', (nn) => new nn.Resize2D({ size: [3, 5] }), { from: [4, 3, 2], to: [3, 5, 2] }),
  one('resize2d, nearest', (nn) => new nn.Resize2D({ size: 3, interpolation: 'nearest' }), { from: [2, 5, 2], to: [3, 3, 2] }),
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
