/** Fourier transforms, and the absolute value of complex tensors. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp, type Operand } from '../../native/engine.js';
import { NO_HANDLE, storageOf } from '../record.js';
import { consume, kernel, type Kernel } from './kernel.js';

const fftOp = declareOp('fft');
const absOp = declareOp('complex_abs');

/** Real and imaginary part as operands. @throws E_DTYPE when x is not complex64 */
function partsOf(backend: TensorkilnBackend, x: TensorInfo, place: string, shape?: readonly number[]): [Operand, Operand] {
  const { real, imag } = backend.record(x);
  if (real === undefined || imag === undefined) {
    throw new TensorkilnError('E_DTYPE', `[${place}] takes a complex64 tensor, got ${x.dtype}.`);
  }
  return [backend.operand(real, shape ?? real.shape), backend.operand(imag, shape ?? imag.shape)];
}

/** Transforms the last axis. */
function fft(backend: TensorkilnBackend, input: TensorInfo, inverse: boolean): TensorInfo {
  const length = input.shape[input.shape.length - 1] ?? 1;
  const rows = input.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
  const shape = [rows, length];
  const plane = (): Operand => ({ handle: NO_HANDLE, storage: storageOf('float32', fftOp.name), shape });
  const [real, imag] = [plane(), plane()];
  backend.engine.call(fftOp, [...partsOf(backend, input, inverse ? 'ifft' : 'fft', shape), real, imag], [inverse ? 1 : 0]);
  return consume(backend, backend.adopt(real.handle, input.shape, 'float32'), (realPart) =>
    consume(backend, backend.adopt(imag.handle, input.shape, 'float32'), (imagPart) => backend.complex(realPart, imagPart)),
  );
}

export const spectralKernels: readonly Kernel[] = [
  kernel<{ input: TensorInfo }>('FFT', ({ inputs, backend }) => fft(backend, inputs.input, false)),
  kernel<{ input: TensorInfo }>('IFFT', ({ inputs, backend }) => fft(backend, inputs.input, true)),
  kernel<{ x: TensorInfo }>('ComplexAbs', ({ inputs: { x }, backend }) =>
    backend.run(absOp, partsOf(backend, x, 'complexAbs', x.shape), { shape: x.shape, dtype: 'float32' }),
  ),
];
