/** Poolings over one and three axes, and global ones; those of images stand in pooling2d.ts. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkOneOf } from '../arguments.js';
import { averagePool2D } from '../backend/custom/average-pool2d.js';
import { checkLayerOptions, type LayerOptions } from './layer.js';
import { MaskedLayer } from './masked-layer.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';
import { ConfiguredLayer } from './simple-layer.js';
import { checkSizes, INPUT_FORMS, samePadding, slidingSizes, type Sizes } from './sliding.js';
import { PADDINGS, type Padding } from './window.js';

export interface PoolingOptions extends LayerOptions {
  /** Size of the window along each axis; default 2. */
  readonly poolSize?: Sizes;
  /** Default: the window's size. */
  readonly strides?: Sizes;
  /** Default 'valid'. */
  readonly padding?: Padding;
}

abstract class PoolingND extends ConfiguredLayer {
  protected readonly poolSize: readonly number[];
  protected readonly strides: readonly number[];
  protected readonly padding: Padding;

  constructor(type: string, options: PoolingOptions, rank: number) {
    checkLayerOptions(type, options, ['poolSize', 'strides', 'padding']);
    const poolSize = checkSizes(type, 'poolSize', options.poolSize ?? 2, rank);
    const strides = checkSizes(type, 'strides', options.strides ?? poolSize, rank);
    const padding = checkOneOf(type, 'padding', options.padding ?? 'valid', PADDINGS);
    super(options, { poolSize, strides, padding });
    this.poolSize = poolSize;
    this.strides = strides;
    this.padding = padding;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const rank = this.poolSize.length;
    if (inputShape.length !== rank + 1)
      throw this.shapeError('wrong input shape', INPUT_FORMS[rank] as string, formatBatchShape(inputShape));
    const sizes = slidingSizes(inputShape, this.poolSize, { strides: this.strides, padding: this.padding });
    if (Math.min(...sizes) < 1) {
      throw this.shapeError(
        'the window does not fit into the input',
        `at least ${this.poolSize.join(' x ')}`,
        inputShape.slice(0, rank).join(' x '),
      );
    }
    return [...sizes, inputShape[rank] as number];
  }

  /** Runs a pooling of images over sequences: [N, T, C] as images one pixel high. */
  protected asImages(
    x: tf.Tensor,
    pool: (images: tf.Tensor4D, window: [number, number], strides: [number, number]) => tf.Tensor,
  ): tf.Tensor {
    const [window, stride] = [this.poolSize[0] as number, this.strides[0] as number];
    return tf.squeeze(pool(tf.expandDims<tf.Tensor4D>(x, 1), [1, window], [1, stride]), [1]);
  }

  protected triple(sizes: readonly number[]): [number, number, number] {
    return [sizes[0] as number, sizes[1] as number, sizes[2] as number];
  }
}

/** Largest value of each window of a sequence: [N, T, C] -> [N, OT, C]. @throws E_CONFIG; E_SHAPE at build */
export class MaxPooling1D extends PoolingND {
  readonly type = 'max_pool1d';

  constructor(options: PoolingOptions = {}) {
    super('max_pool1d', options, 1);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return this.asImages(x, (images, window, strides) => tf.maxPool(images, window, strides, this.padding));
  }
}

/** Mean of each window of a sequence, padding not counted: [N, T, C] -> [N, OT, C]. @throws E_CONFIG; E_SHAPE at build */
export class AveragePooling1D extends PoolingND {
  readonly type = 'avg_pool1d';

  constructor(options: PoolingOptions = {}) {
    super('avg_pool1d', options, 1);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return this.asImages(x, (images, window, strides) => averagePool2D(images, { window, strides, padding: this.padding }));
  }
}

/** Largest value of each window of a volume: [N, D, H, W, C] -> [N, OD, OH, OW, C]. @throws E_CONFIG; E_SHAPE at build */
export class MaxPooling3D extends PoolingND {
  readonly type = 'max_pool3d';

  constructor(options: PoolingOptions = {}) {
    super('max_pool3d', options, 3);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.maxPool3d(x as tf.Tensor5D, this.triple(this.poolSize), this.triple(this.strides), this.padding);
  }
}

/**
 * Mean of each window of a volume, padding not counted: [N, D, H, W, C] -> [N, OD, OH, OW, C].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no volume or smaller than the window
 */
export class AveragePooling3D extends PoolingND {
  readonly type = 'avg_pool3d';

  constructor(options: PoolingOptions = {}) {
    super('avg_pool3d', options, 3);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const [window, strides] = [this.triple(this.poolSize), this.triple(this.strides)];
    const pool = (volume: tf.Tensor): tf.Tensor => tf.avgPool3d(volume as tf.Tensor5D, window, strides, 'valid');
    if (this.padding === 'valid') return pool(x);
    // Zeros in place of 'same': the mean over window and zeros, divided by the share of the window that lies in the volume,
    // has the right gradient too, which tfjs-core's own has not at the border.
    const sizes = x.shape.slice(1, 4);
    const paddings: [number, number][] = [[0, 0], ...samePadding(sizes, window, strides, [1, 1, 1]), [0, 0]];
    const inside = pool(tf.pad(tf.ones([1, ...sizes, 1]), paddings));
    return tf.div(pool(tf.pad(x, paddings)), inside);
  }
}

