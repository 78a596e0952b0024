/** Products of matrices, convolutions, pooling. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { REFERENCE64 } from '../../reference64/backend.js';
import { dim, float, int, numImages, seed } from '../arbitraries.js';
import { refill, type Fill, type KernelCase, type TensorSpec } from '../cases.js';
import { ROUNDING, withNonFinite, type GradientRule, type KernelSpec, type Rule } from '../check.js';

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
/** Sides of an image; the large ones are split over threads. */
const height: fc.Arbitrary<number> = fc.oneof(
  { weight: 24, arbitrary: size(9) },
  { weight: 1, arbitrary: fc.constantFrom(29, 40) },
);
const width: fc.Arbitrary<number> = fc.oneof(
  { weight: 24, arbitrary: size(17) },
  { weight: 1, arbitrary: fc.constantFrom(33, 65) },
);
const inputs = (kernelCase: KernelCase): Readonly<Record<string, TensorSpec>> => kernelCase.inputs as never;

// --- matrix products ---

const wide: fc.Arbitrary<number> = fc.oneof(
  { weight: 10, arbitrary: dim },
  { weight: 1, arbitrary: fc.constantFrom(63, 64, 65, 97, 130) },
);

interface Product {
  readonly a: number[];
  readonly b: number[];
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly seed: number;
}

const products: fc.Arbitrary<Product> = fc
  .record({
    m: wide,
    k: fc.oneof({ weight: 20, arbitrary: wide }, { weight: 1, arbitrary: fc.constant(0) }),
    n: wide,
    batch: fc.constantFrom<[number[], number[]]>(
      [[], []],
      [[1], [1]],
      [[3], [3]],
      [[3], [1]],
      [[1], [2]],
      [
        [2, 2],
        [2, 2],
      ],
    ),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    seed,
  })
  .map(({ m, k, n, batch: [outerA, outerB], transposeA, transposeB, seed: valueSeed }) => ({
    a: [...outerA, ...(transposeA ? [k, m] : [m, k])],
    b: [...outerB, ...(transposeB ? [n, k] : [k, n])],
    transposeA,
    transposeB,
    seed: valueSeed,
  }));

const inner = (kernelCase: KernelCase): number =>
  inputs(kernelCase)['a']!.shape.at(kernelCase.attrs['transposeA'] === true ? -2 : -1)!;
/** tfjs-core's gradient does not sum over batches that were broadcast. */
const isSameBatch = (kernelCase: KernelCase): boolean => {
  const { a, b } = inputs(kernelCase);
  return a!.shape.slice(0, -2).join() === b!.shape.slice(0, -2).join() && a!.dtype === 'float32' && inner(kernelCase) > 0;
};

const ACTIVATIONS = ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'prelu', 'leakyrelu'] as const;
/**
 * After a sum whose error `terms` bounds: the slopes of all activations are at most 1 here, so they keep it; elu and sigmoid add 4
 * units of their own. A bias is one more term, for which the bound of a sum has room.
 */
const fusedRule = (terms: NonNullable<Rule['terms']>): Rule => ({
  relative: 6e-7,
  terms,
  magnitudeAttrs: { activation: 'linear' },
});

interface Fusion {
  readonly activation: (typeof ACTIVATIONS)[number];
  readonly hasBias: boolean;
}
const fusions: fc.Arbitrary<Fusion> = fc.record({ activation: fc.constantFrom(...ACTIVATIONS), hasBias: fc.boolean() });

function fused(
  { activation, hasBias }: Fusion,
  channels: number,
  valueSeed: number,
): { inputs: Record<string, TensorSpec>; attrs: Record<string, unknown> } {
  return {
    inputs: {
      ...(hasBias ? { bias: float([channels], valueSeed + 2) } : {}),
      ...(activation === 'prelu' ? { preluActivationWeights: float([channels], valueSeed + 3, { low: 0, high: 1 }) } : {}),
    },
    attrs: { activation, leakyreluAlpha: 0.25 },
  };
}

