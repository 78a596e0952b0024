/**
 * Judges kernels of our backend on random calls.
 *
 * Forward: our values against `reference64` or, where that has no such kernel, the stock cpu backend. Replayed: the same call out
 * of a compiled step, bit for bit. Gradient: tfjs-core's tape on our backend against central differences of the reference.
 */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import '../../../ts/index.js';
import { compile } from '../../../ts/backend/plan.js';
import { randomSource } from '../describe-model.js';
import { REFERENCE64, reference64Tensor } from '../reference64/backend.js';
import { assemble, leavesOf, refill, type Fill, type KernelCase, type Leaf } from './cases.js';

export const OURS = 'tensorkiln-cpu';
export const STOCK = 'cpu';

/** Half the distance of neighbouring float32 numbers near 1: the largest relative error of one rounding. */
export const ROUNDING = 2 ** -24;

/**
 * How far a result may lie from the judge's value e: absolute + relative * |e| + (terms + 2) * 2^-24 * m, where m is the
 * reference's result for the absolute values of the inputs. The last part bounds a sum of `terms` products in any order
 * (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1). All parts absent: equal after rounding to float32.
 */
export interface Rule {
  readonly absolute?: number;
  readonly relative?: number;
  readonly terms?: (kernelCase: KernelCase) => number;
  /** Attributes of the call that gives m, where they differ: an activation after the sum may hide how large the sum is. */
  readonly magnitudeAttrs?: Readonly<Record<string, unknown>>;
  /** Zeros of either sign are equal. Default: only where another part is given. */
  readonly anyZero?: boolean;
}

export interface GradientRule {
  /** Names of the inputs whose gradient is taken; `*` for all of a list. */
  readonly of: readonly string[];
  /** Replacement of the values, so that the function is smooth within the difference step; `*` for all inputs. */
  readonly fills: Readonly<Record<string, Fill>>;
  /** Narrows the cases: what tfjs-core's gradient refuses or defines otherwise. */
  readonly where?: (kernelCase: KernelCase) => boolean;
  /** Cases for which tfjs-core's gradient is wrong on any backend; a test fails when it no longer is. */
  readonly excluded?: { readonly reason: string; readonly cases: (kernelCase: KernelCase) => boolean };
  /** Judge by tfjs-core's own gradient run on the reference instead: the reason why differences do not apply. */
  readonly tape?: string;
  /** Calls an op with a custom gradient instead of the kernel. */
  readonly run?: (inputs: Record<string, tf.Tensor>, attrs: Readonly<Record<string, unknown>>) => tf.Tensor;
}

export interface KernelSpec {
  readonly kernel: string;
  /** Tells several rows of one kernel apart. */
  readonly variant?: string;
  readonly cases: fc.Arbitrary<KernelCase>;
  readonly judge: typeof REFERENCE64 | typeof STOCK;
  readonly rule: Rule;
  /** Inputs the kernel takes as one list under another name: that name and theirs. */
  readonly group?: Readonly<Record<string, readonly string[]>>;
  /** Why the call cannot be replayed. */
  readonly noReplay?: string;
  readonly gradient?: GradientRule;
}

export const NON_FINITE = 'of values that are not finite';

/**
 * The same calls with few NaN and infinities among the values of the named inputs (default: all), which reach what IEEE 754 says
 * and nothing else.
 */
export function withNonFinite(
  { gradient: _, ...spec }: KernelSpec,
  names: readonly string[] = ['*'],
  changes: Partial<KernelSpec> = {},
): KernelSpec {
  return {
    ...spec,
    ...changes,
    variant: NON_FINITE,
    cases: spec.cases.map((kernelCase) => refill(kernelCase, Object.fromEntries(names.map((name) => [name, 'nonFinite'])))),
  };
}

export interface RunOptions {
  readonly runs: number;
  readonly seed: number;
}

/** One output, read. */
export interface Result {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: ArrayLike<number>;
}

export function titleOf({ kernel, variant }: KernelSpec): string {
  return variant === undefined ? kernel : `${kernel} ${variant}`;
}

/** The factories are synchronous, and so is the switch. */
export function onBackend<T>(name: string, body: () => T): T {
  void tf.setBackend(name);
  // Not the result of tidy, which would look for tensors among all the values.
  let result: T | undefined;
  tf.tidy(() => {
    result = body();
  });
  return result as T;
}

