import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { OURS, testOps, type OpCase, type Tolerance } from '../support/op-cases.js';

/** Four float32 roundings of values up to 4 * 3 / sqrt(0.5) here; the reference rounds once. */
const TOLERANCE: Tolerance = { relative: 0, absolute: 4 * 17 * 2 ** -24 };

const SHAPES = [[1], [5, 3], [4, 17], [2, 3, 4, 5], [2, 2, 3, 300], [0, 4]];

const cases: readonly OpCase[] = SHAPES.flatMap((shape) => {
  const channels = shape.slice(-1);
  return [channels, shape].flatMap((params) =>
    ([[], ['scale'], ['offset'], ['scale', 'offset']] as const).map((given): OpCase => ({
      name: `batchNorm [${shape.join(', ')}] by [${params.join(', ')}] ${given.join(' ')}`,
      inputs: [{ shape }, { shape: params }, { shape: params, low: 0.5, high: 3 }, { shape: params }, { shape: params }],
      run: (x, mean, variance, scale, offset) =>
        tf.batchNorm(
          x as tf.Tensor4D,
          mean as tf.Tensor1D,
          variance as tf.Tensor1D,
          (given as readonly string[]).includes('offset') ? (offset as tf.Tensor1D) : undefined,
          (given as readonly string[]).includes('scale') ? (scale as tf.Tensor1D) : undefined,
          0.01,
        ),
      tolerance: TOLERANCE,
      gradientOf: shape.length === 4 && given.length === 2 && params === channels && shape[3] === 5 ? [0, 1, 2, 3, 4] : [],
    })),
  );
});

describe('batch norm', () => {
  testOps(cases);

  it('broadcasts statistics over any axes, which the stock backend takes in memory order', async () => {
    await tf.setBackend(OURS);
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 1, 2]);
    const mean = tf.tensor4d([1, 5], [1, 2, 1, 1]);
    const y = tf.batchNorm(x, mean, tf.onesLike(mean), undefined, tf.scalar(2).reshape([1, 1, 1, 1]), 0);
    expect([...y.dataSync()]).toEqual([0, 2, -4, -2, 8, 10, 4, 6]);
  });

  it('refuses parameters that do not fit', async () => {
    await tf.setBackend(OURS);
    const x = tf.ones<tf.Rank.R2>([4, 3]);
    expect(() => tf.batchNorm(x, tf.ones([2]), tf.ones([2]))).toThrow(/could not be broadcast/);
    const wide = tf.ones([2, 4, 1, 3]);
    const inputs = { x: tf.ones([1, 4, 1, 3]), mean: wide, variance: wide };
    expect(() => tf.engine().runKernel('FusedBatchNorm', inputs, {})).toThrow(expect.objectContaining({ code: 'E_SHAPE' }));
  });
});
