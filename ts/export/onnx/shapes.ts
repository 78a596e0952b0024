/** Layers that move values without changing them, and those that make one value of several. */
import type { LayerSpec } from '../model-graph.js';
import { TensorProto_DataType } from '../proto/onnx_pb.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { layerError, readNumber } from './layer-config.js';
import { normalizeRows } from './norms.js';
import { rows, type LayerWriter, type UnaryWriter } from './writer.js';

/** All of a row in one axis, in channels-last order, which the weights of the next layer were trained for. */
export const writeFlatten: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const name = graph.addNode(layer.name, 'Flatten', [value.name], { axis: { int: 1 } });
  return { ...value, name, shape: [value.shape.reduce((product, size) => product * size, 1)] };
};

export const writeReshape: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const shape = layer.outputShapes[0] ?? [];
  return { ...value, name: graph.reshape(layer.name, value.name, [0, ...shape]), shape };
};

export const writePermute: UnaryWriter = (graph, input, layer) => {
  const axes = layer.config['axes'] as readonly number[];
  const value = graph.toRows(input, layer.name);
  const name = graph.transpose(layer.name, value.name, [0, ...axes]);
  return { ...value, name, shape: axes.map((axis) => value.shape[axis - 1] as number) };
};

export const writeSelect: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const given = readNumber(layer, 'axis', 0);
  const axis = given < 0 ? value.shape.length + given : given;
  const index = graph.addInts([readNumber(layer, 'index', 0)], []);
  const name = graph.addNode(layer.name, 'Gather', [value.name, index], { axis: { int: axis + 1 } });
  return { ...value, name, shape: value.shape.filter((_, i) => i !== axis) };
};

export const writeRepeatVector: UnaryWriter = (graph, input, layer) => {
  const count = readNumber(layer, 'count', 1);
  const place = graph.unsqueeze(`${layer.name}/place`, input.name, [1]);
  const name = graph.addNode(layer.name, 'Tile', [place, graph.addInts([1, count, 1])]);
  return { ...input, name, shape: [count, ...input.shape] };
};

/** The places of a sequence as rows of a larger batch. */
export const writePlacesAsRows: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const shape = layer.outputShapes[0] ?? [];
  return { ...value, name: graph.reshape(layer.name, value.name, [-1, ...shape]), shape };
};

/** Rows back as places; the second input is what had the places. */
export const writeRowsAsPlaces: LayerWriter = (graph, [first, second], layer) => {
  const value = graph.toRows(first as GraphValue, layer.name);
  const shape = layer.outputShapes[0] ?? [];
  if (!graph.hasFreeLength) return [{ ...value, name: graph.reshape(layer.name, value.name, [-1, ...shape]), shape }];
  const whole = graph.addNode(`${layer.name}/shape`, 'Shape', [(second as GraphValue).name]);
  const places = graph.addNode(`${layer.name}/batch_and_length`, 'Slice', [whole, graph.addInts([0]), graph.addInts([2])]);
  const target = graph.addNode(`${layer.name}/target`, 'Concat', [places, graph.addInts(value.shape)], { axis: { int: 0 } });
  return [{ ...value, name: graph.addNode(layer.name, 'Reshape', [value.name, target]), shape }];
};

/** All values in one layout: channels first only where every one is so already. */
function aligned(graph: OnnxGraphBuilder, inputs: readonly GraphValue[], layer: LayerSpec): readonly GraphValue[] {
  const isFirst = inputs.every(({ layout }) => layout === 'channels_first');
  return isFirst ? inputs : inputs.map((input) => graph.toRows(input, layer.name));
}

/** Element by element, from left to right. */
export function merge(opType: 'Add' | 'Sub' | 'Mul' | 'Max' | 'Min'): LayerWriter {
  return (graph, inputs, layer) => {
    const [first, ...others] = aligned(graph, inputs, layer) as readonly [GraphValue, ...GraphValue[]];
    const name = others.reduce((sum, other) => graph.addNode(layer.name, opType, [sum, other.name]), first.name);
    return [{ ...first, name }];
  };
}

