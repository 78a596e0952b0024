import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KernelCase, TensorSpec } from '../support/differential/cases.js';
import { judgeJudge, judgeTape, titleOf } from '../support/differential/check.js';
import { allSpecs } from '../support/differential/specs/index.js';
import { REFERENCE64, reference64Tensor } from '../support/reference64/backend.js';
import { erf } from '../support/reference64/elementwise.js';

interface Departure {
  readonly why: string;
  /** The cases that are left; none when absent. */
  readonly agreesOn?: (kernelCase: KernelCase) => boolean;
}

const inputs = (kernelCase: KernelCase): Readonly<Record<string, TensorSpec>> => kernelCase.inputs as never;
const isFloat = (kernelCase: KernelCase): boolean => Object.values(kernelCase.inputs).every(({ dtype }) => dtype === 'float32');
const isBool = (kernelCase: KernelCase): boolean => Object.values(kernelCase.inputs).every(({ dtype }) => dtype === 'bool');
const notInt = (kernelCase: KernelCase): boolean => Object.values(kernelCase.inputs).every(({ dtype }) => dtype !== 'int32');
const sameShapes = (kernelCase: KernelCase): boolean =>
  new Set(Object.values(kernelCase.inputs).map(({ shape }) => shape.join())).size === 1;
/** Whole and half numbers, where exp(x) - 1 keeps its digits. */
const isPositive = (kernelCase: KernelCase): boolean =>
  Object.values(kernelCase.inputs).every(({ fill }) => fill === 'ties' || fill === 'halves');

const VIA_FLOAT = { why: 'int32 passes through float32 there and loses its lower bits', agreesOn: notInt };
const IN_DOUBLE = { why: 'int32 products are rounded to doubles there before they wrap', agreesOn: isFloat };
const BOOL_AS_BYTE = {
  why: 'results of bool are bytes there, 1 + 1 is 2',
  agreesOn: (kernelCase: KernelCase) => !isBool(kernelCase),
};
const SMALL = { why: 'exp(x) - 1 loses all digits of a small x there', agreesOn: isPositive };
const isScalar = (kernelCase: KernelCase): boolean =>
  Object.values(inputs(kernelCase)).every(({ shape }) => shape.length === 0);
const COMPLEX = { why: 'complex numbers that broadcast are addressed wrongly there', agreesOn: sameShapes };

/** Where the stock backend departs from what a kernel means, so that it cannot confirm the reference. */
const STOCK_DIFFERS: Readonly<Record<string, Departure>> = {
  Abs: VIA_FLOAT,
  Add: BOOL_AS_BYTE,
  RealDiv: BOOL_AS_BYTE,
  Sub: BOOL_AS_BYTE,
  Elu: SMALL,
  Selu: SMALL,
  Erf: { why: 'a formula with an error of 1.5e-7 stands for the error function there (Abramowitz and Stegun 7.1.26)' },
  Round: {
    why: '-0.5 becomes 0 there, though -0.4 becomes -0',
    agreesOn: (kernelCase) => inputs(kernelCase)['x']!.fill !== 'halves',
  },
  Square: IN_DOUBLE,
  Cumprod: IN_DOUBLE,
  'Add of complex numbers': COMPLEX,
  'Sub of complex numbers': COMPLEX,
  'Multiply of complex numbers': COMPLEX,
  Select: {
    why: 'a condition per row picks the wrong elements there',
    agreesOn: (kernelCase) => inputs(kernelCase)['condition']!.shape.length === inputs(kernelCase)['t']!.shape.length,
  },
  LogSoftmax: { why: 'no kernel there' },
  Slice: { why: 'a scalar comes out without its value there', agreesOn: (kernelCase) => !isScalar(kernelCase) },
  StridedSlice: {
    why: 'positions behind an axis that is dropped are taken from the wrong axes there',
    agreesOn: ({ attrs }) => attrs['shrinkAxisMask'] === 0,
  },
  DepthToSpace: {
    why: 'channels first are refused there, and int32 passes through float32',
    agreesOn: (kernelCase) => kernelCase.attrs['dataFormat'] === 'NHWC' && isFloat(kernelCase),
  },
  UnsortedSegmentSum: {
    why: 'the result is float32 there whatever came in',
    agreesOn: (kernelCase) => inputs(kernelCase)['x']!.dtype === 'float32',
  },
  MaxPool3DGrad: {
    why: 'maxima are found only in windows of equal height and width there',
    agreesOn: ({ attrs }) => new Set(attrs['filterSize'] as number[]).size === 1,
  },
  ResizeBilinearGrad: {
    why: 'height and width of the result are swapped there, and half pixels are ignored',
    agreesOn: (kernelCase) =>
      inputs(kernelCase)['images']!.shape[1] === inputs(kernelCase)['images']!.shape[2] &&
      kernelCase.attrs['halfPixelCenters'] === false,
  },
  'UnsortedSegmentSum of values that are not finite': { why: 'the other segments are multiplied by zero there, not left out' },
  'ResizeBilinearGrad of values that are not finite': {
    why: 'a neighbour of no weight is multiplied by zero there, not left out',
  },
  'LRNGrad of values that are not finite': { why: 'the two parts of a slope are added before they meet an infinite dy there' },
  ResizeNearestNeighbor: VIA_FLOAT,
  ResizeNearestNeighborGrad: {
    why: 'half pixels are ignored there, aligned corners of an image of one pixel never end, a second image reads dy of the first',
    agreesOn: (kernelCase) =>
      kernelCase.attrs['halfPixelCenters'] === false &&
      kernelCase.attrs['alignCorners'] === false &&
      inputs(kernelCase)['images']!.shape[0]! <= 1,
  },
};

