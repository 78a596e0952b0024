import * as tf from '@tensorflow/tfjs-core';
import { conv2dDilated } from '../backend/custom/conv2d-dilated.js';
import { ConvND, type ConvOptions } from './conv.js';
import { registerLayer } from './registry.js';

export type Conv2DOptions = ConvOptions;

/**
 * 2-D convolution (correlation, as in every framework) over NHWC images: y = activation(conv(x, kernel) + bias).
 *
 * Input [N, H, W, C], output [N, OH, OW, filters]; parameters `kernel` [KH, KW, C, filters] and `bias` [filters], float32.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no image or smaller than the kernel
 */
export class Conv2D extends ConvND {
  readonly type = 'conv2d';

  constructor(options: Conv2DOptions) {
    super('conv2d', options, 2);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const images = x as tf.Tensor4D;
    const kernel = this.kernel as tf.Tensor as tf.Tensor4D;
    const { strides, dilations } = this.convolution;
    const padding = this.convolution.padding as 'valid' | 'same';
    const pair = (sizes: readonly number[]): [number, number] => [sizes[0] as number, sizes[1] as number];
    const product =
      Math.max(...dilations) > 1
        ? conv2dDilated(images, kernel, { padding, dilations: pair(dilations) })
        : tf.conv2d(images, kernel, pair(strides), padding);
    return this.finish(product);
  }
}

registerLayer('conv2d', (config) => new Conv2D(config as unknown as Conv2DOptions));
