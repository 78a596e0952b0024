import * as tf from '@tensorflow/tfjs-core';

/**
 * Turns pairs of channels by angles that grow with the place: channels i and i + size / 2 by t / 10000^(2i / size).
 *
 * @param x      [N, T, heads, size] float32, size even
 * @param first  place of the first row
 * @returns      x's shape; scores of turned queries and keys depend on their distance only
 * @source Su et al. 2021, arXiv:2104.09864; halves paired as in GPT-NeoX
 */
export function rotate(x: tf.Tensor, first: number): tf.Tensor {
  const [length, size] = [x.shape[1] as number, x.shape[3] as number];
  const half = size / 2;
  const angle = (i: number): number => (first + Math.floor(i / half)) / 10_000 ** ((i % half) / half);
  const table = (f: (angle: number) => number): tf.Tensor =>
    tf.tensor(
      Float32Array.from({ length: length * half }, (_, i) => f(angle(i))),
      [length, 1, half],
    );
  const [cos, sin] = [table(Math.cos), table(Math.sin)];
  const [a, b] = tf.split(x, 2, 3) as [tf.Tensor, tf.Tensor];
  return tf.concat([tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))], 3);
}
