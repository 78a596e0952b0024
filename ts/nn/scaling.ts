/** Layers that scale by fixed numbers or by the input's own length. No parameters. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../arguments.js';
import { checkLayerOptions, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';
import { ShapeKeepingLayer } from './simple-layer.js';

export interface RescalingOptions extends LayerOptions {
  /** Default 1. */
  readonly scale?: number;
  /** Default 0. */
  readonly offset?: number;
}

/** y = x * scale + offset: bytes of images to [0, 1], for example. [N, ...] -> same. @throws E_CONFIG */
export class Rescaling extends ShapeKeepingLayer {
  readonly type = 'rescaling';
  readonly #scale: number;
  readonly #offset: number;

  constructor(options: RescalingOptions) {
    checkLayerOptions('rescaling', options, ['scale', 'offset']);
    const scale = checkNumber('rescaling', 'scale', options.scale ?? 1);
    const offset = checkNumber('rescaling', 'offset', options.offset ?? 0);
    super(options, { scale, offset });
    this.#scale = scale;
    this.#offset = offset;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.add(tf.mul(x, this.#scale), this.#offset);
  }
}

/** Added to squared lengths: a row of zeros stays zero, and its gradient finite. */
const TINY = 1e-12;

/** Rows of length 1: y = x / |x| over the last axis. [N, ..., C] -> same. @throws E_CONFIG; E_SHAPE at build */
export class UnitNorm extends ShapeKeepingLayer {
  readonly type = 'unit_norm';

  constructor(options: LayerOptions = {}) {
    checkLayerOptions('unit_norm', options, []);
    super(options, {});
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length === 0) throw this.shapeError('wrong input shape', '[N, ..., C]', formatBatchShape(inputShape));
    return inputShape;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), -1, true), TINY)));
  }
}

registerLayer('rescaling', (config) => new Rescaling(config));
registerLayer('unit_norm', (config) => new UnitNorm(config));
