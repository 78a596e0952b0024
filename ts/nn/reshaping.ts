/** Layers that move values without changing them. No parameters. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, sizeOfShape, type Shape } from './shape.js';
import { ConfiguredLayer } from './simple-layer.js';

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

registerLayer('reshape', (config) => new Reshape(config as unknown as ReshapeOptions));
registerLayer('permute', (config) => new Permute(config as unknown as PermuteOptions));
registerLayer('select', (config) => new Select(config as unknown as SelectOptions));
registerLayer('repeat_vector', (config) => new RepeatVector(config as unknown as RepeatVectorOptions));
