import type { ActivationName } from '../activations.js';
import { Dense } from '../dense.js';
import { Dropout } from '../dropout.js';
import { Embedding, LearnedPositions, PaddingMask, SinusoidalPositions, TiedDense } from '../embedding.js';
import { connect, Graph, input, type GraphNode } from '../graph.js';
import type { Layer } from '../layer.js';
import { LayerNorm, RMSNorm } from '../normalization.js';
import { GlobalAveragePooling1D } from '../pooling.js';
import { Bidirectional, GRU, LSTM } from '../recurrent.js';
import { Select } from '../reshaping.js';
import { TransformerEncoder } from '../transformer.js';
import { ZooOptions, type ZooCommon } from './options.js';

/** Where a model's vectors come from: the input, the vectors of its places, and which of them count. */
interface Front {
  readonly source: GraphNode;
  readonly vectors: GraphNode;
  readonly mask: GraphNode | undefined;
}

/** Embeds tokens, with a mask of those that are no padding; numbers get a dense layer. */
function front(options: ZooOptions, size: number): Front {
  const { inputShape } = options;
  if (!options.isTokens) {
    options.refuse('rows are numbers, all of which count', 'padding');
    const source = input(inputShape);
    return { source, vectors: connect(new Dense({ units: size, name: 'projection' }), source), mask: undefined };
  }
  const tokens = options.required('vocabulary');
  const padding = options.integer('padding', 0, { min: 0, below: tokens });
  const source = input(inputShape, { name: 'tokens', dtype: 'int32' });
  const vectors = connect(new Embedding({ tokens, units: size, name: 'embedding' }), source);
  return { source, vectors, mask: connect(new PaddingMask({ padding, name: 'mask' }), source) };
}

const masked = (layer: Layer, x: GraphNode, mask: GraphNode | undefined): GraphNode =>
  mask === undefined ? connect(layer, x) : connect(layer, x, mask);

const dropped = (x: GraphNode, rate: number): GraphNode => (rate === 0 ? x : connect(new Dropout({ rate }), x));

export interface BilstmOptions extends ZooCommon {
  /** Size of the tokens' vectors. Default 128. */
  readonly embeddingSize?: number;
  /** Size of the state in each direction. Default 64. */
  readonly units?: number;
  /** How many recurrent layers stand on each other. Default 1. */
  readonly layers?: number;
  /** 'lstm' (default) or 'gru'. */
  readonly cell?: 'lstm' | 'gru';
  /** Before each recurrent layer and before the scores. Default 0.2. */
  readonly dropout?: number;
  /** The token that fills up short rows. Default 0. */
  readonly padding?: number;
}

/** Recurrent layers in both directions; the last states of both are scored. Input tokens [N, T], or numbers [N, T, C]. */
export function bilstmClassifier(description: BilstmOptions): Graph {
  const keys = ['embeddingSize', 'units', 'layers', 'cell', 'dropout', 'padding'];
  const options = new ZooOptions('bilstm-classifier', description, keys);
  const rate = options.rate('dropout', 0.2);
  const units = options.integer('units', 64);
  const count = options.integer('layers', 1);
  const isGru = options.oneOf('cell', 'lstm', ['lstm', 'gru']) === 'gru';
  const { source, vectors, mask } = front(options, options.integer('embeddingSize', 128));
  let x = vectors;
  for (let i = 0; i < count; ++i) {
    const cell = { units, returnSequences: i < count - 1 };
    const layer = new Bidirectional({ layer: isGru ? new GRU(cell) : new LSTM(cell), name: `recurrent${i + 1}` });
    x = masked(layer, dropped(x, rate), mask);
  }
  const scores = connect(new Dense({ units: options.numClasses, name: 'scores' }), dropped(x, rate));
  return new Graph({ inputs: [source], outputs: [scores], seed: options.seed });
}

interface BlockOptions extends ZooCommon {
  /** Number of blocks. Default 2 (gpt: 4). */
  readonly layers?: number;
  /** Size of the vectors, a multiple of `heads`. Default 128. */
  readonly size?: number;
  /** Default 4. */
  readonly heads?: number;
  /** Size of the hidden layer of each block. Default 4 * size. */
  readonly hidden?: number;
  /** Default 'gelu'. */
  readonly activation?: ActivationName;
  /** After the embedding and in each branch. Default 0.1. */
  readonly dropout?: number;
  /** 'learned' (default), 'sinusoidal' or 'rotary'. */
  readonly positions?: 'learned' | 'sinusoidal' | 'rotary';
  /** Longest row of learned positions. Default: the rows' length. */
  readonly maxLength?: number;
  /** 'layer' (default) or 'rms'. */
  readonly norm?: 'layer' | 'rms';
}

const BLOCK_KEYS = ['layers', 'size', 'heads', 'hidden', 'activation', 'dropout', 'positions', 'maxLength', 'norm'];