export function tensorsOf(leaves: readonly Leaf[]): tf.Tensor[] {
  return leaves.map(({ values, shape, dtype }) => {
    if (tf.getBackend() === REFERENCE64) return reference64Tensor(values, shape, dtype);
    return tf.tensor(Array.from(values), [...shape], dtype);
  });
}

export type Runner = (leaves: readonly tf.Tensor[]) => tf.Tensor[];

function flat(result: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
  return (Array.isArray(result) ? result : [result]).flatMap((tensor) =>
    tensor.dtype === 'complex64' ? [tf.real(tensor), tf.imag(tensor)] : [tensor],
  );
}

type Assembled = ReturnType<typeof assemble>;

function grouped(inputs: Assembled, group: KernelSpec['group']): Assembled | Record<string, unknown> {
  if (group === undefined || Array.isArray(inputs)) return inputs;
  const members = Object.values(group).flat();
  return {
    ...Object.fromEntries(Object.entries(inputs).filter(([name]) => !members.includes(name))),
    ...Object.fromEntries(Object.entries(group).map(([name, list]) => [name, list.map((member) => inputs[member]!)])),
  };
}

function runnerOf(spec: KernelSpec, { inputs, attrs }: KernelCase): Runner {
  return (leaves) => {
    const given = grouped(assemble(inputs, leaves), spec.group) as tf.NamedTensorMap;
    // A copy for each call: tfjs-core and kernels complete some attributes in place.
    return flat(tf.engine().runKernel(spec.kernel, given, structuredClone(attrs) as tf.NamedAttrMap));
  };
}

export function read(tensors: readonly tf.Tensor[]): Result[] {
  return tensors.map((tensor) => ({ shape: tensor.shape, dtype: tensor.dtype, values: tensor.dataSync() }));
}

export function fail(place: string, message: string): never {
  throw new Error(`${place}: ${message}`);
}

export function compareAll(
  actual: readonly Result[],
  expected: readonly Result[],
  bounds: (output: number, index: number, value: number) => number | undefined,
): void {
  if (actual.length !== expected.length) fail('outputs', `expected ${expected.length}, got ${actual.length}`);
  actual.forEach((result, output) => {
    const other = expected[output]!;
    const place = `output ${output}`;
    if (result.shape.join() !== other.shape.join())
      fail(place, `shape [${result.shape.join()}], expected [${other.shape.join()}]`);
    if (result.dtype !== other.dtype) fail(place, `dtype ${result.dtype}, expected ${other.dtype}`);
    if (result.values.length !== other.values.length) fail(place, `${result.values.length} values of ${other.values.length}`);
    for (let i = 0; i < result.values.length; ++i) {
      const e = other.values[i]!;
      const a = result.values[i]!;
      const rounded = result.dtype === 'float32' ? Math.fround(e) : e;
      const bound = result.dtype === 'float32' ? bounds(output, i, e) : undefined;
      // An infinite value is its own bound: any number would do.
      const isNear = Number.isFinite(e) && bound !== undefined && Math.abs(a - e) <= bound;
      if (Object.is(a, rounded) || (bound !== undefined && a === rounded) || isNear) continue;
      fail(
        `${place}[${i}]`,
        `expected ${Object.is(rounded, -0) ? '-0' : rounded}, got ${Object.is(a, -0) ? '-0' : a}, bound ${bound}`,
      );
    }
  });
}

function absolute(leaves: readonly Leaf[]): Leaf[] {
  return leaves.map((leaf) => (leaf.dtype === 'float32' ? { ...leaf, values: leaf.values.map(Math.abs) } : leaf));
}

/** The values of our backend, or of another one, for one case against the judge's. */
export function checkForward(spec: KernelSpec, kernelCase: KernelCase, subject = OURS): void {
  const leaves = leavesOf(kernelCase.inputs);
  const run = runnerOf(spec, kernelCase);
  const { rule } = spec;
  const expected = onBackend(spec.judge, () => read(run(tensorsOf(leaves))));
  const large = rule.terms && runnerOf(spec, { ...kernelCase, attrs: { ...kernelCase.attrs, ...rule.magnitudeAttrs } });
  const magnitudes = large && onBackend(spec.judge, () => read(large(tensorsOf(absolute(leaves)))));
  const perMagnitude = ((rule.terms?.(kernelCase) ?? 0) + 2) * ROUNDING;
  const isExact =
    rule.absolute === undefined && rule.relative === undefined && rule.terms === undefined && rule.anyZero !== true;
  compareAll(runCounted(run, leaves, subject), expected, (output, i, value) => {
    if (isExact) return undefined;
    const sum = magnitudes === undefined ? 0 : perMagnitude * magnitudes[output]!.values[i]!;
    return (rule.absolute ?? 0) + (rule.relative ?? 0) * Math.abs(value) + sum;
  });
}

