/** The rest of the dropout family. Each draws from a random state of its own, so a recorded step draws anew at each replay. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../arguments.js';
import { dropout } from '../backend/custom/dropout.js';
import { randomNormal, type RandomState } from '../backend/custom/random.js';
import { checkLayerOptions, type CallOptions } from './layer.js';
import type { DropoutOptions } from './dropout.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';
import { ShapeKeepingLayer } from './simple-layer.js';
import { INPUT_FORMS } from './sliding.js';
import type { LayerOptions } from './layer.js';

/** A layer that changes its input at random in training and passes it on otherwise. */
abstract class RandomLayer extends ShapeKeepingLayer {
  #random: RandomState | undefined;
  /** Strength; 0 changes nothing. */
  protected readonly strength: number;

  constructor(type: string, options: LayerOptions, key: 'rate' | 'stddev') {
    checkLayerOptions(type, options, [key]);
    const value = (options as Readonly<Record<string, unknown>>)[key];
    const strength = checkNumber(type, key, value, key === 'rate' ? { min: 0, below: 1 } : { min: 0 });
    super(options, { [key]: strength });
    this.strength = strength;
  }

  protected override createUnaryParameters(_inputShape: Shape): void {
    this.#random = this.addRandomState('random');
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    if (options.training !== true || this.strength === 0) return tf.clone(x);
    return this.disturb(x, this.#random as RandomState);
  }

  protected abstract disturb(x: tf.Tensor, random: RandomState): tf.Tensor;
}

/** In training drops whole channels: [N, ..., C] times a mask [N, 1, ..., C]. @source Tompson et al. 2015, arXiv:1411.4280 */
abstract class SpatialDropout extends RandomLayer {
  readonly #rank: number;

  constructor(type: string, options: DropoutOptions, rank: number) {
    super(type, options, 'rate');
    this.#rank = rank;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== this.#rank + 1)
      throw this.shapeError('wrong input shape', INPUT_FORMS[this.#rank] as string, formatBatchShape(inputShape));
    return inputShape;
  }

  protected override disturb(x: tf.Tensor, random: RandomState): tf.Tensor {
    const shape = x.shape.map((dim, axis) => (axis === 0 || axis === x.rank - 1 ? dim : 1));
    return tf.mul(x, dropout(tf.ones(shape), this.strength, random));
  }
}

/** Spatial dropout of sequences [N, T, C]. */
export class SpatialDropout1D extends SpatialDropout {
  readonly type = 'spatial_dropout1d';
  constructor(options: DropoutOptions) {
    super('spatial_dropout1d', options, 1);
  }
}
/** Spatial dropout of images [N, H, W, C]. */
export class SpatialDropout2D extends SpatialDropout {
  readonly type = 'spatial_dropout2d';
  constructor(options: DropoutOptions) {
    super('spatial_dropout2d', options, 2);
  }
}
/** Spatial dropout of volumes [N, D, H, W, C]. */
export class SpatialDropout3D extends SpatialDropout {
  readonly type = 'spatial_dropout3d';
  constructor(options: DropoutOptions) {
    super('spatial_dropout3d', options, 3);
  }
}

/**
 * In training drops whole rows of the batch and divides the others by 1 - rate: at the end of a residual branch it leaves the
 * way round alone. [N, ...] -> same.
 *
 * @source Huang et al. 2016, arXiv:1603.09382
 */
export class DropPath extends RandomLayer {
  readonly type = 'drop_path';
  constructor(options: DropoutOptions) {
    super('drop_path', options, 'rate');
  }
  protected override disturb(x: tf.Tensor, random: RandomState): tf.Tensor {
    const shape = x.shape.map((dim, axis) => (axis === 0 ? dim : 1));
    return tf.mul(x, dropout(tf.ones(shape), this.strength, random));
  }
}

/** In training multiplies by normal numbers of mean 1 and deviation sqrt(rate / (1 - rate)). @source Srivastava et al. 2014 */
export class GaussianDropout extends RandomLayer {
  readonly type = 'gaussian_dropout';
  constructor(options: DropoutOptions) {
    super('gaussian_dropout', options, 'rate');
  }
  protected override disturb(x: tf.Tensor, random: RandomState): tf.Tensor {
    const stddev = Math.sqrt(this.strength / (1 - this.strength));
    return tf.mul(x, randomNormal(x.shape, random, { mean: 1, stddev }));
  }
}

export interface GaussianNoiseOptions extends LayerOptions {
  /** Standard deviation, >= 0. */
  readonly stddev: number;
}

/** In training adds normal numbers of mean 0. */
export class GaussianNoise extends RandomLayer {
  readonly type = 'gaussian_noise';
  constructor(options: GaussianNoiseOptions) {
    super('gaussian_noise', options, 'stddev');
  }
  protected override disturb(x: tf.Tensor, random: RandomState): tf.Tensor {
    return tf.add(x, randomNormal(x.shape, random, { stddev: this.strength }));
  }
}

/** What selu tends to for very negative inputs: -scale * alpha. */
const SELU_FLOOR = -1.7580993408473766;

/**
 * In training sets elements to selu's floor and scales and shifts all, so that mean 0 and variance 1 stay.
 *
 * @source Klambauer, Unterthiner, Mayr, Hochreiter 2017, arXiv:1706.02515
 */
export class AlphaDropout extends RandomLayer {
  readonly type = 'alpha_dropout';
  constructor(options: DropoutOptions) {
    super('alpha_dropout', options, 'rate');
  }
  protected override disturb(x: tf.Tensor, random: RandomState): tf.Tensor {
    const rate = this.strength;
    const keep = tf.mul(dropout(tf.ones(x.shape), rate, random), 1 - rate);
    const scale = 1 / Math.sqrt((1 - rate) * (1 + rate * SELU_FLOOR ** 2));
    const mixed = tf.add(tf.mul(x, keep), tf.mul(tf.sub(1, keep), SELU_FLOOR));
    return tf.add(tf.mul(mixed, scale), -scale * SELU_FLOOR * rate);
  }
}

const asDropout = (config: Readonly<Record<string, unknown>>): DropoutOptions => config as unknown as DropoutOptions;
registerLayer('spatial_dropout1d', (config) => new SpatialDropout1D(asDropout(config)));
registerLayer('spatial_dropout2d', (config) => new SpatialDropout2D(asDropout(config)));
registerLayer('spatial_dropout3d', (config) => new SpatialDropout3D(asDropout(config)));
registerLayer('drop_path', (config) => new DropPath(asDropout(config)));
registerLayer('gaussian_dropout', (config) => new GaussianDropout(asDropout(config)));
registerLayer('gaussian_noise', (config) => new GaussianNoise(config as unknown as GaussianNoiseOptions));
registerLayer('alpha_dropout', (config) => new AlphaDropout(asDropout(config)));
