import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { EXACT, summation, testOps, type InputSpec, type OpCase } from '../support/op-cases.js';

function indices(shape: readonly number[], limit: number): InputSpec {
  return { shape, dtype: 'int32', low: 0, high: limit };
}

const cases: readonly OpCase[] = [
  {
    name: 'rows',
    inputs: [{ shape: [5, 3] }, indices([7], 5)],
    run: (x, i) => tf.gather(x, i),
    gradientOf: [0],
  },
  {
    name: 'columns',
    inputs: [{ shape: [5, 3] }, indices([4], 3)],
    run: (x, i) => tf.gather(x, i, 1),
    gradientOf: [0],
  },
  {
    name: 'middle axis',
    inputs: [{ shape: [2, 5, 3] }, indices([4], 5)],
    run: (x, i) => tf.gather(x, i, 1),
    gradientOf: [0],
  },
  { name: 'by a matrix', inputs: [{ shape: [6, 3] }, indices([2, 4], 6)], run: (x, i) => tf.gather(x, i) },
  { name: 'of 1-D', inputs: [{ shape: [9] }, indices([20], 9)], run: (x, i) => tf.gather(x, i) },
  { name: 'nothing', inputs: [{ shape: [9, 2] }, indices([0], 9)], run: (x, i) => tf.gather(x, i) },
  { name: 'of int32', inputs: [{ shape: [6, 3], dtype: 'int32' }, indices([4], 6)], run: (x, i) => tf.gather(x, i) },
  { name: 'of bool', inputs: [{ shape: [6, 3], dtype: 'bool' }, indices([4], 6)], run: (x, i) => tf.gather(x, i) },
  {
    name: 'with one batch dimension',
    inputs: [{ shape: [3, 5, 2] }, indices([3, 4], 5)],
    run: (x, i) => tf.gather(x, i, 1, 1),
  },
  {
    name: 'with batch dimension and another axis between',
    inputs: [{ shape: [3, 2, 5] }, indices([3, 4], 5)],
    run: (x, i) => tf.gather(x, i, 2, 1),
  },
  { name: 'from an embedding', inputs: [{ shape: [1000, 16] }, indices([8, 33], 1000)], run: (x, i) => tf.gather(x, i) },
];

const segments: readonly OpCase[] = [
  {
    name: 'unsortedSegmentSum',
    inputs: [{ shape: [9, 4] }, indices([9], 5)],
    run: (x, ids) => tf.unsortedSegmentSum(x, ids as tf.Tensor1D, 5),
    tolerance: summation(9, 2),
    gradientOf: [0],
  },
  {
    name: 'unsortedSegmentSum leaves out negative ids',
    inputs: [{ shape: [6] }, { shape: [6], dtype: 'int32', values: [0, -1, 2, 2, -5, 1] }],
    run: (x, ids) => tf.unsortedSegmentSum(x, ids as tf.Tensor1D, 4),
    tolerance: summation(6, 2),
  },
  ...(['float32', 'int32', 'bool'] as const).map((dtype) => ({
    name: `oneHot ${dtype}`,
    inputs: [{ shape: [3, 4], dtype: 'int32' as const, low: -1, high: 6 }],
    run: (i?: tf.Tensor) => tf.oneHot(i!, 5, 1, 0, dtype),
    tolerance: EXACT,
  })),
  { name: 'oneHot with own values', inputs: [indices([5], 4)], run: (i) => tf.oneHot(i, 4, 3.5, -1) },
];

describe('gather', () => {
  testOps(cases.map((opCase) => ({ ...opCase, name: `gather ${opCase.name}` })));

  it('names a wrong index at once when the host wrote it', () => {
    tf.tidy(() => {
      const x = tf.ones([4, 2]);
      for (const wrong of [4, -1]) {
        const list = tf.reshape(tf.tensor1d([0, wrong], 'int32'), [2, 1]);
        expect(() => tf.gather(x, list)).toThrow(
          expect.objectContaining({ code: 'E_INDEX', message: expect.stringContaining(`${wrong} is not in [0, 3]`) }),
        );
      }
    });
  });

  it('reports a wrong computed index at the next synchronisation', () => {
    tf.tidy(() => {
      const x = tf.ones([4, 2]);
      const computed = tf.add(tf.tensor1d([1, 2], 'int32'), tf.scalar(3, 'int32'));
      const y = tf.gather(x, computed);
      expect(() => y.dataSync()).toThrow(expect.objectContaining({ code: 'E_INDEX' }));
      // The engine goes on.
      expect([...tf.gather(x, tf.tensor1d([3], 'int32')).dataSync()]).toEqual([1, 1]);
    });
  });
});

describe('segments and one-hot', () => testOps(segments));
