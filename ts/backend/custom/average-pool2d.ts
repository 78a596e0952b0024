import * as tf from '@tensorflow/tfjs-core';

export interface AveragePool2DOptions {
  /** [height, width] of the window. */
  readonly window: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly padding: 'valid' | 'same';
}

/**
 * `tf.avgPool` with its exact gradient: each element of a window gets dy divided by how many elements of the window lie in the
 * image, by which the mean was divided too. tfjs-core's own gradient divides by the size of the window at the border as well.
 *
 * @param x        [N, H, W, C] float32
 * @param options  window, strides and padding
 * @returns        [N, OH, OW, C] float32, means over what of each window lies in the image
 */
export function averagePool2D(x: tf.Tensor4D, options: AveragePool2DOptions): tf.Tensor4D {
  const { padding } = options;
  const window: [number, number] = [...options.window];
  const strides: [number, number] = [...options.strides];
  const { padInfo } = tf.backend_util.computePool2DInfo(x.shape, window, strides, 1, padding);
  const { top, bottom, left, right } = padInfo;
  if (top + bottom + left + right === 0) return tf.avgPool(x, window, strides, padding);
  const run = tf.customGrad((...args) => {
    const [images, save] = args as unknown as [tf.Tensor4D, tf.GradSaveFunc];
    save([images]);
    return {
      value: tf.avgPool(images, window, strides, padding),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [, height, width] = x.shape;
        const inside = tf.pad(tf.ones([1, height, width, 1]), [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ]);
        // The part of each window that lies in the image.
        const coverage = tf.avgPool(inside as tf.Tensor4D, window, strides, 'valid');
        const inputs = { dy: tf.div(dy, coverage), input: saved[0] as tf.Tensor };
        const attrs = { filterSize: window, strides, pad: padding };
        return tf.engine().runKernel<tf.Tensor>('AvgPoolGrad', inputs, attrs);
      },
    };
  });
  return run(x);
}
