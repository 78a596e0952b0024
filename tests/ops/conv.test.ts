import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { EXACT, summation, testOps, type OpCase } from '../support/op-cases.js';

type Shape4 = readonly [number, number, number, number];
type Padding = 'valid' | 'same' | number | [[0, 0], [number, number], [number, number], [0, 0]];

interface Geometry {
  readonly input: Shape4;
  readonly filter: Shape4;
  readonly strides?: [number, number];
  readonly pad?: Padding;
  readonly dilations?: [number, number];
}

const GEOMETRIES: readonly Geometry[] = [
  { input: [1, 1, 1, 1], filter: [1, 1, 1, 1] },
  { input: [2, 5, 6, 3], filter: [1, 1, 3, 4] },
  { input: [2, 7, 6, 3], filter: [3, 3, 3, 5] },
  { input: [2, 7, 6, 3], filter: [3, 2, 3, 5], pad: 'same' },
  { input: [1, 8, 9, 2], filter: [3, 3, 2, 4], strides: [2, 2], pad: 'same' },
  { input: [1, 9, 8, 2], filter: [5, 3, 2, 4], strides: [2, 3] },
  { input: [1, 8, 8, 2], filter: [3, 3, 2, 4], pad: 1 },
  {
    input: [1, 6, 7, 2],
    filter: [3, 3, 2, 3],
    pad: [
      [0, 0],
      [1, 2],
      [0, 1],
      [0, 0],
    ],
  },
  { input: [3, 14, 14, 1], filter: [5, 5, 1, 8], pad: 'same' },
  { input: [1, 12, 12, 16], filter: [3, 3, 16, 17] },
  { input: [0, 5, 5, 2], filter: [3, 3, 2, 2] },
];

const DILATED: readonly Geometry[] = [
  { input: [1, 9, 9, 2], filter: [3, 3, 2, 3], dilations: [2, 2] },
  { input: [1, 9, 9, 2], filter: [3, 3, 2, 3], dilations: [1, 3], pad: 'same' },
];

/** Sums of window times channels products of up to 4. */
function tolerance({ filter: [height, width, channels] }: Geometry): ReturnType<typeof summation> {
  return summation(height * width * channels, 4);
}

function describeGeometry({ input, filter, strides, pad, dilations }: Geometry): string {
  return `[${input.join(', ')}] by [${filter.join(', ')}] ${JSON.stringify({ strides, pad, dilations })}`;
}

function conv(geometry: Geometry, format: 'NHWC' | 'NCHW'): OpCase['run'] {
  const { strides = [1, 1], pad = 'valid', dilations = [1, 1] } = geometry;
  return (x, filter) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad, format, dilations);
}

const forward = [...GEOMETRIES, ...DILATED].map((geometry) => ({
  name: `conv2d ${describeGeometry(geometry)}`,
  inputs: [{ shape: geometry.input }, { shape: geometry.filter }],
  run: conv(geometry, 'NHWC'),
  tolerance: tolerance(geometry),
}));

const gradients = GEOMETRIES.slice(1, 8).map((geometry) => ({
  name: `conv2d gradients ${describeGeometry(geometry)}`,
  inputs: [{ shape: geometry.input }, { shape: geometry.filter }],
  run: conv(geometry, 'NHWC'),
  tolerance: tolerance(geometry),
  gradientOf: [0, 1],
}));

const channelsFirst = GEOMETRIES.slice(2, 7).map((geometry) => {
  const [n, h, w, c] = geometry.input;
  return {
    name: `conv2d channels first ${describeGeometry(geometry)}`,
    inputs: [{ shape: [n, c, h, w] }, { shape: geometry.filter }],
    run: conv(geometry, 'NCHW'),
    tolerance: tolerance(geometry),
    gradientOf: geometry.pad === 1 ? [] : [0, 1],
  };
});

