/** Layers that make one tensor of several, and the way round a layer. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkOneOf, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { activate, ACTIVATIONS, type ActivationName } from './activations.js';
import { checkLayerOptions, Layer, UnaryLayer, type CallOptions, type LayerOptions } from './layer.js';
import { layerFromJSON, registerLayer } from './registry.js';
import { formatBatchShape, isSameShape, sizeOfShape, type Shape } from './shape.js';

/** Elementwise over two or more inputs of one shape [N, ...]. */
abstract class Merge extends Layer {
  constructor(type: string, options: LayerOptions) {
    checkLayerOptions(type, options, []);
    super(options);
  }

  override isFlexible(): boolean {
    return true;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [first] = inputShapes;
    if (first === undefined || inputShapes.length < 2)
      throw this.shapeError('wrong number of inputs', 'two or more', String(inputShapes.length));
    if (!inputShapes.every((shape) => isSameShape(shape, first)))
      throw this.shapeError('wrong input shapes', 'equal ones', inputShapes.map(formatBatchShape).join(', '));
    return [first];
  }

  protected override createParameters(): void {
    // None.
  }

  protected override forward(inputs: readonly tf.Tensor[]): readonly tf.Tensor[] {
    return [this.join(inputs)];
  }

  protected abstract join(inputs: readonly tf.Tensor[]): tf.Tensor;

  override getConfig(): Readonly<Record<string, unknown>> {
    return {};
  }
}

/** Sum of the inputs. */
export class Add extends Merge {
  readonly type = 'add';
  constructor(options: LayerOptions = {}) {
    super('add', options);
  }
  protected override join(inputs: readonly tf.Tensor[]): tf.Tensor {
    return inputs.reduce((a, b) => tf.add(a, b));
  }
}
/** The first input minus the others. */
export class Subtract extends Merge {
  readonly type = 'subtract';
  constructor(options: LayerOptions = {}) {
    super('subtract', options);
  }
  protected override join(inputs: readonly tf.Tensor[]): tf.Tensor {
    return inputs.reduce((a, b) => tf.sub(a, b));
  }
}
/** Product of the inputs. */
export class Multiply extends Merge {
  readonly type = 'multiply';
  constructor(options: LayerOptions = {}) {
    super('multiply', options);
  }
  protected override join(inputs: readonly tf.Tensor[]): tf.Tensor {
    return inputs.reduce((a, b) => tf.mul(a, b));
  }
}
/** Mean of the inputs. */
export class Average extends Merge {
  readonly type = 'average';
  constructor(options: LayerOptions = {}) {
    super('average', options);
  }
  protected override join(inputs: readonly tf.Tensor[]): tf.Tensor {
    return tf.mul(
      inputs.reduce((a, b) => tf.add(a, b)),
      1 / inputs.length,
    );
  }
}
/** Largest of the inputs, element by element. */
export class Maximum extends Merge {
  readonly type = 'maximum';
  constructor(options: LayerOptions = {}) {
    super('maximum', options);
  }
  protected override join(inputs: readonly tf.Tensor[]): tf.Tensor {
    return inputs.reduce((a, b) => tf.maximum(a, b));
  }
}
/** Smallest of the inputs, element by element. */
export class Minimum extends Merge {
  readonly type = 'minimum';
  constructor(options: LayerOptions = {}) {
    super('minimum', options);
  }
  protected override join(inputs: readonly tf.Tensor[]): tf.Tensor {
    return inputs.reduce((a, b) => tf.minimum(a, b));
  }
}

export interface ConcatenateOptions extends LayerOptions {
  /** Axis without the batch, negative from the end. Default -1. */
  readonly axis?: number;
}

/** The inputs one after the other along an axis; the other axes agree. @throws E_CONFIG; E_SHAPE at build */
export class Concatenate extends Layer {
  readonly type = 'concatenate';
  readonly #axis: number;

  constructor(options: ConcatenateOptions = {}) {
    checkLayerOptions('concatenate', options, ['axis']);
    super(options);
    this.#axis = checkInteger('concatenate', 'axis', options.axis ?? -1);
  }

