/** Poolings over windows and over all places, and changes of size. */
import { TensorProto_DataType } from '../proto/onnx_pb.js';
import { windowAttributes } from './convolutions.js';
import type { Attributes, GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { layerError, readPlaces, readSizes, readWindow } from './layer-config.js';
import { range, rows, type LayerWriter, type UnaryWriter } from './writer.js';

/** Cells of the padding never count, neither for the maximum nor in the divisor of the mean. */
export function pooling(opType: 'MaxPool' | 'AveragePool', rank: number): UnaryWriter {
  return (graph, input, layer) => {
    const { sizes, channels } = readPlaces(layer, input.shape, rank);
    const kernelSize = readSizes(layer, 'poolSize', rank);
    const window = { kernelSize, strides: readSizes(layer, 'strides', rank, kernelSize), dilations: range(rank).map(() => 1) };
    const geometry = readWindow(layer, sizes, window);
    const value = graph.toChannelsFirst(input, layer.name);
    const name = graph.addNode(layer.name, opType, [value.name], {
      ...windowAttributes(graph, window, geometry),
      ...(opType === 'AveragePool' ? { count_include_pad: { int: 0 } } : {}),
    });
    return { ...value, name, shape: [...geometry.outputSizes, channels] };
  };
}

/** All places in one; a mask as second input leaves places out of a mean. */
export function globalPooling(opType: 'ReduceMean' | 'ReduceMax'): LayerWriter {
  return (graph, [input, mask], layer) => {
    const keepsAxes = layer.config['keepDims'] === true;
    const shape = layer.outputShapes[0] ?? [];
    // Axes that stay must stay where rows have them.
    const value = keepsAxes || mask !== undefined ? graph.toRows(input as GraphValue, layer.name) : (input as GraphValue);
    if (mask !== undefined) return [rows(maskedMean(graph, value, { mask, keepsAxes, name: layer.name }), shape)];
    const first = value.layout === 'channels_first' ? 2 : 1;
    const axes = value.shape.slice(1).map((_, axis) => first + axis);
    const attributes = { axes: { ints: axes }, keepdims: { int: keepsAxes ? 1 : 0 } };
    return [rows(graph.addNode(layer.name, opType, [value.name], attributes), shape)];
  };
}

/** Sum over the places that count by their number, which is 1 where there is none: the mean is 0 then. */
function maskedMean(
  graph: OnnxGraphBuilder,
  value: GraphValue,
  { mask, keepsAxes, name }: { readonly mask: GraphValue; readonly keepsAxes: boolean; readonly name: string },
): string {
  const counts = graph.unsqueeze(`${name}/expand`, graph.cast(`${name}/counts`, mask.name, TensorProto_DataType.FLOAT), [2]);
  const axes = graph.addInts([1]);
  const keepdims: Attributes = { keepdims: { int: keepsAxes ? 1 : 0 } };
  const number = graph.addNode(`${name}/number`, 'ReduceSum', [counts, axes], keepdims);
  const least = graph.addNode(`${name}/at_least_one`, 'Max', [number, graph.addScalar(`${name}/one`, 1)]);
  const kept = graph.addNode(`${name}/keep`, 'Mul', [value.name, counts]);
  const sum = graph.addNode(`${name}/sum`, 'ReduceSum', [kept, axes], keepdims);
  return graph.addNode(name, 'Div', [sum, least]);
}

const NEAREST_REPEATED: Attributes = {
  mode: { string: 'nearest' },
  coordinate_transformation_mode: { string: 'asymmetric' },
  nearest_mode: { string: 'floor' },
};
const NEAREST_CENTRE: Attributes = {
  mode: { string: 'nearest' },
  coordinate_transformation_mode: { string: 'half_pixel' },
  nearest_mode: { string: 'round_prefer_ceil' },
};
const BILINEAR: Attributes = { mode: { string: 'linear' }, coordinate_transformation_mode: { string: 'half_pixel' } };

/** Each place several times, or between the centres of pixels. */
export function upSampling(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    readPlaces(layer, input.shape, rank);
    const size = readSizes(layer, 'size', rank);
    const value = graph.toChannelsFirst(input, layer.name);
    const scales = graph.addConstant(`${layer.name}/scales`, { shape: [rank + 2], data: Float32Array.of(1, 1, ...size) });
    const attributes = layer.config['interpolation'] === 'bilinear' ? BILINEAR : NEAREST_REPEATED;
    const name = graph.addNode(layer.name, 'Resize', [value.name, '', scales], attributes);
    return { ...value, name, shape: value.shape.map((places, axis) => places * (size[axis] ?? 1)) };
  };
}

export const writeResize2d: UnaryWriter = (graph, input, layer) => {
  const { channels } = readPlaces(layer, input.shape, 2);
  const size = readSizes(layer, 'size', 2);
  const value = graph.toChannelsFirst(input, layer.name);
  // Sizes stand for all axes, the batch among them, which is known only when the model runs.
  const batch = graph.unsqueeze(`${layer.name}/batch`, graph.sizeOf(`${layer.name}/rows`, value.name, 0), [0]);
  const sizes = graph.addNode(`${layer.name}/sizes`, 'Concat', [batch, graph.addInts([channels, ...size])], {
    axis: { int: 0 },
  });
  const attributes = layer.config['interpolation'] === 'nearest' ? NEAREST_CENTRE : BILINEAR;
  const name = graph.addNode(layer.name, 'Resize', [value.name, '', '', sizes], attributes);
  return { ...value, name, shape: [...size, channels] };
};

/** Per axis of places how many cells before and after. */
function readMargins(layer: Parameters<UnaryWriter>[2], key: string, rank: number): readonly (readonly [number, number])[] {
  const margins = layer.config[key];
  const isMargins =
    Array.isArray(margins) &&
    margins.length === rank &&
    margins.every((pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every((size) => Number.isInteger(size)));
  if (!isMargins) throw layerError(layer, `${key} must be ${rank} pairs of integers, got ${JSON.stringify(margins)}.`);
  return margins as readonly (readonly [number, number])[];
}

export function zeroPadding(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    readPlaces(layer, input.shape, rank);
    const margins = readMargins(layer, 'padding', rank);
    const along = (side: 0 | 1): number[] => {
      const places = margins.map((pair) => pair[side]);
      return input.layout === 'channels_first' ? [0, 0, ...places] : [0, ...places, 0];
    };
    const name = graph.addNode(layer.name, 'Pad', [input.name, graph.addInts([...along(0), ...along(1)])]);
    return {
      ...input,
      name,
      shape: input.shape.map((size, axis) => size + (margins[axis]?.[0] ?? 0) + (margins[axis]?.[1] ?? 0)),
    };
  };
}

/** Ends behind everything there is: the largest int64 would not pass through JavaScript's numbers. */
const TO_THE_END = 2 ** 31 - 1;

export function cropping(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    readPlaces(layer, input.shape, rank);
    const margins = readMargins(layer, 'cropping', rank);
    const first = input.layout === 'channels_first' ? 2 : 1;
    const name = graph.addNode(layer.name, 'Slice', [
      input.name,
      graph.addInts(margins.map(([before]) => before)),
      graph.addInts(margins.map(([, after]) => (after === 0 ? TO_THE_END : -after))),
      graph.addInts(range(rank, first)),
    ]);
    return {
      ...input,
      name,
      shape: input.shape.map((size, axis) => size - (margins[axis]?.[0] ?? 0) - (margins[axis]?.[1] ?? 0)),
    };
  };
}
