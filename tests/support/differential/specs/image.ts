/** Images, normalisation, Fourier transforms. */
import fc from 'fast-check';
import { REFERENCE64 } from '../../reference64/backend.js';
import { anyContent, dim, float, int, numImages, seed, shapes, tensor } from '../arbitraries.js';
import type { KernelCase, TensorSpec } from '../cases.js';
import { ROUNDING, STOCK, type KernelSpec } from '../check.js';

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });

interface Resize {
  readonly images: number[];
  readonly y: number[];
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly seed: number;
}
const resizes: fc.Arbitrary<Resize> = fc
  .record({
    n: numImages,
    inside: fc.tuple(size(9), size(9)),
    outside: fc.tuple(size(12), size(12)),
    c: fc.constantFrom(1, 2, 3, 4, 5, 8, 9, 17, 65),
    mode: fc.constantFrom(
      { alignCorners: false, halfPixelCenters: false },
      { alignCorners: true, halfPixelCenters: false },
      { alignCorners: false, halfPixelCenters: true },
    ),
    seed,
  })
  .map(({ n, inside, outside, c, mode, seed: valueSeed }) => ({
    images: [n, ...inside, c],
    y: [n, ...outside, c],
    attrs: { ...mode, size: outside },
    seed: valueSeed,
  }));

/** An input element enters at most all outputs of its image. */
const shares = (kernelCase: KernelCase): number => {
  const { dy } = kernelCase.inputs as Readonly<Record<string, TensorSpec>>;
  return dy!.shape[1]! * dy!.shape[2]!;
};

const resizeSpecs: readonly KernelSpec[] = [
  {
    kernel: 'ResizeBilinear',
    cases: resizes.map(({ images, attrs, seed: valueSeed }) => ({ inputs: { images: float(images, valueSeed) }, attrs })),
    judge: REFERENCE64,
    // The share of a neighbour is rounded to float32 (position below 16: 2^-20), then three products and sums of numbers below 2.
    rule: { absolute: 4 * 2 ** -20 + 16 * ROUNDING },
    gradient: { of: ['images'], fills: { images: 'plain' } },
  },
  {
    kernel: 'ResizeBilinearGrad',
    cases: resizes.map(({ images, y, attrs, seed: valueSeed }) => ({
      inputs: { images: float(images, valueSeed), dy: float(y, valueSeed + 1) },
      attrs,
    })),
    judge: REFERENCE64,
    rule: { absolute: 4 * 2 ** -20, terms: (kernelCase) => shares(kernelCase) + 16 },
  },
  {
    kernel: 'ResizeNearestNeighbor',
    cases: fc
      .record({ resize: resizes, content: anyContent })
      .map(({ resize: { images, attrs, seed: valueSeed }, content: { dtype, fill } }) => ({
        inputs: { images: tensor(images, dtype === 'bool' ? 'int32' : dtype, dtype === 'bool' ? 'small' : fill, valueSeed) },
        attrs,
      })),
    judge: REFERENCE64,
    // The reference adds to zero, which makes 0 of -0.
    rule: { anyZero: true },
    gradient: {
      of: ['images'],
      fills: { images: 'plain' },
      where: ({ inputs }) => Object.values(inputs)[0]!.dtype === 'float32',
    },
  },
  {
    kernel: 'ResizeNearestNeighborGrad',
    cases: resizes.map(({ images, y, attrs, seed: valueSeed }) => ({
      inputs: { images: float(images, valueSeed), dy: float(y, valueSeed + 1) },
      attrs,
    })),
    judge: REFERENCE64,
    rule: { terms: shares },
  },
];

interface Dilation {
  readonly x: number[];
  readonly filter: number[];
  readonly y: number[];
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly seed: number;
}
const dilations: fc.Arbitrary<Dilation> = fc
  .record({
    n: numImages,
    inside: fc.tuple(size(8), size(8)),
    c: fc.constantFrom(1, 3, 8, 9),
    window: fc.tuple(size(3), size(3)),
    strides: fc.tuple(size(3), size(3)),
    dilation: fc.tuple(size(2), size(2)),
    pad: fc.constantFrom<'valid' | 'same'>('valid', 'same'),
    seed,
  })
  .map(({ n, inside, c, window, strides, dilation, pad, seed: valueSeed }) => {
    const spread = window.map((taps, axis) => (taps - 1) * dilation[axis]! + 1);
    const extent = inside.map((length, axis) => Math.max(length, spread[axis]!));
    const out = extent.map((length, axis) =>
      Math.ceil((pad === 'same' ? length : length - spread[axis]! + 1) / strides[axis]!),
    );
    return {
      x: [n, ...extent, c],
      filter: [...window, c],
      y: [n, ...out, c],
      attrs: { strides, pad, dilations: dilation },
      seed: valueSeed,
    };
  });