describe('reference64', () => {
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());

  const values = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());
  const x = (data: readonly number[], shape: readonly number[]): tf.Tensor =>
    reference64Tensor(Float64Array.from(data), shape, 'float32');
  const use = (): void => void tf.setBackend(REFERENCE64);

  it('keeps doubles through ops and frees what it holds', () => {
    use();
    const before = tf.engine().backend.numDataIds();
    const y = tf.tidy(() => tf.square(x([1 / 3], [1])));
    expect(values(y)).toEqual([1 / 9]);
    expect(y.dtype).toBe('float32');
    expect(tf.engine().backend.numDataIds()).toBe(before + 1);
    y.dispose();
    expect(tf.engine().backend.numDataIds()).toBe(before);
  });

  it('refuses a wrong number of values and strings', () => {
    use();
    expect(() => x([1, 2], [3])).toThrow(/\[3\] takes 3 values, got 2/);
    expect(() => tf.tensor(['a'])).toThrow(/no strings/);
  });

  it('has the error function to the last digits', () => {
    // Abramowitz and Stegun, table 7.1, and the tail from its series 7.1.23.
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(1)).toBeCloseTo(0.8427007929497149, 15);
    expect(erf(-2)).toBeCloseTo(-0.9953222650189527, 15);
    expect(erf(3.5)).toBeCloseTo(0.9999992569016276, 15);
  });

  it('multiplies matrices, transposed or not', () => {
    use();
    const [a, b] = [x([1, 2, 3, 4, 5, 6], [2, 3]), x([1, 0, 2, 1, 0, 3], [2, 3])];
    expect(values(tf.matMul(a, b, false, true))).toEqual([7, 10, 16, 22]);
    expect(values(tf.matMul(a, b, true, false))).toEqual([5, 0, 14, 7, 0, 19, 9, 0, 24]);
  });

  it('slides a filter over an image', () => {
    use();
    const image = x([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]) as tf.Tensor4D;
    const filter = x([1, 2, 3, 4], [2, 2, 1, 1]) as tf.Tensor4D;
    expect(values(tf.conv2d(image, filter, 1, 'valid'))).toEqual([37, 47, 67, 77]);
    expect(values(tf.maxPool(image, 2, 1, 'valid'))).toEqual([5, 6, 8, 9]);
    expect(values(tf.avgPool(image, 2, 2, 'same'))).toEqual([3, 4.5, 7.5, 9]);
  });

  it('wraps whole numbers at 32 bits', () => {
    use();
    const [a, b] = [tf.tensor1d([2 ** 31 - 1, 65537], 'int32'), tf.tensor1d([1, 65537], 'int32')];
    expect(values(tf.add(a, b))).toEqual([-(2 ** 31), 131074]);
    expect(values(tf.mul(a, b))).toEqual([2 ** 31 - 1, 131073]);
    expect(values(tf.floorDiv(a, tf.tensor1d([0, -2], 'int32')))).toEqual([0, -32769]);
  });
});

describe('reference64 and the stock backend agree within the rounding of float32 on', () => {
  for (const spec of allSpecs.filter(({ judge }) => judge === REFERENCE64)) {
    const departure = STOCK_DIFFERS[titleOf(spec)] ?? STOCK_DIFFERS[spec.kernel];
    if (departure !== undefined && departure.agreesOn === undefined) continue;
    it(titleOf(spec), () => judgeJudge(spec, departure?.agreesOn, { runs: 5, seed: 2 }));
  }
});

describe('on reference64 the tape gives the central difference of', () => {
  for (const spec of allSpecs) {
    const { gradient } = spec;
    if (gradient !== undefined && gradient.tape === undefined)
      it(spec.kernel, () => judgeTape(spec, gradient, { runs: 2, seed: 2 }));
  }
});

describe('an exclusion is still needed: on reference64 the tape is wrong for', () => {
  const excluding = allSpecs.filter(({ gradient }) => gradient?.excluded !== undefined);
  it.each(excluding.map((spec) => [`${spec.kernel}: ${spec.gradient!.excluded!.reason}`, spec] as const))('%s', (_, spec) => {
    const rule = spec.gradient!;
    const { excluded, ...rest } = rule;
    const where = (kernelCase: KernelCase): boolean => rule.where?.(kernelCase) !== false && excluded!.cases(kernelCase);
    expect(() => judgeTape(spec, { ...rest, where }, { runs: 10, seed: 2 })).toThrow('Property failed');
  });
});
