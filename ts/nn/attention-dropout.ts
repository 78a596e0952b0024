import * as tf from '@tensorflow/tfjs-core';
import { autocast } from '../backend/custom/autocast.js';

/** Which keys a query sees, as `attention` takes it. */
export interface Visibility {
  /** Added to the scores, [N, heads or 1, T, S] float32. */
  readonly mask: tf.Tensor | undefined;
  /** [N, S] bool, true for keys that count. */
  readonly keyMask: tf.Tensor | undefined;
  /** Whether query i sees the keys up to i + S - T only. */
  readonly isCausal: boolean;
}

/** Stands for minus infinity in sums, where -Infinity + Infinity would give NaN: exp of it is 0 in float32. Beyond float16. */
const HIDDEN = -1e9;

/** 1 where a query sees a key, else 0; broadcasts to [N, heads, T, S]. */
function visible(queries: number, keys: number, { mask, keyMask, isCausal }: Visibility): tf.Tensor | undefined {
  const parts: tf.Tensor[] = [];
  if (mask !== undefined) parts.push(tf.cast(tf.greater(mask, HIDDEN), 'float32'));
  if (keyMask !== undefined) parts.push(tf.reshape(tf.cast(keyMask, 'float32'), [keyMask.shape[0], 1, 1, keys]));
  if (isCausal && queries > 1) {
    const values = Float32Array.from({ length: queries * keys }, (_, i) =>
      i % keys <= Math.floor(i / keys) + keys - queries ? 1 : 0,
    );
    parts.push(tf.tensor(values, [1, 1, queries, keys]));
  }
  return parts.length === 0 ? undefined : parts.reduce((a, b) => tf.mul(a, b));
}

/**
 * Attention whose weights are dropped at random: the matrix of weights stands in memory, which the op of `attention` avoids.
 *
 * @param qkv         q [N, T, heads, size], k [N, S, keyHeads, size], v [N, S, keyHeads, size]
 * @param visibility  masks and causality
 * @param drop        drops among the weights [N, heads, T, S]
 * @returns           [N, T, heads, size]; 0 for a query that sees no key
 */
export function attentionWithDropout(
  [q, k, v]: readonly [tf.Tensor, tf.Tensor, tf.Tensor],
  visibility: Visibility,
  drop: (weights: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const [, queries, heads, size] = q.shape as [number, number, number, number];
  const [, keys, keyHeads] = k.shape as [number, number, number];
  // Heads that share keys see copies of them, each for its own query.
  const shared = (y: tf.Tensor): tf.Tensor => {
    if (keyHeads === heads) return y;
    const owners = Int32Array.from({ length: heads }, (_, head) => Math.floor((head * keyHeads) / heads));
    return tf.gather(y, tf.tensor1d(owners, 'int32'), 2);
  };
  const byHead = (y: tf.Tensor): tf.Tensor => tf.transpose(y, [0, 2, 1, 3]);
  const [left, right, values] = [byHead(q), byHead(shared(k)), byHead(shared(v))];
  const scores = tf.mul(tf.matMul(left, right, false, true), 1 / Math.sqrt(size));
  const seen = visible(queries, keys, visibility);
  const { mask } = visibility;
  // Under autocast too in float32: in float16 HIDDEN is minus infinity, and the softmax of nothing else NaN.
  const soft = autocast('float32', () => {
    const moved = mask === undefined ? scores : tf.add(scores, tf.maximum(mask, HIDDEN));
    return tf.softmax(seen === undefined ? moved : tf.add(moved, tf.mul(tf.sub(1, seen), HIDDEN)));
  });
  // A row without any visible key would share its weight out evenly: all of it is taken back.
  const weights = seen === undefined ? soft : tf.mul(soft, seen);
  return byHead(tf.matMul(drop(weights), values));
}
