/** docs/layers.md: every layer, its options and where it can go. */
import { ONNX_LAYER_TYPES } from '../export/onnx/layers.js';
import { TFJS_LAYER_TYPES } from '../export/tfjs/layers.js';
import { layerOptions, SCHEMA_TYPES } from '../nn/architecture-schema.js';

/** Class, what it computes, and the op of ours that computes it where there is one. */
const NOTES: Readonly<Record<string, readonly [className: string, meaning: string, op?: string]>> = {
  activation: ['Activation', 'an activation function', 'activation'],
  add: ['Add', 'sum of inputs'],
  alpha_dropout: ['AlphaDropout', 'dropout that keeps mean and variance after selu'],
  average: ['Average', 'mean of inputs'],
  avg_pool1d: ['AveragePooling1D', 'means of windows, padding not counted'],
  avg_pool2d: ['AveragePooling2D', 'means of windows, padding not counted'],
  avg_pool3d: ['AveragePooling3D', 'means of windows, padding not counted'],
  batch_norm: ['BatchNorm', 'statistics of the batch, running ones outside training', 'batch_norm_train'],
  bidirectional: ['Bidirectional', 'a recurrent layer in both directions'],
  checkpoint: ['Checkpoint', 'a block whose activations are computed again for the gradient'],
  concatenate: ['Concatenate', 'inputs one after the other'],
  conv1d: ['Conv1D', 'convolution over time; may be causal'],
  conv1d_transposed: ['Conv1DTransposed', 'transposed convolution'],
  conv2d: ['Conv2D', 'convolution over images [N, H, W, C]'],
  conv2d_transposed: ['Conv2DTransposed', 'transposed convolution'],
  conv3d: ['Conv3D', 'convolution over volumes'],
  conv3d_transposed: ['Conv3DTransposed', 'transposed convolution'],
  cropping1d: ['Cropping1D', 'a sequence without its ends'],
  cropping2d: ['Cropping2D', 'an image without its border'],
  cropping3d: ['Cropping3D', 'a volume without its border'],
  dense: ['Dense', 'activation(x kernel + bias) over the last axis', 'linear'],
  depthwise_conv1d: ['DepthwiseConv1D', 'a convolution per channel'],
  depthwise_conv2d: ['DepthwiseConv2D', 'a convolution per channel'],
  dot: ['Dot', 'sums of products of two inputs'],
  drop_path: ['DropPath', 'drops whole rows in training (stochastic depth)', 'dropout'],
  dropout: ['Dropout', 'drops elements in training', 'dropout'],
  embedding: ['Embedding', 'vectors of tokens', 'gather'],
  flatten: ['Flatten', 'a row as a vector'],
  gaussian_dropout: ['GaussianDropout', 'multiplies by normal numbers in training'],
  gaussian_noise: ['GaussianNoise', 'adds normal numbers in training'],
  global_avg_pool1d: ['GlobalAveragePooling1D', 'mean over time; takes a mask'],
  global_avg_pool2d: ['GlobalAveragePooling2D', 'mean over an image'],
  global_avg_pool3d: ['GlobalAveragePooling3D', 'mean over a volume'],
  global_max_pool1d: ['GlobalMaxPooling1D', 'maximum over time'],
  global_max_pool2d: ['GlobalMaxPooling2D', 'maximum over an image'],
  global_max_pool3d: ['GlobalMaxPooling3D', 'maximum over a volume'],
  graph: ['Graph', 'layers joined freely, several inputs and outputs'],
  group_norm: ['GroupNorm', 'statistics per row and group of channels', 'group_norm'],
  gru: ['GRU', 'gated recurrent unit; takes a mask and a first state', 'gru'],
  instance_norm: ['InstanceNorm', 'statistics per row and channel', 'group_norm'],
  layer_norm: ['LayerNorm', 'statistics over the last axis', 'row_norm'],
  learned_positions: ['LearnedPositions', 'adds a learned vector per place'],
  lstm: ['LSTM', 'long short-term memory; takes a mask and first states', 'lstm'],
  masking: ['Masking', 'mask of the places whose channels are not all one value'],
  max_pool1d: ['MaxPooling1D', 'largest values of windows'],
  max_pool2d: ['MaxPooling2D', 'largest values of windows'],
  max_pool3d: ['MaxPooling3D', 'largest values of windows'],
  maximum: ['Maximum', 'largest of inputs'],
  minimum: ['Minimum', 'smallest of inputs'],
  multi_head_attention: [
    'MultiHeadAttention',
    'attention; takes a context, a mask, added scores, and a key/value cache',
    'attention',
  ],
  multiply: ['Multiply', 'product of inputs'],
  padding_mask: ['PaddingMask', 'mask of tokens that are no padding'],
  permute: ['Permute', 'axes in another order'],
  prelu: ['PReLU', 'ReLU with a learned slope'],
  repeat_vector: ['RepeatVector', 'a vector at each of several places'],
  rescaling: ['Rescaling', 'x * scale + offset'],
  reshape: ['Reshape', 'rows in another shape'],
  residual: ['Residual', 'activation(branch(x) + shortcut(x))'],
  resize2d: ['Resize2D', 'images of another size'],
  rms_norm: ['RMSNorm', 'root mean square over the last axis', 'row_norm'],
  rnn: ['RNN', 'simple recurrent layer; takes a mask and a first state', 'rnn'],
  select: ['Select', 'one place along an axis'],
  separable_conv1d: ['SeparableConv1D', 'depthwise, then dense over channels'],
  separable_conv2d: ['SeparableConv2D', 'depthwise, then dense over channels'],
  sequential: ['Sequential', 'a chain of layers'],
  sinusoidal_positions: ['SinusoidalPositions', 'adds sines and cosines of the place'],
  spatial_dropout1d: ['SpatialDropout1D', 'drops channels in training', 'dropout'],
  spatial_dropout2d: ['SpatialDropout2D', 'drops channels in training', 'dropout'],
  spatial_dropout3d: ['SpatialDropout3D', 'drops channels in training', 'dropout'],
  subtract: ['Subtract', 'the first input minus the others'],
  tied_dense: ['TiedDense', 'scores by the table of an embedding'],
  time_distributed: ['TimeDistributed', 'a layer at each place of a sequence'],
  transformer_decoder: ['TransformerDecoder', 'causal attention, attention to a context, two dense layers', 'residual_norm'],
  transformer_encoder: ['TransformerEncoder', 'attention and two dense layers; takes a mask', 'residual_norm'],
  unit_norm: ['UnitNorm', 'rows of length 1'],
  up_sampling1d: ['UpSampling1D', 'each place several times'],
  up_sampling2d: ['UpSampling2D', 'larger images'],
  up_sampling3d: ['UpSampling3D', 'each cell several times'],
  zero_padding1d: ['ZeroPadding1D', 'zeros before and after'],
  zero_padding2d: ['ZeroPadding2D', 'zeros round images'],
  zero_padding3d: ['ZeroPadding3D', 'zeros round volumes'],
};

