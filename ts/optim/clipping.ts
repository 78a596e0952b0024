/** Limits on gradients. */
import type * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber } from '../arguments.js';
import { clipByGlobalNorm, clipByValue, clipEachByNorm, globalNorm } from '../backend/custom/multi-tensor.js';
import { TensorkilnError } from '../errors.js';

/** One limit, > 0: on each element, on the Euclidean norm of each gradient, or on the norm of all gradients together. */
export interface Clipping {
  readonly value?: number;
  readonly norm?: number;
  readonly globalNorm?: number;
}

const KINDS = ['value', 'norm', 'globalNorm'] as const;

/** Checks a limit. @throws E_CONFIG unless exactly one kind is given and positive */
export function checkClipping(place: string, clip: Clipping): Clipping {
  checkKeys(`${place} clip`, clip, KINDS);
  const given = KINDS.filter((kind) => clip[kind] !== undefined);
  if (given.length !== 1) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong clip: expected one of ${KINDS.join(', ')}, got ${given.length === 0 ? 'none' : given.join(' and ')}.`,
    );
  }
  for (const kind of given) checkNumber(`${place} clip`, kind, clip[kind], { above: 0 });
  return clip;
}

/**
 * Gradients within a limit: value: max(-c, min(c, g)); norm: g min(1, c / |g|); globalNorm: the same factor for all, from the
 * norm of all. One op call, two for globalNorm, however many gradients there are. A norm that is NaN or infinite shows in the
 * result.
 *
 * @param gradients  float32, at least one
 * @param norm       their common norm where it is known already
 * @returns          tensors of the same shapes; the caller's tidy owns them
 * @source Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1
 */
export function clipGradients(gradients: readonly tf.Tensor[], clip: Clipping, norm?: tf.Tensor): tf.Tensor[] {
  if (clip.value !== undefined) return clipByValue(gradients, clip.value);
  if (clip.norm !== undefined) return clipEachByNorm(gradients, clip.norm);
  return clipByGlobalNorm(gradients, clip.globalNorm as number, norm ?? globalNorm(gradients).norm);
}
