import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { depthToSpace } from '../../ts/backend/shapes/image.js';
import { testOps, type OpCase } from '../support/op-cases.js';

const cases: readonly OpCase[] = [
  {
    name: 'spaceToBatchND with padding',
    inputs: [{ shape: [2, 4, 6, 3] }],
    run: (x) =>
      tf.spaceToBatchND(
        x,
        [2, 3],
        [
          [1, 1],
          [0, 3],
        ],
      ),
    gradientOf: [0],
  },
  {
    name: 'spaceToBatchND of one axis',
    inputs: [{ shape: [3, 4], dtype: 'int32' }],
    run: (x) => tf.spaceToBatchND(x, [2], [[0, 0]]),
  },
  {
    name: 'batchToSpaceND with crops',
    inputs: [{ shape: [12, 3, 3, 2] }],
    run: (x) =>
      tf.batchToSpaceND(
        x,
        [2, 3],
        [
          [1, 2],
          [0, 4],
        ],
      ),
    gradientOf: [0],
  },
  {
    name: 'batchToSpaceND with untouched axes',
    inputs: [{ shape: [4, 3, 2, 2], dtype: 'bool' }],
    run: (x) => tf.batchToSpaceND(x, [2], [[1, 0]]),
  },
  {
    name: 'spaceToBatchND of five axes, more than an op call holds',
    inputs: [{ shape: [2, 4, 6, 4, 2, 6] }],
    run: (x) =>
      tf.spaceToBatchND(
        x,
        [2, 3, 2, 2, 3],
        [
          [0, 0],
          [0, 0],
          [1, 1],
          [0, 0],
          [0, 0],
        ],
      ),
    gradientOf: [0],
  },
  {
    name: 'batchToSpaceND of five axes, more than an op call holds',
    inputs: [{ shape: [144, 2, 1, 3, 2, 2], dtype: 'int32' }],
    run: (x) =>
      tf.batchToSpaceND(
        x,
        [2, 3, 2, 2, 3],
        [
          [0, 1],
          [0, 0],
          [0, 0],
          [1, 0],
          [0, 0],
        ],
      ),
  },
  {
    name: 'transpose of ten axes',
    inputs: [{ shape: [2, 3, 1, 2, 2, 3, 2, 1, 2, 2] }],
    run: (x) => tf.transpose(x, [9, 0, 7, 1, 8, 3, 2, 5, 4, 6]),
  },
  {
    name: 'transpose of ten axes, most of them in place',
    inputs: [{ shape: [2, 1, 2, 1, 2, 3, 2, 1, 2, 2] }],
    run: (x) => tf.transpose(x, [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]),
  },
  {
    name: 'transpose of ten axes without elements',
    inputs: [{ shape: [2, 1, 2, 1, 0, 3, 2, 1, 2, 2] }],
    run: (x) => tf.transpose(x, [9, 0, 7, 1, 8, 3, 2, 5, 4, 6]),
  },
  {
    name: 'depthToSpace',
    inputs: [{ shape: [2, 3, 4, 12] }],
    run: (x) => tf.depthToSpace(x as tf.Tensor4D, 2),
  },
  {
    name: 'depthToSpace int32',
    inputs: [{ shape: [1, 2, 1, 9], dtype: 'int32' }],
    run: (x) => tf.engine().runKernel<tf.Tensor>('DepthToSpace', { x: x }, { blockSize: 3, dataFormat: 'NHWC' }),
  },
  { name: 'diag', inputs: [{ shape: [5] }], run: (x) => tf.diag(x) },
  { name: 'diag of a matrix', inputs: [{ shape: [2, 3], dtype: 'int32' }], run: (x) => tf.diag(x) },
  { name: 'diag bool', inputs: [{ shape: [4], dtype: 'bool' }], run: (x) => tf.diag(x) },
  {
    name: 'bitwiseAnd',
    inputs: [
      { shape: [300], dtype: 'int32', low: -1000, high: 1000 },
      { shape: [300], dtype: 'int32', low: -1000, high: 1000 },
    ],
    run: (x, y) => tf.bitwiseAnd(x, y),
  },
  {
    name: 'broadcastArgs',
    inputs: [
      { shape: [3], dtype: 'int32', values: [2, 1, 5] },
      { shape: [2], dtype: 'int32', values: [4, 1] },
    ],
    run: (a, b) => tf.broadcastArgs(a, b),
  },
];

describe('blocks and small kernels', () => {
  testOps(cases);

  it('moves channels first images as channels last ones', () => {
    tf.tidy(() => {
      const x = tf.range(0, 48).reshape<tf.Tensor4D>([2, 2, 3, 4]);
      const first = tf.transpose(x, [0, 3, 1, 2]);
      const expected = tf.transpose(tf.depthToSpace(x, 2), [0, 3, 1, 2]);
      const y = tf.depthToSpace(first, 2, 'NCHW');
      expect(y.shape).toEqual(expected.shape);
      expect([...y.dataSync()]).toEqual([...expected.dataSync()]);
    });
    expect(depthToSpace([1, 8, 2, 3], 2, 'NCHW').joined).toEqual([1, 2, 4, 6]);
  });
});

describe('multinomial', () => {
  it('draws a class that exists also from logits that are not finite', () => {
    const drawn = tf.multinomial(tf.tensor2d([NaN, 1, 1, -Infinity, Infinity, 1, NaN, NaN, NaN], [3, 3]), 50, 1).dataSync();
    expect([...drawn].every((index) => [0, 1, 2].includes(index))).toBe(true);
  });

  const logits = [Math.log(0.2), Math.log(0.5), Math.log(0.3)];

  it('draws the same samples from the same seed, others from another', () => {
    tf.tidy(() => {
      const draw = (seed: number): number[] => [...tf.multinomial(tf.tensor1d(logits), 200, seed).dataSync()];
      expect(draw(0.25)).toEqual(draw(0.25));
      expect(draw(0.25)).not.toEqual(draw(0.26));
      expect(draw(1)).not.toEqual(draw(2));
    });
  });

  it('takes normalized and unnormalized rows, each with samples of its own', () => {
    tf.tidy(() => {
      const rows = tf.tensor2d([logits, logits]);
      const drawn = tf.multinomial(rows, 5000, 3);
      const normalized = tf.multinomial(tf.softmax(rows), 5000, 3, true);
      expect(drawn.shape).toEqual([2, 5000]);
      expect(drawn.dtype).toBe('int32');
      const [first, second] = drawn.arraySync() as number[][];
      expect([...normalized.dataSync()]).toEqual([...first!, ...second!]);
      expect(first).not.toEqual(second);
      for (const row of [first!, second!]) {
        [0.2, 0.5, 0.3].forEach((probability, event) => {
          const share = row.filter((value) => value === event).length / row.length;
          // Four standard deviations of a share among 5000 draws; the seed is fixed.
          expect(Math.abs(share - probability)).toBeLessThan(4 * Math.sqrt((probability * (1 - probability)) / 5000));
        });
      }
    });
  });
});