export const writeAverage: LayerWriter = (graph, inputs, layer) => {
  const [sum] = merge('Add')(graph, inputs, layer) as readonly [GraphValue];
  const factor = graph.addScalar(`${layer.name}/factor`, 1 / inputs.length);
  return [{ ...sum, name: graph.addNode(`${layer.name}/mean`, 'Mul', [sum.name, factor]) }];
};

export const writeConcatenate: LayerWriter = (graph, inputs, layer) => {
  const values = aligned(graph, inputs, layer);
  const [first] = values as readonly [GraphValue];
  const rank = first.shape.length;
  const given = readNumber(layer, 'axis', -1);
  const axis = given < 0 ? rank + given : given;
  if (first.shape[axis] === undefined) throw layerError(layer, `there is no axis ${given} in [${first.shape.join(',')}].`);
  const own = first.layout === 'rows' ? axis + 1 : axis === rank - 1 ? 1 : axis + 2;
  const names = values.map(({ name }) => name);
  const size = values.reduce((sum, { shape }) => sum + (shape[axis] as number), 0);
  const shape = first.shape.map((dim, i) => (i === axis ? size : dim));
  return [{ ...first, name: graph.addNode(layer.name, 'Concat', names, { axis: { int: own } }), shape }];
};

/** Sums of products: both as [N, rest, C], C being the axis that is summed over. */
export const writeDot: LayerWriter = (graph, inputs, layer) => {
  const axes = layer.config['axes'] as readonly number[];
  const [a, b] = inputs.map((input, index) => {
    const value = graph.toRows(input, layer.name);
    const rank = value.shape.length;
    const given = axes[index] as number;
    const axis = given < 0 ? rank + given : given;
    const side = `${layer.name}/${index === 0 ? 'left' : 'right'}`;
    const last = axis === rank - 1 ? value.name : graph.transpose(`${side}/transpose`, value.name, [0, 2, 1]);
    const matrix = rank === 1 ? graph.unsqueeze(`${side}/rows`, last, [1]) : last;
    const own = rows(matrix, value.shape);
    return layer.config['normalize'] === true ? normalizeRows(graph, own, `${side}/normalize`).name : matrix;
  }) as [string, string];
  const turned = graph.transpose(`${layer.name}/transpose`, b, [0, 2, 1]);
  const product = graph.addNode(layer.name, 'MatMul', [a, turned]);
  const shape = layer.outputShapes[0] ?? [];
  const isMatrix = inputs.every((input) => input.shape.length === 2);
  return [rows(isMatrix ? product : graph.reshape(`${layer.name}/shape`, product, [0, ...shape]), shape)];
};

/** true for tokens that are no padding. */
export const writePaddingMask: UnaryWriter = (graph, input, layer) => {
  const padding = graph.addInt32(`${layer.name}/padding`, [readNumber(layer, 'padding', 0)], []);
  const isPadding = graph.addNode(`${layer.name}/equal`, 'Equal', [input.name, padding]);
  return { ...input, name: graph.addNode(layer.name, 'Not', [isPadding]), dtype: 'bool' };
};

/** true for places of which any channel differs from the value. */
export const writeMasking: UnaryWriter = (graph, input, layer) => {
  const value = graph.addScalar(`${layer.name}/value`, readNumber(layer, 'value', 0));
  const isEqual = graph.addNode(`${layer.name}/equal`, 'Equal', [input.name, value]);
  const differs = graph.cast(
    `${layer.name}/count`,
    graph.addNode(`${layer.name}/not`, 'Not', [isEqual]),
    TensorProto_DataType.FLOAT,
  );
  const any = graph.addNode(`${layer.name}/any`, 'ReduceMax', [differs], { axes: { ints: [-1] }, keepdims: { int: 0 } });
  const name = graph.cast(layer.name, any, TensorProto_DataType.BOOL);
  return { name, shape: input.shape.slice(0, -1), layout: 'rows', dtype: 'bool' };
};
