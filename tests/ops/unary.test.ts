import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { EXACT, FUNCTION, OURS, testOps, type InputSpec, type OpCase, type Tolerance } from '../support/op-cases.js';

type Unary = (x: tf.Tensor) => tf.Tensor;

interface Row {
  readonly name: string;
  readonly run: Unary;
  readonly tolerance: Tolerance;
  /** Range in which the function is defined and, when `smooth`, differentiable. */
  readonly low?: number;
  readonly high?: number;
  readonly smooth?: boolean;
  readonly int32?: boolean;
}

const rows: readonly Row[] = [
  { name: 'abs', run: tf.abs, tolerance: EXACT, int32: true },
  { name: 'acos', run: tf.acos, tolerance: FUNCTION, low: -0.9, high: 0.9, smooth: true },
  { name: 'acosh', run: tf.acosh, tolerance: FUNCTION, low: 1.5, high: 9, smooth: true },
  { name: 'asin', run: tf.asin, tolerance: FUNCTION, low: -0.9, high: 0.9, smooth: true },
  { name: 'asinh', run: tf.asinh, tolerance: FUNCTION, smooth: true },
  { name: 'atan', run: tf.atan, tolerance: FUNCTION, smooth: true },
  { name: 'atanh', run: tf.atanh, tolerance: FUNCTION, low: -0.8, high: 0.8, smooth: true },
  { name: 'ceil', run: tf.ceil, tolerance: EXACT },
  { name: 'cos', run: tf.cos, tolerance: { relative: 6e-7, absolute: 6e-8 }, smooth: true },
  { name: 'cosh', run: tf.cosh, tolerance: FUNCTION, smooth: true },
  // The reference subtracts 1 from the rounded exponential, which loses digits near 0.
  { name: 'elu', run: tf.elu, tolerance: { relative: 6e-7, absolute: 1.2e-7 }, low: 0.1, smooth: true },
  { name: 'erf', run: tf.erf, tolerance: { relative: 6e-7, absolute: 2e-7 }, smooth: true },
  { name: 'exp', run: tf.exp, tolerance: FUNCTION, smooth: true, int32: true },
  { name: 'expm1', run: tf.expm1, tolerance: FUNCTION, smooth: true },
  { name: 'floor', run: tf.floor, tolerance: EXACT },
  { name: 'isFinite', run: tf.isFinite, tolerance: EXACT, int32: true },
  { name: 'isInf', run: tf.isInf, tolerance: EXACT },
  { name: 'isNaN', run: tf.isNaN, tolerance: EXACT },
  { name: 'log', run: tf.log, tolerance: FUNCTION, low: 0.3, high: 9, smooth: true },
  { name: 'log1p', run: tf.log1p, tolerance: FUNCTION, low: -0.6, high: 9, smooth: true },
  { name: 'neg', run: tf.neg, tolerance: EXACT, smooth: true, int32: true },
  { name: 'reciprocal', run: tf.reciprocal, tolerance: EXACT, low: 0.5, high: 3, smooth: true },
  { name: 'relu', run: tf.relu, tolerance: EXACT, low: 0.1, smooth: true, int32: true },
  { name: 'relu6', run: tf.relu6, tolerance: EXACT, low: -9, high: 9, int32: true },
  { name: 'round', run: tf.round, tolerance: EXACT, int32: true },
  { name: 'rsqrt', run: tf.rsqrt, tolerance: { relative: 2.4e-7, absolute: 0 }, low: 0.5, high: 9, smooth: true },
  { name: 'selu', run: tf.selu, tolerance: { relative: 6e-7, absolute: 2.4e-7 }, low: 0.1, smooth: true },
  { name: 'sigmoid', run: tf.sigmoid, tolerance: FUNCTION, smooth: true },
  { name: 'sign', run: tf.sign, tolerance: EXACT, int32: true },
  { name: 'sin', run: tf.sin, tolerance: { relative: 6e-7, absolute: 6e-8 }, smooth: true },
  { name: 'sinh', run: tf.sinh, tolerance: FUNCTION, smooth: true },
  { name: 'softplus', run: tf.softplus, tolerance: FUNCTION, smooth: true },
  { name: 'sqrt', run: tf.sqrt, tolerance: EXACT, low: 0.3, high: 9, smooth: true },
  { name: 'square', run: tf.square, tolerance: EXACT, smooth: true, int32: true },
  { name: 'step', run: (x) => tf.step(x, 0.25), tolerance: EXACT },
  { name: 'tan', run: tf.tan, tolerance: FUNCTION, low: -1.2, high: 1.2, smooth: true },
  { name: 'tanh', run: tf.tanh, tolerance: FUNCTION, smooth: true },
  // The slope is a float32 here and a double there.
  {
    name: 'leakyRelu',
    run: (x) => tf.leakyRelu(x, 0.3),
    tolerance: { relative: 2 ** -22, absolute: 0 },
    low: 0.1,
    smooth: true,
  },
  { name: 'clipByValue', run: (x) => tf.clipByValue(x, -0.5, 1.25), tolerance: EXACT, int32: true },
  { name: 'logicalNot', run: (x) => tf.logicalNot(tf.cast(x, 'bool')), tolerance: EXACT },
];

/** NaN, infinities, zeros of both signs, halves for rounding, denormal and largest numbers. */
const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 0.5, 1.5, 2.5, -0.5, -1.5, 1e-40, -1e-40, 3.4e38, -3.4e38, 1, -1, 7];
/** Around vector widths of 4, 8 and 16, and large enough to be split over threads. */
const LENGTHS = [0, 1, 3, 8, 17, 33, 100_003];

function cases({ name, run, tolerance, low, high, smooth, int32 }: Row): OpCase[] {
  const range = { ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }) };
  const make = (suffix: string, input: InputSpec, more: Partial<OpCase> = {}): OpCase => ({
    name: `${name} ${suffix}`,
    inputs: [input],
    run: (x) => run(x),
    tolerance,
    ...more,
  });
  return [
    ...LENGTHS.map((length) => make(`[${length}]`, { shape: [length], ...range })),
    make('[2, 3, 5]', { shape: [2, 3, 5], ...range }, smooth === true ? { gradientOf: [0] } : {}),
    make('scalar', { shape: [], ...range }),
    make('special values', { shape: [SPECIAL.length], values: SPECIAL }),
    ...(int32 === true ? [make('int32', { shape: [37], dtype: 'int32' })] : []),
  ];
}

describe('unary kernels', () => testOps(rows.flatMap(cases)));

// The stock backend makes 0 of -0.5 and -0 of -0.4.
it('round keeps the sign of x where it gives zero', async () => {
  await tf.setBackend(OURS);
  const y = tf.tidy(() => tf.round(tf.tensor1d([-0.5, -0.4, -0, 0.5, 0.4])).dataSync());
  expect([...y]).toEqual([-0, -0, -0, 0, 0]);
});