/** Adds positions and dropout, then the blocks. */
function blocks(
  options: ZooOptions,
  { vectors, mask }: Front,
  more: { readonly count: number; readonly isCausal: boolean; readonly isNormFirst: boolean },
): GraphNode {
  const [length] = options.inputShape as [number];
  const size = options.integer('size', 128);
  const heads = options.integer('heads', 4);
  if (size % heads !== 0) throw options.error('size', `a multiple of ${heads} heads`, String(size));
  const hidden = options.integer('hidden', 4 * size);
  const activation = options.activation('gelu');
  const rate = options.rate('dropout', 0.1);
  const norm = options.oneOf('norm', 'layer', ['layer', 'rms']);
  const positions = options.oneOf('positions', 'learned', ['learned', 'sinusoidal', 'rotary']);
  if (positions !== 'learned') options.refuse(`positions are ${positions}`, 'maxLength');
  const maxLength = options.integer('maxLength', length, { min: length });
  const rotary = positions === 'rotary';
  if (rotary && (size / heads) % 2 !== 0)
    throw options.error('size', 'an even number of channels per head with rotary positions', `${size / heads}`);
  let x = vectors;
  if (positions === 'learned') x = connect(new LearnedPositions({ maxLength, name: 'positions' }), x);
  if (positions === 'sinusoidal') x = connect(new SinusoidalPositions({ name: 'positions' }), x);
  x = dropped(x, rate);
  const { count, isCausal, isNormFirst } = more;
  for (let i = 0; i < count; ++i) {
    const block = { heads, hidden, activation, dropout: rate, norm, rotary, causal: isCausal, normFirst: isNormFirst };
    x = masked(new TransformerEncoder({ ...block, name: `block${i + 1}` }), x, mask);
  }
  if (!isNormFirst) return x;
  return connect(norm === 'layer' ? new LayerNorm({ name: 'norm' }) : new RMSNorm({ name: 'norm' }), x);
}

export interface TransformerEncoderOptions extends BlockOptions {
  /** Whether norms come before the branches and not after their sums. Default true. */
  readonly normFirst?: boolean;
  /** What is scored: the mean of the places that count (default) or the first place. */
  readonly pooling?: 'mean' | 'first';
  /** The token that fills up short rows. Default 0. */
  readonly padding?: number;
}

/** Blocks of attention and dense layers; the pooled row is scored. Input tokens [N, T], or numbers [N, T, C]. */
export function transformerEncoder(description: TransformerEncoderOptions): Graph {
  const keys = [...BLOCK_KEYS, 'normFirst', 'pooling', 'padding'];
  const options = new ZooOptions('transformer-encoder', description, keys);
  const start = front(options, options.integer('size', 128));
  const isNormFirst = options.boolean('normFirst', true);
  const x = blocks(options, start, { count: options.integer('layers', 2), isCausal: false, isNormFirst });
  const isMean = options.oneOf('pooling', 'mean', ['mean', 'first']) === 'mean';
  const pooled = isMean
    ? masked(new GlobalAveragePooling1D({ name: 'pooling' }), x, start.mask)
    : connect(new Select({ axis: 0, index: 0, name: 'pooling' }), x);
  const scores = connect(new Dense({ units: options.numClasses, name: 'scores' }), pooled);
  return new Graph({ inputs: [start.source], outputs: [scores], seed: options.seed });
}

export interface GptOptions extends BlockOptions {
  /** Whether the embedding's table also scores the tokens. Default true. */
  readonly tied?: boolean;
}

/**
 * Decoder-only transformer: scores of the next token at each place, [N, T] -> [N, T, vocabulary]. Every place counts.
 *
 * @source Radford et al. 2019 (GPT-2): norms first, one at the end, tied scores, tables from N(0, 0.02)
 */
export function gpt(description: GptOptions): Graph {
  const options = new ZooOptions('gpt', description, [...BLOCK_KEYS, 'tied']);
  options.refuse('it scores the tokens of its vocabulary', 'numClasses');
  const tokens = options.required('vocabulary');
  const shape = options.inputShape;
  if (shape.length !== 1) throw options.error('inputShape', 'the length of the rows, [T]', `[${shape.join(', ')}]`);
  const source = input(shape, { name: 'tokens', dtype: 'int32' });
  const tableInitializer = { type: 'random_normal', stddev: 0.02 } as const;
  const embedding = new Embedding({ tokens, units: options.integer('size', 128), name: 'embedding', tableInitializer });
  const start = { source, vectors: connect(embedding, source), mask: undefined };
  const x = blocks(options, start, { count: options.integer('layers', 4), isCausal: true, isNormFirst: true });
  const scores = options.boolean('tied', true)
    ? new TiedDense({ to: 'embedding', name: 'scores' })
    : new Dense({ units: tokens, useBias: false, name: 'scores' });
  return new Graph({ inputs: [source], outputs: [connect(scores, x)], seed: options.seed });
}
