/** Products with weights: dense layers, and tables of tokens. */
import type { LayerSpec } from '../model-graph.js';
import { writeActivation } from './activations.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { layerError, optionalWeight, readNumber, readWeight } from './layer-config.js';
import { rows } from './writer.js';

/** y = x W + b over the last axis; Gemm takes matrices only, so inputs of higher rank become MatMul and Add. */
export function writeDense(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerSpec): GraphValue {
  const value = graph.toRows(input, layer.name);
  const inputSize = value.shape.at(-1);
  const units = layer.outputShapes[0]?.at(-1);
  if (inputSize === undefined || units === undefined)
    throw layerError(layer, 'needs an input of rank 1 or more, got a scalar.');
  const kernel = graph.addWeight(`${layer.name}/kernel`, readWeight(layer, 'kernel', [inputSize, units]));
  const own = optionalWeight(layer, 'bias', [units]);
  const bias = own === undefined ? undefined : graph.addWeight(`${layer.name}/bias`, own);
  const shape = [...value.shape.slice(0, -1), units];
  if (value.shape.length === 1) {
    const inputs = bias === undefined ? [value.name, kernel] : [value.name, kernel, bias];
    return writeActivation(graph, rows(graph.addNode(layer.name, 'Gemm', inputs), shape), layer);
  }
  const product = graph.addNode(layer.name, 'MatMul', [value.name, kernel]);
  const name = bias === undefined ? product : graph.addNode(`${layer.name}/add`, 'Add', [product, bias]);
  return writeActivation(graph, rows(name, shape), layer);
}

export function writeEmbedding(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerSpec): GraphValue {
  const [tokens, units] = [readNumber(layer, 'tokens', 0), readNumber(layer, 'units', 0)];
  const table = graph.addWeight(`${layer.name}/table`, readWeight(layer, 'table', [tokens, units]));
  const name = graph.addNode(layer.name, 'Gather', [table, input.name], { axis: { int: 0 } });
  return rows(name, [...input.shape, units]);
}

/** y = x table^T with the embedding's own table, which stands in the file once. */
export function writeTiedDense(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerSpec): GraphValue {
  const value = graph.toRows(input, layer.name);
  const [units, tokens] = [value.shape.at(-1) ?? 0, layer.outputShapes[0]?.at(-1) ?? 0];
  const table = graph.addWeight(`${layer.name}/table`, readWeight(layer, 'table', [tokens, units]));
  const kernel = graph.transpose(`${layer.name}/transpose`, table, [1, 0]);
  return rows(graph.addNode(layer.name, 'MatMul', [value.name, kernel]), [...value.shape.slice(0, -1), tokens]);
}
