import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { Dense } from './dense.js';
import { Dropout } from './dropout.js';
import { checkLayerOptions, Layer, type CallOptions, type LayerDType, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import { rotate } from './rotary.js';
import { formatBatchShape, isSameShape, type Shape } from './shape.js';

export interface AttentionOptions extends LayerOptions {
  /** Number of heads, >= 1. */
  readonly heads: number;
  /** Size of a head's queries, keys and values. Default: C / heads, which must be whole. */
  readonly headSize?: number;
  /** Whether place t sees only places up to t. Default false. */
  readonly causal?: boolean;
  /** Whether queries and keys are turned by their place (Su et al. 2021, arXiv:2104.09864); an even head size. Default false. */
  readonly rotary?: boolean;
  /** Probability that a weight is dropped in training, in [0, 1). Default 0. */
  readonly dropout?: number;
  /** Whether the products have a bias. Default true. */
  readonly useBias?: boolean;
}

/** Added to the scores of hidden keys: exp of it is 0 in float32, and a finite number keeps gradients finite. */
const HIDDEN = -1e9;

/** Splits what follows the queries: a context [S, C'] and a mask [S] in this order, both optional, told apart by their rank. */
function readInputs<T>(inputs: readonly T[], rankOf: (input: T) => number): { context: T | undefined; mask: T | undefined } {
  const rest = inputs.slice(1);
  return { context: rest.find((input) => rankOf(input) === 2), mask: rest.find((input) => rankOf(input) === 1) };
}

/**
 * Multi-head attention: y = concat_h(softmax(q_h k_h^T / sqrt(headSize)) v_h) W, with q from x and k, v from the context.
 *
 * Inputs: x [N, T, C]; then optionally a context [N, S, C'] (default: x itself) and a bool mask [N, S], true for keys that
 * count. A query that sees no key gives the output bias alone. Output [N, T, C]. Parameters `query`, `key`, `value`
 * [C, heads * headSize] and `output` [heads * headSize, C], each `kernel` and `bias`.
 *
 * With a cache in the call's options, x continues the sequence of the calls before; only without context and mask.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build
 * @source Vaswani et al. 2017, arXiv:1706.03762, section 3.2
 */
export class MultiHeadAttention extends Layer {
  readonly type = 'multi_head_attention';
  readonly #heads: number;
  readonly #headSize: number | undefined;
  readonly #isCausal: boolean;
  readonly #isRotary: boolean;
  readonly #rate: number;
  readonly #useBias: boolean;
  #products: { query: Dense; key: Dense; value: Dense; output: Dense } | undefined;
  readonly #dropout: Dropout;

  constructor(options: AttentionOptions) {
    const type = 'multi_head_attention';
    checkLayerOptions(type, options, ['heads', 'headSize', 'causal', 'rotary', 'dropout', 'useBias']);
    super(options);
    this.#heads = checkInteger(type, 'heads', options.heads, { min: 1 });
    this.#headSize = options.headSize === undefined ? undefined : checkInteger(type, 'headSize', options.headSize, { min: 1 });
    this.#isCausal = checkBoolean(type, 'causal', options.causal ?? false);
    this.#isRotary = checkBoolean(type, 'rotary', options.rotary ?? false);
    this.#rate = checkNumber(type, 'dropout', options.dropout ?? 0, { min: 0, below: 1 });
    this.#useBias = checkBoolean(type, 'useBias', options.useBias ?? true);
    this.#dropout = new Dropout({ rate: this.#rate });
    this.addSublayer(this.#dropout, 'dropout');
  }

  override inputDTypeAt(index: number): LayerDType {
    return index > 0 && this.isBuilt && this.inputShapes[index]?.length === 1 ? 'bool' : 'float32';
  }

  override isFlexible(axis: number, _rank: number): boolean {
    return axis === 0;
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [x] = inputShapes;
    if (x?.length !== 2)
      throw this.shapeError('wrong input shape', '[N, T, C]', x === undefined ? 'none' : formatBatchShape(x));
    const { context, mask } = readInputs(inputShapes, (shape) => shape.length);
    const known = 1 + Number(context !== undefined) + Number(mask !== undefined);
    if (known !== inputShapes.length) {
      const got = inputShapes.map(formatBatchShape).join(', ');
      throw this.shapeError('wrong inputs', '[N, T, C], then optionally a context [N, S, C] and a mask [N, S]', got);
    }
    const keys = (context ?? x)[0] as number;
    if (mask !== undefined && !isSameShape(mask, [keys]))
      throw this.shapeError('wrong shape of the mask', `[N, ${keys}]`, formatBatchShape(mask));
    const size = this.#sizeFor(x[1] as number);
    if (this.#isRotary && size % 2 !== 0) throw this.shapeError('rotary positions', 'an even head size', String(size));
    return [x];
  }

  #sizeFor(channels: number): number {
    if (this.#headSize !== undefined) return this.#headSize;
    if (channels % this.#heads !== 0)
      throw this.shapeError('wrong input shape', `a multiple of ${this.#heads} channels`, String(channels));
    return channels / this.#heads;
  }

  protected override createParameters(inputShapes: readonly Shape[]): void {
    const x = inputShapes[0] as Shape;
    const context = readInputs(inputShapes, (shape) => shape.length).context ?? x;
    const [channels, useBias] = [x[1] as number, this.#useBias];
    const width = this.#heads * this.#sizeFor(channels);
    if (this.#products === undefined) {
      const dense = (name: string, units: number): Dense => {
        const layer = new Dense({ units, useBias });
        this.addSublayer(layer, name);
        return layer;
      };
      this.#products = {
        query: dense('query', width),
        key: dense('key', width),
        value: dense('value', width),
        output: dense('output', channels),
      };
    }
    this.nameSublayers();
    const { query, key, value, output } = this.#products;
    this.buildSublayer(query, [x]);
    this.buildSublayer(key, [context]);
    this.buildSublayer(value, [context]);
    this.buildSublayer(output, [[x[0] as number, width]]);
    this.buildSublayer(this.#dropout, [[x[0] as number, context[0] as number]]);
  }

  protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
    const x = inputs[0] as tf.Tensor;
    const { context, mask } = readInputs(inputs.slice(0), (input) => input.rank - 1);
    const { query, key, value, output } = this.#products as { query: Dense; key: Dense; value: Dense; output: Dense };
    const split = (y: tf.Tensor): tf.Tensor =>
      tf.transpose(tf.reshape(y, [y.shape[0], y.shape[1] as number, this.#heads, -1]), [0, 2, 1, 3]);
    const { cache } = options;
    if (cache !== undefined && (context !== undefined || mask !== undefined || options.training === true))
      throw new TensorkilnError('E_USAGE', `[${this.place}] a cache goes with self-attention without mask, outside training.`);
    const before = cache?.lengthOf(this.path) ?? 0;
    const turn = (y: tf.Tensor): tf.Tensor => (this.#isRotary ? rotate(y, before) : y);
    const q = turn(split(query.call(x)));
    let k = turn(split(key.call(context ?? x)));
    let v = split(value.call(context ?? x));
    if (cache !== undefined) {
      // Kept as [N, T, heads, size]: the cache grows along axis 1.
      const swap = (y: tf.Tensor): tf.Tensor => tf.transpose(y, [0, 2, 1, 3]);
      const [keys, values] = cache.append(this.path, [swap(k), swap(v)]) as [tf.Tensor, tf.Tensor];
      [k, v] = [swap(keys), swap(values)];
    }
    const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape[3] as number));
    const visible = this.#visible(q.shape[2] as number, k.shape[2] as number, mask);
    const hidden = visible === undefined ? scores : tf.add(scores, tf.mul(tf.sub(1, visible), HIDDEN));
    const soft = tf.softmax(hidden);
    // A row without any visible key would share its weight out evenly: all of it is taken back.
    const weights = visible === undefined ? soft : tf.mul(soft, visible);
    const dropped = this.#dropWeights(weights, options);
    const joined = tf.transpose(tf.matMul(dropped, v), [0, 2, 1, 3]);
    const rows = tf.reshape(joined, [x.shape[0], x.shape[1] as number, -1]);
    return [output.call(rows)];
  }

  #dropWeights(weights: tf.Tensor, options: CallOptions): tf.Tensor {
    if (this.#rate === 0 || options.training !== true) return weights;
    const [batch, heads, queries, keys] = weights.shape as [number, number, number, number];
    return tf.reshape(this.#dropout.call(tf.reshape(weights, [batch * heads, queries, keys]), options), weights.shape);
  }

  /** 1 where a query sees a key, else 0; broadcasts to [N, heads, T, S]. */
  #visible(queries: number, keys: number, mask: tf.Tensor | undefined): tf.Tensor | undefined {
    const parts: tf.Tensor[] = [];
    if (mask !== undefined) parts.push(tf.reshape(tf.cast(mask, 'float32'), [mask.shape[0], 1, 1, keys]));
    if (this.#isCausal && queries > 1) {
      const values = Float32Array.from({ length: queries * keys }, (_, i) =>
        i % keys <= Math.floor(i / keys) + keys - queries ? 1 : 0,
      );
      parts.push(tf.tensor(values, [1, 1, queries, keys]));
    }
    return parts.length === 0 ? undefined : parts.reduce((a, b) => tf.mul(a, b));
  }

  protected override ownFlops(): number {
    const [queries, channels] = this.inputShapes[0] as readonly number[] as [number, number];
    const context = readInputs(this.inputShapes, (shape) => shape.length).context ?? this.inputShapes[0];
    return 4 * queries * (context?.[0] as number) * this.#heads * this.#sizeFor(channels);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return {
      heads: this.#heads,
      ...(this.#headSize === undefined ? {} : { headSize: this.#headSize }),
      causal: this.#isCausal,
      rotary: this.#isRotary,
      dropout: this.#rate,
      useBias: this.#useBias,
    };
  }
}

registerLayer('multi_head_attention', (config) => new MultiHeadAttention(config as unknown as AttentionOptions));
