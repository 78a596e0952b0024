import * as tf from '@tensorflow/tfjs-core';
import { describe } from 'vitest';
import { productOf } from '../support/describe-model.js';
import { EXACT, summation, testOps, type InputSpec, type OpCase, type Tolerance } from '../support/op-cases.js';

type Axes = number | number[] | undefined;

interface Row {
  readonly name: string;
  readonly run: (x: tf.Tensor, axis: Axes, keepDims: boolean) => tf.Tensor;
  readonly tolerance: (terms: number) => Tolerance;
  readonly input?: Partial<InputSpec>;
  readonly smooth?: boolean;
  readonly empty?: boolean;
}

const exact = (): Tolerance => EXACT;

const rows: readonly Row[] = [
  { name: 'sum', run: tf.sum, tolerance: (n) => summation(n, 2), smooth: true, empty: true },
  // The reference divides each term first, so each of n terms of up to 2 / n is rounded once more.
  { name: 'mean', run: tf.mean, tolerance: (n) => ({ relative: 0, absolute: n * 2 ** -22 }), smooth: true },
  {
    name: 'prod',
    run: tf.prod,
    tolerance: (n) => ({ relative: n * 2 ** -23, absolute: 1e-38 }),
    input: { low: 0.8, high: 1.2 },
    empty: true,
  },
  { name: 'max', run: tf.max, tolerance: exact, smooth: true },
  { name: 'min', run: tf.min, tolerance: exact, smooth: true },
  { name: 'sum of int32', run: tf.sum, tolerance: exact, input: { dtype: 'int32' }, empty: true },
  { name: 'prod of int32', run: tf.prod, tolerance: exact, input: { dtype: 'int32', low: 1, high: 2 } },
  { name: 'max of int32', run: tf.max, tolerance: exact, input: { dtype: 'int32' } },
  { name: 'min of int32', run: tf.min, tolerance: exact, input: { dtype: 'int32' } },
  { name: 'sum of bool', run: tf.sum, tolerance: exact, input: { dtype: 'bool' } },
  {
    name: 'mean of int32',
    run: tf.mean,
    tolerance: (n) => ({ relative: 0, absolute: 10 * n * 2 ** -23 }),
    input: { dtype: 'int32' },
  },
  { name: 'all', run: tf.all, tolerance: exact, input: { dtype: 'bool' } },
  { name: 'any', run: tf.any, tolerance: exact, input: { dtype: 'bool' } },
];

const GEOMETRIES: readonly (readonly [shape: readonly number[], axis: Axes])[] = [
  [[], undefined],
  [[1], 0],
  [[17], 0],
  [[20_011], undefined],
  [[3, 5], 0],
  [[3, 5], 1],
  [[3, 5], -1],
  [
    [3, 5],
    [0, 1],
  ],
  [[4, 3, 5], 1],
  [
    [4, 3, 5],
    [0, 2],
  ],
  [
    [4, 3, 5],
    [2, 0],
  ],
  [
    [2, 3, 4, 5],
    [1, 2],
  ],
  [
    [2, 3, 4, 5],
    [0, 2],
  ],
  [
    [2, 3, 1, 5, 2, 2],
    [0, 2, 4],
  ],
  [[2, 1, 3], 1],
  [[7, 129, 33], 1],
  [[0, 3], 1],
];

function cases(row: Row): OpCase[] {
  const make = (shape: readonly number[], axis: Axes, keepDims: boolean, gradientOf: number[] = []): OpCase => ({
    name: `${row.name} of [${shape.join(', ')}] over ${axis === undefined ? 'all' : JSON.stringify(axis)}${keepDims ? ', keepDims' : ''}`,
    inputs: [{ shape, ...row.input }],
    run: (x) => row.run(x, axis, keepDims),
    tolerance: row.tolerance(Math.max(productOf(shape), 1)),
    gradientOf,
  });
  const gradient = row.smooth === true ? [0] : [];
  return [
    ...GEOMETRIES.map(([shape, axis]) => make(shape, axis, false)),
    make([4, 3, 5], [0, 2], true, gradient),
    make([4, 3, 5], 1, false, gradient),
    ...(row.empty === true ? [make([3, 0], 1, false)] : []),
  ];
}

const TIES = [1, 3, 3, -2, -2, 3, 0, -2];

const extremes: readonly OpCase[] = (['argMax', 'argMin'] as const).flatMap((name) => [
  ...(
    [
      [[1], 0],
      [[23], 0],
      [[4, 9], 0],
      [[4, 9], 1],
      [[3, 4, 5], 1],
      [[3, 4, 5], -1],
      [[2, 40_000], 1],
    ] as const
  ).map(([shape, axis]) => ({
    name: `${name} of [${shape.join(', ')}] over ${axis}`,
    inputs: [{ shape }],
    run: (x?: tf.Tensor) => tf[name](x!, axis),
  })),
  { name: `${name} takes the first of equals`, inputs: [{ shape: [8], values: TIES }], run: (x) => tf[name](x, 0) },
  { name: `${name} of int32`, inputs: [{ shape: [6, 8], dtype: 'int32' as const }], run: (x) => tf[name](x, 1) },
  { name: `${name} of bool`, inputs: [{ shape: [6, 8], dtype: 'bool' as const }], run: (x) => tf[name](x, 1) },
]);

describe('reductions', () => testOps(rows.flatMap(cases)));
describe('index of an extreme', () => testOps(extremes));