export interface GlobalPoolingOptions extends LayerOptions {
  /** Whether the pooled axes stay, with size 1. Default false. */
  readonly keepDims?: boolean;
}

/** All places of a sequence, image or volume in one: [N, ..., C] -> [N, C]. */
abstract class GlobalPooling extends ConfiguredLayer {
  readonly #rank: number;
  protected readonly keepDims: boolean;

  constructor(type: string, options: GlobalPoolingOptions, rank: number) {
    checkLayerOptions(type, options, ['keepDims']);
    const keepDims = checkBoolean(type, 'keepDims', options.keepDims ?? false);
    super(options, { keepDims });
    this.#rank = rank;
    this.keepDims = keepDims;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== this.#rank + 1)
      throw this.shapeError('wrong input shape', INPUT_FORMS[this.#rank] as string, formatBatchShape(inputShape));
    return [...(this.keepDims ? inputShape.slice(0, -1).map(() => 1) : []), inputShape.at(-1) as number];
  }

  protected get axes(): number[] {
    return Array.from({ length: this.#rank }, (_, axis) => axis + 1);
  }
}

abstract class GlobalAverage extends GlobalPooling {
  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.mean(x, this.axes, this.keepDims);
  }
}

abstract class GlobalMax extends GlobalPooling {
  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.max(x, this.axes, this.keepDims);
  }
}

/**
 * Mean over time: [N, T, C] -> [N, C]. A bool mask [N, T] as second input leaves out places that are false; a row of which no
 * place counts gives 0.
 *
 * @throws E_CONFIG; E_SHAPE at build
 */
export class GlobalAveragePooling1D extends MaskedLayer {
  readonly type = 'global_avg_pool1d';
  readonly #keepDims: boolean;

  constructor(options: GlobalPoolingOptions = {}) {
    checkLayerOptions('global_avg_pool1d', options, ['keepDims']);
    super(options);
    this.#keepDims = checkBoolean('global_avg_pool1d', 'keepDims', options.keepDims ?? false);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const [, channels] = this.checkSequence(inputShape);
    return this.#keepDims ? [1, channels] : [channels];
  }

  protected override transformMasked(x: tf.Tensor, mask: tf.Tensor | undefined): readonly tf.Tensor[] {
    if (mask === undefined) return [tf.mean(x, 1, this.#keepDims)];
    const counts = tf.expandDims(tf.cast(mask, 'float32'), 2);
    const places = tf.maximum(tf.sum(counts, 1, this.#keepDims), 1);
    return [tf.div(tf.sum(tf.mul(x, counts), 1, this.#keepDims), places)];
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { keepDims: this.#keepDims };
  }
}
/** Mean over an image: [N, H, W, C] -> [N, C]. */
export class GlobalAveragePooling2D extends GlobalAverage {
  readonly type = 'global_avg_pool2d';
  constructor(options: GlobalPoolingOptions = {}) {
    super('global_avg_pool2d', options, 2);
  }
}
/** Mean over a volume: [N, D, H, W, C] -> [N, C]. */
export class GlobalAveragePooling3D extends GlobalAverage {
  readonly type = 'global_avg_pool3d';
  constructor(options: GlobalPoolingOptions = {}) {
    super('global_avg_pool3d', options, 3);
  }
}
/** Maximum over time: [N, T, C] -> [N, C]. */
export class GlobalMaxPooling1D extends GlobalMax {
  readonly type = 'global_max_pool1d';
  constructor(options: GlobalPoolingOptions = {}) {
    super('global_max_pool1d', options, 1);
  }
}
/** Maximum over an image: [N, H, W, C] -> [N, C]. */
export class GlobalMaxPooling2D extends GlobalMax {
  readonly type = 'global_max_pool2d';
  constructor(options: GlobalPoolingOptions = {}) {
    super('global_max_pool2d', options, 2);
  }
}
/** Maximum over a volume: [N, D, H, W, C] -> [N, C]. */
export class GlobalMaxPooling3D extends GlobalMax {
  readonly type = 'global_max_pool3d';
  constructor(options: GlobalPoolingOptions = {}) {
    super('global_max_pool3d', options, 3);
  }
}

registerLayer('max_pool1d', (config) => new MaxPooling1D(config));
registerLayer('avg_pool1d', (config) => new AveragePooling1D(config));
registerLayer('max_pool3d', (config) => new MaxPooling3D(config));
registerLayer('avg_pool3d', (config) => new AveragePooling3D(config));
registerLayer('global_avg_pool1d', (config) => new GlobalAveragePooling1D(config));
registerLayer('global_avg_pool2d', (config) => new GlobalAveragePooling2D(config));
registerLayer('global_avg_pool3d', (config) => new GlobalAveragePooling3D(config));
registerLayer('global_max_pool1d', (config) => new GlobalMaxPooling1D(config));
registerLayer('global_max_pool2d', (config) => new GlobalMaxPooling2D(config));
registerLayer('global_max_pool3d', (config) => new GlobalMaxPooling3D(config));
