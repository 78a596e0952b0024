/** Recurrent layers as ONNX's own operators. */
import type { WeightDescription } from '../../nn/index.js';
import type { LayerSpec } from '../model-graph.js';
import { TensorProto_DataType } from '../proto/onnx_pb.js';
import type { Attributes, GraphValue, OnnxGraphBuilder } from './graph-builder.js';
import { optionalWeight, partOf, readNumber, readWeight } from './layer-config.js';
import { range, rows, type LayerWriter } from './writer.js';

interface Cell {
  readonly opType: 'LSTM' | 'GRU' | 'RNN';
  readonly numStates: number;
  /** Our gates in ONNX's order. LSTM: ours i, f, g, o; theirs i, o, f, c. GRU: both z, r, h. */
  readonly gates: readonly number[];
}

const CELLS: Readonly<Record<string, Cell>> = {
  lstm: { opType: 'LSTM', numStates: 2, gates: [0, 3, 1, 2] },
  gru: { opType: 'GRU', numStates: 1, gates: [0, 1, 2] },
  rnn: { opType: 'RNN', numStates: 1, gates: [0] },
};

/** Blocks of columns in another order, and turned: [rows, gates * units] to [gates * units, rows]. */
function turned({ shape, data }: WeightDescription, gates: readonly number[], units: number): Float32Array {
  const [height, width] = shape as readonly [number, number];
  const result = new Float32Array(data.length);
  gates.forEach((gate, place) => {
    for (let unit = 0; unit < units; ++unit) {
      const to = (place * units + unit) * height;
      for (let row = 0; row < height; ++row) result[to + row] = data[row * width + gate * units + unit] as number;
    }
  });
  return result;
}

function reordered(data: Float32Array, gates: readonly number[], units: number): Float32Array {
  const result = new Float32Array(data.length);
  gates.forEach((gate, place) => {
    result.set(data.subarray(gate * units, (gate + 1) * units), place * units);
  });
  return result;
}

const joined = (parts: readonly Float32Array[]): Float32Array => {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((offset, part) => (result.set(part, offset), offset + part.length), 0);
  return result;
};

/** Weights of one or two directions, one after the other: W [directions, gates * units, C], R [.., units], B [.., 2 * gates * units]. */
function addWeights(
  graph: OnnxGraphBuilder,
  directions: readonly LayerSpec[],
  {
    cell,
    units,
    channels,
    name,
  }: { readonly cell: Cell; readonly units: number; readonly channels: number; readonly name: string },
): readonly string[] {
  const width = cell.gates.length * units;
  const stack = (role: 'kernel' | 'recurrent', size: number): string => {
    const weights = directions.map((layer) => readWeight(layer, role, [size, width]));
    const make = (): WeightDescription => ({
      shape: [weights.length, width, size],
      data: joined(weights.map((weight) => turned(weight, cell.gates, units))),
    });
    return graph.addWeight(`${name}/${role}`, weights[0] as WeightDescription, 'onnx cell', make);
  };
  const [kernel, recurrent] = [stack('kernel', channels), stack('recurrent', units)];
  const [first] = directions as readonly [LayerSpec];
  const isPair = first.config['resetAfter'] === true;
  const biases = directions.map((layer) => optionalWeight(layer, 'bias', isPair ? [2, width] : [width]));
  if (biases[0] === undefined) return [kernel, recurrent, ''];
  const bias = graph.addWeight(`${name}/bias`, biases[0], 'onnx cell', () => ({
    shape: [directions.length, 2 * width],
    data: joined(
      biases.flatMap((one) => {
        const data = (one as WeightDescription).data;
        const parts = [data.subarray(0, width), isPair ? data.subarray(width) : new Float32Array(width)];
        return parts.map((part) => reordered(part, cell.gates, units));
      }),
    ),
  }));
  return [kernel, recurrent, bias];
}

/**
 * What a mask makes of a sequence. The operators know lengths only, so places that count are moved to the front in their order, and
 * outputs back to where they belong: a place that does not count leaves the state as it is, so nothing else changes.
 */
interface Compact {
  /** [N, T, C] with the places that count in front. */
  readonly x: string;
  /** int32 [N], at least 1. */
  readonly lengths: string;
  /** bool [N]: whether any place counts. */
  readonly any: string;
  /** Brings outputs [N, T, directions, units] back, 0 where a place does not count. */
  readonly restore: (y: string) => string;
}

