import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { OURS, summation, testOps, type InputSpec, type OpCase } from '../support/op-cases.js';

function indices(shape: readonly number[], limit: number): InputSpec {
  return { shape, dtype: 'int32', low: 0, high: limit };
}

const gatherCases: readonly OpCase[] = [
  { name: 'rows', inputs: [{ shape: [5, 3] }, indices([4, 1], 5)], run: (x, i) => tf.gatherND(x, i) },
  { name: 'elements', inputs: [{ shape: [3, 4] }, indices([2, 5, 2], 3)], run: (x, i) => tf.gatherND(x, i) },
  { name: 'of rank 3', inputs: [{ shape: [4, 3, 2] }, indices([6, 2], 3)], run: (x, i) => tf.gatherND(x, i) },
  { name: 'of int32', inputs: [{ shape: [5, 2], dtype: 'int32' }, indices([3, 1], 5)], run: (x, i) => tf.gatherND(x, i) },
  { name: 'of bool', inputs: [{ shape: [6], dtype: 'bool' }, indices([3, 1], 6)], run: (x, i) => tf.gatherND(x, i) },
  {
    name: 'by a single tuple',
    inputs: [{ shape: [3, 4] }, { shape: [2], dtype: 'int32', values: [2, 1] }],
    run: (x, i) => tf.gatherND(x, i),
  },
];

const scatterCases: readonly OpCase[] = [
  {
    name: 'scatterND adds where indices repeat',
    inputs: [indices([9, 1], 4), { shape: [9, 3] }],
    run: (i, u) => tf.scatterND(i, u, [5, 3]),
    tolerance: summation(9, 2),
  },
  {
    name: 'scatterND of elements',
    inputs: [indices([6, 2], 4), { shape: [6], dtype: 'int32' }],
    run: (i, u) => tf.scatterND(i, u, [4, 4]),
  },
  {
    name: 'tensorScatterUpdate, the last one wins',
    inputs: [{ shape: [6, 2] }, indices([8, 1], 6), { shape: [8, 2] }],
    run: (x, i, u) => tf.tensorScatterUpdate(x, i, u),
  },
  {
    name: 'tensorScatterUpdate of bool elements',
    inputs: [{ shape: [3, 3], dtype: 'bool' }, indices([4, 2], 3), { shape: [4], dtype: 'bool' }],
    run: (x, i, u) => tf.tensorScatterUpdate(x, i, u),
  },
  {
    name: 'sparseToDense',
    inputs: [indices([4, 2], 5), { shape: [4] }, { shape: [], values: [7.5] }],
    run: (i, v, d) => tf.sparseToDense(i, v, [5, 6], d as tf.Scalar),
  },
  {
    name: 'sparseToDense of one value for all',
    inputs: [indices([4], 9), { shape: [], dtype: 'int32', values: [3] }, { shape: [], dtype: 'int32', values: [-1] }],
    run: (i, v, d) => tf.sparseToDense(i, v, [9], d as tf.Scalar),
  },
];

const countCases: readonly OpCase[] = [
  {
    name: 'bincount',
    inputs: [indices([50], 12), { shape: [0], dtype: 'int32' }],
    run: (x, w) => tf.bincount(x as tf.Tensor1D, w as tf.Tensor1D, 9),
  },
  {
    name: 'bincount with weights',
    inputs: [indices([50], 12), { shape: [50] }],
    run: (x, w) => tf.bincount(x as tf.Tensor1D, w as tf.Tensor1D, 9),
  },
  {
    name: 'denseBincount by row',
    inputs: [indices([4, 20], 7), { shape: [4, 20] }],
    run: (x, w) => tf.denseBincount(x as tf.Tensor2D, w as tf.Tensor2D, 5),
  },
  {
    name: 'denseBincount by row, binary',
    inputs: [indices([4, 20], 7), { shape: [0, 0] }],
    run: (x, w) => tf.denseBincount(x as tf.Tensor2D, w as tf.Tensor2D, 9, true),
  },
];

describe('gatherND', () => testOps(gatherCases));
describe('scatter', () => testOps(scatterCases));
describe('counts', () => testOps(countCases));