/** What a call gives on a backend, of which it must leave nothing behind. */
export function runCounted(run: Runner, leaves: readonly Leaf[], subject: string): Result[] {
  return onBackend(subject, () => {
    const before = tf.engine().backend.numDataIds();
    const results = onBackend(subject, () => read(run(tensorsOf(leaves))));
    const left = tf.engine().backend.numDataIds() - before;
    if (left !== 0) fail('memory', `${left} data ids left behind`);
    return results;
  });
}

/** The same call eagerly and out of a plan, on our backend. */
export function checkReplay(spec: KernelSpec, kernelCase: KernelCase): void {
  compareReplay(runnerOf(spec, kernelCase), leavesOf(kernelCase.inputs));
}

/** As `checkReplay`, for any call. */
export function compareReplay(run: Runner, leaves: readonly Leaf[]): void {
  onBackend(OURS, () => {
    const tensors = tensorsOf(leaves);
    const eager = read(run(tensors));
    const step = compile((...args: tf.Tensor[]) => run(args));
    try {
      for (let call = 0; call < 3; ++call) compareAll(read(step(...tensors)), eager, () => undefined);
      if (step.statistics.replays !== 1) fail('replay', `${step.statistics.replays} replays after three calls`);
    } finally {
      step.dispose();
    }
  });
}

/** Step of the central difference in double precision: truncation near 1e-10, rounding near 1e-11 of the results. */
export const STEP = 1e-5;
/** Inputs of up to this many elements are checked element by element, larger ones at as many places chosen at random. */
const CHECKED_ELEMENTS = 8;
/**
 * Roundings on the way of one term of a gradient. The longest chains (batch normalisation, pow) have about ten operations, two
 * of them functions of 4 units in the last place; each is taken twice.
 */
export const GRADIENT_ROUNDINGS = 64;

/**
 * Of gradients in double: the error of the difference, and of the constants that tfjs-core rounds to float32 on the way (2^-24
 * each, a handful in the longest gradients).
 */
const TAPE_BOUND = 1e-6;

function gradientRunner(spec: KernelSpec, rule: GradientRule, kernelCase: KernelCase): Runner {
  const { run } = rule;
  if (run === undefined) return runnerOf(spec, kernelCase);
  return (leaves) => [run(assemble(kernelCase.inputs, leaves) as Record<string, tf.Tensor>, kernelCase.attrs)];
}

/** Gradients of sum(weights * outputs) on the current backend through tfjs-core's tape. */
export function tapeGradients(
  run: Runner,
  leaves: readonly Leaf[],
  chosen: readonly number[],
  weights: readonly (readonly number[])[],
  outputs: readonly Result[],
): Result[] {
  const tensors = tensorsOf(leaves);
  const slopes = outputs.map(({ shape }, i) => tf.tensor(weights[i] as number[], [...shape], 'float32'));
  const xs = chosen.map((index) => tensors[index]!);
  const loss = (): tf.Tensor => tf.addN(run(tensors).map((output, i) => tf.sum(tf.mul(output, slopes[i]!))));
  const { grads } =
    outputs.length === 1 ? tf.engine().gradients(() => run(tensors)[0]!, xs, slopes[0]) : tf.engine().gradients(loss, xs);
  return read(grads);
}

