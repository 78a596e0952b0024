import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { testOps, type OpCase } from '../support/op-cases.js';

/** An exponential of 4 units in the last place over a sum of as many, and the reference's own float32 roundings. */
const TOLERANCE = { relative: 3e-6, absolute: 1e-7 };
/** Logarithms are differences of numbers up to 18, so the roundings of those remain. */
const LOG_TOLERANCE = { relative: 3e-6, absolute: 3e-6 };

const SHAPES = [[1], [10], [3, 1], [5, 7], [4, 3, 33], [2, 4097], [0, 5], [33, 1000]];

const cases: readonly OpCase[] = [
  ...SHAPES.map((shape) => ({
    name: `softmax of [${shape.join(', ')}]`,
    inputs: [{ shape, low: -9, high: 9 }],
    run: (x?: tf.Tensor) => tf.softmax(x!),
    tolerance: TOLERANCE,
  })),
  ...SHAPES.map((shape) => ({
    name: `logSoftmax of [${shape.join(', ')}]`,
    inputs: [{ shape, low: -9, high: 9 }],
    run: (x?: tf.Tensor) => tf.logSoftmax(x!),
    tolerance: LOG_TOLERANCE,
  })),
  { name: 'softmax gradient', inputs: [{ shape: [3, 6] }], run: (x) => tf.softmax(x), tolerance: TOLERANCE, gradientOf: [0] },
  {
    name: 'logSoftmax gradient',
    inputs: [{ shape: [3, 6] }],
    run: (x) => tf.logSoftmax(x),
    tolerance: LOG_TOLERANCE,
    gradientOf: [0],
  },
  {
    name: 'softmax of large and infinite logits',
    inputs: [{ shape: [3, 3], values: [1000, 0, -1000, 88, 89, 90, -Infinity, 0, 1] }],
    run: (x) => tf.softmax(x),
    tolerance: TOLERANCE,
  },
  {
    name: 'softmaxCrossEntropy of one-hot labels',
    inputs: [{ shape: [4, 5], low: -3, high: 3 }],
    run: (x) => tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d([0, 4, 2, 2], 'int32'), 5), x),
    tolerance: LOG_TOLERANCE,
    gradientOf: [0],
  },
];

describe('softmax', () => {
  testOps(cases);

  it('gives the log of softmax from the kernel as well', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([[0.5, -1, 2]]);
      const fromKernel: tf.Tensor = tf.engine().runKernel('LogSoftmax', { logits: x }, { axis: -1 });
      const exponentials = [0.5, -1, 2].map(Math.exp);
      const sum = exponentials.reduce((a, b) => a + b);
      const expected = exponentials.map((value) => Math.log(value / sum));
      fromKernel.dataSync().forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 6));
    });
  });

  it('refuses another axis than the last', () => {
    const x = tf.tensor2d([[1, 2]]);
    expect(() => tf.softmax(x, 0)).toThrow(/last/);
    x.dispose();
  });
});
