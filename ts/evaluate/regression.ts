import { TensorkilnError } from '../errors.js';

/** Every regression metric of one set of rows, in the unit of the target. */
export interface RegressionMetrics {
  readonly task: 'regression';
  readonly rows: number;
  /** Mean absolute error. */
  readonly mae: number;
  /** Root of the mean squared error. */
  readonly rmse: number;
  /** Mean of |error| / max(|target|, 2^-52); 0.1 is 10 %. Of no use when targets are or come near 0. */
  readonly mape: number;
  /** 1 - squared errors / squared distances of the targets from their mean; null for a single row. */
  readonly r2: number | null;
  readonly medianAbsoluteError: number;
  readonly maxError: number;
  /** Mean of prediction - target: above 0 when the model says too much. */
  readonly meanError: number;
  readonly targetMean: number;
  /** Standard deviation of the targets, divided by the number of rows. */
  readonly targetDeviation: number;
  readonly targetRange: readonly [least: number, greatest: number];
}

/** What scikit-learn divides by in place of a target that is 0. */
const SMALLEST_TARGET = Number.EPSILON;

/**
 * Judges predicted numbers: MAE, RMSE, MAPE, R2, median and largest error, mean error. All sums are float64.
 *
 * R2 of targets that are all equal is 1 for a perfect prediction and 0 otherwise, as in scikit-learn.
 *
 * @param predictions [N]
 * @param targets     [N]
 * @throws E_SHAPE when sizes differ; E_DATA for no rows or values that are not finite
 * @source scikit-learn `sklearn/metrics/_regression.py`: mean_absolute_error, root_mean_squared_error,
 *         mean_absolute_percentage_error, r2_score, median_absolute_error, max_error
 */
export function evaluateRegression(predictions: ArrayLike<number>, targets: ArrayLike<number>): RegressionMetrics {
  const rows = targets.length;
  checkPredictions(predictions, targets);
  const absolute = new Float64Array(rows);
  let [sum, squares, relative, signed, targetSum] = [0, 0, 0, 0, 0];
  let [least, greatest] = [Infinity, -Infinity];
  for (let row = 0; row < rows; ++row) {
    const target = targets[row]!;
    const error = predictions[row]! - target;
    const size = (absolute[row] = Math.abs(error));
    sum += size;
    squares += size * size;
    relative += size / Math.max(Math.abs(target), SMALLEST_TARGET);
    signed += error;
    targetSum += target;
    least = Math.min(least, target);
    greatest = Math.max(greatest, target);
  }
  const targetMean = targetSum / rows;
  let spread = 0;
  for (let row = 0; row < rows; ++row) spread += (targets[row]! - targetMean) ** 2;
  absolute.sort();
  const middle = rows >> 1;
  return {
    task: 'regression',
    rows,
    mae: sum / rows,
    rmse: Math.sqrt(squares / rows),
    mape: relative / rows,
    r2: rows < 2 ? null : coefficient(squares, least === greatest ? 0 : spread),
    medianAbsoluteError: rows % 2 === 1 ? absolute[middle]! : (absolute[middle - 1]! + absolute[middle]!) / 2,
    maxError: absolute[rows - 1]!,
    meanError: signed / rows,
    targetMean,
    targetDeviation: Math.sqrt(spread / rows),
    targetRange: [least, greatest],
  };
}

/** R2 of summed squares of errors and of distances from the mean. */
export function coefficient(squaredErrors: number, spread: number): number {
  if (spread === 0) return squaredErrors === 0 ? 1 : 0;
  return 1 - squaredErrors / spread;
}

/** @throws E_SHAPE, E_DATA as `evaluateRegression` */
export function checkPredictions(predictions: ArrayLike<number>, targets: ArrayLike<number>): void {
  const rows = targets.length;
  if (rows === 0) throw new TensorkilnError('E_DATA', '[evaluate] no rows to judge: expected at least 1 target, got 0.');
  if (predictions.length !== rows) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[evaluate] predictions do not fit the targets: expected ${rows} values, one per row, got ${predictions.length}.`,
    );
  }
  for (let row = 0; row < rows; ++row) {
    const [what, value] = Number.isFinite(predictions[row]!) ? ['target', targets[row]!] : ['prediction', predictions[row]!];
    if (Number.isFinite(value)) continue;
    throw new TensorkilnError('E_DATA', `[evaluate] ${what} of row ${row} is no finite number: got ${String(value)}.`);
  }
}
