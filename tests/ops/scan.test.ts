import * as tf from '@tensorflow/tfjs-core';
import { describe } from 'vitest';
import { EXACT, summation, testOps, type InputSpec, type OpCase } from '../support/op-cases.js';

const INPUTS: readonly { readonly spec: InputSpec; readonly axis: number }[] = [
  { spec: { shape: [1] }, axis: 0 },
  { spec: { shape: [17] }, axis: 0 },
  { spec: { shape: [5, 7] }, axis: 0 },
  { spec: { shape: [5, 7] }, axis: 1 },
  { spec: { shape: [3, 4, 70] }, axis: 1 },
  { spec: { shape: [2, 3, 4] }, axis: -1 },
  { spec: { shape: [4, 0, 3] }, axis: 1 },
  { spec: { shape: [6, 5], dtype: 'int32' }, axis: 0 },
  { spec: { shape: [9], dtype: 'bool' }, axis: 0 },
];

const OPTIONS = [false, true].flatMap((exclusive) => [false, true].map((reverse) => ({ exclusive, reverse })));

const cases: readonly OpCase[] = INPUTS.flatMap(({ spec, axis }) =>
  OPTIONS.flatMap(({ exclusive, reverse }): OpCase[] => {
    const title = `[${spec.shape.join(', ')}] ${spec.dtype ?? 'float32'} axis ${axis} ${exclusive ? 'exclusive ' : ''}${reverse ? 'reverse' : ''}`;
    const isFloat = spec.dtype === undefined;
    // The stock kernels take no negative axis from the kernel call; tfjs-core passes it on as it is.
    const at = axis < 0 ? axis + spec.shape.length : axis;
    const length = spec.shape[at] as number;
    return [
      {
        name: `cumsum ${title}`,
        inputs: [spec],
        run: (x) => tf.cumsum(x, at, exclusive, reverse),
        tolerance: isFloat ? summation(length, 2) : EXACT,
        // tfjs-core's gradient transposes its result when the axis is not the last one.
        gradientOf: isFloat && length > 0 && at === spec.shape.length - 1 ? [0] : [],
      },
      {
        name: `cumprod ${title}`,
        inputs: [isFloat ? { ...spec, low: 0.5, high: 1.5 } : spec],
        run: (x) => tf.cumprod(x, at, exclusive, reverse),
        // One rounding per factor in the reference.
        tolerance: isFloat ? { relative: (length + 1) * 2 ** -23, absolute: 0 } : EXACT,
      },
    ];
  }),
);

describe('scans', () => testOps(cases));
