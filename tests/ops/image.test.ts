import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { EXACT, OURS, testOps, type InputSpec, type OpCase, type Tolerance } from '../support/op-cases.js';

/** Blends of float32 pixels up to 2 by float32 weights: nine roundings of 2^-24; the reference works in double. */
const BLEND: Tolerance = { relative: 0, absolute: 9 * 2 ** -24 * 4 };
/** A double that the reference and we round once, after sums whose order differs by less than 2^-50. */
const ROUNDED: Tolerance = { relative: 2 ** -23, absolute: 1e-12 };

type Size = [number, number];

function image(...shape: number[]): InputSpec {
  return { shape };
}
function as4D(x: tf.Tensor | undefined): tf.Tensor4D {
  return x as tf.Tensor4D;
}

/** For dtypes that the kernel takes and tfjs-core's function in front of it does not. */
function runKernel(name: string, inputs: Record<string, tf.Tensor>, attrs: tf.NamedAttrMap): tf.Tensor {
  return tf.engine().runKernel<tf.Tensor>(name, inputs, attrs);
}

const SIZES: readonly (readonly [Size, Size])[] = [
  [
    [4, 5],
    [7, 9],
  ],
  [
    [7, 9],
    [3, 4],
  ],
  [
    [5, 5],
    [5, 5],
  ],
  [
    [1, 6],
    [4, 1],
  ],
  [
    [3, 3],
    [12, 12],
  ],
  [
    [16, 12],
    [1, 2],
  ],
];

const resizing: readonly OpCase[] = SIZES.flatMap(([[h, w], to]) =>
  [
    { alignCorners: false, halfPixelCenters: false },
    { alignCorners: true, halfPixelCenters: false },
    { alignCorners: false, halfPixelCenters: true },
  ].flatMap(({ alignCorners, halfPixelCenters }): OpCase[] => {
    const label = `${h}x${w} to ${to.join('x')}${alignCorners ? ' aligned' : ''}${halfPixelCenters ? ' half pixels' : ''}`;
    return [
      {
        name: `resizeBilinear ${label}`,
        inputs: [image(2, h, w, 3)],
        run: (x) => tf.image.resizeBilinear(as4D(x), to, alignCorners, halfPixelCenters),
        tolerance: BLEND,
        gradientOf: [0],
      },
      {
        name: `resizeNearestNeighbor ${label}`,
        inputs: [image(2, h, w, 3)],
        run: (x) => tf.image.resizeNearestNeighbor(as4D(x), to, alignCorners, halfPixelCenters),
        gradientOf: [0],
      },
    ];
  }),
);

const otherDtypes: readonly OpCase[] = [
  {
    name: 'resizeBilinear int32',
    inputs: [{ shape: [1, 3, 4, 2], dtype: 'int32' }],
    run: (x) => tf.image.resizeBilinear(as4D(x), [5, 5]),
    tolerance: { relative: 0, absolute: 9 * 2 ** -24 * 20 },
  },
  {
    name: 'resizeNearestNeighbor int32',
    inputs: [{ shape: [1, 3, 4, 2], dtype: 'int32' }],
    run: (x) => tf.image.resizeNearestNeighbor(as4D(x), [5, 5]),
  },
  { name: 'resizeBilinear of no images', inputs: [image(0, 3, 4, 2)], run: (x) => tf.image.resizeBilinear(as4D(x), [5, 5]) },
];

const CROPS: readonly InputSpec[] = [
  { shape: [4, 4], values: [0, 0, 1, 1, 0.1, 0.2, 0.7, 0.9, 0.9, 0.8, 0.1, 0.3, -0.5, 0.5, 1.2, 2] },
  { shape: [4], dtype: 'int32', values: [0, 1, 1, 0] },
];
const cropping: readonly OpCase[] = (['bilinear', 'nearest'] as const).flatMap((method) =>
  (
    [
      [4, 5],
      [1, 1],
      [17, 2],
    ] as Size[]
  ).map((size) => ({
    name: `cropAndResize ${method} ${size.join('x')}`,
    inputs: [image(2, 6, 9, 3), ...CROPS],
    run: (x?: tf.Tensor, boxes?: tf.Tensor, images?: tf.Tensor) =>
      tf.image.cropAndResize(as4D(x), boxes as tf.Tensor2D, images as tf.Tensor1D, size, method, 3.5),
    tolerance: method === 'nearest' ? EXACT : BLEND,
  })),
);

