import { meanAndDeviationOf, quantilesOf, rangeOf, type RowNumbers } from './row-numbers.js';
import type { NumericColumn } from './table.js';

/** `iqr`: beyond the quartiles by `threshold` interquartile ranges. `z_score`: beyond the mean by `threshold` standard deviations. */
export interface OutlierOptions {
  readonly method: 'iqr' | 'z_score';
  /** Default 1.5 for iqr (Tukey 1977), 3 for z_score. */
  readonly threshold?: number;
  /** Default report; `drop` takes the rows out of the training part, never out of validation or test. */
  readonly action?: 'report' | 'drop';
}

export interface OutlierReport {
  readonly name: string;
  /** Values below this and above that are outliers. */
  readonly lower: number;
  readonly upper: number;
  readonly rows: number;
}

/** Finds the training rows whose value lies outside; limits come from the training rows alone. */
export function findOutliers(
  column: NumericColumn,
  rows: Int32Array,
  { method, threshold = method === 'iqr' ? 1.5 : 3 }: OutlierOptions,
): { readonly report: OutlierReport; readonly rows: Int32Array } {
  const [lower, upper] = limits({ values: column.values, rows, fill: NaN }, method, threshold);
  const outside = rows.filter((row) => {
    const value = column.values[row] as number;
    return value < lower || value > upper;
  });
  return { report: { name: column.name, lower, upper, rows: outside.length }, rows: outside };
}

function limits(present: RowNumbers, method: 'iqr' | 'z_score', threshold: number): readonly [number, number] {
  const range = rangeOf(present);
  if (range.count === 0) return [-Infinity, Infinity];
  if (method === 'z_score') {
    const { mean, deviation } = meanAndDeviationOf(present, range.count);
    return [mean - threshold * deviation, mean + threshold * deviation];
  }
  const [first, third] = quantilesOf(present, range, [0.25, 0.75]) as [number, number];
  return [first - threshold * (third - first), third + threshold * (third - first)];
}
