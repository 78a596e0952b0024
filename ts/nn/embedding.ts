/** From tokens to vectors, and where the vectors stand in the sequence. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkNumber } from '../arguments.js';
import { embedding } from '../backend/custom/embedding.js';
import { checkLayerOptions, UnaryLayer, type CallOptions, type LayerDType, type LayerOptions } from './layer.js';
import { readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, sizeOfShape, type Shape } from './shape.js';
import { ShapeKeepingLayer } from './simple-layer.js';
import { isTensorkilnError, TensorkilnError } from '../errors.js';

/** Initialiser of the table: uniform in [-0.05, 0.05). */
export type EmbeddingOptions = LayerOptions &
  RoleOptions<'table'> & {
    /** Number of tokens, >= 1. */
    readonly tokens: number;
    /** Size of the vectors, >= 1. */
    readonly units: number;
    /** A token whose vector is 0 and stays so: it gets no gradient. Default none. */
    readonly padding?: number;
  };

/**
 * Vectors of tokens: int32 [N, ...] -> [N, ..., units]; parameter `table` [tokens, units].
 *
 * @throws E_CONFIG for wrong options; at the call, or at the next synchronisation, E_INDEX for a token outside [0, tokens)
 */
export class Embedding extends UnaryLayer {
  readonly type = 'embedding';
  readonly tokens: number;
  readonly units: number;
  readonly #padding: number | undefined;
  readonly #role: { parameter: ParameterOptions; config: Readonly<Record<string, unknown>> };
  #table: tf.Variable | undefined;

  constructor(options: EmbeddingOptions) {
    checkLayerOptions('embedding', options, ['tokens', 'units', 'padding', ...roleKeys('table')]);
    super(options);
    this.tokens = checkInteger('embedding', 'tokens', options.tokens, { min: 1 });
    this.units = checkInteger('embedding', 'units', options.units, { min: 1 });
    const { padding } = options;
    this.#padding =
      padding === undefined ? undefined : checkInteger('embedding', 'padding', padding, { min: 0, below: this.tokens });
    this.#role = readRole('embedding', options, 'table', 'random_uniform');
  }

  override get inputDType(): LayerDType {
    return 'int32';
  }