/** Above every number of places, and far inside the integers that float32 holds. */
const BEHIND_ALL = 2 ** 23;

function compact(graph: OnnxGraphBuilder, x: GraphValue, mask: GraphValue, name: string): Compact {
  const [places] = x.shape as readonly [number];
  const counts = graph.cast(`${name}/counts`, mask.name, TensorProto_DataType.INT32);
  const number = graph.addNode(`${name}/number`, 'ReduceSum', [counts, graph.addInts([1])], { keepdims: { int: 0 } });
  const one = graph.addInt32(`${name}/one`, [1], []);
  const lengths = graph.addNode(`${name}/lengths`, 'Max', [number, one]);
  const any = graph.addNode(`${name}/any`, 'GreaterOrEqual', [number, one]);
  const reached = graph.addNode(`${name}/reached`, 'CumSum', [counts, graph.addInts([1], [])]);
  // The largest of these numbers belong to the places that count, the first of them before the others.
  const [own, place] = [counts, reached].map((value) => graph.cast(`${name}/float`, value, TensorProto_DataType.FLOAT)) as [
    string,
    string,
  ];
  const far = graph.addNode(`${name}/in_front`, 'Mul', [own, graph.addScalar(`${name}/behind_all`, BEHIND_ALL)]);
  const rank = graph.addNode(`${name}/rank`, 'Sub', [far, place]);
  const count = graph.hasFreeLength
    ? graph.unsqueeze(`${name}/count`, graph.sizeOf(`${name}/length`, x.name, 1), [0])
    : graph.addInts([places]);
  const [, order] = graph.addNodes(`${name}/order`, 'TopK', [rank, count], {
    count: 2,
    attributes: { axis: { int: 1 } },
  }) as readonly [string, string];
  const gather = (what: string, value: string, index: string): string => {
    const shape = graph.addNode(`${name}/${what}/shape`, 'Shape', [value]);
    const wide = graph.addNode(`${name}/${what}/expand`, 'Expand', [index, shape]);
    return graph.addNode(`${name}/${what}`, 'GatherElements', [value, wide], { axis: { int: 1 } });
  };
  const restore = (y: string): string => {
    const index = graph.addNode(`${name}/index`, 'Max', [
      graph.cast(`${name}/places`, graph.addNode(`${name}/before`, 'Sub', [reached, one]), TensorProto_DataType.INT64),
      graph.addInts([0], []),
    ]);
    const back = gather('back', y, graph.unsqueeze(`${name}/back_index`, index, [2, 3]));
    const shown = graph.unsqueeze(`${name}/shown`, mask.name, [2, 3]);
    return graph.addNode(`${name}/hide`, 'Where', [shown, back, graph.addScalar(`${name}/zero`, 0)]);
  };
  return { x: gather('front', x.name, graph.unsqueeze(`${name}/front_index`, order, [2])), lengths, any, restore };
}

interface Results {
  /** Outputs of all steps, [N, T, directions, units]. */
  readonly y: string;
  /** Last states, [N, directions, units] each. */
  readonly states: readonly string[];
}

interface CellRun {
  readonly x: GraphValue;
  readonly mask: GraphValue | undefined;
  /** First states [N, units]. */
  readonly states: readonly GraphValue[];
  readonly directions: readonly LayerSpec[];
  readonly name: string;
}

