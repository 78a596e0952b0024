/** Borders: zeros put round inputs, and cut off. No parameters. */
import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, type LayerOptions } from './layer.js';
import { Placed } from './placed-layer.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';
import { checkSizes } from './sliding.js';

/** Per axis how many before and after; one number stands for both, one entry for all axes. */
export type Margins = number | readonly (number | readonly [number, number])[];

function readMargins(place: string, key: string, value: Margins, rank: number): readonly (readonly number[])[] {
  const list = typeof value === 'number' ? Array.from({ length: rank }, () => value) : value;
  if (!Array.isArray(list) || list.length !== rank)
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong ${key}: expected a number or one entry per axis (${rank}), got ${show(value)}.`,
    );
  return list.map((entry: number | readonly number[]) => checkSizes(place, key, entry, 2, 0));
}

export interface ZeroPaddingOptions extends LayerOptions {
  /** Default 1. */
  readonly padding?: Margins;
}

abstract class ZeroPadding extends Placed {
  readonly #margins: readonly (readonly number[])[];

  constructor(type: string, options: ZeroPaddingOptions, rank: number) {
    checkLayerOptions(type, options, ['padding']);
    const padding = readMargins(type, 'padding', options.padding ?? 1, rank);
    super(options, { padding });
    this.#margins = padding;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.checkRank(inputShape, this.#margins.length);
    return inputShape.map((dim, axis) => dim + (this.#margins[axis] ?? []).reduce((sum, margin) => sum + margin, 0));
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.pad(x, [[0, 0], ...this.#margins.map((margin) => [...margin] as [number, number]), [0, 0]]);
  }
}

/** Zeros before and after a sequence: [N, T, C] -> [N, before + T + after, C]. */
export class ZeroPadding1D extends ZeroPadding {
  readonly type = 'zero_padding1d';
  constructor(options: ZeroPaddingOptions = {}) {
    super('zero_padding1d', options, 1);
  }
}
/** Zeros round an image [N, H, W, C]. */
export class ZeroPadding2D extends ZeroPadding {
  readonly type = 'zero_padding2d';
  constructor(options: ZeroPaddingOptions = {}) {
    super('zero_padding2d', options, 2);
  }
}

/** Zeros round a volume [N, D, H, W, C]. */
export class ZeroPadding3D extends ZeroPadding {
  readonly type = 'zero_padding3d';
  constructor(options: ZeroPaddingOptions = {}) {
    super('zero_padding3d', options, 3);
  }
}

export interface CroppingOptions extends LayerOptions {
  /** Default 1. */
  readonly cropping?: Margins;
}

abstract class Cropping extends Placed {
  readonly #margins: readonly (readonly number[])[];

  constructor(type: string, options: CroppingOptions, rank: number) {
    checkLayerOptions(type, options, ['cropping']);
    const cropping = readMargins(type, 'cropping', options.cropping ?? 1, rank);
    super(options, { cropping });
    this.#margins = cropping;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.checkRank(inputShape, this.#margins.length);
    const shape = inputShape.map((dim, axis) => dim - (this.#margins[axis] ?? []).reduce((sum, margin) => sum + margin, 0));
    if (Math.min(...shape) < 1) throw this.shapeError('nothing is left', 'a larger input', formatBatchShape(inputShape));
    return shape;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const begin = [0, ...this.#margins.map(([before]) => before as number), 0];
    return tf.slice(x, begin, [x.shape[0], ...this.computeOutputShape(x.shape.slice(1))]);
  }
}

/** A sequence [N, T, C] without its ends. */
export class Cropping1D extends Cropping {
  readonly type = 'cropping1d';
  constructor(options: CroppingOptions = {}) {
    super('cropping1d', options, 1);
  }
}
/** An image [N, H, W, C] without its border. */
export class Cropping2D extends Cropping {
  readonly type = 'cropping2d';
  constructor(options: CroppingOptions = {}) {
    super('cropping2d', options, 2);
  }
}
/** A volume [N, D, H, W, C] without its border. */
export class Cropping3D extends Cropping {
  readonly type = 'cropping3d';
  constructor(options: CroppingOptions = {}) {
    super('cropping3d', options, 3);
  }
}

registerLayer('zero_padding1d', (config) => new ZeroPadding1D(config));
registerLayer('zero_padding2d', (config) => new ZeroPadding2D(config));
registerLayer('zero_padding3d', (config) => new ZeroPadding3D(config));
registerLayer('cropping1d', (config) => new Cropping1D(config));
registerLayer('cropping2d', (config) => new Cropping2D(config));
registerLayer('cropping3d', (config) => new Cropping3D(config));