/** The gradient on our backend, or on another one, for one case against the judge's. */
export function checkGradient(spec: KernelSpec, rule: GradientRule, original: KernelCase, subject = OURS): void {
  const kernelCase = refill(original, rule.fills);
  const leaves = leavesOf(kernelCase.inputs);
  const run = gradientRunner(spec, rule, kernelCase);
  const chosen = leaves.flatMap(({ input }, index) => (rule.of.includes(input) || rule.of.includes('*') ? [index] : []));
  const outputs = onBackend(REFERENCE64, () => read(run(tensorsOf(leaves))));
  const random = randomSource(7);
  const weights = outputs.map(({ values }) => Array.from({ length: values.length }, () => Math.fround(2 * random() - 1)));
  const ours = onBackend(subject, () => tapeGradients(run, leaves, chosen, weights, outputs));
  const terms = outputs.reduce((sum, { values }) => sum + values.length, 0);
  const judged =
    rule.tape === undefined ? undefined : onBackend(REFERENCE64, () => tapeGradients(run, leaves, chosen, weights, outputs));
  chosen.forEach((leaf, position) => {
    const gradient = ours[position]!;
    const { shape, values, input } = leaves[leaf]!;
    if (gradient.shape.join() !== shape.join())
      fail(`gradient of ${input}`, `shape [${gradient.shape.join()}], expected [${shape.join()}]`);
    const indices = chooseIndices(values.length, random);
    const expected = judged
      ? indices.map((index) => judged[position]!.values[index]!)
      : indices.map((index) => difference(run, leaves, leaf, index, weights, outputs));
    const scale = Math.max(1, ...expected.map(Math.abs));
    const bound = subject === REFERENCE64 ? TAPE_BOUND * scale : (GRADIENT_ROUNDINGS + terms) * ROUNDING * scale;
    indices.forEach((index, i) => {
      const [a, e] = [gradient.values[index]!, expected[i]!];
      if (!(Math.abs(a - e) <= bound)) fail(`gradient of ${input}[${index}]`, `expected ${e}, got ${a}, bound ${bound}`);
    });
  });
}

export function chooseIndices(count: number, random: () => number): number[] {
  const all = Array.from({ length: count }, (_, index) => index);
  if (count <= CHECKED_ELEMENTS) return all;
  return Array.from({ length: CHECKED_ELEMENTS }, () => Math.floor(random() * count));
}

/** d sum(weights * outputs) / d leaf[index] on the reference. */
function difference(
  run: Runner,
  leaves: readonly Leaf[],
  leaf: number,
  index: number,
  weights: readonly (readonly number[])[],
  outputs: readonly Result[],
): number {
  const moved = (step: number): Result[] =>
    onBackend(REFERENCE64, () => {
      const changed = leaves.map((other, i) => (i === leaf ? { ...other, values: other.values.slice() } : other));
      changed[leaf]!.values[index]! += step;
      return read(run(tensorsOf(changed)));
    });
  const [above, below] = [moved(STEP), moved(-STEP)];
  return outputs.reduce((total, { values }, output) => {
    let sum = 0;
    for (let i = 0; i < values.length; ++i)
      sum += weights[output]![i]! * (above[output]!.values[i]! - below[output]!.values[i]!);
    return total + sum / (2 * STEP);
  }, 0);
}

export function property(
  cases: fc.Arbitrary<KernelCase>,
  check: (kernelCase: KernelCase) => void,
  { runs, seed }: RunOptions,
): void {
  fc.assert(fc.property(cases, check), { numRuns: runs, seed, includeErrorInReport: true });
}

/** Forward and replayed, on `runs` random cases. */
export function judgeForward(spec: KernelSpec, options: RunOptions): void {
  property(
    spec.cases,
    (kernelCase) => {
      checkForward(spec, kernelCase);
      if (spec.noReplay === undefined) checkReplay(spec, kernelCase);
    },
    options,
  );
}

/** The cases of a kernel that its gradient is judged on. */
export function gradientCasesOf({ cases }: KernelSpec, { where, excluded }: GradientRule): fc.Arbitrary<KernelCase> {
  return cases.filter((kernelCase) => where?.(kernelCase) !== false && excluded?.cases(kernelCase) !== true);
}

/** The gradient, on half as many cases: each takes tens of evaluations of the reference. */
export function judgeGradient(spec: KernelSpec, rule: GradientRule, { runs, seed }: RunOptions): void {
  property(gradientCasesOf(spec, rule), (kernelCase) => checkGradient(spec, rule, kernelCase), {
    runs: Math.ceil(runs / 2),
    seed,
  });
}

/** The stock backend against the reference, to judge the judge. */
export function judgeJudge(
  spec: KernelSpec,
  where: ((kernelCase: KernelCase) => boolean) | undefined,
  options: RunOptions,
): void {
  const cases = where === undefined ? spec.cases : spec.cases.filter(where);
  property(cases, (kernelCase) => checkForward(spec, kernelCase, STOCK), options);
}

/** Gradients of the tape on the reference against its own central differences. */
export function judgeTape(spec: KernelSpec, rule: GradientRule, options: RunOptions): void {
  property(gradientCasesOf(spec, rule), (kernelCase) => checkGradient(spec, rule, kernelCase, REFERENCE64), options);
}
