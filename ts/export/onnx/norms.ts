/** Normalisations, and what scales by fixed or learned numbers. */
import type { LayerSpec } from '../model-graph.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { layerError, optionalWeight, readNumber, readWeight } from './layer-config.js';
import { perChannel, rows, type UnaryWriter } from './writer.js';

const channelsOf = (value: GraphValue): number => value.shape.at(-1) ?? 0;

/** Multiplies by `scale` and adds `offset`, those that the layer has. */
function writeAffine(graph: OnnxGraphBuilder, value: GraphValue, layer: LayerSpec): GraphValue {
  const channels = [channelsOf(value)];
  return (['scale', 'offset'] as const).reduce((current, role) => {
    const weight = optionalWeight(layer, role, channels);
    if (weight === undefined) return current;
    const constant = graph.addWeight(`${layer.name}/${role}`, weight, `${current.layout} ${current.shape.length}`, (own) =>
      perChannel(current, own),
    );
    const name = graph.addNode(`${layer.name}/apply_${role}`, role === 'scale' ? 'Mul' : 'Add', [current.name, constant]);
    return { ...current, name };
  }, value);
}

/** Outside training a fixed factor and summand per channel, taken together in double precision. */
export const writeBatchNorm: UnaryWriter = (graph, input, layer) => {
  const channels = [channelsOf(input)];
  const epsilon = readNumber(layer, 'epsilon', 1e-3);
  const [mean, variance] = [readWeight(layer, 'running_mean', channels), readWeight(layer, 'running_variance', channels)];
  const [scale, offset] = [optionalWeight(layer, 'scale', channels), optionalWeight(layer, 'offset', channels)];
  const factors = [...variance.data].map((own, c) => (scale?.data[c] ?? 1) / Math.sqrt(own + epsilon));
  const summands = factors.map((factor, c) => (offset?.data[c] ?? 0) - (mean.data[c] as number) * factor);
  const key = `batch_norm ${input.layout} ${input.shape.length}`;
  const made = (values: readonly number[]) => () => perChannel(input, { shape: channels, data: Float32Array.from(values) });
  const factor = graph.addWeight(`${layer.name}/factor`, variance, key, made(factors));
  const summand = graph.addWeight(`${layer.name}/summand`, mean, key, made(summands));
  const product = graph.addNode(`${layer.name}/scale`, 'Mul', [input.name, factor]);
  return { ...input, name: graph.addNode(layer.name, 'Add', [product, summand]) };
};

export const writeLayerNorm: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const channels = [channelsOf(value)];
  const read = (role: string, fallback: number): string => {
    const weight = optionalWeight(layer, role, channels);
    const name = `${layer.name}/${role}`;
    if (weight !== undefined) return graph.addWeight(name, weight);
    return graph.addConstant(name, { shape: channels, data: new Float32Array(channelsOf(value)).fill(fallback) });
  };
  const epsilon = { float: readNumber(layer, 'epsilon', 1e-5) };
  const inputs = [value.name, read('scale', 1), read('offset', 0)];
  return { ...value, name: graph.addNode(layer.name, 'LayerNormalization', inputs, { axis: { int: -1 }, epsilon }) };
};

/** x / sqrt(summary of x^2 + epsilon) over the last axis. */
function divideByRoot(
  graph: OnnxGraphBuilder,
  value: GraphValue,
  { name, summary, epsilon }: { readonly name: string; readonly summary: 'sum' | 'mean'; readonly epsilon: number },
): GraphValue {
  const square = graph.addNode(`${name}/square`, 'Mul', [value.name, value.name]);
  const size =
    summary === 'sum'
      ? graph.addNode(`${name}/sum`, 'ReduceSum', [square, graph.addInts([-1])], { keepdims: { int: 1 } })
      : graph.addNode(`${name}/mean`, 'ReduceMean', [square], { axes: { ints: [-1] }, keepdims: { int: 1 } });
  const sum = graph.addNode(`${name}/add_epsilon`, 'Add', [size, graph.addScalar(`${name}/epsilon`, epsilon)]);
  const root = graph.addNode(`${name}/root`, 'Sqrt', [sum]);
  return { ...value, name: graph.addNode(name, 'Div', [value.name, root]) };
}

