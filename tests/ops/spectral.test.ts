import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { FUNCTION, OURS, testOps, type OpCase, type Tolerance } from '../support/op-cases.js';

/** The reference sums n float32-rounded parts per stage: some 2^-23 of the row's size sqrt(n) * 2 per stage, of at most 8. */
function transformTolerance(n: number): Tolerance {
  return { relative: 0, absolute: 8 * 2 ** -23 * Math.max(4, n) };
}

const SHAPES = [[1], [2], [5], [8], [12], [17], [31], [3, 16], [2, 2, 15], [1, 101], [0, 4]];

const transforms: readonly OpCase[] = SHAPES.flatMap((shape) => {
  const n = shape[shape.length - 1] as number;
  return (['fft', 'ifft'] as const).map((name) => ({
    name: `${name} [${shape.join(', ')}]`,
    inputs: [{ shape }, { shape }],
    run: (real?: tf.Tensor, imag?: tf.Tensor) => {
      const y = tf[name](tf.complex(real!, imag!));
      return [tf.real(y), tf.imag(y)];
    },
    tolerance: transformTolerance(n),
  }));
});

/** Both directions of real transforms, which tfjs-core composes of the complex ones. */
const realTransforms: readonly OpCase[] = [4, 7, 10].flatMap((n) => [
  {
    name: `rfft [2, ${n}]`,
    inputs: [{ shape: [2, n] }],
    run: (x?: tf.Tensor) => {
      const y = tf.rfft(x!);
      return [tf.real(y), tf.imag(y)];
    },
    tolerance: transformTolerance(n),
  },
  {
    name: `irfft [2, ${n}]`,
    inputs: [{ shape: [2, n] }, { shape: [2, n] }],
    run: (real?: tf.Tensor, imag?: tf.Tensor) => tf.irfft(tf.complex(real!, imag!)),
    tolerance: transformTolerance(2 * n),
  },
]);

const abs: readonly OpCase[] = [[], [1], [37], [3, 5]].map((shape) => ({
  name: `abs of complex [${shape.join(', ')}]`,
  inputs: [{ shape }, { shape }],
  run: (real?: tf.Tensor, imag?: tf.Tensor) => tf.abs(tf.complex(real!, imag!)),
  tolerance: FUNCTION,
}));

describe('Fourier transforms', () => {
  testOps([...transforms, ...realTransforms]);

  it('refuse real input', async () => {
    await tf.setBackend(OURS);
    expect(() => tf.engine().runKernel('FFT', { input: tf.ones([4]) })).toThrow(expect.objectContaining({ code: 'E_DTYPE' }));
  });

  it.each([1, 2, 7, 8, 17, 64, 97])('of length %i hide no NaN and no infinity', async (n) => {
    await tf.setBackend(OURS);
    for (const [bad, at] of [NaN, Infinity].flatMap((value) => [0, n - 1].map((place) => [value, place] as const))) {
      const real = Float32Array.from({ length: n }, (_, i) => (i === at ? bad : 0.5));
      const x = tf.complex(tf.tensor2d(real, [1, n]), tf.fill([1, n], 0.25));
      for (const y of [tf.fft(x), tf.ifft(x)]) {
        const [re, im] = [tf.real(y).dataSync(), tf.imag(y).dataSync()];
        for (let i = 0; i < n; ++i) expect(Number.isFinite(re[i]!) && Number.isFinite(im[i]!)).toBe(false);
      }
    }
  });

  it('leave no data behind', async () => {
    await tf.setBackend(OURS);
    const before = tf.engine().backend.numDataIds();
    tf.tidy(() => tf.ifft(tf.fft(tf.complex(tf.ones([3, 8]), tf.zeros([3, 8])))).dataSync());
    expect(tf.engine().backend.numDataIds()).toBe(before);
  });
});
describe('complex abs', () => testOps(abs));
