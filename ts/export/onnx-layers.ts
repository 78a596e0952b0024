import type { LayerDescription, WeightDescription } from '../nn/description.js';
import { layerError, readImageShape, readPair, readWeight, readWindow } from './layer-config.js';
import { writeActivation } from './onnx-activations.js';
import type { GraphValue, OnnxGraphBuilder } from './onnx-graph.js';

type LayerWriter = (graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription) => GraphValue;

const LAYERS: Readonly<Record<string, LayerWriter>> = {
  dense: writeDense,
  conv2d: writeConv2d,
  max_pool2d: (graph, input, layer) => writePool(graph, input, layer, 'MaxPool'),
  avg_pool2d: (graph, input, layer) => writePool(graph, input, layer, 'AveragePool'),
  flatten: writeFlatten,
  // Dropout does nothing outside training.
  dropout: (_graph, input) => input,
  activation: writeActivation,
};

/**
 * Adds one layer to the graph and checks the shape it gives against the description.
 *
 * @throws E_EXPORT for a layer type, option or weight that cannot be expressed
 */
export function writeLayer(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const write = Object.hasOwn(LAYERS, layer.type) ? LAYERS[layer.type] : undefined;
  if (write === undefined) {
    throw layerError(layer, `this layer type cannot be expressed in ONNX: expected one of ${Object.keys(LAYERS).join(', ')}.`);
  }
  if (!isSameShape(input.shape, layer.inputShape)) {
    throw layerError(
      layer,
      `input shape [${layer.inputShape.join(',')}] does not follow from what comes before it, [${input.shape.join(',')}].`,
    );
  }
  const output = write(graph, input, layer);
  if (!isSameShape(output.shape, layer.outputShape)) {
    throw layerError(
      layer,
      `its options give output shape [${output.shape.join(',')}], its description says [${layer.outputShape.join(',')}].`,
    );
  }
  return output;
}

/** Whether two shapes are equal. */
export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** y = x W + b over the last axis; Gemm takes matrices only, so inputs of higher rank become MatMul and Add. */
function writeDense(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const rows = graph.toRows(input, layer.name);
  const inputSize = rows.shape.at(-1);
  const units = layer.outputShape.at(-1);
  if (inputSize === undefined || units === undefined)
    throw layerError(layer, 'needs an input of rank 1 or more, got a scalar.');
  const kernel = graph.addConstant(`${layer.name}/kernel`, readWeight(layer, 'kernel', [inputSize, units]));
  const bias =
    layer.weights['bias'] === undefined
      ? undefined
      : graph.addConstant(`${layer.name}/bias`, readWeight(layer, 'bias', [units]));
  const node = graph.reserveName(layer.name);
  const shape = [...rows.shape.slice(0, -1), units];
  if (rows.shape.length === 1) {
    const inputs = bias === undefined ? [rows.name, kernel] : [rows.name, kernel, bias];
    return writeActivation(graph, { name: graph.addNode(node, 'Gemm', inputs), shape, layout: 'rows' }, layer);
  }
  const product = graph.addNode(node, 'MatMul', [rows.name, kernel]);
  const name = bias === undefined ? product : graph.addNode(graph.reserveName(`${layer.name}/add`), 'Add', [product, bias]);
  return writeActivation(graph, { name, shape, layout: 'rows' }, layer);
}

function writeConv2d(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const [height, width, channels] = readImageShape(layer, input.shape);
  const kernelSize = readPair(layer, 'kernelSize');
  const strides = readPair(layer, 'strides', [1, 1]);
  const dilations = readPair(layer, 'dilations', [1, 1]);
  const { outputSize, pads } = readWindow(layer, [height, width], kernelSize, strides, dilations);
  const [, , filters] = readImageShape(layer, layer.outputShape);

  const image = graph.toChannelsFirst(input, layer.name);
  const kernel = readWeight(layer, 'kernel', [...kernelSize, channels, filters]);
  const inputs = [image.name, graph.addConstant(`${layer.name}/kernel`, toOihw(kernel))];
  if (layer.weights['bias'] !== undefined) {
    inputs.push(graph.addConstant(`${layer.name}/bias`, readWeight(layer, 'bias', [filters])));
  }
  const name = graph.addNode(graph.reserveName(layer.name), 'Conv', inputs, {
    kernel_shape: { ints: kernelSize },
    strides: { ints: strides },
    dilations: { ints: dilations },
    pads: { ints: pads },
  });
  return writeActivation(graph, { name, shape: [...outputSize, filters], layout: 'nchw' }, layer);
}

/** Convolution kernel from [kernelHeight, kernelWidth, in, out] to [out, in, kernelHeight, kernelWidth]. */
function toOihw(kernel: WeightDescription): WeightDescription {
  const [height, width, inputs, outputs] = kernel.shape as [number, number, number, number];
  const data = new Float32Array(kernel.data.length);
  let from = 0;
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      for (let i = 0; i < inputs; ++i) {
        for (let o = 0; o < outputs; ++o) data[((o * inputs + i) * height + y) * width + x] = kernel.data[from++]!;
      }
    }
  }
  return { shape: [outputs, inputs, height, width], data };
}

/** Pooling; cells of the padding never count, neither for the maximum nor in the divisor of the mean. */
function writePool(
  graph: OnnxGraphBuilder,
  input: GraphValue,
  layer: LayerDescription,
  opType: 'MaxPool' | 'AveragePool',
): GraphValue {
  const [height, width, channels] = readImageShape(layer, input.shape);
  const poolSize = readPair(layer, 'poolSize');
  const strides = readPair(layer, 'strides', poolSize);
  const { outputSize, pads } = readWindow(layer, [height, width], poolSize, strides, [1, 1]);
  const image = graph.toChannelsFirst(input, layer.name);
  const name = graph.addNode(graph.reserveName(layer.name), opType, [image.name], {
    kernel_shape: { ints: poolSize },
    strides: { ints: strides },
    pads: { ints: pads },
    ...(opType === 'AveragePool' ? { count_include_pad: { int: 0 } } : {}),
  });
  return { name, shape: [...outputSize, channels], layout: 'nchw' };
}

/** All of a row in one axis, in channels-last order, which the weights of the next layer were trained for. */
function writeFlatten(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const rows = graph.toRows(input, layer.name);
  const name = graph.addNode(graph.reserveName(layer.name), 'Flatten', [rows.name], { axis: { int: 1 } });
  return { name, shape: [rows.shape.reduce((product, size) => product * size, 1)], layout: 'rows' };
}