/** The gradient kernels themselves against the stock ones, for geometries where a part of the input is never seen. */
const backprop: readonly OpCase[] = (['NHWC', 'NCHW'] as const).flatMap((dataFormat) => {
  const inputShape = dataFormat === 'NHWC' ? [2, 8, 7, 3] : [2, 3, 8, 7];
  const dyShape = dataFormat === 'NHWC' ? [2, 3, 3, 4] : [2, 4, 3, 3];
  const attrs = { strides: [2, 2], pad: 'valid', dataFormat };
  return [
    {
      name: `Conv2DBackpropInput ${dataFormat}`,
      inputs: [{ shape: dyShape }, { shape: [3, 3, 3, 4] }],
      run: (dy?: tf.Tensor, filter?: tf.Tensor) =>
        tf
          .engine()
          .runKernel('Conv2DBackpropInput', { dy: dy!, filter: filter! }, { ...attrs, inputShape }) as unknown as tf.Tensor,
      tolerance: summation(36, 4),
    },
    {
      name: `Conv2DBackpropFilter ${dataFormat}`,
      inputs: [{ shape: inputShape }, { shape: dyShape }],
      run: (x?: tf.Tensor, dy?: tf.Tensor) =>
        tf
          .engine()
          .runKernel(
            'Conv2DBackpropFilter',
            { x: x!, dy: dy! },
            { ...attrs, filterShape: [3, 3, 3, 4] },
          ) as unknown as tf.Tensor,
      tolerance: summation(18, 4),
    },
  ];
});

/** tf.conv2dTranspose of an image that is larger than the output: the stock backend uses its upper left part. */
const larger: OpCase = {
  name: 'conv2dTranspose of an image larger than needed',
  inputs: [{ shape: [1, 8, 8, 3] }, { shape: [4, 4, 2, 3] }],
  run: (x, filter) => tf.conv2dTranspose(x as tf.Tensor4D, filter as tf.Tensor4D, [1, 5, 5, 2], 1, 'same'),
  tolerance: summation(48, 4),
};

/** Explicit paddings come in the order of the format. */
const explicitChannelsFirst: OpCase = {
  name: 'conv2d channels first with explicit paddings',
  inputs: [{ shape: [1, 2, 6, 7] }, { shape: [3, 3, 2, 3] }],
  run: (x, filter) => {
    const pad: [[number, number], [number, number], [number, number], [number, number]] = [
      [0, 0],
      [0, 0],
      [1, 2],
      [0, 1],
    ];
    return tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, pad, 'NCHW');
  },
  tolerance: summation(18, 4),
};

const fused: readonly OpCase[] = (['NHWC', 'NCHW'] as const).flatMap((dataFormat) =>
  (['linear', 'relu', 'prelu'] as const).map((activation) => ({
    name: `fused conv2d ${dataFormat} with bias and ${activation}`,
    inputs: [
      { shape: dataFormat === 'NHWC' ? [2, 6, 5, 3] : [2, 3, 6, 5] },
      { shape: [3, 3, 3, 4] },
      { shape: [4] },
      // tfjs-core accepts only a vector of weights with channels first.
      { shape: dataFormat === 'NHWC' ? [4, 3, 4] : [4] },
    ],
    run: (x?: tf.Tensor, filter?: tf.Tensor, bias?: tf.Tensor, alpha?: tf.Tensor) =>
      tf.fused.conv2d({
        x: x as tf.Tensor4D,
        filter: filter as tf.Tensor4D,
        strides: 1,
        pad: 'valid',
        dataFormat,
        bias: bias!,
        activation,
        ...(activation === 'prelu' ? { preluActivationWeights: alpha! } : {}),
      }),
    tolerance: summation(27, 4),
  })),
);

/** tfjs-core checks these weights against an output computed as if channels were last, so sizes are chosen to fit both. */
const fusedChannelsFirst: readonly OpCase[] = [
  [2, 1, 1],
  [2, 2, 2],
].map((shape) => ({
  name: `fused conv2d NCHW with prelu weights [${shape.join(', ')}]`,
  inputs: [{ shape: [1, 2, 2, 2] }, { shape: [1, 1, 2, 2] }, { shape }],
  run: (x?: tf.Tensor, filter?: tf.Tensor, alpha?: tf.Tensor) =>
    tf.fused.conv2d({
      x: x as tf.Tensor4D,
      filter: filter as tf.Tensor4D,
      strides: 1,
      pad: 'valid',
      dataFormat: 'NCHW',
      activation: 'prelu',
      preluActivationWeights: alpha!,
    }),
  tolerance: summation(2, 8),
}));

interface Pool {
  readonly input: Shape4;
  readonly window: [number, number];
  readonly strides: [number, number];
  readonly pad: 'valid' | 'same' | number;
}

const POOLS: readonly Pool[] = [
  { input: [1, 4, 4, 1], window: [2, 2], strides: [2, 2], pad: 'valid' },
  { input: [2, 7, 6, 3], window: [3, 2], strides: [2, 2], pad: 'valid' },
  { input: [2, 7, 6, 19], window: [3, 3], strides: [1, 1], pad: 'same' },
  { input: [1, 5, 5, 2], window: [3, 3], strides: [2, 2], pad: 1 },
  { input: [1, 5, 5, 2], window: [1, 1], strides: [1, 1], pad: 'valid' },
  { input: [0, 4, 4, 2], window: [2, 2], strides: [2, 2], pad: 'valid' },
];

