import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { EXACT, FUNCTION, testOps, type InputSpec, type OpCase, type Tolerance } from '../support/op-cases.js';

interface Row {
  readonly name: string;
  readonly run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
  readonly tolerance?: Tolerance;
  readonly a?: Partial<InputSpec>;
  readonly b?: Partial<InputSpec>;
  readonly smooth?: boolean;
  /** false where tfjs-core's own gradient does not sum over broadcast axes. */
  readonly broadcastGradient?: false;
  readonly int32?: boolean;
  readonly bool?: boolean;
}

const NONZERO = { low: 0.6, high: 3 };

const arithmetic: readonly Row[] = [
  { name: 'add', run: tf.add, smooth: true, int32: true },
  { name: 'atan2', run: tf.atan2, tolerance: FUNCTION, a: NONZERO, b: NONZERO, smooth: true },
  { name: 'div', run: tf.div, b: NONZERO, smooth: true },
  { name: 'floorDiv', run: tf.floorDiv, b: NONZERO },
  { name: 'maximum', run: tf.maximum, int32: true, bool: true },
  { name: 'minimum', run: tf.minimum, int32: true, bool: true },
  // The reference adds the divisor in double precision where signs differ, ours in float32.
  { name: 'mod', run: tf.mod, b: NONZERO, tolerance: { relative: 6e-7, absolute: 4e-7 } },
  { name: 'mul', run: tf.mul, smooth: true, int32: true },
  { name: 'pow', run: tf.pow, tolerance: FUNCTION, a: NONZERO, smooth: true },
  {
    name: 'squaredDifference',
    run: tf.squaredDifference,
    tolerance: { relative: 3e-7, absolute: 0 },
    smooth: true,
    broadcastGradient: false,
    int32: true,
  },
  { name: 'sub', run: tf.sub, smooth: true, int32: true },
  { name: 'prelu', run: tf.prelu, a: NONZERO, smooth: true, broadcastGradient: false },
];

const comparison: readonly Row[] = [
  { name: 'equal', run: tf.equal },
  { name: 'notEqual', run: tf.notEqual },
  { name: 'greater', run: tf.greater },
  { name: 'greaterEqual', run: tf.greaterEqual },
  { name: 'less', run: tf.less },
  { name: 'lessEqual', run: tf.lessEqual },
];

const SHAPES: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[0], [0]],
  [[1], [1]],
  [[17], [17]],
  [[65_539], [65_539]],
  [[3, 5], [5]],
  [[5], [3, 5]],
  [
    [3, 5],
    [3, 1],
  ],
  [[3, 5], []],
  [[], [3, 5]],
  [
    [4, 1, 6],
    [1, 7, 1],
  ],
  [
    [2, 3, 4, 5],
    [3, 1, 5],
  ],
  [
    [2, 1, 2, 1, 2, 3],
    [2, 2, 1],
  ],
  [
    [0, 3],
    [1, 3],
  ],
];