const activationOptions = (attrs: Readonly<Record<string, unknown>>) => ({
  activation: attrs['activation'] as 'linear',
  leakyreluAlpha: attrs['leakyreluAlpha'] as number,
});

/** The fused operation of tfjs-core with its own gradient; the named kernel is what it calls. */
function fusedGradient(names: readonly [string, string], run: NonNullable<GradientRule['run']>): GradientRule {
  return {
    of: [...names, 'bias', 'preluActivationWeights'],
    fills: { '*': 'plain' },
    run,
    // A kink of an activation nearer than the difference step is possible but has a chance of 1e-5 per element. Channels first are
    // refused by tfjs-core: a named case of tests/ops/conv.test.ts.
    where: ({ attrs }) => attrs['dataFormat'] === 'NHWC' && isPlainStride(attrs),
  };
}

const isPlainStride = (attrs: Readonly<Record<string, unknown>>): boolean =>
  [attrs['dilations'] ?? 1].flat().every((d) => d === 1);

const matrixSpecs: readonly KernelSpec[] = [
  {
    kernel: 'BatchMatMul',
    cases: fc.record({ product: products, isInt: fc.nat(9) }).map(({ product: { a, b, seed: valueSeed, ...attrs }, isInt }) => {
      const make = isInt === 0 ? int : float;
      return {
        inputs: { a: make(a, valueSeed), b: make(b, valueSeed + 1) },
        attrs: { transposeA: attrs.transposeA, transposeB: attrs.transposeB },
      };
    }),
    judge: REFERENCE64,
    rule: { terms: inner },
    gradient: { of: ['a', 'b'], fills: { '*': 'plain' }, where: isSameBatch },
  },
  {
    kernel: '_FusedMatMul',
    cases: fc
      .record({ product: products, fusion: fusions })
      .map(({ product: { a, b, transposeA, transposeB, seed: valueSeed }, fusion }) => {
        const channels = b.at(transposeB ? -2 : -1)!;
        const extra = fused(fusion, channels, valueSeed);
        return {
          inputs: { a: float(a, valueSeed), b: float(b, valueSeed + 1), ...extra.inputs },
          attrs: { transposeA, transposeB, ...extra.attrs },
        };
      }),
    judge: REFERENCE64,
    rule: fusedRule(inner),
    gradient: {
      ...fusedGradient(['a', 'b'], (given, attrs) =>
        tf.fused.matMul({
          ...(given as { a: tf.Tensor; b: tf.Tensor }),
          transposeA: attrs['transposeA'] as boolean,
          transposeB: attrs['transposeB'] as boolean,
          ...activationOptions(attrs),
        }),
      ),
      where: isSameBatch,
    },
  },
];

// --- convolutions ---

interface Image {
  readonly n: number;
  readonly h: number;
  readonly w: number;
  readonly c: number;
  readonly k: number;
  readonly fh: number;
  readonly fw: number;
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: 'valid' | 'same' | number | [number, number][];
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly seed: number;
}

const images = (most: number): fc.Arbitrary<Image> =>
  fc
    .record({
      n: numImages,
      h: height,
      w: width,
      c: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 16),
      k: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33),
      fh: size(4),
      fw: size(4),
      stride: fc.tuple(size(3), size(3)),
      dilation: fc.tuple(size(3), size(3)),
      isDilated: fc.nat(3),
      pad: fc.constantFrom<Image['pad']>('valid', 'same', 'same', 0, 1, [
        [0, 0],
        [1, 2],
        [0, 1],
        [0, 0],
      ]),
      dataFormat: fc.constantFrom<'NHWC' | 'NCHW'>('NHWC', 'NHWC', 'NCHW'),
      seed,
    })
    .map(({ isDilated, stride, dilation, pad, dataFormat, fh, fw, h, w, c, k, ...rest }): Image => {
      // Either strides or dilations are 1, as tfjs-core asks.
      const dilations: [number, number] = isDilated === 0 ? dilation : [1, 1];
      const strides: [number, number] = isDilated === 0 ? [1, 1] : stride;
      const padding = Array.isArray(pad) && dataFormat === 'NCHW' ? [pad[0]!, pad[3]!, pad[1]!, pad[2]!] : pad;
      const few = Math.max(1, Math.floor(most / Math.max(1, h * w * c * fh * fw * rest.n)));
      return {
        ...rest,
        c,
        k: Math.min(k, few),
        // The filter fits into the image.
        h: Math.max(h, (fh - 1) * dilations[0] + 1),
        w: Math.max(w, (fw - 1) * dilations[1] + 1),
        fh,
        fw,
        strides,
        dilations,
        pad: padding,
        dataFormat,
      };
    });