describe('wrong indices', () => {
  it('are named at once when the host wrote them', async () => {
    await tf.setBackend(OURS);
    tf.tidy(() => {
      const wrong = tf.tensor2d(
        [
          [0, 1],
          [2, 2],
        ],
        [2, 2],
        'int32',
      );
      const error = expect.objectContaining({
        code: 'E_INDEX',
        message: expect.stringContaining('2,2 does not index into 2,3'),
      });
      expect(() => tf.gatherND(tf.ones([2, 3]), wrong)).toThrow(error);
      expect(() => tf.scatterND(wrong, tf.ones([2]), [2, 3])).toThrow(error);
      expect(() => tf.bincount(tf.tensor1d([1, -1], 'int32'), tf.tensor1d([]), 3)).toThrow(/non-negative/);
    });
  });

  it('that were computed are reported at the next synchronisation', async () => {
    await tf.setBackend(OURS);
    tf.tidy(() => {
      const computed = tf.add(tf.tensor2d([[1], [2]], [2, 1], 'int32'), tf.scalar(2, 'int32'));
      expect(() => tf.gatherND(tf.ones([4, 2]), computed).dataSync()).toThrow(expect.objectContaining({ code: 'E_INDEX' }));
      expect([...tf.gatherND(tf.ones([5, 1]), computed).dataSync()]).toEqual([1, 1]);
    });
  });
});

/** What cannot be replayed, because shapes depend on values or strings live on the host. */
const hostCases: readonly (readonly [string, () => tf.Tensor[]])[] = [
  [
    'sparseSegmentSum and Mean',
    () => {
      const [data, rows, ids] = [
        tf.range(0, 12).reshape([4, 3]),
        tf.tensor1d([0, 3, 1, 1], 'int32'),
        tf.tensor1d([0, 0, 2, 2], 'int32'),
      ];
      return [tf.sparse.sparseSegmentSum(data, rows, ids), tf.sparse.sparseSegmentMean(data, rows, ids)];
    },
  ],
  [
    'sparseSegmentMean of int32 cuts towards zero',
    () => [
      tf.sparse.sparseSegmentMean(
        tf.tensor1d([-3, -4, 5, 2], 'int32'),
        tf.tensor1d([0, 1, 2, 3], 'int32'),
        tf.tensor1d([0, 0, 1, 1], 'int32'),
      ),
    ],
  ],
  [
    'sparseFillEmptyRows',
    () => {
      const result = tf.sparse.sparseFillEmptyRows(
        tf.tensor2d(
          [
            [2, 1],
            [0, 3],
            [2, 0],
          ],
          [3, 2],
          'int32',
        ),
        tf.tensor1d([1.5, 2.5, 3.5]),
        tf.tensor1d([5, 6], 'int32'),
        tf.scalar(-1),
      );
      return [result.outputIndices!, result.outputValues!, result.emptyRowIndicator!, result.reverseIndexMap!];
    },
  ],
  [
    'sparseReshape',
    () => {
      const result = tf.sparse.sparseReshape(
        tf.tensor2d(
          [
            [0, 0, 1],
            [1, 2, 0],
            [1, 2, 3],
          ],
          [3, 3],
          'int32',
        ),
        tf.tensor1d([2, 3, 4], 'int32'),
        tf.tensor1d([8, -1], 'int32'),
      );
      return [result.outputIndices!, result.outputShape!];
    },
  ],
  ['scatter of strings', () => [tf.sparseToDense(tf.tensor1d([1, 3], 'int32'), tf.tensor1d(['a', 'b']), [4], tf.scalar('-'))]],
  [
    'gatherND of strings',
    () => [
      tf.gatherND(
        tf.tensor2d([
          ['a', 'b'],
          ['c', 'd'],
        ]),
        tf.tensor2d(
          [
            [1, 0],
            [0, 1],
          ],
          [2, 2],
          'int32',
        ),
      ),
    ],
  ],
];

describe('on the host', () => {
  it.each(hostCases)('%s', async (_, run) => {
    const read = (): unknown =>
      tf.tidy(() => run().map((tensor) => ({ shape: tensor.shape, dtype: tensor.dtype, values: tensor.arraySync() })));
    await tf.setBackend('cpu');
    const stock = read();
    await tf.setBackend(OURS);
    const before = tf.engine().backend.numDataIds();
    expect(read()).toEqual(stock);
    expect(tf.engine().backend.numDataIds(), 'data ids left behind').toBe(before);
  });
});
