import * as tf from '@tensorflow/tfjs-core';
import { describe } from 'vitest';
import { EXACT, summation, testOps, type OpCase } from '../support/op-cases.js';

type Shape5 = [number, number, number, number, number];
type Triple = [number, number, number];

interface Geometry {
  readonly input: Shape5;
  readonly filter: Shape5;
  readonly strides?: Triple;
  readonly pad?: 'valid' | 'same';
  readonly dilations?: Triple;
}

const GEOMETRIES: readonly Geometry[] = [
  { input: [1, 1, 1, 1, 1], filter: [1, 1, 1, 1, 1] },
  { input: [2, 4, 5, 3, 3], filter: [1, 1, 1, 3, 4] },
  { input: [2, 5, 4, 6, 2], filter: [3, 2, 3, 2, 5] },
  { input: [1, 5, 4, 6, 3], filter: [3, 3, 2, 3, 4], pad: 'same' },
  { input: [1, 7, 6, 5, 2], filter: [3, 3, 3, 2, 3], strides: [2, 1, 2], pad: 'same' },
  { input: [1, 4, 5, 4, 17], filter: [2, 2, 2, 17, 9] },
  { input: [0, 4, 4, 4, 2], filter: [2, 2, 2, 2, 3] },
];

const convolutions: readonly OpCase[] = GEOMETRIES.map((geometry) => {
  const { input, filter, strides = [1, 1, 1], pad = 'valid' } = geometry;
  return {
    name: `conv3d ${JSON.stringify(geometry)}`,
    inputs: [{ shape: input }, { shape: filter }],
    run: (x?: tf.Tensor, f?: tf.Tensor) => tf.conv3d(x as tf.Tensor5D, f as tf.Tensor5D, strides, pad),
    tolerance: summation(filter[0] * filter[1] * filter[2] * filter[3], 4),
    gradientOf: input[0] > 0 ? [0, 1] : [],
  };
});

const conv3DExtras: readonly OpCase[] = [
  {
    name: 'conv3d with dilations',
    inputs: [{ shape: [1, 7, 6, 7, 2] }, { shape: [3, 2, 3, 2, 3] }],
    run: (x, f) => tf.conv3d(x as tf.Tensor5D, f as tf.Tensor5D, 1, 'same', 'NDHWC', [2, 3, 1]),
    tolerance: summation(36, 4),
  },
  {
    name: 'conv3d of int32',
    inputs: [
      { shape: [1, 3, 3, 3, 2], dtype: 'int32' },
      { shape: [2, 2, 2, 2, 2], dtype: 'int32' },
    ],
    run: (x, f) => tf.conv3d(x as tf.Tensor5D, f as tf.Tensor5D, 1, 'valid'),
  },
  {
    name: 'conv3dTranspose',
    inputs: [{ shape: [1, 3, 3, 3, 4] }, { shape: [2, 2, 2, 3, 4] }],
    run: (x, f) => tf.conv3dTranspose(x as tf.Tensor5D, f as tf.Tensor5D, [1, 6, 6, 6, 3], 2, 'same'),
    tolerance: summation(32, 4),
  },
];

interface Pool {
  readonly input: Shape5;
  readonly window: number | Triple;
  readonly strides: number | Triple;
  readonly pad: 'valid' | 'same' | number;
  /** The stock MaxPool3DGrad finds maxima only in windows whose height and width are equal. */
  readonly compareGradient: boolean;
}

const POOLS: readonly Pool[] = [
  { input: [1, 4, 4, 4, 1], window: 2, strides: 2, pad: 'valid', compareGradient: true },
  { input: [2, 5, 6, 4, 3], window: [3, 2, 2], strides: [1, 2, 1], pad: 'valid', compareGradient: true },
  { input: [2, 5, 6, 4, 9], window: 3, strides: 2, pad: 'same', compareGradient: true },
  { input: [1, 5, 5, 5, 2], window: 3, strides: 2, pad: 1, compareGradient: true },
  { input: [1, 5, 6, 7, 2], window: [2, 1, 3], strides: 1, pad: 'same', compareGradient: false },
  { input: [1, 3, 4, 5, 2], window: 1, strides: 1, pad: 'valid', compareGradient: true },
  { input: [0, 4, 4, 4, 2], window: 2, strides: 2, pad: 'valid', compareGradient: false },
];

const pools: readonly OpCase[] = POOLS.flatMap(({ input, window, strides, pad, compareGradient }) => {
  const title = JSON.stringify({ input, window, strides, pad });
  const [d, h, w] = typeof window === 'number' ? [window, window, window] : window;
  const gradient = (op: 'maxPool3d' | 'avgPool3d') => (x?: tf.Tensor) =>
    tf.grad((value) => tf.sum(tf.square(tf[op](value as tf.Tensor5D, window, strides, pad))))(x!);
  const cases: OpCase[] = [
    {
      name: `maxPool3d ${title}`,
      inputs: [{ shape: input }],
      run: (x) => tf.maxPool3d(x as tf.Tensor5D, window, strides, pad),
      tolerance: EXACT,
    },
    {
      name: `avgPool3d ${title}`,
      inputs: [{ shape: input }],
      run: (x) => tf.avgPool3d(x as tf.Tensor5D, window, strides, pad),
      tolerance: summation(d * h * w, 2),
    },
    {
      name: `avgPool3d gradient ${title}`,
      inputs: [{ shape: input }],
      run: gradient('avgPool3d'),
      // Up to d*h*w windows add twice their mean over the window.
      tolerance: summation(d * h * w, 8),
    },
  ];
  if (compareGradient) {
    cases.push({
      name: `maxPool3d gradient ${title}`,
      inputs: [{ shape: input }],
      run: gradient('maxPool3d'),
      tolerance: summation(d * h * w, 8),
    });
  }
  return cases;
});

const poolExtras: readonly OpCase[] = [
  {
    name: 'maxPool3d gradient of a window of unequal sides, against differences',
    inputs: [{ shape: [1, 4, 4, 6, 2], values: Array.from({ length: 192 }, (_, i) => ((i * 37) % 101) / 10) }],
    run: (x) => tf.maxPool3d(x as tf.Tensor5D, [2, 1, 3], [2, 1, 3], 'valid'),
    gradientOf: [0],
  },
  {
    name: 'maxPool3d of int32 gives float32',
    inputs: [{ shape: [1, 4, 4, 4, 2], dtype: 'int32' }],
    run: (x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, 'valid'),
  },
  {
    name: 'MaxPool3DGrad gives ties to the last',
    inputs: [{ shape: [1, 1, 2, 2, 1] }, { shape: [1, 2, 4, 4, 1], values: [1, 1, 0, 2, 1, 1, 2, 0] }],
    run: (dy, input) =>
      tf.engine().runKernel('MaxPool3DGrad', { dy, input, output: dy }, { filterSize: 2, strides: 2, pad: 'valid' }),
  },
];

describe('3-D convolution', () => testOps([...convolutions, ...conv3DExtras]));
describe('3-D pooling', () => testOps([...pools, ...poolExtras]));