const imageShape = ({ n, h, w, c, dataFormat }: Image): number[] => (dataFormat === 'NHWC' ? [n, h, w, c] : [n, c, h, w]);

function outputShape(image: Image, channels: number, isDepthwise: boolean): number[] {
  const { outHeight, outWidth, batchSize } = tf.backend_util.computeConv2DInfo(
    imageShape(image) as never,
    [image.fh, image.fw, image.c, isDepthwise ? channels / image.c : channels],
    image.strides,
    image.dilations,
    image.pad as never,
    undefined,
    isDepthwise,
    image.dataFormat === 'NHWC' ? 'channelsLast' : 'channelsFirst',
  );
  return image.dataFormat === 'NHWC' ? [batchSize, outHeight, outWidth, channels] : [batchSize, channels, outHeight, outWidth];
}

const geometry = ({ strides, pad, dataFormat, dilations }: Image): Record<string, unknown> => ({
  strides,
  pad,
  dataFormat,
  dilations,
});

/** No convolution here adds more products than this; a looser bound only than the true count, which differs at edges. */
const taps = (kernelCase: KernelCase): number => {
  const { filter, x, dy } = inputs(kernelCase);
  const shape = filter?.shape ?? (kernelCase.attrs['filterShape'] as number[]);
  const channels = shape.slice(-2).reduce((a, b) => Math.max(a, b), 1);
  const window = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  // The gradient of a filter sums over all positions of the output.
  return filter !== undefined
    ? window * channels
    : [x, dy].reduce(
        (most, t) =>
          Math.max(
            most,
            t!.shape.reduce((a, b) => a * b, 1),
          ),
        1,
      );
};
const SUM: Rule = { terms: taps };

const undilated = ({ attrs }: KernelCase): boolean => isPlainStride(attrs);
const hasOutput = (image: Image): boolean => outputShape(image, image.c, true).every((dimension) => dimension > 0);

const conv2d = images(12_000).filter(hasOutput);
/** As tfjs-core's gradients call them: no dilation. */
const plainConv2d = conv2d.map((image): Image => ({ ...image, dilations: [1, 1] }));
const depthwise = images(12_000)
  .filter(hasOutput)
  .map((image): Image => ({
    ...image,
    k: 1 + (image.k % 3),
    dataFormat: 'NHWC',
    pad: Array.isArray(image.pad) ? 1 : image.pad,
  }));
const plainDepthwise = depthwise.map((image): Image => ({ ...image, dilations: [1, 1] }));

const convOptions = (attrs: Readonly<Record<string, unknown>>) => ({
  strides: attrs['strides'] as [number, number],
  pad: attrs['pad'] as 'same',
  dataFormat: attrs['dataFormat'] as 'NHWC',
  ...activationOptions(attrs),
});

