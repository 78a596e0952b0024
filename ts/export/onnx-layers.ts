import type { LayerDescription, WeightDescription } from '../nn/description.js';
import { layerError, readImageShape, readNumber, readPair, readWeight, readWindow } from './layer-config.js';
import { writeActivation } from './onnx-activations.js';
import type { GraphValue, OnnxGraphBuilder } from './onnx-graph.js';

type LayerWriter = (graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription) => GraphValue;

const LAYERS: Readonly<Record<string, LayerWriter>> = {
  dense: writeDense,
  conv2d: writeConv2d,
  max_pool2d: (graph, input, layer) => writePool(graph, input, layer, 'MaxPool'),
  avg_pool2d: (graph, input, layer) => writePool(graph, input, layer, 'AveragePool'),
  flatten: writeFlatten,
  // Dropout and noise do nothing outside training.
  dropout: (_graph, input) => input,
  spatial_dropout1d: (_graph, input) => input,
  spatial_dropout2d: (_graph, input) => input,
  spatial_dropout3d: (_graph, input) => input,
  gaussian_dropout: (_graph, input) => input,
  gaussian_noise: (_graph, input) => input,
  alpha_dropout: (_graph, input) => input,
  drop_path: (_graph, input) => input,
  activation: writeActivation,
  batch_norm: writeBatchNorm,
  layer_norm: writeLayerNorm,
  prelu: writePrelu,
  rescaling: writeRescaling,
  global_avg_pool1d: (graph, input, layer) => writeGlobalPool(graph, input, layer, 'ReduceMean'),
  global_avg_pool2d: (graph, input, layer) => writeGlobalPool(graph, input, layer, 'ReduceMean'),
  global_avg_pool3d: (graph, input, layer) => writeGlobalPool(graph, input, layer, 'ReduceMean'),
  global_max_pool1d: (graph, input, layer) => writeGlobalPool(graph, input, layer, 'ReduceMax'),
  global_max_pool2d: (graph, input, layer) => writeGlobalPool(graph, input, layer, 'ReduceMax'),
  global_max_pool3d: (graph, input, layer) => writeGlobalPool(graph, input, layer, 'ReduceMax'),
  permute: writePermute,
};

/** Layer types that can be written; the others are refused by name. */
export const ONNX_LAYER_TYPES: readonly string[] = Object.keys(LAYERS);

/**
 * Adds one layer to the graph and checks the shape it gives against the description.
 *
 * @throws E_EXPORT for a layer type, option or weight that cannot be expressed
 */
export function writeLayer(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const write = Object.hasOwn(LAYERS, layer.type) ? LAYERS[layer.type] : undefined;
  if (write === undefined) {
    throw layerError(layer, `this layer type cannot be expressed in ONNX: expected one of ${ONNX_LAYER_TYPES.join(', ')}.`);
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

/** A number per channel, so that it broadcasts over the value as it lies. */
function addPerChannel(graph: OnnxGraphBuilder, name: string, value: GraphValue, data: Float32Array): string {
  const shape = value.layout === 'nchw' ? [data.length, ...value.shape.slice(1).map(() => 1)] : [data.length];
  return graph.addConstant(name, { shape, data });
}

/** Outside training a fixed factor and summand per channel, taken together in double precision. */
function writeBatchNorm(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const channels = [input.shape.at(-1) ?? 0];
  const read = (name: string): Float32Array => readWeight(layer, name, channels).data;
  const optional = (name: string): Float32Array | undefined => (layer.weights[name] === undefined ? undefined : read(name));
  const epsilon = readNumber(layer, 'epsilon', 1e-3);
  const [mean, scale, offset] = [read('running_mean'), optional('scale'), optional('offset')];
  const factors = [...read('running_variance')].map((variance, c) => (scale?.[c] ?? 1) / Math.sqrt(variance + epsilon));
  const summands = factors.map((factor, c) => (offset?.[c] ?? 0) - (mean[c] as number) * factor);
  const factor = addPerChannel(graph, `${layer.name}/factor`, input, Float32Array.from(factors));
  const summand = addPerChannel(graph, `${layer.name}/summand`, input, Float32Array.from(summands));
  const node = graph.reserveName(layer.name);
  const product = graph.addNode(`${node}/scale`, 'Mul', [input.name, factor]);
  return { ...input, name: graph.addNode(node, 'Add', [product, summand]) };
}

function writeLayerNorm(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const rows = graph.toRows(input, layer.name);
  const channels = rows.shape.at(-1) ?? 0;
  const read = (name: string, fallback: number): string => {
    const weight =
      layer.weights[name] === undefined
        ? { shape: [channels], data: new Float32Array(channels).fill(fallback) }
        : readWeight(layer, name, [channels]);
    return graph.addConstant(`${layer.name}/${name}`, weight);
  };
  const inputs = [rows.name, read('scale', 1), read('offset', 0)];
  const epsilon = { float: readNumber(layer, 'epsilon', 1e-5) };
  const name = graph.addNode(graph.reserveName(layer.name), 'LayerNormalization', inputs, { axis: { int: -1 }, epsilon });
  return { ...rows, name };
}

function writePrelu(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const size = layer.config['shared'] === true ? 1 : (input.shape.at(-1) ?? 0);
  const alpha = addPerChannel(graph, `${layer.name}/alpha`, input, readWeight(layer, 'alpha', [size]).data);
  return { ...input, name: graph.addNode(graph.reserveName(layer.name), 'PRelu', [input.name, alpha]) };
}

function writeRescaling(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const node = graph.reserveName(layer.name);
  const scale = graph.addScalar(`${node}/factor`, readNumber(layer, 'scale', 1));
  const offset = graph.addScalar(`${node}/summand`, readNumber(layer, 'offset', 0));
  const product = graph.addNode(`${node}/scale`, 'Mul', [input.name, scale]);
  return { ...input, name: graph.addNode(node, 'Add', [product, offset]) };
}

function writeGlobalPool(
  graph: OnnxGraphBuilder,
  input: GraphValue,
  layer: LayerDescription,
  opType: 'ReduceMean' | 'ReduceMax',
): GraphValue {
  const keepsAxes = layer.config['keepDims'] === true;
  // Axes that stay must stay where rows have them.
  const value = keepsAxes ? graph.toRows(input, layer.name) : input;
  const first = value.layout === 'nchw' ? 2 : 1;
  const axes = value.shape.slice(1).map((_, axis) => first + axis);
  const name = graph.addNode(graph.reserveName(layer.name), opType, [value.name], {
    axes: { ints: axes },
    keepdims: { int: keepsAxes ? 1 : 0 },
  });
  return { name, shape: layer.outputShape, layout: 'rows' };
}

function writePermute(graph: OnnxGraphBuilder, input: GraphValue, layer: LayerDescription): GraphValue {
  const axes = layer.config['axes'] as readonly number[];
  const rows = graph.toRows(input, layer.name);
  const name = graph.addNode(graph.reserveName(layer.name), 'Transpose', [rows.name], { perm: { ints: [0, ...axes] } });
  return { name, shape: axes.map((axis) => rows.shape[axis - 1] as number), layout: 'rows' };
}
