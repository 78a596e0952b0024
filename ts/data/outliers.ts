import { meanAndDeviation, quantile } from './preprocessing-options.js';
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
  const values = new Float64Array(rows.length);
  let count = 0;
  for (const row of rows) {
    const value = column.values[row] as number;
    if (value === value) values[count++] = value;
  }
  const present = values.subarray(0, count);
  const [lower, upper] = count === 0 ? [-Infinity, Infinity] : limits(present, method, threshold);
  const outside = rows.filter((row) => {
    const value = column.values[row] as number;
    return value < lower || value > upper;
  });
  return { report: { name: column.name, lower, upper, rows: outside.length }, rows: outside };
}

function limits(present: Float64Array, method: 'iqr' | 'z_score', threshold: number): readonly [number, number] {
  if (method === 'z_score') {
    const { mean, deviation } = meanAndDeviation(present);
    return [mean - threshold * deviation, mean + threshold * deviation];
  }
  const [first, third] = [quantile(present, 0.25), quantile(present, 0.75)];
  return [first - threshold * (third - first), third + threshold * (third - first)];
}