const convolutionSpecs: readonly KernelSpec[] = [
  {
    kernel: 'Conv2D',
    cases: conv2d.map((image) => ({
      inputs: {
        x: float(imageShape(image), image.seed),
        filter: float([image.fh, image.fw, image.c, image.k], image.seed + 1),
      },
      attrs: geometry(image),
    })),
    judge: REFERENCE64,
    rule: SUM,
    gradient: { of: ['x', 'filter'], fills: { '*': 'plain' }, where: undilated },
  },
  {
    kernel: 'Conv2DBackpropInput',
    cases: plainConv2d.map((image) => ({
      inputs: {
        dy: float(outputShape(image, image.k, false), image.seed),
        filter: float([image.fh, image.fw, image.c, image.k], image.seed + 1),
      },
      attrs: { ...geometry(image), dilations: 1, inputShape: imageShape(image) },
    })),
    judge: REFERENCE64,
    rule: SUM,
    gradient: { of: ['dy', 'filter'], fills: { '*': 'plain' } },
  },
  {
    kernel: 'Conv2DBackpropFilter',
    cases: plainConv2d.map((image) => ({
      inputs: { x: float(imageShape(image), image.seed), dy: float(outputShape(image, image.k, false), image.seed + 1) },
      attrs: { ...geometry(image), dilations: 1, filterShape: [image.fh, image.fw, image.c, image.k] },
    })),
    judge: REFERENCE64,
    rule: SUM,
  },
  {
    kernel: 'FusedConv2D',
    cases: fc.record({ image: conv2d, fusion: fusions }).map(({ image, fusion }) => {
      const extra = fused(fusion, image.k, image.seed);
      return {
        inputs: {
          x: float(imageShape(image), image.seed),
          filter: float([image.fh, image.fw, image.c, image.k], image.seed + 1),
          ...extra.inputs,
        },
        attrs: { ...geometry(image), ...extra.attrs },
      };
    }),
    judge: REFERENCE64,
    rule: fusedRule(taps),
    gradient: fusedGradient(['x', 'filter'], (given, attrs) =>
      tf.fused.conv2d({ ...(given as { x: tf.Tensor4D; filter: tf.Tensor4D }), ...convOptions(attrs) }),
    ),
  },
  {
    kernel: 'DepthwiseConv2dNative',
    cases: depthwise.map((image) => ({
      inputs: {
        x: float(imageShape(image), image.seed),
        filter: float([image.fh, image.fw, image.c, image.k], image.seed + 1),
      },
      attrs: geometry(image),
    })),
    judge: REFERENCE64,
    rule: SUM,
    gradient: { of: ['x', 'filter'], fills: { '*': 'plain' }, where: undilated },
  },
  {
    kernel: 'DepthwiseConv2dNativeBackpropInput',
    cases: plainDepthwise.map((image) => ({
      inputs: {
        dy: float(outputShape(image, image.k * image.c, true), image.seed),
        filter: float([image.fh, image.fw, image.c, image.k], image.seed + 1),
      },
      attrs: { ...geometry(image), inputShape: imageShape(image) },
    })),
    judge: REFERENCE64,
    rule: SUM,
  },
  {
    kernel: 'DepthwiseConv2dNativeBackpropFilter',
    cases: plainDepthwise.map((image) => ({
      inputs: {
        x: float(imageShape(image), image.seed),
        dy: float(outputShape(image, image.k * image.c, true), image.seed + 1),
      },
      attrs: { ...geometry(image), filterShape: [image.fh, image.fw, image.c, image.k] },
    })),
    judge: REFERENCE64,
    rule: SUM,
  },
  {
    kernel: 'FusedDepthwiseConv2D',
    cases: fc.record({ image: depthwise, fusion: fusions }).map(({ image, fusion }) => {
      const extra = fused(fusion, image.k * image.c, image.seed);
      return {
        inputs: {
          x: float(imageShape(image), image.seed),
          filter: float([image.fh, image.fw, image.c, image.k], image.seed + 1),
          ...extra.inputs,
        },
        attrs: { ...geometry(image), ...extra.attrs },
      };
    }),
    judge: REFERENCE64,
    rule: fusedRule(taps),
    gradient: fusedGradient(['x', 'filter'], (given, attrs) =>
      tf.fused.depthwiseConv2d({ ...(given as { x: tf.Tensor4D; filter: tf.Tensor4D }), ...convOptions(attrs) }),
    ),
  },
];

// --- volumes ---

interface Volume {
  readonly x: number[];
  readonly filter: number[];
  readonly strides: [number, number, number];
  readonly dilations: [number, number, number];
  readonly pad: 'valid' | 'same';
  readonly seed: number;
}

