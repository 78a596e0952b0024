import { TensorkilnError } from '../errors.js';
import type { CategoricalEncoding } from './feature-options.js';

/** How a missing number is replaced: by a statistic of the training part, or by a number of your own. */
export type NumericImputation = 'median' | 'mean' | 'mode' | { readonly constant: number };
/** How a missing text is replaced: by the most frequent category, or by one of your own, which then counts as a category. */
export type CategoricalImputation = 'mode' | { readonly constant: string };
/**
 * How numbers are scaled, by statistics of the training part: `standard` to zero mean and unit variance, `min_max` to the range from 0 to
 * 1, `robust` by median and interquartile range.
 */
export type Scaling = 'standard' | 'min_max' | 'robust' | 'none';

/** Principal components in place of the features: a number of them, or as many as explain a share of the variance. */
export type PcaOptions = { readonly components: number } | { readonly variance: number };

export interface PreprocessingOptions {
  readonly numericImputation: NumericImputation;
  readonly categoricalImputation: CategoricalImputation;
  readonly scaling: Scaling;
  /** Default one_hot; a column's own setting wins. */
  readonly encoding?: CategoricalEncoding;
  /** Default: none. */
  readonly pca?: PcaOptions;
}

export const DEFAULT_PREPROCESSING: PreprocessingOptions = {
  numericImputation: 'median',
  categoricalImputation: 'mode',
  scaling: 'standard',
};

export function noTrainingValue(name: string): TensorkilnError {
  return new TensorkilnError(
    'E_DATA',
    `[preprocessing] column "${name}" has no value in the training part: expected at least one. Set features.${name} to ignore, or impute a constant.`,
  );
}
