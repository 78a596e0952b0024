import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { OURS, testOps, type OpCase } from '../support/op-cases.js';

const ranked = (x: tf.Tensor, k: number): tf.Tensor[] => {
  const { values, indices } = tf.topk(x, k);
  return [values, indices];
};

const cases: readonly OpCase[] = [
  { name: 'topk of a vector', inputs: [{ shape: [40] }], run: (x) => ranked(x, 5) },
  { name: 'topk of rows', inputs: [{ shape: [3, 4, 33] }], run: (x) => ranked(x, 7) },
  { name: 'topk of everything', inputs: [{ shape: [2, 600] }], run: (x) => ranked(x, 600) },
  { name: 'topk of nothing', inputs: [{ shape: [3, 5] }], run: (x) => ranked(x, 0) },
  { name: 'topk of int32 with ties', inputs: [{ shape: [4, 50], dtype: 'int32' }], run: (x) => ranked(x, 20) },
  { name: 'topk of bool', inputs: [{ shape: [2, 9], dtype: 'bool' }], run: (x) => ranked(x, 6) },
  {
    name: 'topk of infinities and zeros of both signs',
    inputs: [{ shape: [6], values: [0, -0, -Infinity, Infinity, 0, -1] }],
    run: (x) => ranked(x, 6),
  },
  ...(['left', 'right'] as const).map((side) => ({
    name: `searchSorted ${side}`,
    inputs: [
      { shape: [2, 6], values: [-2, -1, -1, 0, 1, 1.5, -1.5, -1.5, 0, 0, 0.5, 2] },
      { shape: [2, 5], values: [-3, -1, 1, 0, 9, -1.5, 0.5, 0, 2, 3] },
    ],
    run: (s?: tf.Tensor, v?: tf.Tensor) => tf.searchSorted(s!, v!, side),
  })),
  {
    name: 'lowerBound and upperBound',
    inputs: [
      { shape: [5], dtype: 'int32', values: [1, 3, 3, 5, 9] },
      { shape: [6], dtype: 'int32', values: [0, 1, 3, 4, 9, 10] },
    ],
    run: (s, v) => [tf.lowerBound(s, v), tf.upperBound(s, v)],
  },
];

describe('ranking and searching', () => {
  testOps(cases);

  it('ranks infinities as any other number, the lower index first', async () => {
    await tf.setBackend(OURS);
    const values = [Infinity, -Infinity, 0, 1, -1];
    // Every row of four of them.
    const rows = Array.from({ length: 5 ** 4 }, (_, i) => [0, 1, 2, 3].map((place) => values[Math.floor(i / 5 ** place) % 5]!));
    const ranked = tf.topk(tf.tensor2d(rows), 3);
    const order = rows.map((row) => [0, 1, 2, 3].sort((a, b) => (row[a] === row[b] ? a - b : row[a]! > row[b]! ? -1 : 1)));
    expect(ranked.indices.arraySync()).toEqual(order.map((places) => places.slice(0, 3)));
    expect(ranked.values.arraySync()).toEqual(rows.map((row, i) => order[i]!.slice(0, 3).map((place) => row[place])));
  });

  it('puts NaN last', async () => {
    await tf.setBackend(OURS);
    tf.tidy(() => {
      const [values, indices] = ranked(tf.tensor1d([NaN, 1, -Infinity, NaN, 3]), 5) as [tf.Tensor, tf.Tensor];
      expect([...values.dataSync()]).toEqual([3, 1, -Infinity, NaN, NaN]);
      expect([...indices.dataSync()]).toEqual([4, 1, 2, 0, 3]);
    });
  });
});

/** The result's shape depends on values, so it cannot be replayed: compared with the stock backend only. */
async function onBoth(run: () => tf.Tensor[]): Promise<unknown[]> {
  const read = (): unknown =>
    tf.tidy(() => run().map((tensor) => ({ shape: tensor.shape, dtype: tensor.dtype, values: tensor.arraySync() })));
  await tf.setBackend('cpu');
  const stock = read();
  await tf.setBackend(OURS);
  const before = tf.engine().backend.numDataIds();
  const ours = read();
  expect(tf.engine().backend.numDataIds(), 'data ids left behind').toBe(before);
  return [ours, stock];
}

describe('unique', () => {
  const pair = ({ values, indices }: { values: tf.Tensor; indices: tf.Tensor }): tf.Tensor[] => [values, indices];
  it.each<[string, () => tf.Tensor[]]>([
    ['of a vector', () => pair(tf.unique(tf.tensor1d([1, 1, 2, 4, 4, 4, 7, 8, 8, -0, 0, NaN, NaN])))],
    ['of int32', () => pair(tf.unique(tf.tensor1d([3, -1, 3, 5, -1], 'int32')))],
    ['of bool', () => pair(tf.unique(tf.tensor1d([true, false, true], 'bool')))],
    [
      'of rows',
      () =>
        pair(
          tf.unique(
            tf.tensor2d([
              [1, 0],
              [1, 0],
              [2, 0],
            ]),
            0,
          ),
        ),
    ],
    [
      'of columns',
      () =>
        pair(
          tf.unique(
            tf.tensor2d([
              [1, 0, 1],
              [2, 0, 2],
            ]),
            1,
          ),
        ),
    ],
    ['of the middle axis', () => pair(tf.unique(tf.tensor3d([1, 2, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8], [2, 3, 2]), 1))],
    ['of strings', () => pair(tf.unique(tf.tensor1d(['b', 'a', 'b', 'ä', ''])))],
    [
      'of rows of strings',
      () =>
        pair(
          tf.unique(
            tf.tensor2d([
              ['a', 'b'],
              ['c', 'a'],
              ['a', 'b'],
            ]),
            0,
          ),
        ),
    ],
  ])('%s', async (_, run) => {
    const [ours, stock] = await onBoth(run);
    expect(ours).toEqual(stock);
  });

  it('keeps strings apart whose bytes only join to the same', async () => {
    await tf.setBackend(OURS);
    tf.tidy(() => {
      const { indices } = tf.unique(
        tf.tensor2d([
          ['a', 'bc'],
          ['ab', 'c'],
        ]),
        0,
      );
      expect([...indices.dataSync()]).toEqual([0, 1]);
    });
  });

  it('is refused inside a recorded step', async () => {
    await tf.setBackend(OURS);
    const step = compile((x: tf.Tensor) => tf.unique(x).indices);
    const x = tf.tensor1d([1, 1, 2]);
    expect(() => step(x)).toThrow(expect.objectContaining({ code: 'E_RECORDING' }));
    step.dispose();
    x.dispose();
  });
});
