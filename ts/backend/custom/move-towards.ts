/** Moving variables towards tensors in place: averages, and new values inside a recorded step. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from '../backend.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend } from '../tensors.js';
import { DeviceScalars } from './device-scalars.js';
import { gradientOperands, inPlace } from './optimizer-steps.js';

const MOVE_TOWARDS = declareOp('move_towards');
const ACCUMULATE = declareOp('accumulate');

/** The weight of `moveTowards`. */
export type MoveScalar = 'weight';

/**
 * target += weight * (source - target) for all targets, in one call, in place; a weight of 1 copies, one of 0 changes nothing.
 * Recorded steps repeat it and follow a changed weight.
 *
 * @param targets  float32 variables
 * @param sources  float32, one per target, of its shape
 * @param weight   in [0, 1], in device memory; a tensor of one element or scalars with this name alone
 * @throws E_SHAPE when sources do not match the targets; E_DISPOSED
 */
export function moveTowards(
  targets: readonly tf.Variable[],
  sources: readonly tf.Tensor[],
  weight: DeviceScalars<MoveScalar> | tf.Tensor,
): void {
  const operands = gradientOperands(targets, sources);
  const backend = currentBackend();
  const first = weight instanceof DeviceScalars ? weight.operand() : backend.operand(weight, [1]);
  backend.engine.call(MOVE_TOWARDS, [first, ...inPlace(targets), ...operands]);
}

/** The numbers of `accumulate`. */
export const ACCUMULATE_SCALARS = ['keep', 'weight'] as const;
export type AccumulateScalar = (typeof ACCUMULATE_SCALARS)[number];

/**
 * target = keep * target + weight * source for all targets, in one call, in place; a keep of 0 begins anew, whatever the target
 * holds.
 *
 * @param targets  float32 variables
 * @param sources  float32, one per target, of its shape
 * @throws E_SHAPE when sources do not match the targets; E_DISPOSED
 */
export function accumulate(
  targets: readonly tf.Variable[],
  sources: readonly tf.Tensor[],
  scalars: DeviceScalars<AccumulateScalar>,
): void {
  const operands = gradientOperands(targets, sources);
  currentBackend().engine.call(ACCUMULATE, [scalars.operand(), ...inPlace(targets), ...operands]);
}

/** Replaces a variable's values inside a step: in place on our backend, so that recorded steps repeat it. */
export function replaceVariable(variable: tf.Variable, source: tf.Tensor): void {
  if (!(tf.backend() instanceof TensorkilnBackend)) {
    variable.assign(source);
    return;
  }
  const backend = currentBackend();
  const one = tf.tidy(() => tf.ones([1]));
  try {
    backend.engine.call(MOVE_TOWARDS, [
      backend.operand(one),
      ...inPlace([variable]),
      ...gradientOperands([variable], [source]),
    ]);
  } finally {
    one.dispose();
  }
}
