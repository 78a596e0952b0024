/**
 * One table of cases per family of kernels. Each case is compared with the stock tfjs cpu backend, then replayed from a compiled
 * step and compared with its own eager run bit for bit, and where asked its gradient is checked by central differences.
 */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import '../../ts/index.js';
import { compile } from '../../ts/backend/plan.js';
import { productOf, randomSource } from './describe-model.js';

export const OURS = 'tensorkiln-cpu';
const STOCK = 'cpu';

/** An input of a case: given values, or values drawn evenly from [low, high). */
export interface InputSpec {
  readonly shape: readonly number[];
  readonly dtype?: 'float32' | 'int32' | 'bool';
  readonly values?: readonly number[];
  readonly low?: number;
  readonly high?: number;
}

export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

export interface OpCase {
  readonly name: string;
  readonly inputs: readonly InputSpec[];
  readonly run: (...tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  /** Default: equal values. */
  readonly tolerance?: Tolerance;
  /** Inputs whose gradient is checked. */
  readonly gradientOf?: readonly number[];
  /** What to compare with instead of the stock backend, where that is known to differ from the definition. */
  readonly expected?: (...inputs: readonly ArrayLike<number>[]) => readonly number[];
}

/** Equal values: for kernels that move numbers or round once, as the reference does. */
export const EXACT: Tolerance = { relative: 0, absolute: 0 };
/** Vectorised functions are accurate to 4 units in the last place (2^-23 each); the reference rounds a double once. */
export const FUNCTION: Tolerance = { relative: 6e-7, absolute: 1e-37 };

/** Sums of n float32 terms in another order: n * 2^-24 of the sum of absolute values bounds both sides. */
export function summation(terms: number, magnitude: number): Tolerance {
  const bound = 2 * terms * 2 ** -24 * terms * magnitude;
  return { relative: 0, absolute: Math.max(bound, 1e-7) };
}

/** Registers one test per case. */
export function testOps(cases: readonly OpCase[]): void {
  for (const opCase of cases) it(opCase.name, () => checkCase(opCase));
}

export type HostArray = Float32Array | Int32Array | Uint8Array;

interface HostResult {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: HostArray;
}

/** The values of one input, the same at every call. */
export function valuesOf(spec: InputSpec, seed: number): HostArray {
  const count = productOf(spec.shape);
  const dtype = spec.dtype ?? 'float32';
  const random = randomSource(seed);
  const low = spec.low ?? (dtype === 'bool' ? 0 : dtype === 'int32' ? -9 : -2);
  const high = spec.high ?? (dtype === 'float32' ? 2 : dtype === 'bool' ? 2 : 10);
  const at = (index: number): number => {
    if (spec.values !== undefined) return spec.values[index % spec.values.length] as number;
    const value = low + random() * (high - low);
    return dtype === 'float32' ? value : Math.floor(value);
  };
  const array =
    dtype === 'float32' ? new Float32Array(count) : dtype === 'int32' ? new Int32Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; ++i) array[i] = at(i);
  return array;
}

function tensorsOf(inputs: readonly InputSpec[], arrays: readonly HostArray[]): tf.Tensor[] {
  return inputs.map(({ shape, dtype }, index) => tf.tensor(arrays[index] as HostArray, [...shape], dtype ?? 'float32'));
}

function read(result: tf.Tensor | tf.Tensor[]): HostResult[] {
  return (Array.isArray(result) ? result : [result]).map((tensor) => ({
    shape: [...tensor.shape],
    dtype: tensor.dtype,
    values: tensor.dataSync(),
  }));
}

function runOnce(opCase: OpCase, arrays: readonly HostArray[]): HostResult[] {
  let results: HostResult[] = [];
  tf.tidy(() => {
    results = read(opCase.run(...tensorsOf(opCase.inputs, arrays)));
  });
  return results;
}

async function checkCase(opCase: OpCase): Promise<void> {
  const arrays = opCase.inputs.map((spec, index) => valuesOf(spec, 17 + index));
  await tf.setBackend(STOCK);
  const reference = runOnce(opCase, arrays);
  await tf.setBackend(OURS);
  const idsBefore = tf.engine().backend.numDataIds();
  const eager = runOnce(opCase, arrays);
  const expected = opCase.expected?.(...arrays);
  eager.forEach((result, index) => {
    const other = reference[index] as HostResult;
    expect({ shape: result.shape, dtype: result.dtype }).toEqual({ shape: other.shape, dtype: other.dtype });
    expectClose(result.values, expected ?? other.values, opCase.tolerance ?? EXACT, `result ${index}`);
  });
  expect(eager.length).toBe(reference.length);
  checkReplay(opCase, arrays, eager);
  for (const input of opCase.gradientOf ?? []) checkGradient(opCase, arrays, input);
  expect(tf.engine().backend.numDataIds(), 'data ids left behind').toBe(idsBefore);
}

