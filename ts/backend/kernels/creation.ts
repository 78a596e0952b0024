/** Kernels that make tensors from numbers. */
import { util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { rangeExtent } from '../shapes/layout.js';
import { consume, kernel, type Kernel } from './kernel.js';

const fillOp = declareOp('fill');
const rangeOp = declareOp('range');

/** A tensor with one value everywhere. */
export function fill(backend: TensorkilnBackend, shape: readonly number[], dtype: DataType, value: number): TensorInfo {
  return backend.run(fillOp, [], { shape, dtype }, [], [value]);
}

/** A tensor like x with one real value everywhere. @throws E_DTYPE for string tensors */
function filledLike(backend: TensorkilnBackend, x: TensorInfo, value: number): TensorInfo {
  if (x.dtype === 'string') {
    throw new TensorkilnError('E_DTYPE', '[zerosLike, onesLike] take numeric tensors, got string.');
  }
  if (x.dtype !== 'complex64') return fill(backend, x.shape, x.dtype, value);
  return consume(backend, fill(backend, x.shape, 'float32', value), (real) =>
    consume(backend, fill(backend, x.shape, 'float32', 0), (imag) => backend.complex(real, imag)),
  );
}

function progression(
  backend: TensorkilnBackend,
  count: number,
  dtype: DataType,
  { start, step }: { start: number; step: number },
): TensorInfo {
  return backend.run(rangeOp, [], { shape: [count], dtype }, [], [start, step]);
}

export const creationKernels: readonly Kernel[] = [
  kernel<object, { shape: number[]; value: string | number | boolean; dtype?: DataType }>('Fill', ({ attrs, backend }) => {
    const { shape, value } = attrs;
    const dtype = attrs.dtype ?? util.inferDtype(value);
    if (dtype !== 'string') return fill(backend, shape, dtype, Number(value));
    const bytes = util.encodeString(String(value));
    return backend.makeTensorInfo(shape, dtype, new Array<Uint8Array>(util.sizeFromShape(shape)).fill(bytes));
  }),
  kernel<{ x: TensorInfo }>('ZerosLike', ({ inputs, backend }) => filledLike(backend, inputs.x, 0)),
  kernel<{ x: TensorInfo }>('OnesLike', ({ inputs, backend }) => filledLike(backend, inputs.x, 1)),
  kernel<object, { start: number; stop: number; step: number; dtype: DataType }>('Range', ({ attrs, backend }) => {
    const { count, step } = rangeExtent(attrs.start, attrs.stop, attrs.step);
    return progression(backend, count, attrs.dtype, { start: attrs.start, step });
  }),
  kernel<object, { start: number; stop: number; num: number }>('LinSpace', ({ attrs, backend }) => {
    const { start, stop, num } = attrs;
    return progression(backend, num, 'float32', { start, step: num > 1 ? (stop - start) / (num - 1) : 0 });
  }),
];
