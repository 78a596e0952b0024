import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber } from '../arguments.js';
import { attention } from '../backend/custom/attention.js';
import type { RandomState } from '../backend/custom/random.js';
import { TensorkilnError } from '../errors.js';
import { Dense } from './dense.js';
import { checkLayerOptions, Layer, type CallOptions, type LayerDType, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import { rotate } from './rotary.js';
import { formatBatchShape, isSameShape, type Shape } from './shape.js';

export interface AttentionOptions extends LayerOptions {
  /** Number of heads, >= 1. */
  readonly heads: number;
  /** Number of heads of keys and values, a divisor of `heads`: that many queries share one (arXiv:2305.13245). Default: heads. */
  readonly keyHeads?: number;
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

/** What follows the queries, each optional and told apart by its rank without the batch. */
interface Others<T> {
  /** [S, C'] */
  readonly context: T | undefined;
  /** [S] */
  readonly mask: T | undefined;
  /** [heads or 1, T, S] */
  readonly scores: T | undefined;
}

function readInputs<T>(inputs: readonly T[], rankOf: (input: T) => number): Others<T> {
  const find = (rank: number): T | undefined => inputs.slice(1).find((input) => rankOf(input) === rank);
  return { context: find(2), mask: find(1), scores: find(3) };
}

interface Products {
  readonly query: Dense;
  readonly key: Dense;
  readonly value: Dense;
  readonly output: Dense;
}

/**
 * Multi-head attention: y = concat_h(softmax(q_h k_h^T / sqrt(headSize)) v_h) W, with q from x and k, v from the context.
 *
 * Inputs: x [N, T, C]; then optionally a context [N, S, C'] (default: x itself), a bool mask [N, S], true for keys that count, and
 * numbers that are added to the scores, [N, heads, T, S] or [N, 1, T, S], without a gradient; -Infinity hides. A query that sees
 * no key gives the output bias alone. Output [N, T, C]. Parameters `query` [C, heads * headSize], `key` and `value`
 * [C', keyHeads * headSize], `output` [heads * headSize, C], each `kernel` and `bias`.
 *
 * With a cache in the call's options, x continues the sequence of the calls before; only without context and mask.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build
 * @source Vaswani et al. 2017, arXiv:1706.03762, section 3.2
 */
export class MultiHeadAttention extends Layer {
  readonly type = 'multi_head_attention';
  readonly #heads: number;
  readonly #keyHeads: number;
  readonly #headSize: number | undefined;
  readonly #isCausal: boolean;
  readonly #isRotary: boolean;
  readonly #rate: number;
  readonly #useBias: boolean;
  #products: Products | undefined;
  #random: RandomState | undefined;

  constructor(options: AttentionOptions) {
    const type = 'multi_head_attention';
    checkLayerOptions(type, options, ['heads', 'keyHeads', 'headSize', 'causal', 'rotary', 'dropout', 'useBias']);
    super(options);
    this.#heads = checkInteger(type, 'heads', options.heads, { min: 1 });
    this.#keyHeads = checkInteger(type, 'keyHeads', options.keyHeads ?? this.#heads, { min: 1, max: this.#heads });
    if (this.#heads % this.#keyHeads !== 0)
      throw new TensorkilnError(
        'E_CONFIG',
        `[${type}] wrong keyHeads: expected a divisor of ${this.#heads} heads, got ${this.#keyHeads}.`,
      );
    this.#headSize = options.headSize === undefined ? undefined : checkInteger(type, 'headSize', options.headSize, { min: 1 });
    this.#isCausal = checkBoolean(type, 'causal', options.causal ?? false);
    this.#isRotary = checkBoolean(type, 'rotary', options.rotary ?? false);
    this.#rate = checkNumber(type, 'dropout', options.dropout ?? 0, { min: 0, below: 1 });
    this.#useBias = checkBoolean(type, 'useBias', options.useBias ?? true);
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
    const { context, mask, scores } = readInputs(inputShapes, (shape) => shape.length);
    if (1 + [context, mask, scores].filter((shape) => shape !== undefined).length !== inputShapes.length) {
      const got = inputShapes.map(formatBatchShape).join(', ');
      const wanted = '[N, T, C], then optionally a context [N, S, C], a mask [N, S] and scores [N, heads, T, S]';
      throw this.shapeError('wrong inputs', wanted, got);
    }
    const keys = (context ?? x)[0] as number;
    if (mask !== undefined && !isSameShape(mask, [keys]))
      throw this.shapeError('wrong shape of the mask', `[N, ${keys}]`, formatBatchShape(mask));
    const fits = [1, this.#heads].some((heads) => isSameShape(scores ?? [], [heads, x[0] as number, keys]));
    if (scores !== undefined && !fits)
      throw this.shapeError(
        'wrong shape of the scores',
        `[N, ${this.#heads} or 1, ${x[0] as number}, ${keys}]`,
        formatBatchShape(scores),
      );
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
    const size = this.#sizeFor(channels);
    const [width, keyWidth] = [this.#heads * size, this.#keyHeads * size];
    if (this.#products === undefined) {
      const dense = (name: string, units: number): Dense => {
        const layer = new Dense({ units, useBias });
        this.addSublayer(layer, name);
        return layer;
      };
      this.#products = {
        query: dense('query', width),
        key: dense('key', keyWidth),
        value: dense('value', keyWidth),
        output: dense('output', channels),
      };
    }
    this.nameSublayers();
    const { query, key, value, output } = this.#products;
    this.buildSublayer(query, [x]);
    this.buildSublayer(key, [context]);
    this.buildSublayer(value, [context]);
    this.buildSublayer(output, [[x[0] as number, width]]);
    if (this.#rate > 0) this.#random = this.addRandomState('random');
  }

  protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
    const x = inputs[0] as tf.Tensor;
    const { context, mask, scores } = readInputs(inputs, (input) => input.rank - 1);
    const { query, key, value, output } = this.#products as Products;
    const split = (y: tf.Tensor, heads: number): tf.Tensor => tf.reshape(y, [y.shape[0], y.shape[1] as number, heads, -1]);
    const { cache } = options;
    if (cache !== undefined && (inputs.length > 1 || options.training === true))
      throw new TensorkilnError('E_USAGE', `[${this.place}] a cache goes with self-attention without mask, outside training.`);
    const before = cache?.lengthOf(this.path) ?? 0;
    const turn = (y: tf.Tensor): tf.Tensor => (this.#isRotary ? rotate(y, before) : y);
    const q = turn(split(query.call(x), this.#heads));
    let k = turn(split(key.call(context ?? x), this.#keyHeads));
    let v = split(value.call(context ?? x), this.#keyHeads);
    if (cache !== undefined) [k, v] = cache.append(this.path, [k, v]) as [tf.Tensor, tf.Tensor];
    const random = options.training === true ? this.#random : undefined;
    const dropout = random && { rate: this.#rate, random };
    const y = attention(q, k, v, { mask: scores, keyMask: mask, isCausal: this.#isCausal, dropout });
    return [output.call(tf.reshape(y, [x.shape[0], x.shape[1] as number, -1]))];
  }

  protected override ownFlops(): number {
    const [queries, channels] = this.inputShapes[0] as readonly number[] as [number, number];
    const context = readInputs(this.inputShapes, (shape) => shape.length).context ?? this.inputShapes[0];
    return 4 * queries * (context?.[0] as number) * this.#heads * this.#sizeFor(channels);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return {
      heads: this.#heads,
      ...(this.#keyHeads === this.#heads ? {} : { keyHeads: this.#keyHeads }),
      ...(this.#headSize === undefined ? {} : { headSize: this.#headSize }),
      causal: this.#isCausal,
      rotary: this.#isRotary,
      dropout: this.#rate,
      useBias: this.#useBias,
    };
  }
}

registerLayer('multi_head_attention', (config) => new MultiHeadAttention(config as unknown as AttentionOptions));
