import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';
import { checkFeatures } from './baseline-features.js';
import { fitLogistic, predictLogistic, type LinearFit } from './logistic.js';
import { TurnTaker } from './turn-taker.js';
import { evaluateClassification, type ClassificationMetrics } from './metrics.js';

/** A simple classifier judged on the same rows by the same metrics as the real one. */
export interface ClassificationBaseline {
  readonly name: 'majority' | 'logistic';
  /** How it predicts, in words for people. */
  readonly description: string;
  readonly metrics: ClassificationMetrics;
}

export interface LogisticBaselineResult extends ClassificationBaseline {
  readonly name: 'logistic';
  readonly fit: Omit<LinearFit, 'weights'>;
}

export interface LogisticOptions {
  /** Penalty l2/2 * |weights|^2 beside the summed loss, > 0; default 1, as C = 1 in scikit-learn. */
  readonly l2?: number;
  /** Default: 100, less where that would take more than about a minute. */
  readonly maxIterations?: number;
  readonly signal?: AbortSignal;
}

/** Up to here the system of a Newton step, the square of this many entries, is solved in well under a second. */
const MAX_NEWTON_PARAMETERS = 300;
/** Multiply-adds of one Newton step over all rows, about a second's worth. */
const MAX_NEWTON_WORK = 4e8;
/** Multiply-adds of all gradient steps together; about a minute. */
const MAX_FIRST_ORDER_WORK = 2e10;
const DEFAULT_ITERATIONS = 100;

/**
 * Predicts the most frequent class of the training rows, the first one of a tie, for every test row. The probabilities are
 * the class shares of the training rows.
 *
 * @param train   classification rows; features are not looked at
 * @param test    rows to judge on
 * @param classes class names, at least 2
 * @throws E_DATA for no rows or targets that are no class indices; E_INDEX for a class index out of range
 * @source scikit-learn DummyClassifier, strategy 'prior'
 */
export function majorityBaseline(train: Dataset, test: Dataset, classes: readonly string[]): ClassificationBaseline {
  checkTargets(train, 'training', classes.length);
  checkTargets(test, 'test', classes.length);
  const counts = new Float64Array(classes.length);
  for (const label of train.targets) counts[label]! += 1;
  const probabilities = new Float64Array(test.size * classes.length);
  for (let row = 0; row < test.size; ++row) {
    for (let k = 0; k < classes.length; ++k) probabilities[row * classes.length + k] = counts[k]! / train.size;
  }
  const metrics = evaluateClassification(probabilities, test.targets, classes);
  const favourite = classes[counts.indexOf(Math.max(...counts))]!;
  return { name: 'majority', description: `always says "${favourite}", the most frequent class`, metrics };
}

/**
 * Fits multinomial logistic regression with an L2 penalty to the training rows and judges it on the test rows. Features
 * should be scaled alike, since the penalty treats them alike.
 *
 * Up to 300 parameters (classes * (features + 1)) it is solved to the optimum by Newton's method; above that, or where one
 * Newton step would take long, by L-BFGS with at most as many iterations as fit into about a minute. `fit` says which one
 * ran and whether it got to the optimum. Results repeat: no randomness, fixed order of sums. The event
 * loop gets a turn about every 10 ms.
 *
 * @param train   classification rows
 * @param test    rows to judge on
 * @param classes class names, at least 2
 * @throws E_DATA for no rows, features that are not finite or targets that are no class indices; E_INDEX for a class index
 *         out of range; E_SHAPE when training and test rows differ in shape; E_CONFIG for wrong options; E_ABORTED when
 *         `signal` fires
 * @source see fitLogistic
 */
export async function logisticBaseline(
  train: Dataset,
  test: Dataset,
  classes: readonly string[],
  options: LogisticOptions = {},
): Promise<LogisticBaselineResult> {
  const l2 = checkedPositive('l2', options.l2 ?? 1);
  checkTargets(train, 'training', classes.length);
  checkTargets(test, 'test', classes.length);
  const numFeatures = checkFeatures(train, test);
  const numClasses = classes.length;
  const parameters = numClasses * (numFeatures + 1);
  const isSmall = parameters <= MAX_NEWTON_PARAMETERS && (train.size * parameters ** 2) / 2 <= MAX_NEWTON_WORK;
  const affordable = Math.max(1, Math.floor(MAX_FIRST_ORDER_WORK / (2 * train.size * parameters)));
  const turns = new TurnTaker('logistic baseline', options.signal);
  const shape = { numFeatures, numClasses };
  const { weights, ...fit } = await fitLogistic(
    { ...shape, features: train.features, labels: train.targets, rows: train.size, l2 },
    {
      method: isSmall ? 'newton' : 'lbfgs',
      maxIterations: checkedPositive('maxIterations', options.maxIterations ?? Math.min(DEFAULT_ITERATIONS, affordable)),
      turns,
    },
  );
  const probabilities = await predictLogistic(weights, { ...shape, features: test.features }, turns);
  const metrics = evaluateClassification(probabilities, test.targets, classes);
  return { name: 'logistic', description: 'multinomial logistic regression on the same features', metrics, fit };
}

function checkedPositive(name: string, value: number): number {
  if (!(value > 0 && Number.isFinite(value))) {
    throw new TensorkilnError('E_CONFIG', `[baseline] ${name} is wrong: expected a finite number above 0, got ${value}.`);
  }
  return value;
}

function checkTargets(dataset: Dataset, part: string, numClasses: number): void {
  if (dataset.size === 0) {
    throw new TensorkilnError('E_DATA', `[baseline] the ${part} part has no rows: expected at least 1.`);
  }
  if (dataset.targetShape.length > 0 || dataset.targets.length !== dataset.size) {
    throw new TensorkilnError(
      'E_DATA',
      `[baseline] targets of the ${part} part are no class indices: expected one per row, got shape ` +
        `[${[dataset.size, ...dataset.targetShape].join(',')}] with ${dataset.targets.length} values.`,
    );
  }
  const wrong = dataset.targets.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= numClasses);
  if (wrong >= 0) {
    throw new TensorkilnError(
      'E_INDEX',
      `[baseline] class index of ${part} row ${wrong} is out of range: expected an integer from 0 to ${numClasses - 1}, ` +
        `got ${dataset.targets[wrong]}.`,
    );
  }
}
