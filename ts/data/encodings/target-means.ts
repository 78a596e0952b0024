import { SeededRandom } from '../random.js';

/** What the target encoding takes means of: one column per class but for two classes, where the second says it all; the value itself for regression. */
export interface TargetValues {
  readonly names: readonly string[];
  /** [names][table rows] */
  readonly values: readonly Float64Array[];
}

export interface TargetMeans {
  readonly prior: number[];
  /** [categories][names] */
  readonly means: number[][];
}

/** Rows of the prior that each category's mean is mixed with: a category of ten rows counts half. */
const SMOOTHING_ROWS = 10;
const FOLDS = 5;

/**
 * Mean of the target in each category, drawn to the mean over all: (sum + m * prior) / (rows + m) with m = 10.
 *
 * @param codes [table rows], category of each row; -1 = none
 * @source Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes", with a fixed weight
 */
export function fitTargetMeans(
  codes: Int32Array,
  fit: { readonly rows: Int32Array; readonly count: number; readonly target: TargetValues },
): TargetMeans {
  const { rows, count, target } = fit;
  const prior = target.values.map((values) => rows.reduce((sum, row) => sum + (values[row] as number), 0) / rows.length);
  const sizes = new Float64Array(count);
  const sums = target.values.map(() => new Float64Array(count));
  for (const row of rows) {
    const code = codes[row] as number;
    if (code < 0) continue;
    sizes[code] = (sizes[code] as number) + 1;
    target.values.forEach((values, output) => {
      const sum = sums[output] as Float64Array;
      sum[code] = (sum[code] as number) + (values[row] as number);
    });
  }
  const means = Array.from(sizes, (size, code) =>
    prior.map((center, output) => ((sums[output]?.[code] as number) + SMOOTHING_ROWS * center) / (size + SMOOTHING_ROWS)),
  );
  return { prior, means };
}

/**
 * The encoding of the training rows themselves, each from the means of the other folds: a row must not see its own target, or rare
 * categories would give it away (cross-fitting).
 *
 * @returns [names][table rows], set for `rows` only
 */
export function crossFitMeans(
  codes: Int32Array,
  fit: { readonly rows: Int32Array; readonly count: number; readonly target: TargetValues },
): readonly Float64Array[] {
  const { rows, count, target } = fit;
  const shuffled = rows.slice();
  // A fixed seed: the folds are part of the encoding, not of the split.
  new SeededRandom(0).shuffle(shuffled);
  const encoded = target.names.map(() => new Float64Array(codes.length));
  const folds = Math.min(FOLDS, rows.length);
  for (let fold = 0; fold < folds; fold++) {
    const held = shuffled.filter((_, index) => index % folds === fold);
    const others = shuffled.filter((_, index) => index % folds !== fold);
    const { prior, means } = fitTargetMeans(codes, { rows: others.length === 0 ? held : others, count, target });
    for (const row of held) {
      const mean = means[codes[row] as number] ?? prior;
      mean.forEach((value, output) => {
        (encoded[output] as Float64Array)[row] = value;
      });
    }
  }
  return encoded;
}
