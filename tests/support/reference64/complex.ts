/** Complex numbers and Fourier transforms. */
import { build, reference, sizeOf, zeros, type Dense, type ReferenceKernel } from './dense.js';

interface Input {
  input: Dense;
}

/** One part of each number: 0 the real one, 1 the imaginary one. A real tensor is its own real part. */
function part(x: Dense, which: 0 | 1): Dense {
  if (x.dtype !== 'complex64') return build(x.shape, x.dtype, (_, flat) => (which === 0 ? x.values[flat]! : 0));
  return build(x.shape, 'float32', (_, flat) => x.values[2 * flat + which]!);
}

/** Discrete Fourier transform of the last axis by its definition; the inverse divides by the length. */
function transform(x: Dense, inverse: boolean): Dense {
  const length = x.shape.at(-1)!;
  const values = zeros('complex64', sizeOf(x.shape));
  const sign = inverse ? 1 : -1;
  for (let start = 0; start < sizeOf(x.shape); start += length) {
    for (let k = 0; k < length; ++k) {
      let real = 0;
      let imag = 0;
      for (let n = 0; n < length; ++n) {
        // The angle is taken modulo a full turn first, which keeps its sine exact for long lines.
        const angle = (sign * 2 * Math.PI * ((n * k) % length)) / length;
        const [re, im] = [x.values[2 * (start + n)]!, x.values[2 * (start + n) + 1]!];
        real += re * Math.cos(angle) - im * Math.sin(angle);
        imag += re * Math.sin(angle) + im * Math.cos(angle);
      }
      values[2 * (start + k)] = inverse ? real / length : real;
      values[2 * (start + k) + 1] = inverse ? imag / length : imag;
    }
  }
  return { shape: x.shape, dtype: 'complex64', values };
}

export const complexKernels: readonly ReferenceKernel[] = [
  reference<{ real: Dense; imag: Dense }>('Complex', ({ real, imag }) => {
    const values = zeros('complex64', sizeOf(real.shape));
    real.values.forEach((value, i) => {
      values[2 * i] = value;
      values[2 * i + 1] = imag.values[i]!;
    });
    return { shape: real.shape, dtype: 'complex64', values };
  }),
  reference<Input>('Real', ({ input }) => part(input, 0)),
  reference<Input>('Imag', ({ input }) => part(input, 1)),
  reference<{ x: Dense }>('ComplexAbs', ({ x }) =>
    build(x.shape, 'float32', (_, flat) => Math.hypot(x.values[2 * flat]!, x.values[2 * flat + 1]!)),
  ),
  reference<Input>('FFT', ({ input }) => transform(input, false)),
  reference<Input>('IFFT', ({ input }) => transform(input, true)),
];
