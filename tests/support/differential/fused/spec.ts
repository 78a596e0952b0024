/**
 * Judges ops of our own, which no tfjs kernel calls and which may have several results, on random calls.
 *
 * The judge is plain loops in double precision. Forward: our values against the loops. Replayed: the same call out of a compiled
 * step, bit for bit. Gradient: the tape on our backend against central differences of the loops.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type fc from 'fast-check';
import type { Dense } from '../../reference64/dense.js';
import { randomSource } from '../../describe-model.js';
import { assemble, leavesOf, type KernelCase, type Leaf, type TensorSpec } from '../cases.js';
import {
  chooseIndices,
  compareAll,
  compareReplay,
  fail,
  GRADIENT_ROUNDINGS,
  onBackend,
  OURS,
  property,
  ROUNDING,
  runCounted,
  STEP,
  tapeGradients,
  type Result,
  type RunOptions,
} from '../check.js';

/** How far a result may lie from the judge's value: the sum of the parts. All absent: equal after rounding to float32. */
export interface Bound {
  /** Of the value. */
  readonly relative?: number;
  readonly absolute?: number;
  /** Roundings, 2^-24 each, of the largest value of the output (taken as 1 at least). */
  readonly roundings?: number;
}

type Inputs<Tensor, Name extends string, Optional extends string> = Readonly<
  Record<Name, Tensor> & Partial<Record<Optional, Tensor>>
>;

interface FusedRow<Name extends string, Optional extends string, Attrs> {
  readonly name: string;
  readonly cases: fc.Arbitrary<KernelCase>;
  /** The call; the first `differentiable` results (default: all) get a gradient. */
  readonly run: (inputs: Inputs<tf.Tensor, Name, Optional>, attrs: Attrs) => tf.Tensor[];
  readonly judge: (inputs: Inputs<Dense, Name, Optional>, attrs: Attrs) => Dense[];
  readonly bound: (kernelCase: KernelCase) => Bound;
  /** Inputs that get a gradient, where they are given; none: no gradient. */
  readonly of?: readonly (Name | Optional)[];
  readonly differentiable?: number;
  /** Makes of a case one for the gradient: values among which the function is smooth. */
  readonly smooth?: (kernelCase: KernelCase) => KernelCase;
  /** Why the call cannot be replayed. */
  readonly noReplay?: string;
}

/** A row whose types of inputs and attributes are its own affair. */
export type FusedSpec = FusedRow<never, never, never>;

/** Makes a row: names of the inputs that are always there, of those that may be, and type of the attributes. */
export function fusedSpec<Name extends string, Optional extends string = never, Attrs = object>(
  row: FusedRow<Name, Optional, Attrs>,
): FusedSpec {
  return row as unknown as FusedSpec;
}

function runnerOf(spec: FusedSpec, { inputs, attrs }: KernelCase): (leaves: readonly tf.Tensor[]) => tf.Tensor[] {
  return (leaves) => spec.run(assemble(inputs, leaves), attrs as never);
}

function judged(spec: FusedSpec, { attrs }: KernelCase, leaves: readonly Leaf[]): Result[] {
  const inputs: Record<string, Dense> = Object.fromEntries(
    leaves.map(({ input, shape, dtype, values }) => [input, { shape, dtype, values }]),
  );
  return spec.judge(inputs as never, attrs as never).map(({ shape, dtype, values }) => ({ shape, dtype, values }));
}

/** The largest finite absolute value, or 1. */
function largest(values: ArrayLike<number>): number {
  let most = 1;
  for (let i = 0; i < values.length; ++i) {
    const size = Math.abs(values[i]!);
    if (size > most && size < Infinity) most = size;
  }
  return most;
}

/** The values of our backend for one case against the judge's. */
export function checkFused(spec: FusedSpec, kernelCase: KernelCase): void {
  const leaves = leavesOf(kernelCase.inputs);
  const expected = judged(spec, kernelCase, leaves);
  const { relative = 0, absolute = 0, roundings = 0 } = spec.bound(kernelCase);
  const isExact = relative === 0 && absolute === 0 && roundings === 0;
  const scales = expected.map(({ values }) => roundings * ROUNDING * largest(values));
  compareAll(runCounted(runnerOf(spec, kernelCase), leaves, OURS), expected, (output, _, value) =>
    isExact ? undefined : absolute + relative * Math.abs(value) + scales[output]!,
  );
}

