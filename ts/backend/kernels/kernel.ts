/** What a kernel of the table is, and the few things all families share. */
import { upcastType, util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import type { NumericArray } from '../../native/addon.js';
import { declareOp } from '../../native/engine.js';
import { TensorkilnError } from '../../errors.js';
import { sameShape } from '../record.js';

/** Inputs, attributes and backend of one kernel call. */
export interface KernelCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: TensorkilnBackend;
}

/** One row of the kernel table. */
export interface Kernel {
  readonly name: string;
  readonly run: (call: KernelCall<never, never>) => TensorInfo | TensorInfo[];
}

/** Makes a row; inputs and attributes are those tfjs-core documents for the kernel of that name. */
export function kernel<Inputs, Attrs = object>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>) => TensorInfo | TensorInfo[],
): Kernel {
  return { name, run };
}

const castOp = declareOp('cast');

/**
 * A new tensor of another dtype: float32 to int32 truncates, anything to bool is `!= 0`. The same dtype shares storage.
 *
 * @throws E_DTYPE for string and complex64
 */
export function cast(backend: TensorkilnBackend, x: TensorInfo, dtype: DataType): TensorInfo {
  if (x.dtype === dtype) return backend.alias(x);
  return backend.run(castOp, [backend.operand(x)], { shape: x.shape, dtype });
}

/**
 * Calls `body` with the tensors in a dtype, casting where needed and giving up the casts afterwards.
 */
export function withDtype<Result>(
  backend: TensorkilnBackend,
  tensors: readonly TensorInfo[],
  dtype: DataType,
  body: (tensors: TensorInfo[]) => Result,
): Result {
  const casts: TensorInfo[] = [];
  const converted = tensors.map((tensor) => {
    if (tensor.dtype === dtype) return tensor;
    const result = cast(backend, tensor, dtype);
    casts.push(result);
    return result;
  });
  try {
    return body(converted);
  } finally {
    for (const tensor of casts) backend.disposeIntermediate(tensor);
  }
}

/** Passes a tensor through `body` and gives it up: for chains of intermediate results. */
export function consume<Result>(backend: TensorkilnBackend, x: TensorInfo, body: (x: TensorInfo) => Result): Result {
  try {
    return body(x);
  } finally {
    backend.disposeIntermediate(x);
  }
}

/** The dtype both can be cast to without loss. */
export function commonDtype(a: TensorInfo, b: TensorInfo): DataType {
  return a.dtype === b.dtype ? a.dtype : upcastType(a.dtype, b.dtype);
}

/** @throws E_DTYPE for string and complex64 tensors, naming the kernel */
export function assertNumeric(tensors: readonly TensorInfo[], place: string): void {
  for (const { dtype } of tensors) {
    if (dtype === 'string' || dtype === 'complex64') {
      throw new TensorkilnError('E_DTYPE', `[${place}] takes float32, int32 or bool tensors, got ${dtype}.`);
    }
  }
}

/**
 * The values of a numeric tensor, for kernels whose work or result shape depends on them. Waits for the stream.
 *
 * @throws E_RECORDING inside a recorded step, E_DISPOSED
 */
export function hostValues(backend: TensorkilnBackend, x: TensorInfo): NumericArray {
  assertNumeric([x], 'host read');
  backend.record(x);
  return backend.readSync(x.dataId) as NumericArray;
}

/** The UTF-8 bytes of a string tensor. @throws E_DTYPE for other dtypes, E_RECORDING inside a recorded step, E_DISPOSED */
export function hostStrings(backend: TensorkilnBackend, x: TensorInfo, place: string): Uint8Array[] {
  if (x.dtype !== 'string') throw new TensorkilnError('E_DTYPE', `[${place}] takes string tensors, got ${x.dtype}.`);
  backend.record(x);
  return backend.readSync(x.dataId) as Uint8Array[];
}

/** A new tensor of numbers computed on the host. */
export function fromHost(
  backend: TensorkilnBackend,
  values: ArrayLike<number> | Uint8Array[],
  shape: number[],
  dtype: DataType,
): TensorInfo {
  return backend.makeTensorInfo(shape, dtype, values as Float32Array | Uint8Array[]);
}

/**
 * Throws for a wrong index while the host still knows the values: small int32 tensors written from JavaScript. For others the
 * op reports it and the error surfaces at the next synchronisation.
 */
export function checkMirror(
  backend: TensorkilnBackend,
  indices: TensorInfo,
  isRight: (value: number, position: number) => boolean,
  message: (value: number, position: number) => string,
): void {
  const { mirror } = backend.record(indices);
  if (mirror === undefined) return;
  const wrong = mirror.findIndex((value, position) => !isRight(value, position));
  if (wrong >= 0) throw new TensorkilnError('E_INDEX', message(mirror[wrong] as number, wrong));
}

/** @throws E_SHAPE when a tensor that goes with others has another shape than they give it */
export function assertShape(place: string, x: TensorInfo, expected: readonly number[]): void {
  if (sameShape(x.shape, expected)) return;
  throw new TensorkilnError('E_SHAPE', `[${place}] expected shape [${expected.join(', ')}], got [${x.shape.join(', ')}].`);
}

/** Number of elements of a tensor. */
export function sizeOf(x: TensorInfo): number {
  return util.sizeFromShape(x.shape);
}