  override isFlexible(): boolean {
    return true;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [first] = inputShapes;
    if (first === undefined || inputShapes.length < 2)
      throw this.shapeError('wrong number of inputs', 'two or more', String(inputShapes.length));
    const axis = this.#axis < 0 ? first.length + this.#axis : this.#axis;
    const others = (shape: Shape): number[] => shape.filter((_, i) => i !== axis);
    if (
      axis < 0 ||
      axis >= first.length ||
      !inputShapes.every((shape) => shape.length === first.length && isSameShape(others(shape), others(first)))
    )
      throw this.shapeError(
        'wrong input shapes',
        `equal ones but for axis ${this.#axis}`,
        inputShapes.map(formatBatchShape).join(', '),
      );
    const size = inputShapes.reduce((sum, shape) => sum + (shape[axis] as number), 0);
    return [first.map((dim, i) => (i === axis ? size : dim))];
  }

  protected override createParameters(): void {
    // None.
  }

  protected override forward(inputs: readonly tf.Tensor[]): readonly tf.Tensor[] {
    const rank = (inputs[0] as tf.Tensor).rank;
    return [tf.concat([...inputs], this.#axis < 0 ? rank + this.#axis : this.#axis + 1)];
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { axis: this.#axis };
  }
}

export interface DotOptions extends LayerOptions {
  /** Axes that are summed over, without the batch, negative from the end; one number for both. Default -1. */
  readonly axes?: number | readonly [number, number];
  /** Whether both are brought to length 1 along their axes before: the cosine. Default false. */
  readonly normalize?: boolean;
}

/** Added to squared lengths, so that vectors of zeros give 0. */
const TINY_LENGTH = 1e-12;

/**
 * Sums of products of two inputs along an axis of each: [N, A, C], [N, B, C] -> [N, A, B]; vectors give [N, 1]. Rows of rank 1
 * or 2.
 *
 * @throws E_CONFIG; E_SHAPE at build
 */
export class Dot extends Layer {
  readonly type = 'dot';
  readonly #axes: readonly [number, number];
  readonly #isNormalized: boolean;

  constructor(options: DotOptions = {}) {
    checkLayerOptions('dot', options, ['axes', 'normalize']);
    super(options);
    const { axes = -1 } = options;
    const pair: readonly unknown[] = Array.isArray(axes) ? axes : [axes, axes];
    if (pair.length !== 2)
      throw new TensorkilnError('E_CONFIG', `[dot] wrong axes: expected an integer or two of them, got ${show(axes)}.`);
    this.#axes = [checkInteger('dot', 'axes', pair[0]), checkInteger('dot', 'axes', pair[1])];
    this.#isNormalized = checkBoolean('dot', 'normalize', options.normalize ?? false);
  }

  /** Which axis of a row of that rank is summed over. */
  #axisOf(index: 0 | 1, rank: number): number {
    const axis = this.#axes[index];
    return axis < 0 ? rank + axis : axis;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [a, b] = inputShapes;
    if (a === undefined || b === undefined || inputShapes.length > 2)
      throw this.shapeError('wrong number of inputs', '2', String(inputShapes.length));
    const sizes = ([a, b] as const).map((shape, i) => shape[this.#axisOf(i as 0 | 1, shape.length)]);
    if (a.length > 2 || b.length > 2 || sizes[0] === undefined || sizes[0] !== sizes[1])
      throw this.shapeError(
        'wrong input shapes',
        `rows of rank 1 or 2 whose axes ${this.#axes.join(' and ')} are equal`,
        inputShapes.map(formatBatchShape).join(', '),
      );
    const rest = ([a, b] as const).flatMap((shape, i) => shape.filter((_, j) => j !== this.#axisOf(i as 0 | 1, shape.length)));
    return [rest.length === 0 ? [1] : rest];
  }

  protected override createParameters(): void {
    // None.
  }

  protected override forward(inputs: readonly tf.Tensor[]): readonly tf.Tensor[] {
    const [a, b] = inputs.map((x, i) => this.#asRows(x, i as 0 | 1)) as [tf.Tensor, tf.Tensor];
    const products = tf.matMul(a, b, false, true);
    return [tf.reshape(products, [products.shape[0], ...(this.outputShapes[0] as Shape)])];
  }

  /** [N, rest, C], C being the axis that is summed over. */
  #asRows(x: tf.Tensor, index: 0 | 1): tf.Tensor {
    const axis = this.#axisOf(index, x.rank - 1) + 1;
    const last = axis === x.rank - 1 ? x : tf.transpose(x, [0, 2, 1]);
    const rows = tf.reshape(last, [x.shape[0], -1, x.shape[axis] as number]);
    return this.#isNormalized ? tf.mul(rows, tf.rsqrt(tf.add(tf.sum(tf.square(rows), 2, true), TINY_LENGTH))) : rows;
  }

  protected override ownFlops(): number {
    const [a] = this.inputShapes as readonly [Shape];
    return 2 * (a[this.#axisOf(0, a.length)] as number) * sizeOfShape(this.outputShapes[0] as Shape);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { axes: this.#axes, normalize: this.#isNormalized };
  }
}

export interface ResidualOptions extends LayerOptions {
  /** The branch; gives a tensor of the shape of `shortcut`'s. */
  readonly branch: UnaryLayer;
  /** What brings x to the branch's shape. Default: x itself. */
  readonly shortcut?: UnaryLayer;
  /** Applied to the sum. Default 'linear'. */
  readonly activation?: ActivationName;
}

/**
 * y = activation(branch(x) + shortcut(x)).
 *
 * @throws E_CONFIG; E_SHAPE at build when the shapes differ
 * @source He et al. 2015, arXiv:1512.03385
 */
export class Residual extends UnaryLayer {
  readonly type = 'residual';
  readonly #branch: UnaryLayer;
  readonly #shortcut: UnaryLayer | undefined;
  readonly #activation: ActivationName;

  constructor(options: ResidualOptions) {
    checkLayerOptions('residual', options, ['branch', 'shortcut', 'activation']);
    super(options);
    const { branch, shortcut } = options;
    for (const layer of shortcut === undefined ? [branch] : [branch, shortcut]) {
      if (!(layer instanceof UnaryLayer))
        throw new TensorkilnError(
          'E_CONFIG',
          `[residual] wrong branch or shortcut: expected a layer with one input, got ${show(layer)}.`,
        );
    }
    this.#branch = branch;
    this.#shortcut = shortcut;
    this.#activation = checkOneOf('residual', 'activation', options.activation ?? 'linear', ACTIVATIONS);
    this.addSublayer(branch, 'branch');
    if (shortcut !== undefined) this.addSublayer(shortcut, 'shortcut');
  }

  override isFlexible(axis: number, rank: number): boolean {
    return this.#branch.isFlexible(axis, rank);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.nameSublayers();
    const shape = this.#branch.computeOutputShape(inputShape);
    const other = this.#shortcut?.computeOutputShape(inputShape) ?? inputShape;
    if (!isSameShape(shape, other))
      throw this.shapeError('branch and shortcut differ', formatBatchShape(other), formatBatchShape(shape));
    return shape;
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    for (const layer of this.sublayers) this.buildSublayer(layer, [inputShape]);
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    const sum = tf.add(this.#branch.call(x, options), this.#shortcut?.call(x, options) ?? x);
    return this.#activation === 'linear' ? sum : activate(this.#activation, sum);
  }

  protected override get listsSublayers(): boolean {
    return true;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    const own = { branch: this.#branch.layerJSON(), activation: this.#activation };
    return this.#shortcut === undefined ? own : { ...own, shortcut: this.#shortcut.layerJSON() };
  }
}

registerLayer('add', (config) => new Add(config));
registerLayer('subtract', (config) => new Subtract(config));
registerLayer('multiply', (config) => new Multiply(config));
registerLayer('average', (config) => new Average(config));
registerLayer('maximum', (config) => new Maximum(config));
registerLayer('minimum', (config) => new Minimum(config));
registerLayer('concatenate', (config) => new Concatenate(config));
registerLayer('dot', (config) => new Dot(config));
registerLayer('residual', (config) => {
  const read = (key: 'branch' | 'shortcut'): UnaryLayer => layerFromJSON(config[key], `residual ${key}`) as UnaryLayer;
  const { shortcut, ...rest } = config;
  return new Residual({ ...rest, branch: read('branch'), ...(shortcut === undefined ? {} : { shortcut: read('shortcut') }) });
});
