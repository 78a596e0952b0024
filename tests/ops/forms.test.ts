import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import '../../ts/index.js';
import { summation, testOps, type OpCase } from '../support/op-cases.js';

const OURS = 'tensorkiln-cpu';

/** Runs on the stock backend and on ours; both must agree, and ours must leave nothing behind. */
async function agree(run: () => tf.Tensor | tf.Tensor[]): Promise<void> {
  const read = (): unknown => {
    let read: unknown;
    tf.tidy(() => {
      const results = run();
      read = (Array.isArray(results) ? results : [results]).map((tensor) => ({
        shape: tensor.shape,
        dtype: tensor.dtype,
        values: Array.from(tensor.dataSync() as ArrayLike<unknown>),
      }));
    });
    return read;
  };
  await tf.setBackend('cpu');
  const stock = read();
  await tf.setBackend(OURS);
  const before = tf.engine().backend.numDataIds();
  expect(read()).toEqual(stock);
  expect(tf.engine().backend.numDataIds(), 'data ids left behind').toBe(before);
}

const words = (): tf.Tensor2D =>
  tf.tensor2d([
    ['a', 'ä', 'c'],
    ['', 'zwei', 'c'],
  ]);

describe('strings', () => {
  it.each<[string, () => tf.Tensor | tf.Tensor[]]>([
    ['concat', () => tf.concat([words(), words()], 1)],
    ['slice', () => tf.slice(words(), [0, 1], [2, 2])],
    ['stridedSlice', () => tf.stridedSlice(words(), [0, 0], [2, 3], [1, 2])],
    ['tile', () => tf.tile(words(), [2, 2])],
    ['stack and unstack', () => tf.unstack(tf.stack([words(), words()], 1), 2)],
    ['reshape and expandDims', () => tf.expandDims(tf.reshape(words(), [3, 2]), 1)],
    ['compared', () => [tf.equal(words(), 'c'), tf.notEqual(words(), 'c')]],
    ['ordered', () => [tf.less(words(), 'c'), tf.lessEqual(words(), 'c'), tf.greater(words(), 'c')]],
    ['split at delimiters', () => Object.values(tf.string.stringSplit(['a b', '', ' c,d '], ' ,'))],
    ['split at none', () => Object.values(tf.string.stringSplit(['ab', 'c'], '', false))],
    ['hashed', () => tf.string.stringToHashBucketFast(['one', 'two', '', 'drei'], 1000)],
    ['replaced', () => tf.string.staticRegexReplace(tf.tensor1d(['abab', 'b']), 'b', '<$&>', false)],
    [
      'as n-grams',
      () => {
        const splits = tf.tensor1d([0, 3, 3, 4], 'int32');
        return Object.values(tf.string.stringNGrams(['a', 'b', 'c', 'd'], splits, '|', [2, 3], 'L', 'R', 1, true));
      },
    ],
  ])('%s', (_, run) => agree(run));

  // The functions of tfjs-core refuse strings here; converted graph models call the kernels.
  it('are moved by kernels', async () => {
    await tf.setBackend(OURS);
    const kernel = (name: string, inputs: tf.NamedTensorMap, attrs: object): unknown =>
      tf
        .engine()
        .runKernel<tf.Tensor>(name, inputs, attrs as tf.NamedAttrMap)
        .arraySync();
    tf.tidy(() => {
      expect(kernel('Reverse', { x: words() }, { dims: 1 })).toEqual([
        ['c', 'ä', 'a'],
        ['c', 'zwei', ''],
      ]);
      expect(kernel('Transpose', { x: words() }, { perm: [1, 0] })).toEqual([
        ['a', ''],
        ['ä', 'zwei'],
        ['c', 'c'],
      ]);
      const indices = tf.tensor1d([2, 0], 'int32');
      expect(kernel('GatherV2', { x: words(), indices }, { axis: 1, batchDims: 0 })).toEqual([
        ['c', 'a'],
        ['c', ''],
      ]);
    });
  });
});

