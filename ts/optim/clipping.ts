/** Limits on gradients. */
import * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber } from '../arguments.js';
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

/** The factor that brings a norm under a limit; the tiny number keeps a norm of 0 from dividing, as in PyTorch. */
function factorFor(norm: tf.Tensor, limit: number): tf.Tensor {
  return tf.minimum(1, tf.div(limit, tf.add(norm, 1e-6)));
}

/**
 * Gradients within a limit: value: max(-c, min(c, g)); norm: g min(1, c / |g|); globalNorm: the same factor for all, from the
 * norm of all. A norm that is NaN or infinite shows in the result.
 *
 * @param groups  lists of float32 tensors
 * @returns       lists of the same shapes; the caller's tidy owns them
 * @source Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1
 */
export function clipGradients(groups: readonly (readonly tf.Tensor[])[], clip: Clipping): readonly (readonly tf.Tensor[])[] {
  const squares = (gradient: tf.Tensor): tf.Tensor => tf.sum(tf.square(gradient));
  const each = (f: (gradient: tf.Tensor) => tf.Tensor): tf.Tensor[][] => groups.map((list) => list.map(f));
  if (clip.value !== undefined) {
    const limit = clip.value;
    return each((gradient) => tf.clipByValue(gradient, -limit, limit));
  }
  if (clip.norm !== undefined) {
    const limit = clip.norm;
    return each((gradient) => tf.mul(gradient, factorFor(tf.sqrt(squares(gradient)), limit)));
  }
  const norm = tf.sqrt(tf.addN(groups.flat().map(squares)));
  const factor = factorFor(norm, clip.globalNorm as number);
  return each((gradient) => tf.mul(gradient, factor));
}
