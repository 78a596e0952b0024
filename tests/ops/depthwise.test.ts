import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { OURS, summation, testOps, type OpCase } from '../support/op-cases.js';

type Shape4 = [number, number, number, number];

interface Geometry {
  readonly input: Shape4;
  readonly filter: Shape4;
  readonly strides?: number;
  readonly pad?: 'valid' | 'same' | number;
  readonly dilations?: number;
}

const GEOMETRIES: readonly Geometry[] = [
  { input: [1, 1, 1, 1], filter: [1, 1, 1, 1] },
  { input: [2, 7, 6, 3], filter: [3, 3, 3, 1], pad: 'same' },
  { input: [2, 7, 9, 17], filter: [3, 2, 17, 1] },
  { input: [2, 8, 9, 8], filter: [3, 3, 8, 1], strides: 2, pad: 'same' },
  { input: [1, 8, 8, 3], filter: [3, 3, 3, 4], pad: 1 },
  { input: [1, 9, 8, 2], filter: [5, 3, 2, 3], strides: 3 },
  { input: [0, 5, 5, 2], filter: [3, 3, 2, 2] },
];

function depthwise({ strides = 1, pad = 'valid', dilations = 1 }: Geometry): OpCase['run'] {
  return (x, filter) =>
    tf.depthwiseConv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad, 'NHWC', [dilations, dilations]);
}

const plain: readonly OpCase[] = GEOMETRIES.map((geometry) => ({
  name: `depthwiseConv2d ${JSON.stringify(geometry)}`,
  inputs: [{ shape: geometry.input }, { shape: geometry.filter }],
  run: depthwise(geometry),
  tolerance: summation(geometry.filter[0] * geometry.filter[1], 4),
  // tfjs-core's gradient refuses padding given as a number of rows with strides; the rest is checked.
  gradientOf: geometry.input[0] > 0 ? [0, 1] : [],
}));

const dilated: readonly OpCase[] = [2, 3].map((dilations) => {
  const geometry: Geometry = { input: [1, 9, 8, 5], filter: [3, 2, 5, 2], pad: 'same', dilations };
  return {
    name: `depthwiseConv2d ${JSON.stringify(geometry)}`,
    inputs: [{ shape: geometry.input }, { shape: geometry.filter }],
    run: depthwise(geometry),
    tolerance: summation(6, 4),
  };
});

/** The gradient kernels themselves against the stock ones, for a part of the input that is never seen. */
const backprop: readonly OpCase[] = [
  {
    name: 'DepthwiseConv2dNativeBackpropInput',
    inputs: [{ shape: [2, 3, 3, 6] }, { shape: [3, 3, 3, 2] }],
    run: (dy, filter) =>
      tf
        .engine()
        .runKernel(
          'DepthwiseConv2dNativeBackpropInput',
          { dy, filter },
          { strides: [2, 2], pad: 'valid', dilations: [1, 1], inputShape: [2, 8, 7, 3] },
        ),
    tolerance: summation(18, 4),
  },
  {
    name: 'DepthwiseConv2dNativeBackpropFilter',
    inputs: [{ shape: [2, 8, 7, 3] }, { shape: [2, 3, 3, 6] }],
    run: (x, dy) =>
      tf
        .engine()
        .runKernel(
          'DepthwiseConv2dNativeBackpropFilter',
          { x, dy },
          { strides: [2, 2], pad: 'valid', dilations: [1, 1], filterShape: [3, 3, 3, 2] },
        ),
    tolerance: summation(18, 4),
  },
];

const fused: readonly OpCase[] = (['linear', 'relu', 'relu6', 'prelu'] as const).map((activation) => ({
  name: `fused depthwiseConv2d with bias and ${activation}`,
  inputs: [{ shape: [2, 6, 5, 3] }, { shape: [3, 3, 3, 2] }, { shape: [6] }, { shape: [6] }],
  run: (x?: tf.Tensor, filter?: tf.Tensor, bias?: tf.Tensor, alpha?: tf.Tensor) =>
    tf.fused.depthwiseConv2d({
      x: x as tf.Tensor4D,
      filter: filter as tf.Tensor4D,
      strides: 1,
      pad: 'same',
      bias: bias!,
      activation,
      ...(activation === 'prelu' ? { preluActivationWeights: alpha! } : {}),
    }),
  tolerance: summation(10, 4),
}));

describe('depthwise convolution', () => {
  testOps([...plain, ...dilated, ...backprop, ...fused]);

  it('takes channels first, which the stock backend reads as channels last', async () => {
    await tf.setBackend(OURS);
    const [x, filter] = [tf.randomNormal<tf.Rank.R4>([2, 3, 6, 5], 0, 1, 'float32', 7), tf.ones<tf.Rank.R4>([3, 3, 3, 2])];
    const first = tf.depthwiseConv2d(x, filter, 1, 'same', 'NCHW');
    const last = tf.depthwiseConv2d(tf.transpose(x, [0, 2, 3, 1]), filter, 1, 'same');
    expect([...first.dataSync()]).toEqual([...tf.transpose(last, [0, 3, 1, 2]).dataSync()]);
  });

  it('refuses strides together with dilations, and other channels', async () => {
    await tf.setBackend(OURS);
    const x = tf.ones<tf.Rank.R4>([1, 6, 6, 2]);
    expect(() => tf.depthwiseConv2d(x, tf.ones([2, 2, 2, 1]), 2, 'valid', 'NHWC', 2)).toThrow(/either strides or dilations/i);
    const attrs = { strides: 1, pad: 'valid', dilations: 1 };
    expect(() => tf.engine().runKernel('DepthwiseConv2dNative', { x, filter: tf.ones([2, 2, 3, 1]) }, attrs)).toThrow(
      expect.objectContaining({ code: 'E_SHAPE' }),
    );
  });
});
