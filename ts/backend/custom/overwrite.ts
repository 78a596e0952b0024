/** New values for a variable that stays where it is. */
import type * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import type { NumericArray } from '../../native/addon.js';
import { currentBackend, makeUnique } from '../tensors.js';

/** Refuses a host write that a replay could not repeat. @throws E_RECORDING inside a recorded step */
export function refuseWhileRecording(place: string): void {
  const backend = currentBackend();
  if (backend.engine.addon.isRecording())
    backend.refuseRecording(`[${place}] values cannot be written inside a recorded step: write them between steps.`);
}

/**
 * Replaces the values of a variable. Unlike `variable.assign`, its native handle stays the same, so steps recorded with it
 * use the new values; clones, reshapes and slices taken before keep the old ones.
 *
 * @param variable  any float32, int32 or bool variable
 * @param values    as many values as the variable has, in the array type of its dtype; may be reused at once
 * @throws E_SHAPE when the number of values differs; E_RECORDING inside a recorded step; E_DISPOSED
 */
export function overwriteVariable(variable: tf.Variable, values: NumericArray): void {
  if (values.length !== variable.size) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[overwriteVariable] wrong number of values: expected ${variable.size}, got ${values.length}.`,
    );
  }
  const handle = makeUnique(variable);
  refuseWhileRecording('overwriteVariable');
  currentBackend().engine.write(handle, values);
}

/**
 * Gives a variable the values of a tensor without a copy: both refer to one storage until one of them is changed.
 *
 * @param variable  target
 * @param source    tensor of the same shape and dtype; stays the caller's
 * @throws E_SHAPE when shape or dtype differ; E_RECORDING inside a recorded step; E_DISPOSED
 */
export function restoreVariable(variable: tf.Variable, source: tf.Tensor): void {
  if (source.dtype !== variable.dtype || source.shape.join() !== variable.shape.join()) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[restoreVariable] wrong source: expected ${variable.dtype} [${variable.shape.join(', ')}], got ${source.dtype} [${source.shape.join(', ')}].`,
    );
  }
  refuseWhileRecording('restoreVariable');
  const backend = currentBackend();
  backend.engine.addon.assign(makeUnique(variable), backend.operand(source).handle);
}
