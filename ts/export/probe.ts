/** Made-up rows with what the model in memory makes of them: an exported model must repeat it. */
import * as tf from '@tensorflow/tfjs-core';
import type { LayerDType, Model } from '../nn/index.js';
import { isSequence, type FreeShapes } from './free-lengths.js';
import type { GraphInput, ModelGraph, ValueSource } from './model-graph.js';
import { applyStage, type OutputStage } from './output-stage.js';

export interface ProbeInput {
  readonly name: string;
  /** uint8: bytes of images whose scaling stands in the exported model. */
  readonly dtype: LayerDType | 'uint8';
  /** Batch included. */
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** Inputs and outputs of one run of the model. */
export interface ModelProbe {
  readonly rows: number;
  readonly inputs: readonly ProbeInput[];
  /** One per output, row-major; truth values as 0 and 1. */
  readonly outputs: readonly Float32Array[];
}

/** Rows of a probe, but for models of large inputs. */
const ROWS = 5;
const MAX_VALUES = 2 ** 20;
/** Seconds in onnxruntime-web. */
const MAX_FLOPS = 2e10;

/**
 * Runs the model on made-up rows: several, a single one, and where lengths are free a few of another length.
 *
 * @returns the same at each call for the same model
 */
export async function makeProbes(
  model: Model,
  graph: ModelGraph,
  { stage = {}, free }: { readonly stage?: OutputStage; readonly free?: FreeShapes } = {},
): Promise<readonly ModelProbe[]> {
  const width = Math.max(...graph.inputs.map(({ shape }) => shape.reduce((product, size) => product * size, 1)));
  const rows = Math.max(2, Math.floor(Math.min(ROWS, MAX_VALUES / width, MAX_FLOPS / model.countFlops())));
  const own = (input: GraphInput): readonly number[] => input.shape;
  const others = new Map([...(free?.lengths.values() ?? [])].map(({ own: length, other }) => [length, other]));
  const changed = (input: GraphInput): readonly number[] => {
    const [length = 0, ...rest] = input.shape;
    return isSequence(input) ? [others.get(length) ?? length, ...rest] : input.shape;
  };
  const wanted = [
    { rows, shapeOf: own },
    { rows: 1, shapeOf: own },
    ...(others.size === 0 ? [] : [{ rows: 2, shapeOf: changed }]),
  ];
  const probes: ModelProbe[] = [];
  for (const one of wanted) probes.push(await run(model, graph, { ...one, stage }));
  return probes;
}

async function run(
  model: Model,
  graph: ModelGraph,
  { rows, shapeOf, stage }: { rows: number; shapeOf: (input: GraphInput) => readonly number[]; stage: OutputStage },
): Promise<ModelProbe> {
  const inputs = graph.inputs.map((input, index) => {
    const shape = [rows, ...shapeOf(input)];
    return { name: input.name, dtype: input.dtype, shape, data: valuesFor(graph, input, shape, index) };
  });
  const tensors = inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
  const results = model.apply(tensors);
  const outputs = await Promise.all(
    results.map(async (result) => applyStage(Float32Array.from(await result.data()), result.shape.at(-1) ?? 1, stage)),
  );
  tf.dispose([tensors, [...results]]);
  return { rows, inputs, outputs };
}

function valuesFor(graph: ModelGraph, input: GraphInput, shape: readonly number[], index: number): ProbeInput['data'] {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const count = Array.from({ length: size }, (_, i) => i);
  switch (input.dtype) {
    case 'float32':
      return Float32Array.from(count, (i) => Math.sin(i * 1.7 + index) + Math.sin(i * 0.31));
    case 'bool':
      return Uint8Array.from(count, (i) => Number(i % 4 !== 2));
    case 'int32': {
      const { tokens, padding } = readersOf(graph, input.name);
      const width = size / (shape[0] as number);
      // Every second row is short.
      const isFilled = (i: number): boolean => Math.floor(i / width) % 2 === 0 || i % width < Math.ceil(width / 2);
      return Int32Array.from(count, (i) => (isFilled(i) ? (i * 7919 + Math.floor(i / 3) + index) % tokens : padding));
    }
  }
}

/** How many tokens an input may hold, by the tables that read it, and which of them is padding. */
function readersOf(graph: ModelGraph, name: string): { readonly tokens: number; readonly padding: number } {
  const comesFrom = (source: ValueSource): boolean => {
    if ('input' in source) return source.input === name;
    const call = graph.calls[source.call];
    return call?.type === 'time_in' && call.inputs.some(comesFrom);
  };
  const readers = graph.calls.filter(({ inputs }) => inputs.some(comesFrom));
  const tables = readers.flatMap(({ type, config }) => (type === 'embedding' ? [config['tokens'] as number] : []));
  const padding = readers.find(({ type }) => type === 'padding_mask')?.config['padding'];
  return { tokens: tables.length === 0 ? 5 : Math.min(...tables), padding: typeof padding === 'number' ? padding : 0 };
}