const TURN = [0.83, -0.41, 2.13, 0.37, 0.91, -3.17, 0.011, -0.013];
const moving: readonly OpCase[] = [
  ...(['nearest', 'bilinear'] as const).flatMap((interpolation) =>
    (['constant', 'reflect', 'wrap', 'nearest'] as const).map((fillMode) => ({
      name: `transform ${interpolation} ${fillMode}`,
      // The stock backend transforms the first image only.
      inputs: [image(1, 6, 9, 2), { shape: [1, 8], values: TURN }],
      run: (x?: tf.Tensor, t?: tf.Tensor) =>
        tf.image.transform(as4D(x), t as tf.Tensor2D, interpolation, fillMode, 1.5, [7, 8]),
      tolerance: interpolation === 'nearest' ? EXACT : ROUNDED,
    })),
  ),
  {
    name: 'transform int32',
    inputs: [
      { shape: [1, 6, 9, 2], dtype: 'int32' },
      { shape: [1, 8], values: TURN },
    ],
    run: (image, transforms) =>
      runKernel('Transform', { image, transforms }, { interpolation: 'nearest', fillMode: 'wrap', fillValue: 3 }),
  },
  ...[1, 3, 4].map((channels) => ({
    name: `rotateWithOffset of ${channels} channels`,
    inputs: [image(2, 6, 9, channels)],
    run: (x?: tf.Tensor) => tf.image.rotateWithOffset(as4D(x), 0.7, [11, 22, 33], [0.4, 0.6]),
  })),
  {
    name: 'rotateWithOffset int32',
    inputs: [{ shape: [1, 5, 5, 3], dtype: 'int32' }],
    run: (image) => runKernel('RotateWithOffset', { image }, { radians: -1.1, fillValue: 7, center: 0.5 }),
  },
  {
    name: 'flipLeftRight int32',
    inputs: [{ shape: [2, 1, 5, 1], dtype: 'int32' }],
    run: (image) => runKernel('FlipLeftRight', { image }, {}),
  },
  { name: 'flipLeftRight', inputs: [image(2, 4, 5, 3)], run: (x) => tf.image.flipLeftRight(as4D(x)) },
];

const dilations: readonly OpCase[] = (
  [
    ['valid', 1, 1],
    ['same', 1, 1],
    ['same', 2, 1],
    ['same', 1, 2],
  ] as const
).map(([pad, strides, rates]) => ({
  name: `dilation2d ${pad} strides ${strides} dilations ${rates}`,
  // Numbers far enough apart that a step of the gradient check makes no other tap the largest.
  inputs: [
    { shape: [2, 6, 5, 3], values: Array.from({ length: 180 }, (_, i) => ((i * 67) % 181) / 4) },
    { shape: [3, 2, 3], values: Array.from({ length: 18 }, (_, i) => ((i * 7) % 19) / 64) },
  ],
  run: (x?: tf.Tensor, filter?: tf.Tensor) => tf.dilation2d(as4D(x), filter as tf.Tensor3D, strides, pad, rates),
  gradientOf: [0, 1],
}));

/** Sums of at most 11 squares and one power: about 20 roundings on our side, against doubles. */
const NORMALIZED: Tolerance = { relative: 2e-6, absolute: 1e-9 };
const normalizing: readonly OpCase[] = (
  [
    [5, 1, 1, 0.5],
    [2, 1, 0.1, 0.75],
    [0, 2, 1, 1],
    [20, 1.5, 0.3, 0.6],
  ] as const
).map(([radius, bias, alpha, beta]) => ({
  name: `localResponseNormalization radius ${radius} beta ${beta}`,
  inputs: [image(2, 3, 4, 11)],
  run: (x?: tf.Tensor) => tf.localResponseNormalization(as4D(x), radius, bias, alpha, beta),
  tolerance: NORMALIZED,
  gradientOf: [0],
}));

describe('resizing', () => {
  testOps([...resizing, ...otherDtypes]);

  it('refuses an image without pixels', () => {
    tf.tidy(() => {
      const none = tf.zeros<tf.Rank.R4>([1, 0, 3, 1]);
      for (const resize of [tf.image.resizeBilinear, tf.image.resizeNearestNeighbor]) {
        expect(() => resize(none, [2, 2])).toThrow(expect.objectContaining({ code: 'E_SHAPE' }));
      }
    });
  });
});

describe('cropping', () => {
  testOps(cropping);

  it('refuses a negative image number, and gives zeros for one beyond the last as tfjs does', () => {
    tf.tidy(() => {
      const x = tf.ones<tf.Rank.R4>([2, 3, 3, 1]);
      const boxes = tf.tensor2d([[0, 0, 1, 1]]);
      const crop = (index: tf.Tensor1D): tf.Tensor => tf.image.cropAndResize(x, boxes, index, [2, 2]);
      expect(() => crop(tf.tensor1d([-1], 'int32'))).toThrow(expect.objectContaining({ code: 'E_INDEX' }));
      const computed = tf.sub<tf.Tensor1D>(tf.tensor1d([1], 'int32'), tf.scalar(2, 'int32'));
      expect(() => crop(computed).dataSync()).toThrow(expect.objectContaining({ code: 'E_INDEX' }));
      expect([...crop(tf.tensor1d([2], 'int32')).dataSync()]).toEqual([0, 0, 0, 0]);
    });
  });
});

