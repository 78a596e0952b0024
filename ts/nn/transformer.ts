/** Blocks of transformers. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber, checkOneOf } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { ACTIVATIONS, type ActivationName } from './activations.js';
import { MultiHeadAttention } from './attention.js';
import { Dense } from './dense.js';
import { Dropout } from './dropout.js';
import { checkLayerOptions, type CallOptions, type LayerOptions } from './layer.js';
import { MaskedLayer } from './masked-layer.js';
import { LayerNorm, RMSNorm } from './normalization.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';

export interface TransformerOptions extends LayerOptions {
  readonly heads: number;
  /** Size of the hidden layer. */
  readonly hidden: number;
  /** Default 'gelu'. */
  readonly activation?: ActivationName;
  /** In training, of each branch; default 0. */
  readonly dropout?: number;
  /** In training, of attention weights, which costs the memory of their matrix; default 0. */
  readonly attentionDropout?: number;
  /** As in MultiHeadAttention. Default: heads. */
  readonly keyHeads?: number;
  /** Whether norms come before the branches and not after their sums. Default true. */
  readonly normFirst?: boolean;
  /** 'layer' (default) or 'rms'. */
  readonly norm?: 'layer' | 'rms';
  /** Whether place t sees only places up to t. Default false; decoders are always causal. */
  readonly causal?: boolean;
  /** As in MultiHeadAttention. Default false. */
  readonly rotary?: boolean;
}

const KEYS = [
  'heads',
  'hidden',
  'activation',
  'dropout',
  'attentionDropout',
  'keyHeads',
  'normFirst',
  'norm',
  'causal',
  'rotary',
] as const;

/** One branch of a block: a norm, and what is computed from its result (or, norms last, before it). */
interface Branch {
  readonly norm: LayerNorm | RMSNorm;
  readonly run: (x: tf.Tensor) => tf.Tensor;
}

abstract class TransformerBlock extends MaskedLayer {
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #isNormFirst: boolean;
  protected readonly attention: MultiHeadAttention;
  readonly #hidden: Dense;
  #output: Dense | undefined;
  readonly #dropout: Dropout;
  readonly #makeNorm: () => LayerNorm | RMSNorm;