const z = (): tf.Tensor => tf.complex(tf.tensor2d([[1, 2, 3]]), tf.tensor2d([[-1, 0, 0.5]]));
const w = (): tf.Tensor => tf.complex(tf.tensor2d([[2], [-1]]), tf.tensor2d([[3], [4]]));

/** A case on two complex numbers of shapes [1, 3] and [2, 1], given and judged by their real and imaginary parts. */
const complexCase = (name: string, run: (z: tf.Tensor, w: tf.Tensor) => tf.Tensor, parts = 2): OpCase => ({
  name,
  inputs: [
    [1, 3],
    [1, 3],
    [2, 1],
    [2, 1],
  ].map((shape) => ({ shape })),
  run: (re, im, otherRe, otherIm) => {
    const result = run(tf.complex(re, im), tf.complex(otherRe, otherIm));
    return parts === 1 ? result : [tf.real(result), tf.imag(result)];
  },
});

describe('complex numbers', () => {
  testOps([
    complexCase('add, broadcast', (a, b) => tf.add(a, b)),
    complexCase('add a real tensor', (a) => tf.add(a, tf.tensor1d([5, 6, 7]))),
    complexCase('sub', (a, b) => tf.sub(b, a)),
    // The stock backend multiplies in double; ours rounds both products and their sum.
    { ...complexCase('mul', (a, b) => tf.mul(a, b)), tolerance: summation(2, 4) },
    complexCase('concat', (a) => tf.concat([a, a], 0)),
    complexCase('cast to complex', () => tf.cast(tf.tensor1d([1, 2], 'int32'), 'complex64')),
    complexCase('cast to float32', (a) => tf.cast(a, 'float32'), 1),
    complexCase('reshape and clone', (a) => tf.reshape(a.clone(), [3, 1])),
    complexCase('zerosLike', (a) => tf.zerosLike(a)),
  ]);

  it('are moved part by part', async () => {
    await tf.setBackend(OURS);
    tf.tidy(() => {
      const turned = tf.reverse(tf.transpose(z()), 0);
      expect(turned.shape).toEqual([3, 1]);
      expect([...tf.real(turned).dataSync()]).toEqual([3, 2, 1]);
      expect([...tf.imag(turned).dataSync()]).toEqual([0.5, 0, -1]);
    });
  });

  it('have no order', async () => {
    await tf.setBackend(OURS);
    tf.tidy(() => {
      expect(() => tf.maximum(z(), w())).toThrow(expect.objectContaining({ code: 'E_DTYPE' }));
    });
  });
});

describe('ragged tensors', () => {
  it.each<[string, () => tf.Tensor | tf.Tensor[]]>([
    [
      'raggedRange',
      () => {
        const limits = tf.tensor1d([2.5, 5, -1]);
        const { rtNestedSplits, rtDenseValues } = tf.raggedRange(tf.tensor1d([0, 5, 8]), limits, tf.tensor1d([0.5, 1, -3]));
        return [rtNestedSplits!, rtDenseValues!];
      },
    ],
    [
      'raggedGather',
      () => {
        const splits = [tf.tensor1d([0, 2, 4], 'int32'), tf.tensor1d([0, 1, 3, 3, 5], 'int32')];
        const indices = tf.tensor2d([[1, 0, 1]], [1, 3], 'int32');
        const result = tf.raggedGather(splits, tf.range(0, 10).reshape([5, 2]), indices, 2);
        return [...result.outputNestedSplits, result.outputDenseValues];
      },
    ],
    [
      'raggedTensorToTensor',
      () => {
        const partitions = [tf.scalar(4, 'int32'), tf.tensor1d([0, 0, 0, 2, 2, 3], 'int32')];
        const values = tf.tensor1d([1, 2, 3, 4, 5, 6]);
        const types = ['FIRST_DIM_SIZE', 'VALUE_ROWIDS'];
        return tf.raggedTensorToTensor(tf.tensor1d([4, 2], 'int32'), values, tf.scalar(-1), partitions, types);
      },
    ],
  ])('%s', (_, run) => agree(run));
});
