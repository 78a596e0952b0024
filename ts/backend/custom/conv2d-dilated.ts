import * as tf from '@tensorflow/tfjs-core';
import { declareOp } from '../../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';

const INPUT_GRADIENT = declareOp('conv2d_input_grad');
const FILTER_GRADIENT = declareOp('conv2d_filter_grad');

export interface Conv2DDilatedOptions {
  readonly padding: 'valid' | 'same';
  /** [height, width] distance between kernel taps. */
  readonly dilations: readonly [number, number];
}

/**
 * `tf.conv2d` with stride 1 and dilated kernel taps, differentiable: tfjs-core's own gradient refuses dilations.
 *
 * @param x        [N, H, W, C] float32
 * @param filter   [KH, KW, C, Cout] float32
 * @param options  padding and dilations
 * @returns        [N, OH, OW, Cout] float32
 * @source Yu, Koltun 2016, arXiv:1511.07122, eq. 2
 */
export function conv2dDilated(x: tf.Tensor4D, filter: tf.Tensor4D, options: Conv2DDilatedOptions): tf.Tensor4D {
  const [dilationHeight, dilationWidth] = options.dilations;
  const { padInfo } = tf.backend_util.computeConv2DInfo(
    x.shape,
    filter.shape,
    1,
    [dilationHeight, dilationWidth],
    options.padding,
  );
  const geometry = [1, 1, dilationHeight, dilationWidth, padInfo.top, padInfo.left];
  const run = tf.customGrad((...args) => {
    const [images, kernel, save] = args as unknown as [tf.Tensor4D, tf.Tensor4D, tf.GradSaveFunc];
    save([images, kernel]);
    return {
      value: tf.conv2d(images, kernel, 1, options.padding, 'NHWC', [dilationHeight, dilationWidth]),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const backend = currentBackend();
        const [savedImages, savedKernel] = saved as [tf.Tensor, tf.Tensor];
        const gradient = backend.operand(dy);
        const dx = backend.run(
          INPUT_GRADIENT,
          [gradient, backend.operand(savedKernel)],
          { shape: x.shape, dtype: 'float32' },
          geometry,
        );
        const dfilter = backend.run(
          FILTER_GRADIENT,
          [backend.operand(savedImages), gradient],
          { shape: filter.shape, dtype: 'float32' },
          geometry,
        );
        return [tensorFromInfo(dx, backend), tensorFromInfo(dfilter, backend)];
      },
    };
  });
  return run(x, filter);
}
