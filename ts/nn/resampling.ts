/** Layers that change how many places there are. No parameters. */
import * as tf from '@tensorflow/tfjs-core';
import { checkOneOf } from '../arguments.js';
import { checkLayerOptions, type LayerOptions } from './layer.js';
import { Placed } from './placed-layer.js';
import { registerLayer } from './registry.js';
import { sizeOfShape, type Shape } from './shape.js';
import { checkSizes, type Sizes } from './sliding.js';

export interface UpSamplingOptions extends LayerOptions {
  /** Default 2. */
  readonly size?: Sizes;
}

/** Each place several times. */
abstract class UpSampling extends Placed {
  protected readonly size: readonly number[];

  constructor(
    type: string,
    options: UpSamplingOptions,
    more: { readonly rank: number; readonly config?: Readonly<Record<string, unknown>> },
  ) {
    const size = checkSizes(type, 'size', options.size ?? 2, more.rank);
    super(options, { size, ...more.config });
    this.size = size;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.checkRank(inputShape, this.size.length);
    return inputShape.map((dim, axis) => dim * (this.size[axis] ?? 1));
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    // One axis after the other: [before, dim, after] -> [before, dim, times, after].
    return this.size.reduce<tf.Tensor>((y, times, index) => {
      const axis = index + 1;
      const [before, after] = [y.shape.slice(0, axis), y.shape.slice(axis + 1)].map(sizeOfShape) as [number, number];
      const dim = y.shape[axis] as number;
      const repeated = tf.tile(tf.reshape(y, [before * dim, 1, after]), [1, times, 1]);
      return tf.reshape(
        repeated,
        y.shape.map((size, i) => (i === axis ? size * times : size)),
      );
    }, x);
  }
}

/** Each place of a sequence `size` times: [N, T, C] -> [N, T * size, C]. */
export class UpSampling1D extends UpSampling {
  readonly type = 'up_sampling1d';
  constructor(options: UpSamplingOptions = {}) {
    checkLayerOptions('up_sampling1d', options, ['size']);
    super('up_sampling1d', options, { rank: 1 });
  }
}

export interface UpSampling2DOptions extends UpSamplingOptions {
  /** 'nearest' (default) repeats pixels; 'bilinear' interpolates between their centres. */
  readonly interpolation?: 'nearest' | 'bilinear';
}

/** A larger image: [N, H, W, C] -> [N, H * size, W * size, C]. @throws E_CONFIG; E_SHAPE at build */
export class UpSampling2D extends UpSampling {
  readonly type = 'up_sampling2d';
  readonly #isBilinear: boolean;

  constructor(options: UpSampling2DOptions = {}) {
    checkLayerOptions('up_sampling2d', options, ['size', 'interpolation']);
    const interpolation = checkOneOf('up_sampling2d', 'interpolation', options.interpolation ?? 'nearest', [
      'nearest',
      'bilinear',
    ]);
    super('up_sampling2d', options, { rank: 2, config: { interpolation } });
    this.#isBilinear = interpolation === 'bilinear';
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    if (!this.#isBilinear) return super.transform(x);
    const [height, width] = this.computeOutputShape(x.shape.slice(1)) as [number, number];
    return tf.image.resizeBilinear(x as tf.Tensor4D, [height, width], false, true);
  }
}

/** Each cell of a volume several times: [N, D, H, W, C] -> [N, D * size, H * size, W * size, C]. */
export class UpSampling3D extends UpSampling {
  readonly type = 'up_sampling3d';
  constructor(options: UpSamplingOptions = {}) {
    checkLayerOptions('up_sampling3d', options, ['size']);
    super('up_sampling3d', options, { rank: 3 });
  }
}

export interface Resize2DOptions extends LayerOptions {
  /** [height, width] of the result; one number for both. */
  readonly size: Sizes;
  /** 'bilinear' (default) or 'nearest', both between the centres of pixels. */
  readonly interpolation?: 'nearest' | 'bilinear';
}

/**
 * Images of another size, larger or smaller: [N, H, W, C] -> [N, height, width, C]. Smaller ones are not smoothed before.
 *
 * @throws E_CONFIG; E_SHAPE at build
 */
export class Resize2D extends Placed {
  readonly type = 'resize2d';
  readonly #size: readonly number[];
  readonly #isBilinear: boolean;

  constructor(options: Resize2DOptions) {
    checkLayerOptions('resize2d', options, ['size', 'interpolation']);
    const size = checkSizes('resize2d', 'size', options.size, 2);
    const interpolation = checkOneOf('resize2d', 'interpolation', options.interpolation ?? 'bilinear', ['nearest', 'bilinear']);
    super(options, { size, interpolation });
    this.#size = size;
    this.#isBilinear = interpolation === 'bilinear';
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.checkRank(inputShape, 2);
    return [...this.#size, inputShape[2] as number];
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const size = [...this.#size] as [number, number];
    const images = x as tf.Tensor4D;
    return this.#isBilinear
      ? tf.image.resizeBilinear(images, size, false, true)
      : tf.image.resizeNearestNeighbor(images, size, false, true);
  }
}

registerLayer('up_sampling1d', (config) => new UpSampling1D(config));
registerLayer('up_sampling2d', (config) => new UpSampling2D(config));
registerLayer('up_sampling3d', (config) => new UpSampling3D(config));
registerLayer('resize2d', (config) => new Resize2D(config as unknown as Resize2DOptions));
