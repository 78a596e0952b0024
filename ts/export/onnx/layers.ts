/** Every layer type with what writes it. */
import { isSameShape, type LayerSpec } from '../model-graph.js';
import { writeActivation } from './activations.js';
import { writeMultiHeadAttention, writeTransformerDecoder, writeTransformerEncoder } from './attention.js';
import { convolution, depthwiseConvolution, separableConvolution, transposedConvolution } from './convolutions.js';
import { writeDense, writeEmbedding, writeTiedDense } from './dense.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { layerError } from './layer-config.js';
import {
  writeBatchNorm,
  writeGroupNorm,
  writeInstanceNorm,
  writeLayerNorm,
  writePrelu,
  writeRescaling,
  writeRmsNorm,
  writeUnitNorm,
} from './norms.js';
import { cropping, globalPooling, pooling, upSampling, writeResize2d, zeroPadding } from './pooling.js';
import { writeLearnedPositions, writeSinusoidalPositions } from './positions.js';
import { writeBidirectional, writeRecurrent } from './recurrent.js';
import {
  merge,
  writeAverage,
  writeConcatenate,
  writeDot,
  writeFlatten,
  writeMasking,
  writePaddingMask,
  writePermute,
  writePlacesAsRows,
  writeRepeatVector,
  writeReshape,
  writeRowsAsPlaces,
  writeSelect,
} from './shapes.js';
import { unary, type LayerWriter } from './writer.js';

/** Dropout and noise do nothing outside training. */
const nothing: LayerWriter = (_graph, inputs) => inputs;

const LAYERS: Readonly<Record<string, LayerWriter>> = {
  dense: unary(writeDense),
  embedding: unary(writeEmbedding),
  tied_dense: unary(writeTiedDense),
  conv1d: unary(convolution(1)),
  conv2d: unary(convolution(2)),
  conv3d: unary(convolution(3)),
  conv1d_transposed: unary(transposedConvolution(1)),
  conv2d_transposed: unary(transposedConvolution(2)),
  conv3d_transposed: unary(transposedConvolution(3)),
  depthwise_conv1d: unary(depthwiseConvolution(1)),
  depthwise_conv2d: unary(depthwiseConvolution(2)),
  separable_conv1d: unary(separableConvolution(1)),
  separable_conv2d: unary(separableConvolution(2)),
  max_pool1d: unary(pooling('MaxPool', 1)),
  max_pool2d: unary(pooling('MaxPool', 2)),
  max_pool3d: unary(pooling('MaxPool', 3)),
  avg_pool1d: unary(pooling('AveragePool', 1)),
  avg_pool2d: unary(pooling('AveragePool', 2)),
  avg_pool3d: unary(pooling('AveragePool', 3)),
  global_avg_pool1d: globalPooling('ReduceMean'),
  global_avg_pool2d: globalPooling('ReduceMean'),
  global_avg_pool3d: globalPooling('ReduceMean'),
  global_max_pool1d: globalPooling('ReduceMax'),
  global_max_pool2d: globalPooling('ReduceMax'),
  global_max_pool3d: globalPooling('ReduceMax'),
  up_sampling1d: unary(upSampling(1)),
  up_sampling2d: unary(upSampling(2)),
  up_sampling3d: unary(upSampling(3)),
  resize2d: unary(writeResize2d),
  zero_padding1d: unary(zeroPadding(1)),
  zero_padding2d: unary(zeroPadding(2)),
  zero_padding3d: unary(zeroPadding(3)),
  cropping1d: unary(cropping(1)),
  cropping2d: unary(cropping(2)),
  cropping3d: unary(cropping(3)),
  dropout: nothing,
  spatial_dropout1d: nothing,
  spatial_dropout2d: nothing,
  spatial_dropout3d: nothing,
  gaussian_dropout: nothing,
  gaussian_noise: nothing,
  alpha_dropout: nothing,
  drop_path: nothing,
  activation: unary(writeActivation),
  prelu: unary(writePrelu),
  rescaling: unary(writeRescaling),
  batch_norm: unary(writeBatchNorm),
  layer_norm: unary(writeLayerNorm),
  rms_norm: unary(writeRmsNorm),
  group_norm: unary(writeGroupNorm),
  instance_norm: unary(writeInstanceNorm),
  unit_norm: unary(writeUnitNorm),
  add: merge('Add'),
  subtract: merge('Sub'),
  multiply: merge('Mul'),
  maximum: merge('Max'),
  minimum: merge('Min'),
  average: writeAverage,
  concatenate: writeConcatenate,
  dot: writeDot,
  flatten: unary(writeFlatten),
  reshape: unary(writeReshape),
  permute: unary(writePermute),
  select: unary(writeSelect),
  repeat_vector: unary(writeRepeatVector),
  padding_mask: unary(writePaddingMask),
  masking: unary(writeMasking),
  learned_positions: unary(writeLearnedPositions),
  sinusoidal_positions: unary(writeSinusoidalPositions),
  rnn: writeRecurrent,
  lstm: writeRecurrent,
  gru: writeRecurrent,
  bidirectional: writeBidirectional,
  multi_head_attention: writeMultiHeadAttention,
  transformer_encoder: writeTransformerEncoder,
  transformer_decoder: writeTransformerDecoder,
};

/** What the laying open of a model adds. */
const ENDS: Readonly<Record<string, LayerWriter>> = { time_in: unary(writePlacesAsRows), time_out: writeRowsAsPlaces };

/** Layer types that can be written; the others are refused by name. */
export const ONNX_LAYER_TYPES: readonly string[] = Object.keys(LAYERS);

/**
 * Adds one layer to the graph and checks the shapes it gives against the description.
 *
 * @throws E_EXPORT for a layer type, option or weight that cannot be expressed
 */
export function writeLayer(graph: OnnxGraphBuilder, inputs: readonly GraphValue[], layer: LayerSpec): readonly GraphValue[] {
  const writers = Object.hasOwn(LAYERS, layer.type) ? LAYERS : ENDS;
  const write = Object.hasOwn(writers, layer.type) ? writers[layer.type] : undefined;
  if (write === undefined) {
    throw layerError(layer, `this layer type cannot be expressed in ONNX: expected one of ${ONNX_LAYER_TYPES.join(', ')}.`);
  }
  inputs.forEach(({ shape }, index) => {
    const expected = layer.inputShapes[index] ?? [];
    if (isSameShape(shape, expected)) return;
    throw layerError(
      layer,
      `input shape [${expected.join(',')}] does not follow from what comes before it, [${shape.join(',')}].`,
    );
  });
  const outputs = write(graph, inputs, layer);
  outputs.forEach(({ shape }, index) => {
    const expected = layer.outputShapes[index] ?? [];
    if (isSameShape(shape, expected)) return;
    throw layerError(
      layer,
      `its options give output shape [${shape.join(',')}], its description says [${expected.join(',')}].`,
    );
  });
  return outputs;
}
