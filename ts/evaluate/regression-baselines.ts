import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';
import { checkFeatures } from './baseline-features.js';
import { fitLeastSquares, predictLeastSquares, type LeastSquaresFit } from './least-squares.js';
import { evaluateRegression, type RegressionMetrics } from './regression.js';
import { TurnTaker } from './turn-taker.js';

/** A simple model of a number, judged on the same rows by the same metrics as the real one. */
export interface RegressionBaseline {
  readonly name: 'mean' | 'linear';
  /** How it predicts, in words for people. */
  readonly description: string;
  readonly metrics: RegressionMetrics;
}

export interface LinearBaselineResult extends RegressionBaseline {
  readonly name: 'linear';
  readonly fit: Omit<LeastSquaresFit, 'weights' | 'bias'>;
}

/**
 * Predicts the mean target of the training rows for every test row.
 *
 * @param train regression rows, one number each; features are not looked at
 * @param test  rows to judge on
 * @throws E_DATA for no rows or targets that are not one finite number a row
 */
export function meanBaseline(train: Dataset, test: Dataset): RegressionBaseline {
  checkTargets(train, 'training');
  checkTargets(test, 'test');
  let mean = 0;
  for (const target of train.targets) mean += target / train.size;
  const metrics = evaluateRegression(new Float64Array(test.size).fill(mean), test.targets);
  return { name: 'mean', description: 'always says the mean of the training rows', metrics };
}

/**
 * Fits linear least squares to the training rows and judges it on the test rows. `fit` says how it was solved. The event loop
 * gets a turn about every 10 ms.
 *
 * @param train regression rows, one number each
 * @param test  rows to judge on
 * @throws E_DATA for no rows, features or targets that are not finite; E_SHAPE when training and test rows differ in shape;
 *         E_ABORTED when `signal` fires
 * @source see fitLeastSquares
 */
export async function linearBaseline(
  train: Dataset,
  test: Dataset,
  options: { readonly signal?: AbortSignal } = {},
): Promise<LinearBaselineResult> {
  checkTargets(train, 'training');
  checkTargets(test, 'test');
  const numFeatures = checkFeatures(train, test);
  const turns = new TurnTaker('linear baseline', options.signal);
  const problem = { features: train.features, targets: train.targets, rows: train.size, numFeatures };
  const { weights, bias, ...fit } = await fitLeastSquares(problem, turns);
  const predictions = await predictLeastSquares({ weights, bias }, test.features, test.size, turns);
  const metrics = evaluateRegression(predictions, test.targets);
  return { name: 'linear', description: 'linear least squares on the same features', metrics, fit };
}

function checkTargets(dataset: Dataset, part: string): void {
  if (dataset.size === 0) {
    throw new TensorkilnError('E_DATA', `[baseline] the ${part} part has no rows: expected at least 1.`);
  }
  if (dataset.targets.length !== dataset.size) {
    throw new TensorkilnError(
      'E_DATA',
      `[baseline] targets of the ${part} part are no single numbers: expected one per row, got ${dataset.targets.length} ` +
        `values for ${dataset.size} rows.`,
    );
  }
  const wrong = dataset.targets.findIndex((target) => !Number.isFinite(target));
  if (wrong >= 0) {
    throw new TensorkilnError('E_DATA', `[baseline] target of ${part} row ${wrong} is not finite.`);
  }
}
