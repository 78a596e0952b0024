import * as tf from '@tensorflow/tfjs-core';

/**
 * `tf.conv3dTranspose` with a gradient, which tfjs-core does not have.
 *
 * @param x       [N, D, H, W, C] float32
 * @param kernel  [KD, KH, KW, Cout, C] float32
 * @param options `shape` [N, OD, OH, OW, Cout] of the result
 */
export function conv3dTransposed(
  x: tf.Tensor,
  kernel: tf.Tensor,
  options: { readonly shape: readonly number[]; readonly strides: readonly number[]; readonly padding: 'valid' | 'same' },
): tf.Tensor {
  const { shape, padding: pad } = options;
  const strides = [...options.strides] as [number, number, number];
  const run = tf.customGrad((...args) => {
    const [input, filter, save] = args as unknown as [tf.Tensor5D, tf.Tensor5D, tf.GradSaveFunc];
    save([input, filter]);
    const target = [...shape] as [number, number, number, number, number];
    return {
      value: tf.conv3dTranspose(input, filter, target, strides, pad),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [input, filter] = saved as [tf.Tensor5D, tf.Tensor5D];
        const attrs = { strides, pad, filterShape: filter.shape };
        // A transposed convolution is linear in both: its adjoints are the convolution and the filter gradient, roles swapped.
        return [
          tf.conv3d(dy as tf.Tensor5D, filter, strides, pad),
          tf.engine().runKernel<tf.Tensor>('Conv3DBackpropFilterV2', { x: dy, dy: input }, attrs),
        ];
      },
    };
  });
  return run(x, kernel);
}
