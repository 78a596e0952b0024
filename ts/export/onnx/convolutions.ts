/** Convolutions over one, two and three axes of places: plain, transposed, depthwise, separable. */
import type { WeightDescription } from '../../nn/index.js';
import type { LayerSpec } from '../model-graph.js';
import { writeActivation } from './activations.js';
import type { Attributes, GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { optionalWeight, readNumber, readPlaces, readSizes, readWeight, readWindow, type Window } from './layer-config.js';
import { range, transposed, type UnaryWriter } from './writer.js';

function readConvolution(layer: LayerSpec, rank: number): Window {
  const ones = range(rank).map(() => 1);
  return {
    kernelSize: readSizes(layer, 'kernelSize', rank),
    strides: readSizes(layer, 'strides', rank, ones),
    dilations: readSizes(layer, 'dilations', rank, ones),
  };
}

/** Attributes of a window, with the rule in place of numbers where the padding depends on a length that is free. */
export function windowAttributes(
  graph: OnnxGraphBuilder,
  window: Window,
  { pads, dependsOnSize }: { readonly pads: readonly number[]; readonly dependsOnSize: boolean },
): Attributes {
  return {
    kernel_shape: { ints: window.kernelSize },
    strides: { ints: window.strides },
    ...(graph.hasFreeLength && dependsOnSize ? { auto_pad: { string: 'SAME_UPPER' } } : { pads: { ints: pads } }),
  };
}

function biasOf(graph: OnnxGraphBuilder, layer: LayerSpec, channels: number): readonly string[] {
  const bias = optionalWeight(layer, 'bias', [channels]);
  return bias === undefined ? [] : [graph.addWeight(`${layer.name}/bias`, bias)];
}

/** Kernel [...places, in, out] becomes [out, in, ...places]. */
export function convolution(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    const { sizes, channels } = readPlaces(layer, input.shape, rank);
    const window = readConvolution(layer, rank);
    const geometry = readWindow(layer, sizes, window);
    const { channels: filters } = readPlaces(layer, layer.outputShapes[0] ?? [], rank);
    const value = graph.toChannelsFirst(input, layer.name);
    const kernel = readWeight(layer, 'kernel', [...window.kernelSize, channels, filters]);
    const order = [rank + 1, rank, ...range(rank)];
    const inputs = [
      value.name,
      graph.addWeight(`${layer.name}/kernel`, kernel, 'out in places', (own) => transposed(own, order)),
    ];
    const name = graph.addNode(layer.name, 'Conv', [...inputs, ...biasOf(graph, layer, filters)], {
      ...windowAttributes(graph, window, geometry),
      dilations: { ints: window.dilations },
    });
    return writeActivation(graph, { ...value, name, shape: [...geometry.outputSizes, filters] }, layer);
  };
}

/**
 * Kernel [...places, filters, in] becomes [in, filters, ...places]. Where the kernel is shorter than the stride, the places that no
 * tap reaches are what ONNX calls output padding.
 */
export function transposedConvolution(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    const { sizes, channels } = readPlaces(layer, input.shape, rank);
    const { kernelSize, strides } = readConvolution(layer, rank);
    const { channels: filters } = readPlaces(layer, layer.outputShapes[0] ?? [], rank);
    const isSame = layer.config['padding'] === 'same';
    const surplus = kernelSize.map((size, axis) => size - (strides[axis] as number));
    const cut = surplus.map((size) => (isSame ? Math.max(size, 0) : 0));
    const pads = [...cut.map((size) => Math.floor(size / 2)), ...cut.map((size) => Math.ceil(size / 2))];
    const value = graph.toChannelsFirst(input, layer.name);
    const kernel = readWeight(layer, 'kernel', [...kernelSize, filters, channels]);
    const order = [rank + 1, rank, ...range(rank)];
    const inputs = [
      value.name,
      graph.addWeight(`${layer.name}/kernel`, kernel, 'in out places', (own) => transposed(own, order)),
    ];
    const name = graph.addNode(layer.name, 'ConvTranspose', [...inputs, ...biasOf(graph, layer, filters)], {
      kernel_shape: { ints: kernelSize },
      strides: { ints: strides },
      pads: { ints: pads },
      output_padding: { ints: surplus.map((size) => Math.max(-size, 0)) },
    });
    const shape = sizes.map(
      (size, axis) => size * (strides[axis] as number) + (isSame ? 0 : Math.max(surplus[axis] as number, 0)),
    );
    return writeActivation(graph, { ...value, name, shape: [...shape, filters] }, layer);
  };
}

/** Kernel [...places, in, multiplier] becomes [in * multiplier, 1, ...places], one group per channel. */
function writeDepthwise(
  graph: OnnxGraphBuilder,
  input: GraphValue,
  layer: LayerSpec,
  { rank, bias }: { readonly rank: number; readonly bias: (channels: number) => readonly string[] },
): GraphValue {
  const { sizes, channels } = readPlaces(layer, input.shape, rank);
  const window = readConvolution(layer, rank);
  const geometry = readWindow(layer, sizes, window);
  const multiplier = readNumber(layer, 'depthMultiplier', 1);
  const width = channels * multiplier;
  const value = graph.toChannelsFirst(input, layer.name);
  const kernel = readWeight(layer, 'depthwise_kernel', [...window.kernelSize, channels, multiplier]);
  const grouped = (own: WeightDescription): WeightDescription => ({
    shape: [width, 1, ...window.kernelSize],
    data: transposed(own, [rank, rank + 1, ...range(rank)]).data,
  });
  const inputs = [value.name, graph.addWeight(`${layer.name}/depthwise_kernel`, kernel, 'grouped', grouped)];
  const name = graph.addNode(`${layer.name}/depthwise`, 'Conv', [...inputs, ...bias(width)], {
    ...windowAttributes(graph, window, geometry),
    dilations: { ints: window.dilations },
    group: { int: channels },
  });
  return { ...value, name, shape: [...geometry.outputSizes, width] };
}

export function depthwiseConvolution(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    const bias = (channels: number): readonly string[] => biasOf(graph, layer, channels);
    return writeActivation(graph, writeDepthwise(graph, input, layer, { rank, bias }), layer);
  };
}

export function separableConvolution(rank: number): UnaryWriter {
  return (graph, input, layer) => {
    const value = writeDepthwise(graph, input, layer, { rank, bias: () => [] });
    const width = value.shape.at(-1) as number;
    const filters = readNumber(layer, 'filters', 0);
    const pointwise = readWeight(layer, 'pointwise_kernel', [width, filters]);
    const turned = (own: WeightDescription): WeightDescription => ({
      shape: [filters, width, ...range(rank).map(() => 1)],
      data: transposed(own, [1, 0]).data,
    });
    const kernel = graph.addWeight(`${layer.name}/pointwise_kernel`, pointwise, 'out in 1', turned);
    const inputs = [value.name, kernel, ...biasOf(graph, layer, filters)];
    const name = graph.addNode(`${layer.name}/pointwise`, 'Conv', inputs, { kernel_shape: { ints: range(rank).map(() => 1) } });
    return writeActivation(graph, { ...value, name, shape: [...value.shape.slice(0, -1), filters] }, layer);
  };
}