  constructor(type: string, options: TransformerOptions, isCausal: boolean) {
    checkLayerOptions(type, options, KEYS);
    super(options);
    const { heads, hidden } = options;
    const rotary = checkBoolean(type, 'rotary', options.rotary ?? false);
    const causal = checkBoolean(type, 'causal', options.causal ?? isCausal);
    const rate = checkNumber(type, 'dropout', options.dropout ?? 0, { min: 0, below: 1 });
    const activation = checkOneOf(type, 'activation', options.activation ?? 'gelu', ACTIVATIONS);
    this.#isNormFirst = checkBoolean(type, 'normFirst', options.normFirst ?? true);
    const norm = checkOneOf(type, 'norm', options.norm ?? 'layer', ['layer', 'rms']);
    this.#makeNorm = () => (norm === 'layer' ? new LayerNorm() : new RMSNorm());
    const attentionDropout = checkNumber(type, 'attentionDropout', options.attentionDropout ?? 0, { min: 0, below: 1 });
    const { keyHeads = heads } = options;
    this.#config = {
      heads,
      ...(keyHeads === heads ? {} : { keyHeads }),
      hidden,
      activation,
      dropout: rate,
      attentionDropout,
      normFirst: this.#isNormFirst,
      norm,
      causal,
      rotary,
    };
    this.attention = new MultiHeadAttention({ heads, keyHeads, causal, rotary, dropout: attentionDropout });
    this.#hidden = new Dense({ units: checkInteger(type, 'hidden', hidden, { min: 1 }), activation });
    this.#dropout = new Dropout({ rate });
    this.addSublayer(this.attention, 'attention');
    this.addSublayer(this.#hidden, 'hidden');
    this.addSublayer(this.#dropout, 'dropout');
  }

  protected addNorm(name: string): LayerNorm | RMSNorm {
    const layer = this.#makeNorm();
    this.addSublayer(layer, name);
    return layer;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.checkSequence(inputShape);
    return inputShape;
  }

  /** Builds what both blocks have. */
  protected buildShared(shape: Shape): void {
    if (this.#output === undefined) {
      this.#output = new Dense({ units: shape[1] as number });
      this.addSublayer(this.#output, 'output');
    }
    this.nameSublayers();
    this.buildSublayer(this.#hidden, [shape]);
    this.buildSublayer(this.#output, [this.#hidden.outputShape]);
    this.buildSublayer(this.#dropout, [shape]);
  }

  /** The branches one after the other, each with a way round; sums and norms that follow on each other are one op. */
  protected runBranches(x: tf.Tensor, branches: readonly Branch[], options: CallOptions): tf.Tensor {
    const drop = (y: tf.Tensor): tf.Tensor => this.#dropout.call(y, options);
    if (!this.#isNormFirst) return branches.reduce((sum, { norm, run }) => norm.addAndNorm(sum, drop(run(sum))).y, x);
    const [first] = branches as readonly [Branch, ...Branch[]];
    let [sum, y] = [x, first.norm.call(x)];
    branches.forEach(({ run }, i) => {
      const branch = drop(run(y));
      const next = branches[i + 1]?.norm;
      if (next === undefined) sum = tf.add(sum, branch);
      else ({ sum, y } = next.addAndNorm(sum, branch));
    });
    return sum;
  }

  protected feedForward(x: tf.Tensor): tf.Tensor {
    return (this.#output as Dense).call(this.#hidden.call(x));
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return this.#config;
  }
}

/**
 * One block of a transformer's encoder (or, `causal`, of a GPT): attention and a two-layer network, each with a norm, dropout
 * and a way round. Inputs [N, T, C], optionally a bool mask [N, T]; output [N, T, C].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build
 * @source Vaswani et al. 2017; norms first: Xiong et al. 2020, arXiv:2002.04745
 */
export class TransformerEncoder extends TransformerBlock {
  readonly type = 'transformer_encoder';
  readonly #first: LayerNorm | RMSNorm;
  readonly #second: LayerNorm | RMSNorm;

  constructor(options: TransformerOptions) {
    super('transformer_encoder', options, false);
    this.#first = this.addNorm('attention_norm');
    this.#second = this.addNorm('output_norm');
  }

  protected override createParameters(inputShapes: readonly Shape[]): void {
    const x = inputShapes[0] as Shape;
    this.buildShared(x);
    this.buildSublayer(this.attention, inputShapes);
    this.buildSublayer(this.#first, [x]);
    this.buildSublayer(this.#second, [x]);
  }

  protected override transformMasked(x: tf.Tensor, mask: tf.Tensor | undefined, options: CallOptions): readonly tf.Tensor[] {
    const attend = (y: tf.Tensor): tf.Tensor =>
      this.attention.apply(mask === undefined ? [y] : [y, mask], options)[0] as tf.Tensor;
    const branches = [
      { norm: this.#first, run: attend },
      { norm: this.#second, run: (y: tf.Tensor): tf.Tensor => this.feedForward(y) },
    ];
    return [this.runBranches(x, branches, options)];
  }
}

/**
 * One block of a transformer's decoder: causal attention, attention to an encoder's output, a two-layer network. Inputs
 * x [N, T, C], context [N, S, C'], optionally a bool mask [N, S] of the context; output [N, T, C].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build
 * @source Vaswani et al. 2017, arXiv:1706.03762, section 3.1
 */
export class TransformerDecoder extends TransformerBlock {
  readonly type = 'transformer_decoder';
  readonly #cross: MultiHeadAttention;
  readonly #norms: readonly (LayerNorm | RMSNorm)[];

  constructor(options: TransformerOptions) {
    if (options.causal === false)
      throw new TensorkilnError('E_CONFIG', '[transformer_decoder] wrong causal: a decoder is causal.');
    super('transformer_decoder', options, true);
    this.#cross = new MultiHeadAttention({
      heads: options.heads,
      keyHeads: options.keyHeads ?? options.heads,
      dropout: options.attentionDropout ?? 0,
    });
    this.addSublayer(this.#cross, 'cross_attention');
    this.#norms = ['attention_norm', 'cross_norm', 'output_norm'].map((name) => this.addNorm(name));
  }

  override inputDTypeAt(index: number): 'float32' | 'bool' {
    return index === 2 ? 'bool' : 'float32';
  }

  protected override computeOutputShapes(inputShapes: readonly Shape[]): readonly Shape[] {
    const [x, context] = inputShapes;
    if (x?.length !== 2 || context?.length !== 2 || inputShapes.length > 3) {
      const got = inputShapes.map(formatBatchShape).join(', ');
      throw this.shapeError('wrong inputs', '[N, T, C], a context [N, S, C] and optionally a mask [N, S]', got);
    }
    return [x];
  }

  protected override createParameters(inputShapes: readonly Shape[]): void {
    const x = inputShapes[0] as Shape;
    this.buildShared(x);
    this.buildSublayer(this.attention, [x]);
    this.buildSublayer(this.#cross, inputShapes);
    for (const norm of this.#norms) this.buildSublayer(norm, [x]);
  }

  protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
    const [x, context, mask] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor | undefined];
    const [first, second, third] = this.#norms as [LayerNorm, LayerNorm, LayerNorm];
    // The cache belongs to the decoder's own sequence; the context is given whole at each call.
    const crossOptions: CallOptions = options.training === undefined ? {} : { training: options.training };
    const branches = [
      { norm: first, run: (y: tf.Tensor): tf.Tensor => this.attention.apply([y], options)[0] as tf.Tensor },
      {
        norm: second,
        run: (y: tf.Tensor): tf.Tensor =>
          this.#cross.apply(mask === undefined ? [y, context] : [y, context, mask], crossOptions)[0] as tf.Tensor,
      },
      { norm: third, run: (y: tf.Tensor): tf.Tensor => this.feedForward(y) },
    ];
    return [this.runBranches(x, branches, options)];
  }

  protected override transformMasked(): never {
    throw new TensorkilnError('E_INTERNAL', '[transformer_decoder] takes a context.');
  }
}

registerLayer('transformer_encoder', (config) => new TransformerEncoder(config as unknown as TransformerOptions));
registerLayer('transformer_decoder', (config) => new TransformerDecoder(config as unknown as TransformerOptions));
