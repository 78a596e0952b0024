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

/**
 * The number that replaces missing cells.
 *
 * median: middle of the sorted values, mean of the middle two; mode: most frequent, the smallest of equals.
 *
 * @param values present training values, at least one unless a constant is asked for
 * @throws E_DATA when there are no values to take a statistic of
 */
export function numericFill(name: string, values: Float64Array, imputation: NumericImputation): number {
  if (typeof imputation === 'object') return imputation.constant;
  if (values.length === 0) throw noTrainingValue(name);
  if (imputation === 'mean') return mean(values);
  if (imputation === 'median') return median(values);
  const sorted = values.toSorted();
  let best = sorted[0] ?? NaN;
  let bestCount = 0;
  let start = 0;
  for (let end = 1; end <= sorted.length; end++) {
    if (sorted[end] === sorted[start]) continue;
    if (end - start > bestCount) {
      best = sorted[start] ?? NaN;
      bestCount = end - start;
    }
    start = end;
  }
  return best;
}

/** The middle of the sorted values; the mean of the middle two. @param values at least one, none NaN; left as they are */
export function median(values: Float64Array): number {
  const work = values.slice();
  const middle = work.length >> 1;
  const upper = select(work, middle);
  if (work.length % 2 === 1) return upper;
  // What `select` has left below the middle is no larger than it.
  let lower = -Infinity;
  for (let index = 0; index < middle; index++) lower = Math.max(lower, work[index] as number);
  return (lower + upper) / 2;
}

/** The value that a share of the others lies below, between two neighbours by straight interpolation (type 7 of Hyndman and Fan 1996). */
export function quantile(values: Float64Array, share: number): number {
  const work = values.slice();
  const position = share * (work.length - 1);
  const below = Math.floor(position);
  const lower = select(work, below);
  if (position === below) return lower;
  let upper = Infinity;
  for (let index = below + 1; index < work.length; index++) upper = Math.min(upper, work[index] as number);
  return lower + (position - below) * (upper - lower);
}

/**
 * Puts the value of rank `rank` in its place, smaller ones before it, larger ones after, and returns it: linear time on average where
 * sorting would take much longer (Hoare 1961, "Find"; pivot: median of three).
 */
function select(values: Float64Array, rank: number): number {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const [a, b, c] = [values[left] as number, values[(left + right) >> 1] as number, values[right] as number];
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    let low = left;
    let high = right;
    while (low <= high) {
      while ((values[low] as number) < pivot) low++;
      while ((values[high] as number) > pivot) high--;
      if (low > high) break;
      const kept = values[low] as number;
      values[low++] = values[high] as number;
      values[high--] = kept;
    }
    if (rank <= high) right = high;
    else if (rank >= low) left = low;
    else break;
  }
  return values[rank] as number;
}

/** Mean, and standard deviation over n (not n - 1), both passes in float64; a constant column has deviation 0. */
export function meanAndDeviation(values: Float64Array): { readonly mean: number; readonly deviation: number } {
  const center = mean(values);
  let squares = 0;
  for (let row = 0; row < values.length; row++) {
    const distance = (values[row] as number) - center;
    squares += distance * distance;
  }
  const deviation = Math.sqrt(squares / values.length);
  // Rounding in the mean leaves a constant column a deviation of some units in the last place; dividing by that would blow up noise.
  return { mean: center, deviation: deviation <= 1e-14 * Math.abs(center) ? 0 : deviation };
}

export function noTrainingValue(name: string): TensorkilnError {
  return new TensorkilnError(
    'E_DATA',
    `[preprocessing] column "${name}" has no value in the training part: expected at least one. Set features.${name} to ignore, or impute a constant.`,
  );
}

/** Two passes: the second adds the mean of what the first left over, which keeps large offsets exact. */
function mean(values: Float64Array): number {
  let sum = 0;
  for (let row = 0; row < values.length; row++) sum += values[row] as number;
  const first = sum / values.length;
  let rest = 0;
  for (let row = 0; row < values.length; row++) rest += (values[row] as number) - first;
  return first + rest / values.length;
}