export const writeRmsNorm: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const epsilon = readNumber(layer, 'epsilon', 1e-5);
  return writeAffine(graph, divideByRoot(graph, value, { name: layer.name, summary: 'mean', epsilon }), layer);
};

/** Added to squared lengths by UnitNorm and Dot, so that rows of zeros stay zero. */
export const TINY_LENGTH = 1e-12;

/** Rows of length 1. */
export function normalizeRows(graph: OnnxGraphBuilder, value: GraphValue, name: string): GraphValue {
  return divideByRoot(graph, value, { name, summary: 'sum', epsilon: TINY_LENGTH });
}

export const writeUnitNorm: UnaryWriter = (graph, input, layer) =>
  normalizeRows(graph, graph.toRows(input, layer.name), layer.name);

/** The groups of a row as the channels of an instance norm without scale and offset. */
export const writeGroupNorm: UnaryWriter = (graph, input, layer) => {
  const groups = readNumber(layer, 'groups', 32);
  const channels = channelsOf(input);
  if (channels % groups !== 0) throw layerError(layer, `groups must divide the ${channels} channels, got ${groups}.`);
  const value = graph.toChannelsFirst(input, layer.name);
  const grouped = graph.reshape(`${layer.name}/group`, value.name, [0, groups, -1]);
  const fill = (name: string, number: number): string =>
    graph.addConstant(`${layer.name}/${name}`, { shape: [groups], data: new Float32Array(groups).fill(number) });
  const epsilon = { float: readNumber(layer, 'epsilon', 1e-5) };
  const normed = graph.addNode(layer.name, 'InstanceNormalization', [grouped, fill('ones', 1), fill('zeros', 0)], { epsilon });
  const name = graph.hasFreeLength
    ? graph.addNode(`${layer.name}/ungroup`, 'Reshape', [normed, graph.addNode(`${layer.name}/shape`, 'Shape', [value.name])])
    : graph.reshape(`${layer.name}/ungroup`, normed, [0, channels, ...value.shape.slice(0, -1)]);
  return writeAffine(graph, { ...value, name }, layer);
};

export const writeInstanceNorm: UnaryWriter = (graph, input, layer) => {
  const value = graph.toChannelsFirst(input, layer.name);
  const channels = channelsOf(value);
  const read = (role: string, fallback: number): string => {
    const weight = optionalWeight(layer, role, [channels]);
    const name = `${layer.name}/${role}`;
    if (weight !== undefined) return graph.addWeight(name, weight);
    return graph.addConstant(name, { shape: [channels], data: new Float32Array(channels).fill(fallback) });
  };
  const epsilon = { float: readNumber(layer, 'epsilon', 1e-5) };
  const inputs = [value.name, read('scale', 1), read('offset', 0)];
  return { ...value, name: graph.addNode(layer.name, 'InstanceNormalization', inputs, { epsilon }) };
};

export const writePrelu: UnaryWriter = (graph, input, layer) => {
  const weight = readWeight(layer, 'alpha', [layer.config['shared'] === true ? 1 : channelsOf(input)]);
  const key = `${input.layout} ${input.shape.length}`;
  const alpha = graph.addWeight(`${layer.name}/alpha`, weight, key, (own) => perChannel(input, own));
  return { ...input, name: graph.addNode(layer.name, 'PRelu', [input.name, alpha]) };
};

export const writeRescaling: UnaryWriter = (graph, input, layer) => {
  const scale = graph.addScalar(`${layer.name}/factor`, readNumber(layer, 'scale', 1));
  const offset = graph.addScalar(`${layer.name}/summand`, readNumber(layer, 'offset', 0));
  const product = graph.addNode(`${layer.name}/scale`, 'Mul', [input.name, scale]);
  return { ...input, name: graph.addNode(layer.name, 'Add', [product, offset]) };
};

/** A norm inside another layer. */
export function writeNorm(graph: OnnxGraphBuilder, value: GraphValue, layer: LayerSpec): GraphValue {
  return (layer.type === 'rms_norm' ? writeRmsNorm : writeLayerNorm)(graph, rows(value.name, value.shape), layer);
}