function runCell(graph: OnnxGraphBuilder, { x, mask, states, directions, name }: CellRun): Results {
  const [first] = directions as readonly [LayerSpec];
  const cell = CELLS[first.type] as Cell;
  const units = readNumber(first, 'units', 0);
  const [, channels] = x.shape as readonly [number, number];
  const packed = mask === undefined ? undefined : compact(graph, x, mask, `${name}/mask`);
  const steps = graph.transpose(`${name}/by_time`, packed?.x ?? x.name, [1, 0, 2]);
  const initial = states.map((state) => graph.unsqueeze(`${name}/first_state`, state.name, [0]));
  const isReverse = first.config['reverse'] === true;
  const attributes: Attributes = {
    hidden_size: { int: units },
    direction: { string: directions.length === 2 ? 'bidirectional' : isReverse ? 'reverse' : 'forward' },
    ...(first.type === 'gru' ? { linear_before_reset: { int: first.config['resetAfter'] === true ? 1 : 0 } } : {}),
    ...(first.type === 'rnn'
      ? { activations: { strings: directions.map(() => (first.config['activation'] === 'relu' ? 'Relu' : 'Tanh')) } }
      : {}),
  };
  const inputs = [steps, ...addWeights(graph, directions, { cell, units, channels, name }), packed?.lengths ?? '', ...initial];
  const [y, ...last] = graph.addNodes(name, cell.opType, withoutEmptyEnd(inputs), {
    count: 1 + cell.numStates,
    attributes,
  }) as readonly [string, ...string[]];
  const outputs = graph.transpose(`${name}/by_row`, y, [2, 0, 1, 3]);
  return {
    y: packed === undefined ? outputs : packed.restore(outputs),
    states: last.map((state, index) => {
      const own = graph.transpose(`${name}/state_by_row`, state, [1, 0, 2]);
      if (packed === undefined) return own;
      // Where no place counts, the state stays what it was.
      const start =
        states[index] === undefined
          ? graph.addScalar(`${name}/zero`, 0)
          : graph.unsqueeze(`${name}/start`, states[index].name, [1]);
      return graph.addNode(`${name}/last_state`, 'Where', [graph.unsqueeze(`${name}/any`, packed.any, [1, 2]), own, start]);
    }),
  };
}

/** Optional inputs at the end are left out, not given as empty. */
function withoutEmptyEnd(inputs: readonly string[]): readonly string[] {
  return inputs.slice(0, inputs.findLastIndex((name) => name !== '') + 1);
}

export const writeRecurrent: LayerWriter = (graph, inputs, layer) => {
  const { numStates } = CELLS[layer.type] as Cell;
  const { config, name } = layer;
  const count = config['initialState'] === true ? numStates : 0;
  const states = inputs.slice(inputs.length - count);
  const mask = inputs.length - count === 2 ? inputs[1] : undefined;
  const x = graph.toRows(inputs[0] as GraphValue, name);
  const [places] = x.shape as readonly [number];
  const units = readNumber(layer, 'units', 0);
  const run = runCell(graph, { x, mask, states, directions: [layer], name });
  const last = run.states.map((state) => rows(graph.squeeze(`${name}/state`, state, [1]), [units]));
  const y =
    config['returnSequences'] === true
      ? rows(graph.squeeze(`${name}/sequence`, run.y, [2]), [places, units])
      : (last[0] as GraphValue);
  return config['returnState'] === true ? [y, ...last] : [y];
};

export const writeBidirectional: LayerWriter = (graph, [input, mask], layer) => {
  const { name, config } = layer;
  const { type, config: own } = config['layer'] as { type: string; config: LayerSpec['config'] };
  const x = graph.toRows(input as GraphValue, name);
  const directions = ['forward', 'backward'].map((part) => partOf(layer, part, { type, config: own }));
  const run = runCell(graph, { x, mask, states: [], directions, name });
  const isSequence = own['returnSequences'] === true;
  const [value, axis] = isSequence ? [run.y, 2] : [run.states[0] as string, 1];
  const units = own['units'] as number;
  const places = isSequence ? [x.shape[0] as number] : [];
  return [mergeDirections(graph, { value, axis, units, places, merge: String(config['merge']), name })];
};

function mergeDirections(
  graph: OnnxGraphBuilder,
  {
    value,
    axis,
    units,
    places,
    merge,
    name,
  }: { value: string; axis: number; units: number; places: readonly number[]; merge: string; name: string },
): GraphValue {
  const shape = [...places, units];
  switch (merge) {
    case 'sum':
      return rows(graph.addNode(`${name}/sum`, 'ReduceSum', [value, graph.addInts([axis])], { keepdims: { int: 0 } }), shape);
    case 'mul':
      return rows(graph.addNode(`${name}/mul`, 'ReduceProd', [value], { axes: { ints: [axis] }, keepdims: { int: 0 } }), shape);
    case 'average':
      return rows(
        graph.addNode(`${name}/mean`, 'ReduceMean', [value], { axes: { ints: [axis] }, keepdims: { int: 0 } }),
        shape,
      );
    default:
      return rows(graph.reshape(`${name}/concat`, value, [...range(axis).map(() => 0), 2 * units]), [...places, 2 * units]);
  }
}
