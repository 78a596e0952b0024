import * as tf from '@tensorflow/tfjs-core';
import { checkOneOf } from '../arguments.js';
import { averagePool2D } from '../backend/custom/average-pool2d.js';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import type { Shape } from './shape.js';
import { checkPair, PADDINGS, windowPositions, type Padding, type Pair } from './window.js';

export interface Pooling2DOptions extends LayerOptions {
  /** [height, width] of the window; default 2. */
  readonly poolSize?: Pair;
  /** [height, width]; default: the window's size. */
  readonly strides?: Pair;
  /** Default 'valid'. */
  readonly padding?: Padding;
}

/** What both poolings share: options and geometry. Input [N, H, W, C], output [N, OH, OW, C]. */
abstract class Pooling2D extends UnaryLayer {
  protected readonly poolSize: readonly [number, number];
  protected readonly strides: readonly [number, number];
  protected readonly padding: Padding;

  constructor(type: string, options: Pooling2DOptions) {
    checkLayerOptions(type, options, ['poolSize', 'strides', 'padding']);
    super(options);
    this.poolSize = checkPair(type, 'poolSize', options.poolSize ?? 2);
    this.strides = checkPair(type, 'strides', options.strides ?? this.poolSize);
    this.padding = checkOneOf(type, 'padding', options.padding ?? 'valid', PADDINGS);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const [height, width, channels] = inputShape;
    if (inputShape.length !== 3 || height === undefined || width === undefined || channels === undefined) {
      throw this.shapeError('wrong input shape', '[N, H, W, C]', `[${['N', ...inputShape].join(', ')}]`);
    }
    const sizes = [height, width].map((size, axis) =>
      windowPositions(size, {
        window: this.poolSize[axis] as number,
        stride: this.strides[axis] as number,
        padding: this.padding,
      }),
    );
    if (Math.min(...sizes) < 1) {
      throw this.shapeError(
        'the window does not fit into the image',
        `at least ${this.poolSize.join(' x ')}`,
        `${height} x ${width}`,
      );
    }
    return [...sizes, channels];
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { poolSize: this.poolSize, strides: this.strides, padding: this.padding };
  }
}

/**
 * Largest value of each window; padding never wins. The gradient goes to the first largest element in row-major order.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no image or smaller than the window
 */
export class MaxPooling2D extends Pooling2D {
  readonly type = 'max_pool2d';

  constructor(options: Pooling2DOptions = {}) {
    super('max_pool2d', options);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.maxPool(x as tf.Tensor4D, [...this.poolSize], [...this.strides], this.padding);
  }
}

/**
 * Mean of each window; padding is not counted, neither here nor in the gradient.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no image or smaller than the window
 */
export class AveragePooling2D extends Pooling2D {
  readonly type = 'avg_pool2d';

  constructor(options: Pooling2DOptions = {}) {
    super('avg_pool2d', options);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const { poolSize, strides, padding } = this;
    return averagePool2D(x as tf.Tensor4D, { window: poolSize, strides, padding });
  }
}

registerLayer('max_pool2d', (config) => new MaxPooling2D(config));
registerLayer('avg_pool2d', (config) => new AveragePooling2D(config));