const volumes: fc.Arbitrary<Volume> = fc
  .record({
    n: numImages,
    inside: fc.tuple(size(5), size(6), size(7)),
    c: fc.constantFrom(1, 2, 3, 5),
    k: fc.constantFrom(1, 2, 3, 8),
    window: fc.tuple(size(3), size(3), size(3)),
    strides: fc.tuple(size(2), size(2), size(2)),
    isDilated: fc.nat(3),
    pad: fc.constantFrom<'valid' | 'same'>('valid', 'same'),
    seed,
  })
  .map(({ n, inside, c, k, window, strides, isDilated, pad, seed: valueSeed }) => {
    const dilations: [number, number, number] = isDilated === 0 ? [2, 1, 2] : [1, 1, 1];
    return {
      x: [n, ...inside.map((extent, axis) => Math.max(extent, (window[axis]! - 1) * dilations[axis]! + 1)), c],
      filter: [...window, c, k],
      strides: isDilated === 0 ? [1, 1, 1] : strides,
      dilations,
      pad,
      seed: valueSeed,
    };
  });
const plainVolumes = volumes.map((volume): Volume => ({ ...volume, dilations: [1, 1, 1] }));

const volumeAttrs = ({ strides, pad, dilations }: Volume): Record<string, unknown> => ({
  strides,
  pad,
  dilations,
  dataFormat: 'NDHWC',
});
const volumeOutput = ({ x, filter, strides, dilations, pad }: Volume): number[] =>
  tf.backend_util.computeConv3DInfo(x as never, filter as never, strides, dilations, pad).outShape;

const volumeSpecs: readonly KernelSpec[] = [
  {
    kernel: 'Conv3D',
    cases: volumes.map((volume) => ({
      inputs: { x: float(volume.x, volume.seed), filter: float(volume.filter, volume.seed + 1) },
      attrs: volumeAttrs(volume),
    })),
    judge: REFERENCE64,
    rule: SUM,
    gradient: { of: ['x', 'filter'], fills: { '*': 'plain' }, where: undilated },
  },
  {
    kernel: 'Conv3DBackpropInputV2',
    cases: plainVolumes.map((volume) => ({
      inputs: { dy: float(volumeOutput(volume), volume.seed), filter: float(volume.filter, volume.seed + 1) },
      attrs: { strides: volume.strides, pad: volume.pad, inputShape: volume.x },
    })),
    judge: REFERENCE64,
    rule: SUM,
  },
  {
    kernel: 'Conv3DBackpropFilterV2',
    cases: plainVolumes.map((volume) => ({
      inputs: { x: float(volume.x, volume.seed), dy: float(volumeOutput(volume), volume.seed + 1) },
      attrs: { strides: volume.strides, pad: volume.pad, filterShape: volume.filter },
    })),
    judge: REFERENCE64,
    rule: SUM,
  },
];

// --- pooling ---

interface Pooling {
  readonly x: number[];
  readonly y: number[];
  readonly attrs: Record<string, unknown>;
  readonly seed: number;
}

const pools2D: fc.Arbitrary<Pooling> = fc
  .record({
    n: numImages,
    h: height,
    w: width,
    c: dim,
    window: fc.tuple(size(4), size(4)),
    strides: fc.tuple(size(3), size(3)),
    pad: fc.constantFrom<'valid' | 'same' | number>('valid', 'same', 0, 1),
    seed,
  })
  .map(({ n, h, w, c, window, strides, pad, seed: valueSeed }) => {
    const isNumber = typeof pad === 'number';
    // With a number as padding tfjs-core takes the size of the result along both axes from the height of window and stride.
    const square: [number, number] = isNumber ? [window[0], window[0]] : window;
    const step: [number, number] = isNumber ? [strides[0], strides[0]] : strides;
    const x: [number, number, number, number] = [n, Math.max(h, square[0]), Math.max(w, square[1]), c];
    // Padding of a whole window would leave windows with nothing in them.
    const padding = isNumber ? Math.min(pad, square[0] - 1) : pad;
    const y = tf.backend_util.computePool2DInfo(x, square, step, 1, padding, undefined).outShape;
    return { x, y, attrs: { filterSize: square, strides: step, pad: padding }, seed: valueSeed };
  });

