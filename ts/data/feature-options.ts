import type { DateOrder } from './dates.js';
import type { Scaling } from './preprocessing-options.js';

/** Groups of the numbers that a date becomes. */
export type DatePart = 'trend' | 'year' | 'week' | 'day';

export type FeatureType = 'numeric' | 'categorical' | 'boolean' | 'date' | 'text' | 'ignore';

/**
 * How categories become numbers. `one_hot`: a column each. `label`: their place in the sorted list, from 1; 0 for an unseen one. `target`:
 * the smoothed mean of the target among the training rows. `hash`: one-hot over a fixed number of buckets.
 */
export type CategoricalEncoding = 'one_hot' | 'label' | 'target' | 'hash';

/** What is done with free text. */
export interface TextOptions {
  /** `bag`: one column per word, weighted by tf-idf. `sequence`: token numbers in reading order, for an embedding. Default bag. */
  readonly encoding?: 'bag' | 'sequence';
  /** What a token is; default word. */
  readonly level?: 'word' | 'character';
  /** Longest run of neighbouring tokens that has a column of its own in a bag, 1 to 5; default 1. */
  readonly ngrams?: number;
  /** What a bag makes of a token's count n in a row: `plain` n, `sublinear` 1 + ln n, `binary` 1. Default plain. */
  readonly counts?: 'plain' | 'sublinear' | 'binary';
  /** Most tokens in the vocabulary, the most frequent of the training part; default 2000. */
  readonly maxTokens?: number;
  /** Tokens in fewer training rows than this are left out; default 2. */
  readonly minRows?: number;
  /** Default true. */
  readonly lowercase?: boolean;
  /** Tokens per row of a sequence; default: the longest training row, at most 256. */
  readonly length?: number;
  /** Which end of a short sequence is padded with 0; default end. */
  readonly padding?: 'start' | 'end';
  /** Which end of a long sequence is cut off; default end. */
  readonly truncation?: 'start' | 'end';
}

/** What is to be done with one column; what is left out is inferred or has the default of the whole table. */
export interface FeatureOptions {
  readonly type?: FeatureType;
  readonly encoding?: CategoricalEncoding;
  /** A statistic, or a constant of the column's own kind. */
  readonly imputation?: 'median' | 'mean' | 'mode' | { readonly constant: number | string };
  readonly scaling?: Scaling;
  /** Buckets of the hash encoding; default 32. */
  readonly buckets?: number;
  readonly dateOrder?: DateOrder;
  /** What a date becomes: its day as a trend, its place in the year, the week and, where there are times, the day. Default all. */
  readonly dateParts?: readonly DatePart[];
  readonly text?: TextOptions;
}
