/** Kernels of numeric tensors applied to the dtypes without a buffer of their own: complex64 in parts, strings by position. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { fill } from './creation.js';
import { cast, fromHost, hostStrings, hostValues, sizeOf } from './kernel.js';

type Results = TensorInfo | TensorInfo[];

/** The real or imaginary part of a complex64 tensor as a tensor of its own. @throws E_DTYPE */
export function complexPart(backend: TensorkilnBackend, x: TensorInfo, which: 'real' | 'imag'): TensorInfo {
  const found = backend.record(x)[which];
  if (found === undefined) throw new TensorkilnError('E_DTYPE', `[${which}] takes a complex64 tensor, got ${x.dtype}.`);
  return backend.alias(found, x.shape);
}

/** Real and imaginary part of a tensor of any numeric dtype as float32 tensors of their own; that of a real tensor is 0. */
export function complexParts(backend: TensorkilnBackend, x: TensorInfo): [TensorInfo, TensorInfo] {
  if (x.dtype === 'complex64') return [complexPart(backend, x, 'real'), complexPart(backend, x, 'imag')];
  return [cast(backend, x, 'float32'), fill(backend, x.shape, 'float32', 0)];
}

/** A complex64 tensor of two results, which are given up. */
export function toComplex(backend: TensorkilnBackend, real: TensorInfo, imag: TensorInfo): TensorInfo {
  try {
    return backend.complex(real, imag);
  } finally {
    backend.disposeIntermediate(real);
    backend.disposeIntermediate(imag);
  }
}

/** Calls `body` with temporary tensors, which are given up afterwards. */
export function withTemporaries<Result>(
  backend: TensorkilnBackend,
  temporaries: readonly TensorInfo[],
  body: (temporaries: TensorInfo[]) => Result,
): Result {
  try {
    return body([...temporaries]);
  } finally {
    for (const temporary of temporaries) backend.disposeIntermediate(temporary);
  }
}

/**
 * Applies a kernel that moves elements without looking at them to tensors of any one dtype.
 *
 * Complex64 tensors are moved part by part. Strings live in JavaScript: their positions are moved as int32, read back, and the
 * strings picked by them, so this waits for the stream.
 *
 * @param tensors tensors of one dtype
 * @param move    the kernel for numeric tensors; every element of its results is one of its inputs'
 * @throws E_RECORDING for strings inside a recorded step
 */
export function moving<R extends Results>(
  backend: TensorkilnBackend,
  tensors: readonly TensorInfo[],
  move: (tensors: TensorInfo[]) => R,
): R {
  const [{ dtype }] = tensors as [TensorInfo];
  if (dtype === 'complex64') return movingParts(backend, tensors, move);
  if (dtype === 'string') return movingStrings(backend, tensors, move);
  return move([...tensors]);
}

/** `moving` for kernels of one tensor. */
export function movingOne<R extends Results>(backend: TensorkilnBackend, x: TensorInfo, move: (x: TensorInfo) => R): R {
  return moving(backend, [x], ([only]) => move(only as TensorInfo));
}

function movingParts<R extends Results>(
  backend: TensorkilnBackend,
  tensors: readonly TensorInfo[],
  move: (tensors: TensorInfo[]) => R,
): R {
  const [real, imag] = (['real', 'imag'] as const).map((which) =>
    withTemporaries(
      backend,
      tensors.map((tensor) => complexPart(backend, tensor, which)),
      move,
    ),
  ) as [R, R];
  if (!Array.isArray(real)) return toComplex(backend, real as TensorInfo, imag as TensorInfo) as R;
  return real.map((part, i) => toComplex(backend, part, (imag as TensorInfo[])[i] as TensorInfo)) as R;
}

function movingStrings<R extends Results>(
  backend: TensorkilnBackend,
  tensors: readonly TensorInfo[],
  move: (tensors: TensorInfo[]) => R,
): R {
  const strings = tensors.flatMap((tensor) => hostStrings(backend, tensor, 'string tensors'));
  let start = 0;
  const positions = tensors.map((tensor) => {
    const first = start;
    start += sizeOf(tensor);
    return fromHost(
      backend,
      Int32Array.from({ length: start - first }, (_, i) => first + i),
      tensor.shape,
      'int32',
    );
  });
  const moved = withTemporaries(backend, positions, move);
  const pick = (places: TensorInfo): TensorInfo =>
    withTemporaries(backend, [places], () => {
      const picked = Array.from(hostValues(backend, places), (place) => strings[place] as Uint8Array);
      return fromHost(backend, picked, places.shape, 'string');
    });
  return (Array.isArray(moved) ? moved.map(pick) : pick(moved)) as R;
}
