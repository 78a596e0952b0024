import { TensorkilnError } from '../errors.js';

/** How a missing number is replaced: by a statistic of the training part, or by a number of your own. */
export type NumericImputation = 'median' | 'mean' | 'mode' | { readonly constant: number };
/** How a missing text is replaced: by the most frequent category, or by one of your own, which then counts as a category. */
export type CategoricalImputation = 'mode' | { readonly constant: string };
/** `standard`: zero mean, unit variance on the training part. */
export type Scaling = 'standard' | 'none';

export interface PreprocessingOptions {
  readonly numericImputation: NumericImputation;
  readonly categoricalImputation: CategoricalImputation;
  readonly scaling: Scaling;
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
  const sorted = values.toSorted();
  if (imputation === 'median') {
    const middle = sorted.length >> 1;
    const upper = sorted[middle] ?? NaN;
    return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
  }
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

/** Mean, and standard deviation over n (not n - 1), both passes in float64; a constant column has deviation 0. */
export function meanAndDeviation(values: Float64Array): { readonly mean: number; readonly deviation: number } {
  const center = mean(values);
  let squares = 0;
  for (const value of values) squares += (value - center) ** 2;
  const deviation = Math.sqrt(squares / values.length);
  // Rounding in the mean leaves a constant column a deviation of some units in the last place; dividing by that would blow up noise.
  return { mean: center, deviation: deviation <= 1e-14 * Math.abs(center) ? 0 : deviation };
}

export function noTrainingValue(name: string): TensorkilnError {
  return new TensorkilnError(
    'E_DATA',
    `[preprocessing] column "${name}" has no value in the training part: expected at least one. Set data.features.${name} to ignore, or impute a constant.`,
  );
}

/** Two passes: the second adds the mean of what the first left over, which keeps large offsets exact. */
function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const first = sum / values.length;
  let rest = 0;
  for (const value of values) rest += value - first;
  return first + rest / values.length;
}
