/** Layers that move values without changing them. No parameters. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkOneOf, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, sizeOfShape, type Shape } from './shape.js';
import { ConfiguredLayer } from './simple-layer.js';
import { checkSizes, INPUT_FORMS, type Sizes } from './sliding.js';

export interface ReshapeOptions extends LayerOptions {
  /** Shape of a row; one size may be -1: what is left. */
  readonly shape: readonly number[];
}

/** Rows in another shape, row-major: [N, ...] -> [N, ...shape]. @throws E_CONFIG; E_SHAPE at build when the sizes differ */
export class Reshape extends ConfiguredLayer {
  readonly type = 'reshape';
  readonly #shape: readonly number[];

  constructor(options: ReshapeOptions) {
    checkLayerOptions('reshape', options, ['shape']);
    const { shape } = options;
    const isShape = Array.isArray(shape) && shape.every((dim) => Number.isSafeInteger(dim) && (dim > 0 || dim === -1));
    if (!isShape || shape.filter((dim) => dim === -1).length > 1)
      throw new TensorkilnError(
        'E_CONFIG',
        `[reshape] wrong shape: expected positive integers, one may be -1, got ${show(shape)}.`,
      );
    super(options, { shape });
    this.#shape = shape;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const size = sizeOfShape(inputShape);
    const known = sizeOfShape(this.#shape.filter((dim) => dim !== -1));
    const shape = this.#shape.map((dim) => (dim === -1 ? size / known : dim));
    if (sizeOfShape(shape) !== size || !shape.every(Number.isInteger))
      throw this.shapeError('the sizes differ', `rows that fit [${this.#shape.join(', ')}]`, formatBatchShape(inputShape));
    return shape;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.reshape(x, [x.shape[0], ...this.outputShape]);
  }
}

export interface PermuteOptions extends LayerOptions {
  /** Order of the axes besides the batch, counted from 1. */
  readonly axes: readonly number[];
}

/** Axes of each row in another order. @throws E_CONFIG; E_SHAPE at build when the ranks differ */
export class Permute extends ConfiguredLayer {
  readonly type = 'permute';
  readonly #axes: readonly number[];

  constructor(options: PermuteOptions) {
    checkLayerOptions('permute', options, ['axes']);
    const { axes } = options;
    if (!Array.isArray(axes) || ![...(axes as readonly number[])].sort((a, b) => a - b).every((axis, i) => axis === i + 1))
      throw new TensorkilnError('E_CONFIG', `[permute] wrong axes: expected each of 1 to rank once, got ${show(axes)}.`);
    super(options, { axes });
    this.#axes = axes;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== this.#axes.length)
      throw this.shapeError('wrong input shape', `${this.#axes.length} axes besides the batch`, formatBatchShape(inputShape));
    return this.#axes.map((axis) => inputShape[axis - 1] as number);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.transpose(x, [0, ...this.#axes]);
  }
}

export interface SelectOptions extends LayerOptions {
  /** Axis without the batch, negative from the end. Default 0. */
  readonly axis?: number;
  /** Place along it, negative from the end. */
  readonly index: number;
}

/** One place along an axis, which goes away: [N, T, C] -> [N, C]. @throws E_CONFIG; E_SHAPE at build when there is none */
export class Select extends ConfiguredLayer {
  readonly type = 'select';
  readonly #axis: number;
  readonly #index: number;

  constructor(options: SelectOptions) {
    checkLayerOptions('select', options, ['axis', 'index']);
    const axis = checkInteger('select', 'axis', options.axis ?? 0);
    const index = checkInteger('select', 'index', options.index);
    super(options, { axis, index });
    this.#axis = axis;
    this.#index = index;
  }

  /** The axis and place in a row of that shape. */
  #locate(inputShape: Shape): { axis: number; index: number } {
    const axis = this.#axis < 0 ? inputShape.length + this.#axis : this.#axis;
    const size = inputShape[axis];
    if (size === undefined)
      throw this.shapeError('no such axis', `more than ${this.#axis} axes besides the batch`, formatBatchShape(inputShape));
    const index = this.#index < 0 ? size + this.#index : this.#index;
    if (index < 0 || index >= size)
      throw this.shapeError('no such place', `index ${this.#index} within axis ${this.#axis}`, formatBatchShape(inputShape));
    return { axis, index };
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const { axis } = this.#locate(inputShape);
    return inputShape.filter((_, i) => i !== axis);
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis === (this.#axis < 0 ? rank + this.#axis : this.#axis);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const { axis, index } = this.#locate(x.shape.slice(1));
    const begin = x.shape.map((_, i) => (i === axis + 1 ? index : 0));
    const size = x.shape.map((dim, i) => (i === axis + 1 ? 1 : dim));
    return tf.squeeze(tf.slice(x, begin, size), [axis + 1]);
  }
}

export interface RepeatVectorOptions extends LayerOptions {
  readonly count: number;
}

/** A vector at each of `count` places: [N, C] -> [N, count, C]. @throws E_CONFIG; E_SHAPE at build */
export class RepeatVector extends ConfiguredLayer {
  readonly type = 'repeat_vector';
  readonly #count: number;

  constructor(options: RepeatVectorOptions) {
    checkLayerOptions('repeat_vector', options, ['count']);
    const count = checkInteger('repeat_vector', 'count', options.count, { min: 1 });
    super(options, { count });
    this.#count = count;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== 1) throw this.shapeError('wrong input shape', '[N, C]', formatBatchShape(inputShape));
    return [this.#count, ...inputShape];
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.tile(tf.expandDims(x, 1), [1, this.#count, 1]);
  }
}

/** Layers over [N, ..., C] of a fixed number of places' axes. */
abstract class Placed extends ConfiguredLayer {
  protected checkRank(inputShape: Shape, rank: number): void {
    if (inputShape.length !== rank + 1)
      throw this.shapeError('wrong input shape', INPUT_FORMS[rank] as string, formatBatchShape(inputShape));
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }
}

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

/** Zeros before and after a sequence [N, T, C]. */
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

registerLayer('reshape', (config) => new Reshape(config as unknown as ReshapeOptions));
registerLayer('permute', (config) => new Permute(config as unknown as PermuteOptions));
registerLayer('select', (config) => new Select(config as unknown as SelectOptions));
registerLayer('repeat_vector', (config) => new RepeatVector(config as unknown as RepeatVectorOptions));
registerLayer('zero_padding1d', (config) => new ZeroPadding1D(config));
registerLayer('zero_padding2d', (config) => new ZeroPadding2D(config));
registerLayer('cropping1d', (config) => new Cropping1D(config));
registerLayer('cropping2d', (config) => new Cropping2D(config));
registerLayer('up_sampling1d', (config) => new UpSampling1D(config));
registerLayer('up_sampling2d', (config) => new UpSampling2D(config));
registerLayer('up_sampling3d', (config) => new UpSampling3D(config));
