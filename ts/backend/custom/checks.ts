/** Checks of tensor arguments shared by the custom ops. */
import type * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import { currentBackend } from '../tensors.js';

/** Checks a tensor's dtype. @throws E_DTYPE naming op, argument and what came */
export function checkDType(place: string, key: string, tensor: tf.Tensor, allowed: readonly tf.DataType[]): void {
  if (!allowed.includes(tensor.dtype)) {
    throw new TensorkilnError(
      'E_DTYPE',
      `[${place}] wrong dtype of ${key}: expected ${allowed.join(' or ')}, got ${tensor.dtype} [${tensor.shape.join(', ')}].`,
    );
  }
}

/** Checks a tensor's shape. @throws E_SHAPE naming op, argument, what was expected and what came */
export function checkShape(place: string, key: string, tensor: tf.Tensor, expected: readonly number[]): void {
  if (tensor.shape.join() !== expected.join()) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong shape of ${key}: expected [${expected.join(', ')}], got [${tensor.shape.join(', ')}].`,
    );
  }
}

/** Checks the dtype and, where given, the shape of tensors by argument name; those not given are passed over. */
export function checkFloats(
  place: string,
  tensors: Readonly<Record<string, readonly [tensor: tf.Tensor | undefined, shape?: readonly number[]]>>,
): void {
  for (const [key, [tensor, shape]] of Object.entries(tensors)) {
    if (tensor === undefined) continue;
    checkDType(place, key, tensor, ['float32']);
    if (shape !== undefined) checkShape(place, key, tensor, shape);
  }
}

/** Checks the rank of a tensor. @throws E_SHAPE; `form` describes the shape that was expected, e.g. '[B, T, I]' */
export function checkRank(place: string, key: string, tensor: tf.Tensor, form: string, min: number, max = min): void {
  if (tensor.rank < min || tensor.rank > max) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong shape of ${key}: expected ${form}, got [${tensor.shape.join(', ')}].`,
    );
  }
}

/**
 * Checks indices the backend still has a host copy of; the kernel checks all others.
 *
 * @param ignored  an index that is right although it lies outside
 * @throws E_INDEX naming the first index that is none
 */
export function checkIndices(place: string, key: string, indices: tf.Tensor, limit: number, ignored?: number): void {
  const { mirror } = currentBackend().record(indices);
  const at = mirror?.findIndex((index) => (index < 0 || index >= limit) && index !== ignored) ?? -1;
  if (at >= 0) {
    throw new TensorkilnError(
      'E_INDEX',
      `[${place}] ${key} ${mirror?.[at]} at position ${at} is out of range: expected 0 to ${limit - 1}.`,
    );
  }
}