const pools: readonly OpCase[] = POOLS.flatMap(({ input, window, strides, pad }) => {
  const title = `[${input.join(', ')}] by [${window.join(', ')}] strides [${strides.join(', ')}] ${pad}`;
  // Windows that do not reach into padding and do not overlap have a gradient that the reference and the definition agree on.
  const gradientOf = pad === 'valid' && input[0] > 0 ? [0] : [];
  return [
    {
      name: `maxPool ${title}`,
      inputs: [{ shape: input }],
      run: (x?: tf.Tensor) => tf.maxPool(x as tf.Tensor4D, window, strides, pad),
      tolerance: EXACT,
      gradientOf,
    },
    {
      name: `avgPool ${title}`,
      inputs: [{ shape: input }],
      run: (x?: tf.Tensor) => tf.avgPool(x as tf.Tensor4D, window, strides, pad),
      tolerance: summation(window[0] * window[1], 2),
      gradientOf,
    },
  ];
});

const poolExtras: readonly OpCase[] = [
  ...[false, true].flatMap((includeBatch) =>
    (['float32', 'int32'] as const).map((dtype) => ({
      name: `maxPoolWithArgmax ${dtype} ${includeBatch ? 'with' : 'without'} batch`,
      inputs: [{ shape: [2, 5, 6, 9], dtype }],
      run: (x?: tf.Tensor) => {
        const { result, indexes } = tf.maxPoolWithArgmax(x as tf.Tensor4D, [3, 2], 2, 'same', includeBatch);
        return [result as tf.Tensor, indexes as tf.Tensor];
      },
    })),
  ),
  {
    name: 'avgPool gradient divides by the window where it leaves the image',
    inputs: [{ shape: [1, 5, 5, 2] }],
    run: (x) => tf.grad((value) => tf.sum(tf.square(tf.avgPool(value as tf.Tensor4D, 3, 2, 'same'))))(x),
    tolerance: summation(9, 8),
  },
  {
    name: 'maxPool of int32',
    inputs: [{ shape: [1, 4, 4, 2], dtype: 'int32' }],
    run: (x) => tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid'),
  },
  {
    name: 'MaxPoolGrad gives ties to the first',
    inputs: [{ shape: [1, 2, 2, 1] }, { shape: [1, 4, 4, 1], values: [1, 1, 0, 2, 1, 1, 2, 0] }],
    run: (dy, x) =>
      tf.engine().runKernel('MaxPoolGrad', { dy: dy, input: x, output: dy }, { filterSize: 2, strides: 2, pad: 'valid' }),
  },
];

describe('convolution of wrong shapes', () => {
  it('names what a gradient expects', () => {
    tf.tidy(() => {
      const inputs = { dy: tf.ones([1, 2, 2, 4]), filter: tf.ones([3, 3, 2, 4]) };
      const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC', inputShape: [1, 6, 6, 2] };
      expect(() => tf.engine().runKernel('Conv2DBackpropInput', inputs, attrs)).toThrow(
        expect.objectContaining({ code: 'E_SHAPE', message: expect.stringContaining('[1, 4, 4, 4]') }),
      );
    });
  });
});

describe('a fused convolution with channels first', () => {
  it.each(['linear', 'relu'] as const)('has no gradient, and tfjs-core says so (%s)', (activation) => {
    tf.tidy(() => {
      // As many channels as columns, so that a gradient with channels last would fit by its shapes.
      const [x, filter] = [tf.ones([2, 3, 3, 3]), tf.ones([1, 1, 3, 3])] as [tf.Tensor4D, tf.Tensor4D];
      const run = (image: tf.Tensor): tf.Tensor =>
        tf.fused.conv2d({ x: image as tf.Tensor4D, filter, strides: 1, pad: 'same', dataFormat: 'NCHW', activation });
      expect(() => tf.grad(run)(x)).toThrow('only NHWC is currently supported');
    });
  });
});

describe('convolution', () =>
  testOps([
    ...forward,
    ...gradients,
    ...channelsFirst,
    ...backprop,
    larger,
    ...fused,
    ...fusedChannelsFirst,
    explicitChannelsFirst,
  ]));
describe('pooling', () => testOps([...pools, ...poolExtras]));