/** Containers are laid open by exports: what they hold decides. */
export const CONTAINERS: readonly string[] = ['sequential', 'graph', 'residual', 'checkpoint', 'time_distributed'];

const mark = (type: string, ...lists: readonly (readonly string[])[]): string =>
  lists.some((list) => list.includes(type)) ? 'yes' : '';

/** The table of all layers. @throws when a layer has no note */
export function layersTable(): string {
  const rows = SCHEMA_TYPES.map((type) => {
    const note = NOTES[type];
    if (note === undefined) throw new Error(`no note on layer '${type}'`);
    const [className, meaning, op = ''] = note;
    const options = layerOptions(type)
      .filter((key) => !/(Initializer|Regularizer|Constraint)$/.test(key))
      .map((key) => `\`${key}\``)
      .join(', ');
    const cells = [
      `\`${type}\``,
      `\`${className}\``,
      meaning,
      options,
      op === '' ? '' : `\`${op}\``,
      mark(type, ONNX_LAYER_TYPES, CONTAINERS),
      mark(type, TFJS_LAYER_TYPES, CONTAINERS),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = ['type', 'class', 'what it does', 'options', 'own op', 'ONNX', 'tfjs'];
  return [`| ${head.join(' | ')} |`, `| ${head.map(() => '---').join(' | ')} |`, ...rows].join('\n');
}

export const LAYERS_PAGE = `<!-- Made by \`npm run docs\` from ts/cli/layers-page.ts and ts/nn/architecture-schema.ts: change those. -->

# Layers

From \`tensorkiln/nn\`. Shapes are [N, ...] with channels last; a layer is built for the shape of a row, without the batch. Every layer takes \`name\` and \`trainable\`; parameters take \`<role>Initializer\`, \`<role>Regularizer\` and \`<role>Constraint\` (roles: kernel, bias, recurrent, scale, offset, table, alpha, pointwise), with the initialisers, regularisers and constraints of Keras. Names, options and defaults stand in each class's documentation.

"own op" names the one native op that computes the layer, forward and back; other layers are computed by ops of tfjs. "ONNX" and "tfjs" say whether \`exportOnnx\` and \`exportTfjs\` can express the layer; [export](export.md) has the limits and the reasons.

TABLE

## Models

\`Sequential\` is a chain, \`Graph\` joins layers freely with \`input\` and \`connect\`; a layer that is used twice shares its weights, \`TiedDense\` shares an embedding's table. \`model.summary()\` prints shapes, parameters and FLOPs; \`trainable = false\` freezes a layer with all inside it; \`call(x, { training: true })\` is training mode; \`getWeights\`, \`setWeights\` and \`loadWeights\` go by parameter name.

\`JSON.stringify(model)\` is the architecture without weights, \`modelFromJSON\` reads it back; [schemas/model-architecture.schema.json](../schemas/model-architecture.schema.json) describes it for editors.

## Ready architectures

\`createModel({ architecture, inputShape, numClasses, ... })\` makes an unbuilt model: \`mlp\`, \`dnn\`, \`cnn\`, \`lenet\`, \`resnet18\`, \`resnet34\`, \`resnet50\`, \`bilstm-classifier\`, \`transformer-encoder\`, \`gpt\`. Rows of tokens need \`vocabulary\`. ResNets have PyTorch's parameters: \`layer1.0.conv1.weight\` is \`layer1/0/branch/conv1/kernel\`, \`downsample\` is \`shortcut\`.

## Layers of your own

\`\`\`js
import * as tf from '@tensorflow/tfjs-core';
import { UnaryLayer, registerLayer } from 'tensorkiln/nn';

class Gate extends UnaryLayer {
  type = 'my_gate';
  computeOutputShape(inputShape) {
    if (inputShape.length === 0) throw this.shapeError('wrong input shape', '[N, ..., C]', '[N]');
    return inputShape;
  }
  createUnaryParameters(inputShape) {
    this.gain = this.addParameter('gain', [inputShape.at(-1)], 'ones');
  }
  transform(x) {
    return tf.mul(x, tf.sigmoid(tf.mul(x, this.gain)));
  }
  getConfig() {
    return {};
  }
}
registerLayer('my_gate', (config) => new Gate(config));
\`\`\`

A loss is an object with \`name\`, \`targetDType\`, \`isClassification\`, \`rows(predictions, targets)\` (a loss per row, differentiable) and \`check\`; see \`Loss\`.
`;