const INT32 = { dtype: 'int32' } as const;
const BOOL = { dtype: 'bool' } as const;
const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 1, -1];
const SPECIAL_PAIRS = SPECIAL.flatMap((x) => SPECIAL.map((y) => [x, y] as const));
/** Kernels whose result for special values is defined by IEEE 754 or by Math.max and Math.min. */
const WITH_SPECIAL_VALUES = new Set(['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'squaredDifference']);

function cases(row: Row, kind: 'arithmetic' | 'comparison'): OpCase[] {
  const make = (name: string, a: InputSpec, b: InputSpec, more: Partial<OpCase> = {}): OpCase => ({
    name: `${row.name} ${name}`,
    inputs: [a, b],
    run: (x, y) => row.run(x, y),
    tolerance: row.tolerance ?? EXACT,
    ...more,
  });
  const list = SHAPES.map(([a, b]) =>
    make(`[${a.join(', ')}] and [${b.join(', ')}]`, { shape: a, ...row.a }, { shape: b, ...row.b }),
  );
  if (row.smooth === true) {
    const both = { gradientOf: [0, 1] };
    list.push(make('gradient', { shape: [3, 5], ...row.a }, { shape: [3, 5], ...row.b }, both));
    if (row.broadcastGradient !== false)
      list.push(make('gradient of broadcast inputs', { shape: [3, 1, 4], ...row.a }, { shape: [5, 1], ...row.b }, both));
  }
  if (row.int32 === true || kind === 'comparison') {
    list.push(make('int32', { shape: [4, 9], ...INT32 }, { shape: [9], ...INT32 }));
    list.push(make('int32 and float32', { shape: [4, 9], ...INT32 }, { shape: [9] }));
  }
  if (row.bool === true || kind === 'comparison') {
    list.push(make('bool', { shape: [4, 9], ...BOOL }, { shape: [9], ...BOOL }));
  }
  if (kind === 'comparison' || WITH_SPECIAL_VALUES.has(row.name)) {
    const input = (index: 0 | 1): InputSpec => ({
      shape: [SPECIAL_PAIRS.length],
      values: SPECIAL_PAIRS.map((pair) => pair[index]),
    });
    list.push(make('special values', input(0), input(1)));
  }
  return list;
}

const others: readonly OpCase[] = [
  ...(['floorDiv', 'mod', 'div'] as const).map((name) => ({
    name: `${name} of int32 with all signs`,
    inputs: [
      { shape: [8], dtype: 'int32' as const, values: [7, -7, 7, -7, 0, 9, -9, 1] },
      { shape: [8], dtype: 'int32' as const, values: [2, 2, -2, -2, 5, 3, 4, -7] },
    ],
    run: (a?: tf.Tensor, b?: tf.Tensor) => tf[name](a!, b!),
  })),
  {
    name: 'pow of int32',
    inputs: [
      { shape: [12], dtype: 'int32', low: -4, high: 5 },
      { shape: [12], dtype: 'int32', low: 0, high: 5 },
    ],
    run: (a, b) => tf.pow(a, b),
  },
  ...(['logicalAnd', 'logicalOr', 'logicalXor'] as const).map((name) => ({
    name,
    inputs: [
      { shape: [3, 7], ...BOOL },
      { shape: [7], ...BOOL },
    ],
    run: (a?: tf.Tensor, b?: tf.Tensor) => tf[name](a!, b!),
  })),
  ...(
    [
      [
        [2, 3, 4],
        [2, 3, 4],
      ],
      [
        [3, 1],
        [3, 4],
      ],
      [[], [3, 4]],
    ] as const
  ).map(([condition, values]) => ({
    name: `where [${condition.join(', ')}] of [${values.join(', ')}]`,
    inputs: [{ shape: condition, ...BOOL }, { shape: values }, { shape: values }],
    run: (c?: tf.Tensor, a?: tf.Tensor, b?: tf.Tensor) => tf.where(c!, a!, b!),
    gradientOf: [1, 2],
  })),
  {
    name: 'where of int32 and float32',
    inputs: [{ shape: [9], ...BOOL }, { shape: [9], dtype: 'int32' }, { shape: [9] }],
    run: (c, a, b) => tf.where(c, a, b),
  },
  {
    name: 'eluGrad',
    inputs: [{ shape: [3, 11] }, { shape: [3, 11] }],
    run: (dy, y) => tf.engine().runKernel('EluGrad', { dy: dy, y: y }),
    // The reference rounds once, ours after y + 1 and after the product.
    tolerance: { relative: 3e-7, absolute: 0 },
  },
  {
    name: 'addN',
    inputs: [{ shape: [5, 3] }, { shape: [5, 3] }, { shape: [5, 3] }],
    run: (...tensors) => tf.addN(tensors),
    gradientOf: [0, 2],
  },
];

describe('binary kernels', () => testOps(arithmetic.flatMap((row) => cases(row, 'arithmetic'))));
describe('comparisons', () => testOps(comparison.flatMap((row) => cases(row, 'comparison'))));
describe('logic, selection and sums', () => testOps(others));

describe('arithmetic of bool', () => {
  it('takes all but 0 for true', () => {
    tf.tidy(() => {
      const [a, b] = [tf.tensor1d([1, 0, 1], 'bool'), tf.tensor1d([1, 1, 0], 'bool')];
      expect([tf.add(a, b).dtype, ...tf.add(a, b).dataSync()]).toEqual(['bool', 1, 1, 1]);
      expect([...tf.sub(a, b).dataSync()]).toEqual([0, 1, 1]);
    });
  });
});