  /** The table, for layers tied to it. @throws E_USAGE before `build` */
  get table(): tf.Variable {
    if (this.#table !== undefined && this.isBuilt) return this.#table;
    throw new TensorkilnError('E_USAGE', `[${this.place}] is not built: its table is tied to a layer that comes before it.`);
  }

  override isFlexible(): boolean {
    return true;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return [...inputShape, this.units];
  }

  protected override createUnaryParameters(): void {
    const { units } = this;
    const padding = this.#padding;
    const clear = (values: Float32Array): void => {
      if (padding !== undefined) values.fill(0, padding * units, (padding + 1) * units);
    };
    this.#table = this.addParameter('table', [this.tokens, units], this.#role.parameter, { adjust: clear });
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    try {
      return embedding(this.#table as tf.Tensor, x, { paddingIndex: this.#padding });
    } catch (error) {
      // The op knows the token, the layer where it stands in the model.
      if (!isTensorkilnError(error) || error.code !== 'E_INDEX') throw error;
      throw new TensorkilnError('E_INDEX', `[${this.place}] wrong token: ${error.message}`, { cause: error });
    }
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    const padding = this.#padding === undefined ? {} : { padding: this.#padding };
    return { tokens: this.tokens, units: this.units, ...padding, ...this.#role.config };
  }
}

export interface TiedDenseOptions extends LayerOptions {
  /** Name of the embedding in the same model whose table is the transposed kernel. */
  readonly to: string;
}

/**
 * Scores of tokens by an embedding's own table: y = x table^T. [N, ..., units] -> [N, ..., tokens]. No parameters of its own.
 *
 * @throws E_CONFIG when there is no such embedding; E_SHAPE when the sizes differ
 * @source Press, Wolf 2017, arXiv:1608.05859
 */
export class TiedDense extends UnaryLayer {
  readonly type = 'tied_dense';
  readonly #to: string;

  constructor(options: TiedDenseOptions) {
    checkLayerOptions('tied_dense', options, ['to']);
    super(options);
    this.#to = options.to;
  }

  get #embedding(): Embedding {
    const layer = this.sibling(this.#to);
    if (layer instanceof Embedding) return layer;
    throw new TensorkilnError(
      'E_CONFIG',
      `[${this.place}] wrong to: expected the name of an embedding, '${this.#to}' is a ${layer.type}.`,
    );
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const { tokens, units } = this.#embedding;
    if (inputShape.at(-1) !== units)
      throw this.shapeError('wrong input shape', `[N, ..., ${units}]`, formatBatchShape(inputShape));
    return [...inputShape.slice(0, -1), tokens];
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const { table, tokens, units } = this.#embedding;
    const flat = tf.matMul(tf.reshape(x, [-1, units]), table, false, true);
    return tf.reshape(flat, [...x.shape.slice(0, -1), tokens]);
  }

  protected override ownFlops(): number {
    return 2 * (this.inputShape.at(-1) as number) * sizeOfShape(this.outputShape);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { to: this.#to };
  }
}

export interface PaddingMaskOptions extends LayerOptions {
  /** The token that fills up short rows. Default 0. */
  readonly padding?: number;
}

/** Where tokens count: int32 [N, T] -> bool [N, T], false at padding. The second input of recurrent layers and attention. */
export class PaddingMask extends ShapeKeepingLayer {
  readonly type = 'padding_mask';
  readonly #padding: number;

  constructor(options: PaddingMaskOptions = {}) {
    checkLayerOptions('padding_mask', options, ['padding']);
    const padding = checkInteger('padding_mask', 'padding', options.padding ?? 0);
    super(options, { padding });
    this.#padding = padding;
  }

  override get inputDType(): LayerDType {
    return 'int32';
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.notEqual(x, tf.scalar(this.#padding, 'int32'));
  }
}

export interface MaskingOptions extends LayerOptions {
  /** The number that all channels of a place that does not count have. Default 0. */
  readonly value?: number;
}

/** Where sequences of numbers count: [N, T, C] -> bool [N, T], false where all channels have one value. */
export class Masking extends UnaryLayer {
  readonly type = 'masking';
  readonly #value: number;

  constructor(options: MaskingOptions = {}) {
    checkLayerOptions('masking', options, ['value']);
    super(options);
    this.#value = checkNumber('masking', 'value', options.value ?? 0);
  }

  override isFlexible(axis: number): boolean {
    return axis === 0;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== 2) throw this.shapeError('wrong input shape', '[N, T, C]', formatBatchShape(inputShape));
    return inputShape.slice(0, 1);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.any(tf.notEqual(x, this.#value), 2);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { value: this.#value };
  }
}

/** Adds something that depends on the place in the sequence: [N, T, C] -> same. */
abstract class Positions extends UnaryLayer {
  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== 2) throw this.shapeError('wrong input shape', '[N, T, C]', formatBatchShape(inputShape));
    return inputShape;
  }

  override isFlexible(axis: number): boolean {
    return axis === 0;
  }

  protected override transform(x: tf.Tensor, { cache }: CallOptions): tf.Tensor {
    const length = x.shape[1] as number;
    const first = cache?.lengthOf(this.path) ?? 0;
    const rows = this.rows(first, length, x.shape[2] as number);
    cache?.advance(this.path, length);
    return tf.add(x, rows);
  }

  /** [length, C] for the places from `first` on. */
  protected abstract rows(first: number, length: number, size: number): tf.Tensor;
}

export type LearnedPositionsOptions = LayerOptions &
  RoleOptions<'table'> & {
    /** Longest sequence, >= 1. Default: the length it is built for. */
    readonly maxLength?: number;
  };

/**
 * Adds a learned vector per place; parameter `table` [maxLength, C], uniform in [-0.05, 0.05).
 *
 * @throws E_CONFIG for wrong options; E_SHAPE when a sequence is longer than the table
 */
export class LearnedPositions extends Positions {
  readonly type = 'learned_positions';
  readonly #maxLength: number | undefined;
  readonly #role: { parameter: ParameterOptions; config: Readonly<Record<string, unknown>> };
  #table: tf.Variable | undefined;

  constructor(options: LearnedPositionsOptions = {}) {
    checkLayerOptions('learned_positions', options, ['maxLength', ...roleKeys('table')]);
    super(options);
    const { maxLength } = options;
    this.#maxLength =
      maxLength === undefined ? undefined : checkInteger('learned_positions', 'maxLength', maxLength, { min: 1 });
    this.#role = readRole('learned_positions', options, 'table', 'random_uniform');
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const shape = super.computeOutputShape(inputShape);
    this.#check(shape[0] as number, this.#maxLength ?? (shape[0] as number));
    return shape;
  }

  #check(length: number, limit: number): void {
    if (length > limit)
      throw this.shapeError('the sequence is longer than the table of places', `at most ${limit}`, String(length));
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const [length, size] = inputShape as [number, number];
    this.#table = this.addParameter('table', [this.#maxLength ?? length, size], this.#role.parameter);
  }

  protected override rows(first: number, length: number, size: number): tf.Tensor {
    const table = this.#table as tf.Variable;
    this.#check(first + length, table.shape[0]);
    return tf.slice(table, [first, 0], [length, size]);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { ...(this.#maxLength === undefined ? {} : { maxLength: this.#maxLength }), ...this.#role.config };
  }
}

export interface SinusoidalPositionsOptions extends LayerOptions {
  /** Longest wavelength over 2 pi, > 1. Default 10000. */
  readonly base?: number;
}

/**
 * Adds sin(t / base^(2i / C)) to channel 2i and the cosine to channel 2i + 1. No parameters.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 * @source Vaswani et al. 2017, arXiv:1706.03762, section 3.5
 */
export class SinusoidalPositions extends Positions {
  readonly type = 'sinusoidal_positions';
  readonly #base: number;

  constructor(options: SinusoidalPositionsOptions = {}) {
    checkLayerOptions('sinusoidal_positions', options, ['base']);
    super(options);
    this.#base = checkNumber('sinusoidal_positions', 'base', options.base ?? 10_000, { above: 1 });
  }

  protected override rows(first: number, length: number, size: number): tf.Tensor {
    const values = Float32Array.from({ length: length * size }, (_, i) => {
      const [place, channel] = [first + Math.floor(i / size), i % size];
      const angle = place / this.#base ** ((channel - (channel % 2)) / size);
      return channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    return tf.tensor(values, [length, size]);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { base: this.#base };
  }
}

registerLayer('embedding', (config) => new Embedding(config as unknown as EmbeddingOptions));
registerLayer('tied_dense', (config) => new TiedDense(config as unknown as TiedDenseOptions));
registerLayer('padding_mask', (config) => new PaddingMask(config));
registerLayer('masking', (config) => new Masking(config));
registerLayer('learned_positions', (config) => new LearnedPositions(config));
registerLayer('sinusoidal_positions', (config) => new SinusoidalPositions(config));