/** The gradient on our backend for one case against central differences of the judge. */
export function checkFusedGradient(spec: FusedSpec, kernelCase: KernelCase): void {
  const leaves = leavesOf(kernelCase.inputs);
  const count = spec.differentiable ?? Infinity;
  const chosen = leaves.flatMap(({ input }, index) => (spec.of?.includes(input as never) ? [index] : []));
  const value = (of: readonly Leaf[]): Result[] => judged(spec, kernelCase, of).slice(0, count);
  const outputs = value(leaves);
  const random = randomSource(7);
  const weights = outputs.map(({ values }) => Array.from(values, () => Math.fround(2 * random() - 1)));
  const run = runnerOf(spec, kernelCase);
  const differentiable = (tensors: readonly tf.Tensor[]): tf.Tensor[] => run(tensors).slice(0, count);
  const gradients = onBackend(OURS, () => tapeGradients(differentiable, leaves, chosen, weights, outputs));
  const terms = outputs.reduce((sum, { values }) => sum + values.length, 0);
  const { relative = 0, absolute = 0, roundings = 0 } = spec.bound(kernelCase);
  const perScale = (GRADIENT_ROUNDINGS + terms + roundings) * ROUNDING + relative + absolute;
  chosen.forEach((leaf, position) => {
    const { shape, values, input } = leaves[leaf]!;
    const gradient = gradients[position]!;
    if (gradient.shape.join() !== shape.join())
      fail(`gradient of ${input}`, `shape [${gradient.shape.join()}], expected [${shape.join()}]`);
    const indices = chooseIndices(values.length, random);
    const expected = indices.map((index) => {
      const moved = (step: number): Result[] => {
        const changed = values.slice();
        changed[index]! += step;
        return value(leaves.map((other, i) => (i === leaf ? { ...other, values: changed } : other)));
      };
      return slope(moved(STEP), moved(-STEP), weights);
    });
    const bound = perScale * largest(expected);
    indices.forEach((index, i) => {
      const [a, e] = [gradient.values[index]!, expected[i]!];
      if (!(Math.abs(a - e) <= bound)) fail(`gradient of ${input}[${index}]`, `expected ${e}, got ${a}, bound ${bound}`);
    });
  });
}

/** d sum(weights * outputs) from the outputs on either side. */
function slope(above: readonly Result[], below: readonly Result[], weights: readonly (readonly number[])[]): number {
  return weights.reduce(
    (total, line, output) =>
      total +
      line.reduce((sum, weight, i) => sum + weight * (above[output]!.values[i]! - below[output]!.values[i]!), 0) / (2 * STEP),
    0,
  );
}

/** Whether the row has a gradient to judge. */
export function hasGradient(spec: FusedSpec): boolean {
  return spec.of !== undefined;
}

/** The cases of a row's gradient. */
export function gradientCases({ cases, smooth }: FusedSpec): fc.Arbitrary<KernelCase> {
  return smooth === undefined ? cases : cases.map(smooth);
}

/** Forward and replayed, on `runs` random cases. */
export function judgeFused(spec: FusedSpec, options: RunOptions): void {
  property(
    spec.cases,
    (kernelCase) => {
      checkFused(spec, kernelCase);
      if (spec.noReplay === undefined) compareReplay(runnerOf(spec, kernelCase), leavesOf(kernelCase.inputs));
    },
    options,
  );
}

/** The gradient, on half as many cases. */
export function judgeFusedGradient(spec: FusedSpec, { runs, seed }: RunOptions): void {
  property(gradientCases(spec), (kernelCase) => checkFusedGradient(spec, kernelCase), { runs: Math.ceil(runs / 2), seed });
}

/** Inputs by name, without those that are absent. */
export function given(inputs: Readonly<Record<string, TensorSpec | undefined>>): Record<string, TensorSpec> {
  return Object.fromEntries(Object.entries(inputs).flatMap(([name, spec]) => (spec === undefined ? [] : [[name, spec]])));
}

/** An input of a case, where it is given. */
export function inputOf({ inputs }: KernelCase, name: string): TensorSpec | undefined {
  return (inputs as Readonly<Record<string, TensorSpec>>)[name];
}