const pools3D: fc.Arbitrary<Pooling> = fc
  .record({
    n: numImages,
    inside: fc.tuple(size(5), size(5), size(6)),
    c: fc.constantFrom(1, 3, 8, 9),
    window: fc.tuple(size(3), size(3), size(3)),
    strides: fc.tuple(size(2), size(2), size(2)),
    pad: fc.constantFrom<'valid' | 'same'>('valid', 'same'),
    seed,
  })
  .map(({ n, inside, c, window, strides, pad, seed: valueSeed }) => {
    const x = [n, ...inside.map((extent, axis) => Math.max(extent, window[axis]!)), c];
    const y = tf.backend_util.computePool3DInfo(x as never, window, strides, 1, pad, undefined).outShape;
    return { x, y, attrs: { filterSize: window, strides, pad, dataFormat: 'NDHWC' }, seed: valueSeed };
  });

const windowSize = ({ attrs }: KernelCase): number => (attrs['filterSize'] as number[]).reduce((a, b) => a * b, 1);
/** Without padding every window lies inside. */
const isValid = ({ attrs }: KernelCase): boolean => attrs['pad'] === 'valid' || attrs['pad'] === 0;

function poolSpecs(suffix: string, pools: fc.Arbitrary<Pooling>): KernelSpec[] {
  const forward = pools.map(({ x, attrs, seed: valueSeed }) => ({ inputs: { x: float(x, valueSeed) }, attrs }));
  const backward = pools.map(({ x, y, attrs, seed: valueSeed }) => ({
    inputs: { dy: float(y, valueSeed), input: float(x, valueSeed + 1, 'distinct') },
    attrs,
  }));
  return [
    {
      kernel: `MaxPool${suffix}`,
      cases: fc
        .record({ forward, fill: fc.constantFrom<Fill>('plain', 'ties', 'special') })
        // Windows of one element pass NaN on where tfjs-core sees that they change nothing, and skip it elsewhere.
        .map(({ forward: call, fill }) => refill(call, { x: fill === 'special' && windowSize(call) === 1 ? 'ties' : fill })),
      judge: REFERENCE64,
      // Which of two zeros is the larger is left open.
      rule: { anyZero: true },
      gradient: { of: ['x'], fills: { x: 'distinct' } },
    },
    {
      kernel: `AvgPool${suffix}`,
      cases: forward,
      judge: REFERENCE64,
      rule: { terms: windowSize },
      // With padding tfjs divides the gradient by the whole window, unlike the mean itself; AvgPoolGrad is judged there.
      gradient: { of: ['x'], fills: { x: 'plain' }, where: isValid },
    },
    {
      kernel: `MaxPool${suffix}Grad`,
      // The kernel takes the pooled values as well; they follow from the input.
      cases: backward.map(({ inputs: given, attrs }) => ({ inputs: { ...given, output: given.dy }, attrs })),
      judge: REFERENCE64,
      // At most 27 windows share an element, their slopes are below 2: 27 roundings of sums up to 54.
      rule: { absolute: 27 * 54 * ROUNDING },
    },
    { kernel: `AvgPool${suffix}Grad`, cases: backward, judge: REFERENCE64, rule: { terms: windowSize } },
  ];
}

/** Padding is made of zeros, and one times an infinity of the other operand may be NaN: only images are not finite. */
const ofImages = (spec: KernelSpec): KernelSpec => withNonFinite(spec, [spec.kernel.includes('Input') ? 'dy' : 'x']);

export const contractionSpecs: readonly KernelSpec[] = [
  ...matrixSpecs,
  ...convolutionSpecs,
  ...volumeSpecs,
  ...matrixSpecs.map((spec) => withNonFinite(spec)),
  ...[...convolutionSpecs, ...volumeSpecs].map(ofImages),
];
export const poolingSpecs: readonly KernelSpec[] = [...poolSpecs('', pools2D), ...poolSpecs('3D', pools3D)];
