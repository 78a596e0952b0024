import type { LayerSpec } from '../model-graph.js';
import { layerError, readNumber } from './layer-config.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';

type ActivationWriter = (graph: OnnxGraphBuilder, node: string, input: GraphValue, layer: LayerSpec) => string;

// Klambauer, Unterthiner, Mayr, Hochreiter 2017, arXiv:1706.02515, appendix A1.
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

/** Slope of leaky_relu below zero where the layer names none: the default of tf.leakyRelu. */
const LEAKY_RELU_ALPHA = 0.2;

/** relu6(x + 3) / 6 as max(0, min(1, alpha x + beta)). */
const HARD_SIGMOID = { alpha: { float: 1 / 6 }, beta: { float: 0.5 } };

const ACTIVATIONS: Readonly<Record<string, ActivationWriter>> = {
  linear: (_graph, _node, input) => input.name,
  relu: plain('Relu'),
  relu6: (graph, node, input) =>
    graph.addNode(node, 'Clip', [input.name, graph.addScalar(`${node}/min`, 0), graph.addScalar(`${node}/max`, 6)]),
  elu: (graph, node, input, layer) =>
    graph.addNode(node, 'Elu', [input.name], { alpha: { float: readNumber(layer, 'alpha', 1) } }),
  selu: (graph, node, input) =>
    graph.addNode(node, 'Selu', [input.name], { alpha: { float: SELU_ALPHA }, gamma: { float: SELU_SCALE } }),
  leaky_relu: (graph, node, input, layer) =>
    graph.addNode(node, 'LeakyRelu', [input.name], { alpha: { float: readNumber(layer, 'alpha', LEAKY_RELU_ALPHA) } }),
  sigmoid: plain('Sigmoid'),
  tanh: plain('Tanh'),
  softplus: plain('Softplus'),
  // Our softmax runs over the last axis, the channels.
  softmax: (graph, node, input) =>
    graph.addNode(node, 'Softmax', [input.name], { axis: { int: input.layout === 'channels_first' ? 1 : -1 } }),
  gelu: writeGelu,
  gelu_tanh: writeTanhGelu,
  silu: (graph, node, input) =>
    graph.addNode(node, 'Mul', [input.name, graph.addNode(`${node}/sigmoid`, 'Sigmoid', [input.name])]),
  mish: (graph, node, input) => {
    const softplus = graph.addNode(`${node}/softplus`, 'Softplus', [input.name]);
    return graph.addNode(node, 'Mul', [input.name, graph.addNode(`${node}/tanh`, 'Tanh', [softplus])]);
  },
  softsign: plain('Softsign'),
  hard_sigmoid: (graph, node, input) => graph.addNode(node, 'HardSigmoid', [input.name], HARD_SIGMOID),
  hard_swish: (graph, node, input) =>
    graph.addNode(node, 'Mul', [input.name, graph.addNode(`${node}/gate`, 'HardSigmoid', [input.name], HARD_SIGMOID)]),
  log_softmax: (graph, node, input) =>
    graph.addNode(node, 'LogSoftmax', [input.name], { axis: { int: input.layout === 'channels_first' ? 1 : -1 } }),
  exponential: plain('Exp'),
};

/** Names that `writeActivation` knows. */
export const ONNX_ACTIVATIONS: readonly string[] = Object.keys(ACTIVATIONS);

function plain(opType: string): ActivationWriter {
  return (graph, node, input) => graph.addNode(node, opType, [input.name]);
}

/** x/2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))). */
function writeTanhGelu(graph: OnnxGraphBuilder, node: string, input: GraphValue): string {
  const square = graph.addNode(`${node}/square`, 'Mul', [input.name, input.name]);
  const cube = graph.addNode(`${node}/cube`, 'Mul', [square, input.name]);
  const small = graph.addNode(`${node}/small`, 'Mul', [cube, graph.addScalar(`${node}/factor`, 0.044715)]);
  const sum = graph.addNode(`${node}/sum`, 'Add', [input.name, small]);
  const scaled = graph.addNode(`${node}/scale`, 'Mul', [sum, graph.addScalar(`${node}/root`, Math.sqrt(2 / Math.PI))]);
  const tanh = graph.addNode(`${node}/tanh`, 'Tanh', [scaled]);
  const shifted = graph.addNode(`${node}/shift`, 'Add', [tanh, graph.addScalar(`${node}/one`, 1)]);
  const half = graph.addNode(`${node}/half`, 'Mul', [input.name, graph.addScalar(`${node}/one_half`, 0.5)]);
  return graph.addNode(node, 'Mul', [half, shifted]);
}

/** x/2 * (1 + erf(x / sqrt 2)); the operator Gelu itself came with opset 20. */
function writeGelu(graph: OnnxGraphBuilder, node: string, input: GraphValue): string {
  const scaled = graph.addNode(`${node}/scale`, 'Mul', [input.name, graph.addScalar(`${node}/sqrt_half`, Math.SQRT1_2)]);
  const erf = graph.addNode(`${node}/erf`, 'Erf', [scaled]);
  const shifted = graph.addNode(`${node}/shift`, 'Add', [erf, graph.addScalar(`${node}/one`, 1)]);
  const half = graph.addNode(`${node}/half`, 'Mul', [input.name, graph.addScalar(`${node}/one_half`, 0.5)]);
  return graph.addNode(node, 'Mul', [half, shifted]);
}

/**
 * Adds the activation a layer names under `config.activation` (none means linear).
 *
 * @throws E_EXPORT for a name that has no counterpart
 */
export function writeActivation(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerSpec): GraphValue {
  const activation = layer.config['activation'] ?? 'linear';
  if (typeof activation !== 'string' || !Object.hasOwn(ACTIVATIONS, activation)) {
    throw layerError(
      layer,
      `activation ${JSON.stringify(activation)} cannot be expressed in ONNX: expected one of ${ONNX_ACTIVATIONS.join(', ')}.`,
    );
  }
  return { ...input, name: ACTIVATIONS[activation]!(graph, `${layer.name}/${activation}`, input, layer) };
}
