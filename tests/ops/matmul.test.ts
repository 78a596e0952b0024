import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { summation, testOps, type OpCase } from '../support/op-cases.js';

type Shape = readonly number[];

/** Products of numbers in [-2, 2): terms of up to 4. */
const tolerance = (k: number): ReturnType<typeof summation> => summation(Math.max(k, 1), 4);

/** [3, 5] times [5, 2]. */
function multiply(a: readonly number[], b: readonly number[]): number[] {
  const y: number[] = [];
  for (let row = 0; row < 3; ++row) {
    for (let col = 0; col < 2; ++col) {
      let sum = 0;
      for (let k = 0; k < 5; ++k) sum += a[5 * row + k]! * b[2 * k + col]!;
      y.push(sum);
    }
  }
  return y;
}

const PLAIN: readonly (readonly [a: Shape, b: Shape])[] = [
  [
    [1, 1],
    [1, 1],
  ],
  [
    [3, 5],
    [5, 7],
  ],
  [
    [17, 33],
    [33, 15],
  ],
  [
    [1, 64],
    [64, 100],
  ],
  [
    [64, 64],
    [64, 64],
  ],
  [
    [65, 130],
    [130, 97],
  ],
  [
    [2, 0],
    [0, 3],
  ],
  [
    [0, 4],
    [4, 3],
  ],
  [
    [4, 3, 5],
    [4, 5, 2],
  ],
  [
    [4, 3, 5],
    [1, 5, 2],
  ],
  [
    [1, 3, 5],
    [4, 5, 2],
  ],
  [
    [2, 3, 4, 5],
    [5, 6],
  ],
];

const TRANSPOSED: readonly (readonly [a: Shape, b: Shape, transposeA: boolean, transposeB: boolean])[] = [
  [[5, 3], [5, 7], true, false],
  [[3, 5], [7, 5], false, true],
  [[5, 3], [7, 5], true, true],
  [[70, 33], [70, 18], true, false],
  [[4, 5, 3], [4, 7, 5], true, true],
  [[4, 5, 3], [1, 5, 7], true, false],
  [[4, 3, 5], [1, 7, 5], false, true],
];

const cases: readonly OpCase[] = [
  ...[...PLAIN.map(([a, b]) => [a, b, false, false] as const), ...TRANSPOSED].map(([a, b, transposeA, transposeB]) => ({
    name: `matMul [${a.join(', ')}]${transposeA ? ' transposed' : ''} and [${b.join(', ')}]${transposeB ? ' transposed' : ''}`,
    inputs: [{ shape: a }, { shape: b }],
    run: (x?: tf.Tensor, y?: tf.Tensor) => tf.matMul(x!, y!, transposeA, transposeB),
    tolerance: tolerance(transposeA ? a.at(-2)! : a.at(-1)!),
  })),
  ...TRANSPOSED.slice(0, 3).map(([a, b, transposeA, transposeB]) => ({
    name: `matMul gradient [${a.join(', ')}] ${transposeA} ${transposeB}`,
    inputs: [{ shape: a }, { shape: b }],
    run: (x?: tf.Tensor, y?: tf.Tensor) => tf.matMul(x!, y!, transposeA, transposeB),
    tolerance: tolerance(5),
    gradientOf: [0, 1],
  })),
  {
    name: 'matMul gradient of a batch',
    inputs: [{ shape: [4, 3, 5] }, { shape: [4, 5, 2] }],
    run: (x, y) => tf.matMul(x, y),
    tolerance: tolerance(5),
    gradientOf: [0, 1],
  },
  {
    // The stock backend cannot broadcast both batches, so the products are computed here, in double precision.
    name: 'matMul of batches that both broadcast',
    inputs: [{ shape: [2, 1, 3, 5] }, { shape: [1, 3, 5, 2] }],
    run: (x, y) => tf.matMul(x, y),
    tolerance: tolerance(5),
    expected: (a, b) => {
      const products: number[] = [];
      for (let i = 0; i < 2; ++i) {
        for (let j = 0; j < 3; ++j) products.push(...multiply(Array.from(a).slice(15 * i), Array.from(b).slice(10 * j)));
      }
      return products;
    },
  },
  {
    name: 'matMul of int32',
    inputs: [
      { shape: [4, 6], dtype: 'int32' },
      { shape: [6, 3], dtype: 'int32' },
    ],
    run: (x, y) => tf.matMul(x, y),
  },
  ...(['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'prelu', 'leakyrelu'] as const).map((activation) => ({
    name: `fused matMul with bias and ${activation}`,
    inputs: [{ shape: [3, 8] }, { shape: [8, 5] }, { shape: [5] }, { shape: [5] }],
    run: (a?: tf.Tensor, b?: tf.Tensor, bias?: tf.Tensor, alpha?: tf.Tensor) =>
      tf.fused.matMul({
        a: a!,
        b: b!,
        bias: bias!,
        activation,
        ...(activation === 'prelu' ? { preluActivationWeights: alpha! } : {}),
        leakyreluAlpha: 0.3,
      }),
    tolerance: tolerance(8),
    gradientOf: activation === 'linear' ? [0, 1, 2] : [],
  })),
];

describe('matrix products', () => {
  testOps(cases);

  it('names both shapes when inner sizes differ', () => {
    tf.tidy(() => {
      const [a, b] = [tf.ones([8, 64]), tf.ones([32, 16])];
      expect(() => tf.matMul(a, b)).toThrow(/64.*32/s);
    });
  });
});
