/** What the writers of layers have in common. */
import type { WeightDescription } from '../../nn/index.js';
import type { LayerSpec } from '../model-graph.js';
import type { GraphValue, OnnxGraphBuilder } from './graph-builder.js';

/** Adds a layer's nodes to the graph and gives its outputs; the shapes it computes itself are checked by the caller. */
export type LayerWriter = (graph: OnnxGraphBuilder, inputs: readonly GraphValue[], layer: LayerSpec) => readonly GraphValue[];

/** A writer of one value. */
export type UnaryWriter = (graph: OnnxGraphBuilder, input: GraphValue, layer: LayerSpec) => GraphValue;

/** Turns a writer of one value into one of several. */
export function unary(write: UnaryWriter): LayerWriter {
  return (graph, inputs, layer) => [write(graph, inputs[0] as GraphValue, layer)];
}

/** A float value as its shape says. */
export function rows(name: string, shape: readonly number[]): GraphValue {
  return { name, shape, layout: 'rows', dtype: 'float32' };
}

/** A number per channel, shaped so that it broadcasts over the value as it lies. */
export function perChannel(value: GraphValue, weight: WeightDescription): WeightDescription {
  const { data } = weight;
  const shape = value.layout === 'channels_first' ? [data.length, ...value.shape.slice(1).map(() => 1)] : [data.length];
  return { shape, data };
}

/** The weight with its axes in another order. */
export function transposed({ shape, data }: WeightDescription, perm: readonly number[]): WeightDescription {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const to = perm.map((axis) => shape[axis] as number);
  const steps = perm.map((axis) => strides[axis] as number);
  const result = new Float32Array(data.length);
  const place = to.map(() => 0);
  let from = 0;
  for (let i = 0; i < result.length; ++i) {
    result[i] = data[from] as number;
    for (let axis = to.length - 1; axis >= 0; --axis) {
      from += steps[axis] as number;
      if (++(place[axis] as number) < (to[axis] as number)) break;
      from -= (steps[axis] as number) * (to[axis] as number);
      place[axis] = 0;
    }
  }
  return { shape: to, data: result };
}

/** [0, 1, ...] */
export function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}
