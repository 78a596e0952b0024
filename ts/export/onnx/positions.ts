/** Where vectors stand in the sequence: learned and sinusoidal positions, and rotary turns. */
import type { LayerSpec } from '../model-graph.js';
import { TensorProto_DataType } from '../proto/onnx_pb.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { readNumber, readWeight } from './layer-config.js';
import type { UnaryWriter } from './writer.js';

export const writeLearnedPositions: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const [length, size] = value.shape as readonly [number, number];
  const weight = readWeight(layer, 'table', [readNumber(layer, 'maxLength', length), size]);
  const table = graph.addWeight(`${layer.name}/table`, weight);
  const isWhole = !graph.hasFreeLength && weight.shape[0] === length;
  const name = isWhole ? table : firstRows(graph, table, { value, layer });
  return { ...value, name: graph.addNode(layer.name, 'Add', [value.name, name]) };
};

/** As many rows of a table as the sequence has places. */
function firstRows(
  graph: OnnxGraphBuilder,
  table: string,
  { value, layer }: { readonly value: GraphValue; readonly layer: LayerSpec },
): string {
  const length = graph.hasFreeLength
    ? graph.unsqueeze(`${layer.name}/end`, graph.sizeOf(`${layer.name}/length`, value.name, 1), [0])
    : graph.addInts([value.shape[0] as number]);
  return graph.addNode(`${layer.name}/rows`, 'Slice', [table, graph.addInts([0]), length, graph.addInts([0])]);
}

/** 0, 1, ... for the places of a value [N, T, ...], float32 [T, 1]. */
function placesOf(graph: OnnxGraphBuilder, value: string, name: string): string {
  const zero = graph.addInts([0], []);
  const counted = graph.addNode(`${name}/range`, 'Range', [
    zero,
    graph.sizeOf(`${name}/length`, value, 1),
    graph.addInts([1], []),
  ]);
  return graph.unsqueeze(`${name}/column`, graph.cast(`${name}/places`, counted, TensorProto_DataType.FLOAT), [1]);
}

/** place * frequency for the places of a value [N, T, ...], float32 [T, frequencies]. */
function anglesOf(graph: OnnxGraphBuilder, value: string, name: string, frequencies: readonly number[]): string {
  const row = graph.addConstant(`${name}/frequencies`, { shape: [frequencies.length], data: Float32Array.from(frequencies) });
  return graph.addNode(`${name}/angles`, 'Mul', [placesOf(graph, value, name), row]);
}

export const writeSinusoidalPositions: UnaryWriter = (graph, input, layer) => {
  const value = graph.toRows(input, layer.name);
  const [length, size] = value.shape as readonly [number, number];
  const base = readNumber(layer, 'base', 10_000);
  const frequencies = Array.from({ length: size }, (_, channel) => 1 / base ** ((channel - (channel % 2)) / size));
  const { name } = layer;
  if (!graph.hasFreeLength) {
    const data = Float32Array.from({ length: length * size }, (_, i) => {
      const angle = Math.floor(i / size) * (frequencies[i % size] as number);
      return (i % size) % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    const table = graph.addConstant(`${name}/table`, { shape: [length, size], data });
    return { ...value, name: graph.addNode(name, 'Add', [value.name, table]) };
  }
  const angles = anglesOf(graph, value.name, name, frequencies);
  const isSine = graph.addBooleans(
    `${name}/is_sine`,
    frequencies.map((_, channel) => channel % 2 === 0),
    [size],
  );
  const [sine, cosine] = [graph.addNode(`${name}/sin`, 'Sin', [angles]), graph.addNode(`${name}/cos`, 'Cos', [angles])];
  const table = graph.addNode(`${name}/table`, 'Where', [isSine, sine, cosine]);
  return { ...value, name: graph.addNode(name, 'Add', [value.name, table]) };
};

/** Base of the wavelengths of rotary positions. */
const ROTARY_BASE = 10_000;

/**
 * Turns the halves of each head by the angle of the place.
 *
 * @param value  [N, T, heads, size]
 * @param sizes  T as built, and the size of a head
 */
export function writeRotary(
  graph: OnnxGraphBuilder,
  value: string,
  { name, length, size }: { readonly name: string; readonly length: number; readonly size: number },
): string {
  const half = size / 2;
  const frequencies = Array.from({ length: half }, (_, i) => 1 / ROTARY_BASE ** (i / half));
  const table = (opType: 'Cos' | 'Sin'): string => {
    if (graph.hasFreeLength) {
      const angles = anglesOf(graph, value, `${name}/${opType}`, frequencies);
      return graph.unsqueeze(`${name}/${opType}_per_head`, graph.addNode(`${name}/${opType}`, opType, [angles]), [1]);
    }
    const turn = opType === 'Cos' ? Math.cos : Math.sin;
    const data = Float32Array.from({ length: length * half }, (_, i) =>
      turn(Math.floor(i / half) * (frequencies[i % half] as number)),
    );
    return graph.addConstant(`${name}/${opType}`, { shape: [length, 1, half], data });
  };
  const [cos, sin] = [table('Cos'), table('Sin')];
  const [a, b] = graph.addNodes(`${name}/halves`, 'Split', [value], {
    count: 2,
    attributes: { axis: { int: 3 } },
  }) as readonly [string, string];
  const product = (x: string, y: string): string => graph.addNode(`${name}/product`, 'Mul', [x, y]);
  const left = graph.addNode(`${name}/left`, 'Sub', [product(a, cos), product(b, sin)]);
  const right = graph.addNode(`${name}/right`, 'Add', [product(b, cos), product(a, sin)]);
  return graph.addNode(name, 'Concat', [left, right], { axis: { int: 3 } });
}