function checkReplay(opCase: OpCase, arrays: readonly HostArray[], eager: readonly HostResult[]): void {
  const step = compile((...tensors: tf.Tensor[]) => opCase.run(...tensors));
  try {
    tf.tidy(() => {
      const tensors = tensorsOf(opCase.inputs, arrays);
      for (let call = 0; call < 4; ++call) {
        const results = read(step(...tensors));
        expect(results.length).toBe(eager.length);
        results.forEach((result, index) => expectSameBits(result, eager[index] as HostResult, `call ${call} result ${index}`));
      }
    });
    expect(step.statistics).toEqual({ recordings: 2, replays: 2 });
  } finally {
    step.dispose();
  }
}

/** Compares values; NaN matches NaN, infinities match themselves. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance, place: string): void {
  expect(actual.length, `${place}: length`).toBe(expected.length);
  for (let i = 0; i < actual.length; ++i) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    const same = a === e || (Number.isNaN(a) && Number.isNaN(e));
    if (same || Math.abs(a - e) <= tolerance.absolute + tolerance.relative * Math.abs(e)) continue;
    expect.fail(`${place}[${i}]: expected ${e}, got ${a}, tolerance ${JSON.stringify(tolerance)}`);
  }
}

function expectSameBits(actual: HostResult, expected: HostResult, place: string): void {
  expect({ shape: actual.shape, dtype: actual.dtype }, place).toEqual({ shape: expected.shape, dtype: expected.dtype });
  const bytes = ({ values }: HostResult): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  expect(Buffer.compare(bytes(actual), bytes(expected)), `${place}: bits`).toBe(0);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += a[i]! * b[i]!;
  return sum;
}

/** Step of the central difference: large enough that float32 rounding of results (2^-24) stays below the tolerance. */
const DIFFERENCE_STEP = 2 ** -7;
/**
 * Truncation (third derivative times step^2 / 6) is near 1e-4 and rounding (2^-24 / step per result) near 1e-5 for the smooth
 * cases that ask for this check.
 */
const GRADIENT_TOLERANCE = 3e-3;

/** Compares the derivative along random directions with a central difference. */
function checkGradient(opCase: OpCase, arrays: readonly HostArray[], input: number): void {
  const random = randomSource(97 + input);
  const { shape } = opCase.inputs[input]!;
  const weightsFor: number[][] = [];
  const weighted = (inputs: readonly HostArray[]): number =>
    runOnce(opCase, inputs).reduce((sum, { values }, index) => {
      const weights = (weightsFor[index] ??= Array.from(values, () => 2 * random() - 1));
      return sum + dot(values, weights);
    }, 0);
  weighted(arrays);
  const gradient = tf.tidy(() => {
    const tensors = tensorsOf(opCase.inputs, arrays);
    const loss = (x: tf.Tensor): tf.Scalar => {
      const results = opCase.run(...tensors.map((tensor, index) => (index === input ? x : tensor)));
      const list = Array.isArray(results) ? results : [results];
      const terms = list.map((result, index) => tf.sum(tf.mul(result, tf.tensor(weightsFor[index]!, result.shape))));
      return tf.addN(terms) as tf.Scalar;
    };
    const dx = tf.grad(loss)(tensors[input]!);
    expect(dx.shape).toEqual(shape);
    return dx.dataSync();
  });
  for (let trial = 0; trial < 3; ++trial) {
    const direction = Float32Array.from(gradient, () => (random() < 0.5 ? -1 : 1));
    const moved = (sign: number): HostArray[] =>
      arrays.map((array, index) =>
        index === input ? Float32Array.from(array, (value, i) => value + sign * DIFFERENCE_STEP * direction[i]!) : array,
      );
    const numeric = (weighted(moved(1)) - weighted(moved(-1))) / (2 * DIFFERENCE_STEP);
    const analytic = dot(gradient, direction);
    const scale = Math.sqrt(dot(gradient, gradient));
    expect(Math.abs(numeric - analytic), `gradient of input ${input}: ${analytic} and ${numeric}`).toBeLessThanOrEqual(
      GRADIENT_TOLERANCE * Math.max(scale, 1),
    );
  }
}
