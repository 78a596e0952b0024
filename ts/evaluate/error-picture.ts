import { checkPredictions } from './regression.js';

/** How predicted numbers lie beside the true ones; counts only, so that no row of the data is in it. */
export interface ErrorPicture {
  /** Range of both axes of `cells`. */
  readonly range: readonly [least: number, greatest: number];
  /** Cells along an axis. */
  readonly size: number;
  /** Rows in each cell that holds any. */
  readonly cells: readonly { readonly target: number; readonly prediction: number; readonly rows: number }[];
  /** Errors (prediction - target) by size; the first and last bin also hold what lies beyond. */
  readonly errors: readonly { readonly from: number; readonly to: number; readonly rows: number }[];
}

const CELLS = 32;
const BINS = 31;
/** Share of errors at either end that may lie beyond the bins, so that one outlier does not flatten the rest. */
const BEYOND = 0.005;

/**
 * Counts predictions by target and errors by size.
 *
 * @param predictions [N]
 * @param targets     [N]
 * @throws E_SHAPE when sizes differ; E_DATA for no rows or values that are not finite
 */
export function pictureErrors(predictions: ArrayLike<number>, targets: ArrayLike<number>): ErrorPicture {
  checkPredictions(predictions, targets);
  const rows = targets.length;
  let [least, greatest] = [Infinity, -Infinity];
  const errors = new Float64Array(rows);
  for (let row = 0; row < rows; ++row) {
    least = Math.min(least, targets[row]!, predictions[row]!);
    greatest = Math.max(greatest, targets[row]!, predictions[row]!);
    errors[row] = predictions[row]! - targets[row]!;
  }
  if (least === greatest) [least, greatest] = [least - 0.5, greatest + 0.5];
  const place = (value: number): number => Math.min(CELLS - 1, Math.floor((CELLS * (value - least)) / (greatest - least)));
  const counts = new Uint32Array(CELLS * CELLS);
  for (let row = 0; row < rows; ++row) counts[place(targets[row]!) * CELLS + place(predictions[row]!)]! += 1;
  const cells = [...counts].flatMap((count, i) =>
    count === 0 ? [] : [{ target: Math.floor(i / CELLS), prediction: i % CELLS, rows: count }],
  );
  return { range: [least, greatest], size: CELLS, cells, errors: binErrors(errors.sort()) };
}

function binErrors(sorted: Float64Array): ErrorPicture['errors'] {
  const last = sorted.length - 1;
  const reach = Math.max(Math.abs(sorted[Math.floor(BEYOND * last)]!), Math.abs(sorted[Math.ceil((1 - BEYOND) * last)]!)) || 1;
  const width = (2 * reach) / BINS;
  const counts = new Uint32Array(BINS);
  for (const error of sorted) counts[Math.min(BINS - 1, Math.max(0, Math.floor((error + reach) / width)))]! += 1;
  return [...counts].map((rows, i) => ({ from: i * width - reach, to: (i + 1) * width - reach, rows }));
}
