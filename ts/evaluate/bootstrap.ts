import { SeededRandom } from '../data/random.js';
import { TensorkilnError } from '../errors.js';
import { coefficient, checkPredictions } from './regression.js';
import { TurnTaker } from './turn-taker.js';

/** Where the value of a metric may well lie. */
export type Interval = readonly [low: number, high: number];

export interface BootstrapOptions {
  /** Samples drawn; default 1000, fewer (at least 200) where that would be more than 50 million rows. */
  readonly resamples?: number;
  /** Share of samples inside the interval, in (0, 1); default 0.95. */
  readonly level?: number;
  /** Default 0. Equal seeds give equal intervals. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_RESAMPLES = 1000;
const MIN_RESAMPLES = 200;
/** Rows drawn in all, a few seconds' worth. */
const MAX_DRAWS = 5e7;

/**
 * Percentile bootstrap: measures samples of the rows, drawn with replacement and as large as the set, and takes the middle of
 * what was measured. The event loop gets its turns between samples.
 *
 * @param rows    number of rows, at least 1
 * @param measure how often each row was drawn ([rows], summing to rows) to metrics; null where a metric is undefined
 * @returns       per metric its interval, or null when it was undefined in more than half of the samples
 * @throws E_CONFIG for wrong options; E_ABORTED when `signal` fires
 * @source Efron, Tibshirani 1993, An Introduction to the Bootstrap, section 13.3
 */
export async function bootstrap<Name extends string>(
  rows: number,
  measure: (weights: Uint32Array) => Readonly<Record<Name, number | null>>,
  options: BootstrapOptions = {},
): Promise<Readonly<Record<Name, Interval | null>>> {
  const resamples = options.resamples ?? Math.max(MIN_RESAMPLES, Math.min(DEFAULT_RESAMPLES, Math.floor(MAX_DRAWS / rows)));
  const { level = 0.95, seed = 0, signal } = options;
  if (!Number.isInteger(resamples) || resamples < 2 || !(level > 0 && level < 1)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[bootstrap] wrong options: expected at least 2 resamples and a level between 0 and 1, got ${resamples} and ${level}.`,
    );
  }
  const turns = new TurnTaker('bootstrap', signal);
  const random = new SeededRandom(seed);
  const weights = new Uint32Array(rows);
  const samples = new Map<Name, number[]>();
  for (let sample = 0; sample < resamples; ++sample) {
    await turns.look();
    weights.fill(0);
    for (let draw = 0; draw < rows; ++draw) weights[random.nextBelow(rows)]! += 1;
    for (const [name, value] of Object.entries(measure(weights)) as [Name, number | null][]) {
      const values = samples.get(name) ?? [];
      samples.set(name, values);
      if (value !== null) values.push(value);
    }
  }
  return Object.fromEntries(
    [...samples].map(([name, values]) => [name, values.length * 2 < resamples ? null : middle(values, level)]),
  ) as Record<Name, Interval | null>;
}

function middle(values: number[], level: number): Interval {
  const sorted = Float64Array.from(values).sort();
  return [quantile(sorted, (1 - level) / 2), quantile(sorted, (1 + level) / 2)];
}

/** Of sorted values, between neighbours by proportion, as numpy does. */
function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}

/** Intervals of the metrics that a regression is compared by. */
export type RegressionIntervals = Readonly<Record<'mae' | 'rmse' | 'r2', Interval | null>>;

/**
 * Bootstrap intervals of MAE, RMSE and R2.
 *
 * @param predictions [N]
 * @param targets     [N]
 * @throws as `evaluateRegression` and `bootstrap`
 */
export async function regressionIntervals(
  predictions: ArrayLike<number>,
  targets: ArrayLike<number>,
  options: BootstrapOptions = {},
): Promise<RegressionIntervals> {
  checkPredictions(predictions, targets);
  const rows = targets.length;
  let mean = 0;
  for (let row = 0; row < rows; ++row) mean += targets[row]! / rows;
  const errors = Float64Array.from({ length: rows }, (_, row) => Math.abs(predictions[row]! - targets[row]!));
  // Distances from the mean of all rows: sums of their squares do not drown in the mean.
  const distances = Float64Array.from({ length: rows }, (_, row) => targets[row]! - mean);
  return bootstrap(
    rows,
    (weights) => {
      let [sum, squares, distance, spread] = [0, 0, 0, 0];
      for (let row = 0; row < rows; ++row) {
        const weight = weights[row]!;
        if (weight === 0) continue;
        const error = errors[row]!;
        sum += weight * error;
        squares += weight * error * error;
        distance += weight * distances[row]!;
        spread += weight * distances[row]! ** 2;
      }
      const ownSpread = Math.max(0, spread - distance ** 2 / rows);
      return {
        mae: sum / rows,
        rmse: Math.sqrt(squares / rows),
        r2: rows < 2 || ownSpread === 0 ? null : coefficient(squares, ownSpread),
      };
    },
    options,
  );
}