describe('moving pixels', () => {
  testOps(moving);

  it('transforms every image of a batch', () => {
    tf.tidy(() => {
      const x = tf.range(0, 24).reshape<tf.Tensor4D>([2, 3, 4, 1]);
      const right = [1, 0, -1, 0, 1, 0, 0, 0];
      const down = [1, 0, 0, 0, 1, -1, 0, 0];
      const y = tf.image.transform(x, tf.tensor2d([right, down]));
      expect([...y.dataSync()]).toEqual([
        ...[0, 0, 1, 2, 0, 4, 5, 6, 0, 8, 9, 10],
        ...[0, 0, 0, 0, 12, 13, 14, 15, 16, 17, 18, 19],
      ]);
    });
  });

  it('refuses an unknown fill mode', () => {
    tf.tidy(() => {
      const x = tf.ones<tf.Rank.R4>([1, 2, 2, 1]);
      const same = tf.tensor2d([[1, 0, 0, 0, 1, 0, 0, 0]]);
      expect(() => tf.image.transform(x, same, 'nearest', 'mirror' as 'wrap')).toThrow(
        expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining('mirror') }),
      );
    });
  });
});

describe('dilation', () => testOps(dilations));
describe('local response normalization', () => testOps(normalizing));

describe('non-maximum suppression', () => {
  const boxes: InputSpec = { shape: [40, 4], low: 0, high: 10 };
  const scores: InputSpec = { shape: [40], low: 0, high: 1 };
  // Only padded results have a shape that does not depend on data, so only they can be recorded.
  testOps([
    ...[0.1, 0.5, 1].map((iou) => ({
      name: `padded, overlap ${iou}`,
      inputs: [boxes, scores],
      run: (b?: tf.Tensor, s?: tf.Tensor) => {
        const result = tf.image.nonMaxSuppressionPadded(b as tf.Tensor2D, s as tf.Tensor1D, 30, iou, 0.2, true);
        return [result['selectedIndices'] as tf.Tensor, result['validOutputs'] as tf.Tensor];
      },
    })),
  ]);

  it('equals the functions that tfjs-core runs on the host', async () => {
    await tf.setBackend(OURS);
    const b = tf.randomUniform<tf.Rank.R2>([200, 4], 0, 10, 'float32', 5);
    const s = tf.randomUniform<tf.Rank.R1>([200], 0, 1, 'float32', 6);
    for (const iou of [0.2, 0.6]) {
      for (const sigma of [0, 0.3]) {
        const ours = tf.image.nonMaxSuppressionWithScore(b, s, 150, iou, 0.1, sigma) as Record<string, tf.Tensor>;
        const host = (await tf.image.nonMaxSuppressionWithScoreAsync(b, s, 150, iou, 0.1, sigma)) as Record<string, tf.Tensor>;
        for (const name of ['selectedIndices', 'selectedScores']) {
          expect(ours[name]!.shape).toEqual(host[name]!.shape);
          expect([...ours[name]!.dataSync()]).toEqual([...host[name]!.dataSync()]);
        }
        tf.dispose([ours, host]);
      }
      const ours = tf.image.nonMaxSuppression(b, s, 150, iou);
      const host = await tf.image.nonMaxSuppressionAsync(b, s, 150, iou);
      expect([...ours.dataSync()]).toEqual([...host.dataSync()]);
      const part = tf.image.nonMaxSuppressionPadded(b, s, 150, iou) as Record<string, tf.Tensor>;
      expect([...part['selectedIndices']!.dataSync()]).toEqual([...host.dataSync()]);
      expect(part['validOutputs']!.dataSync()[0]).toBe(host.size);
      tf.dispose([ours, host, part]);
    }
    tf.dispose([b, s]);
  });

  it('cannot be recorded when its result has as many places as boxes were kept', async () => {
    await tf.setBackend(OURS);
    const step = compile((b: tf.Tensor, s: tf.Tensor) => tf.image.nonMaxSuppression(b as tf.Tensor2D, s as tf.Tensor1D, 3));
    tf.tidy(() => {
      const b = tf.ones([4, 4]);
      const s = tf.ones([4]);
      expect(() => step(b, s)).toThrow(expect.objectContaining({ code: 'E_RECORDING' }));
    });
    step.dispose();
  });
});
