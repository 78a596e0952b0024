/** How well a model foretells the next token of a text, and what counting alone would reach. */
import { TensorkilnError } from '../errors.js';

export interface LanguageMetrics {
  readonly task: 'language_model';
  /** Tokens that were predicted. */
  readonly rows: number;
  /** Mean of -log p over the tokens, in nats. */
  readonly crossEntropy: number;
  /** exp(crossEntropy): among how many equally likely tokens the model wavers. */
  readonly perplexity: number;
  /** crossEntropy in bits; a token is a character. */
  readonly bitsPerCharacter: number;
  /** Share of tokens that were thought the most likely. */
  readonly accuracy: number;
}

export interface LanguageBaseline {
  readonly name: 'bigram' | 'unigram';
  readonly description: string;
  readonly metrics: LanguageMetrics;
}

/** @param found  mean loss per token in nats, share of tokens predicted right, number of tokens */
export function evaluateLanguage(found: {
  readonly rows: number;
  readonly crossEntropy: number;
  readonly accuracy: number;
}): LanguageMetrics {
  const { rows, crossEntropy, accuracy } = found;
  return {
    task: 'language_model',
    rows,
    crossEntropy,
    perplexity: Math.exp(crossEntropy),
    bitsPerCharacter: crossEntropy / Math.LN2,
    accuracy,
  };
}

/** Larger tables of pairs are not counted. */
const MAX_PAIRS = 1 << 24;

/**
 * Predicting by counts of the training part: how often each token comes (one more than seen, so that none is impossible), and how often
 * after the one before it, smoothed by the former.
 *
 * @param train  tokens in [0, vocabulary)
 * @param test   the tokens predicted are all but the first
 * @source smoothing of pairs: Witten, Bell 1991, "The zero-frequency problem", method C
 */
export function languageBaselines(train: Int32Array, test: Int32Array, vocabulary: number): readonly LanguageBaseline[] {
  if (test.length < 2)
    throw new TensorkilnError(
      'E_DATA',
      `[language] too little text to judge by: expected 2 tokens or more, got ${test.length}.`,
    );
  const single = new Float64Array(vocabulary).fill(1);
  for (const token of train) single[token] = (single[token] as number) + 1;
  const total = train.length + vocabulary;
  const share = single.map((count) => count / total);
  const most = indexOfLargest(share, 0, vocabulary);
  const unigram = judgeBy(test, (_, next) => ({ probability: share[next] as number, best: most }));
  const baselines: LanguageBaseline[] = [{ name: 'unigram', description: 'how often each character comes', metrics: unigram }];
  if (vocabulary ** 2 > MAX_PAIRS) return baselines;
  const pairs = new Int32Array(vocabulary ** 2);
  for (let at = 1; at < train.length; at++) {
    const place = (train[at - 1] as number) * vocabulary + (train[at] as number);
    pairs[place] = (pairs[place] as number) + 1;
  }
  const followers = Array.from({ length: vocabulary }, (_, token) => {
    const row = pairs.subarray(token * vocabulary, (token + 1) * vocabulary);
    const count = row.reduce((sum, one) => sum + one, 0);
    const kinds = row.reduce((sum, one) => sum + (one > 0 ? 1 : 0), 0);
    return { count, kinds, best: count === 0 ? most : indexOfLargest(row, 0, vocabulary) };
  });
  const bigram = judgeBy(test, (before, next) => {
    const { count, kinds, best } = followers[before] as (typeof followers)[number];
    const own = share[next] as number;
    const seen = pairs[before * vocabulary + next] as number;
    return { probability: count === 0 ? own : (seen + kinds * own) / (count + kinds), best };
  });
  return [{ name: 'bigram', description: 'which character follows which', metrics: bigram }, ...baselines];
}

function judgeBy(
  test: Int32Array,
  predict: (before: number, next: number) => { readonly probability: number; readonly best: number },
): LanguageMetrics {
  let loss = 0;
  let right = 0;
  for (let at = 1; at < test.length; at++) {
    const next = test[at] as number;
    const { probability, best } = predict(test[at - 1] as number, next);
    loss -= Math.log(probability);
    if (best === next) right++;
  }
  const rows = test.length - 1;
  return evaluateLanguage({ rows, crossEntropy: loss / rows, accuracy: right / rows });
}

function indexOfLargest(values: ArrayLike<number>, from: number, to: number): number {
  let best = from;
  for (let at = from; at < to; at++) if ((values[at] as number) > (values[best] as number)) best = at;
  return best;
}
