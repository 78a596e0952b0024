/** Checks of tensor arguments shared by the custom ops. */
import type * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';

/** Checks a tensor's dtype. @throws E_DTYPE naming op, argument and what came */
export function checkDType(place: string, key: string, tensor: tf.Tensor, allowed: readonly tf.DataType[]): void {
  if (!allowed.includes(tensor.dtype)) {
    throw new TensorkilnError(
      'E_DTYPE',
      `[${place}] wrong dtype of ${key}: expected ${allowed.join(' or ')}, got ${tensor.dtype} [${tensor.shape.join(', ')}].`,
    );
  }
}