const dilationInputs = ({ x, filter, seed: valueSeed }: Dilation): Record<string, TensorSpec> => ({
  x: float(x, valueSeed, 'distinct'),
  filter: float(filter, valueSeed + 1),
});

const dilationSpecs: readonly KernelSpec[] = [
  {
    kernel: 'Dilation2D',
    cases: dilations.map((dilation) => ({ inputs: dilationInputs(dilation), attrs: dilation.attrs })),
    judge: REFERENCE64,
    rule: {},
    gradient: { of: ['x', 'filter'], fills: { x: 'distinct', filter: 'plain' } },
  },
  ...['Dilation2DBackpropInput', 'Dilation2DBackpropFilter'].map((kernel): KernelSpec => ({
    kernel,
    cases: dilations.map((dilation) => ({
      inputs: { ...dilationInputs(dilation), dy: float(dilation.y, dilation.seed + 2) },
      attrs: dilation.attrs,
    })),
    judge: REFERENCE64,
    // At most 128 slopes below 2 meet in one element.
    rule: { absolute: 128 * 256 * ROUNDING },
  })),
];

const norms: fc.Arbitrary<KernelCase> = fc
  .record({
    n: numImages,
    h: size(4),
    w: size(5),
    c: fc.oneof(dim, fc.constantFrom(64, 65)),
    depthRadius: fc.integer({ min: 0, max: 5 }),
    bias: fc.constantFrom(1, 2),
    alpha: fc.constantFrom(1, 0.25, 1e-3),
    beta: fc.constantFrom(0.5, 0.75, 1, 0.3),
    seed,
  })
  .map(({ n, h, w, c, depthRadius, bias, alpha, beta, seed: valueSeed }) => ({
    inputs: { x: float([n, h, w, c], valueSeed) },
    attrs: { depthRadius, bias, alpha, beta },
  }));

const normalizationSpecs: readonly KernelSpec[] = [
  {
    kernel: 'LRN',
    cases: norms,
    judge: REFERENCE64,
    // A sum of eleven squares, a power, a product.
    rule: { relative: 16 * 2 ** -23 },
    gradient: { of: ['x'], fills: { x: 'plain' } },
  },
  {
    kernel: 'LRNGrad',
    cases: norms.map(({ inputs, attrs }) => {
      const { x } = inputs as Readonly<Record<string, TensorSpec>>;
      return { inputs: { x: x!, y: float(x!.shape, x!.seed + 1), dy: float(x!.shape, x!.seed + 2) }, attrs };
    }),
    judge: REFERENCE64,
    // Eleven terms of at most 16, each with some ten roundings.
    rule: { absolute: 11 * 16 * 10 * ROUNDING },
  },
  {
    kernel: 'FusedBatchNorm',
    cases: fc
      .record({
        shape: shapes({ minRank: 4, maxRank: 4, empty: false, most: 800 }),
        hasScale: fc.boolean(),
        hasOffset: fc.boolean(),
        varianceEpsilon: fc.constantFrom(1e-3, 1e-5),
        seed,
      })
      .map(({ shape, hasScale, hasOffset, varianceEpsilon, seed: valueSeed }) => {
        const channels = shape.slice(-1);
        return {
          inputs: {
            x: float(shape, valueSeed),
            mean: float(channels, valueSeed + 1),
            variance: float(channels, valueSeed + 2, 'positive'),
            ...(hasOffset ? { offset: float(channels, valueSeed + 3) } : {}),
            ...(hasScale ? { scale: float(channels, valueSeed + 4) } : {}),
          },
          attrs: { varianceEpsilon },
        };
      }),
    judge: REFERENCE64,
    // Numbers below 4 / 0.5 * 2 + 2 = 18 after at most eight roundings.
    rule: { absolute: 18 * 8 * ROUNDING },
    gradient: {
      of: ['x', 'mean', 'variance', 'scale', 'offset'],
      fills: { '*': 'plain', variance: 'positive' },
      // tfjs-core gives every statistic a gradient only where scale and offset are there.
      where: ({ inputs }) => 'scale' in inputs && 'offset' in inputs,
    },
  },
];

const sampling: readonly KernelSpec[] = [
  {
    kernel: 'CropAndResize',
    cases: fc
      .record({
        n: size(3),
        h: size(9),
        w: size(9),
        c: fc.constantFrom(1, 3, 8, 9),
        count: size(5),
        cropSize: fc.tuple(size(6), size(6)),
        method: fc.constantFrom('bilinear', 'nearest'),
        seed,
      })
      .map(({ n, h, w, c, count, cropSize, method, seed: valueSeed }) => ({
        inputs: {
          image: float([n, h, w, c], valueSeed),
          boxes: float([count, 4], valueSeed + 1, { low: -0.2, high: 1.2 }),
          boxInd: int([count], valueSeed + 2, { low: 0, high: n }),
        },
        attrs: { cropSize, method, extrapolationValue: 0.5 },
      })),
    judge: STOCK,
    // Positions up to 12 carry 2^-20 of rounding in float32; neighbours differ by up to 4.
    rule: { absolute: 8 * 2 ** -20 },
  },
  {
    kernel: 'FlipLeftRight',
    cases: fc
      .record({ shape: shapes({ minRank: 4, maxRank: 4, most: 800 }), content: anyContent, seed })
      .map(({ shape, content: { dtype, fill }, seed: valueSeed }) => ({
        inputs: { image: tensor(shape, dtype, fill, valueSeed) },
        attrs: {},
      })),
    judge: STOCK,
    rule: {},
  },
  {
    kernel: 'RotateWithOffset',
    cases: fc
      .record({
        n: numImages,
        h: size(9),
        w: size(9),
        c: fc.constantFrom(1, 3, 8),
        radians: fc.constantFrom(0, 0.3, -1.1, 2.5, Math.PI / 3),
        center: fc.constantFrom<number | [number, number]>(0.5, [0.25, 0.7], 0),
        fillValue: fc.constantFrom(0, 127),
        seed,
      })
      .map(({ n, h, w, c, radians, center, fillValue, seed: valueSeed }) => ({
        inputs: { image: float([n, h, w, c], valueSeed) },
        attrs: { radians, center, fillValue },
      })),
    judge: STOCK,
    rule: {},
  },
  {
    kernel: 'Transform',
    cases: fc
      .record({
        h: size(8),
        w: size(8),
        c: fc.constantFrom(1, 3, 8),
        outputShape: fc.tuple(size(8), size(8)),
        interpolation: fc.constantFrom('nearest', 'bilinear'),
        fillMode: fc.constantFrom('constant', 'reflect', 'wrap', 'nearest'),
        move: fc.constantFrom(
          [1, 0, 0.3, 0, 1, -0.2, 0, 0],
          [0.9, 0.2, 1.1, -0.15, 1.1, 0.4, 0, 0],
          [1, 0, 0, 0, 1, 0, 0.01, 0.02],
        ),
        seed,
      })
      .map(({ h, w, c, outputShape, interpolation, fillMode, move, seed: valueSeed }) => ({
        // The stock backend reads one transform for all images.
        inputs: { image: float([1, h, w, c], valueSeed), transforms: float([1, 8], 0, { values: move }) },
        attrs: { interpolation, fillMode, fillValue: 0.5, outputShape },
      })),
    judge: STOCK,
    // Positions below 16 in float32 on one side: 2^-20 times neighbours that differ by up to 4, twice.
    rule: { absolute: 16 * 2 ** -20 },
  },
];

const lines: fc.Arbitrary<KernelCase> = fc
  .record({ batch: size(4), length: fc.oneof(dim, fc.constantFrom(64, 100, 127, 128)), seed })
  .map(({ batch, length, seed: valueSeed }) => ({
    inputs: { input: tensor([batch, length], 'complex64', 'plain', valueSeed) },
    attrs: {},
  }));

const complexSpecs: readonly KernelSpec[] = [
  ...['FFT', 'IFFT'].map((kernel): KernelSpec => ({
    kernel,
    cases: lines,
    judge: REFERENCE64,
    // Sums of up to 128 numbers below 3; the error of a fast transform grows with the logarithm of the length (Higham 2002,
    // section 24.1), Bluestein's for primes with three transforms: 3 * 8 levels of 4 roundings of the norm, sqrt(128) * 3 * 4.
    rule: { absolute: 96 * 136 * ROUNDING },
  })),
  {
    kernel: 'ComplexAbs',
    cases: fc
      .record({ shape: shapes({ most: 800 }), seed })
      .map(({ shape, seed: valueSeed }) => ({ inputs: { x: tensor(shape, 'complex64', 'plain', valueSeed) }, attrs: {} })),
    judge: REFERENCE64,
    // Two squares, a sum and a root.
    rule: { relative: 2 ** -22 },
  },
  ...['Real', 'Imag'].map((kernel): KernelSpec => ({
    kernel,
    cases: fc.record({ shape: shapes({ most: 800 }), seed }).map(({ shape, seed: valueSeed }) => ({
      inputs: { input: tensor(shape, 'complex64', 'special', valueSeed) },
      attrs: {},
    })),
    judge: REFERENCE64,
    rule: {},
  })),
  {
    kernel: 'Complex',
    cases: fc.record({ shape: shapes({ most: 800 }), seed }).map(({ shape, seed: valueSeed }) => ({
      inputs: { real: float(shape, valueSeed, 'special'), imag: float(shape, valueSeed + 1, 'special') },
      attrs: {},
    })),
    judge: REFERENCE64,
    rule: {},
  },
];

export const imageSpecs: readonly KernelSpec[] = [
  ...resizeSpecs,
  ...dilationSpecs,
  ...normalizationSpecs,
  ...sampling,
  ...complexSpecs,
];
