import { TensorkilnError } from '../errors.js';

/** How one class fared. A ratio without a denominator (nothing predicted, nothing true) is 0, as in scikit-learn. */
export interface ClassMetrics {
  readonly name: string;
  /** Of the rows predicted as this class, the share that is right. */
  readonly precision: number;
  /** Of the rows of this class, the share that was found. */
  readonly recall: number;
  /** Harmonic mean of precision and recall. */
  readonly f1: number;
  /** Rows whose label is this class. */
  readonly support: number;
  /** Rows predicted as this class. */
  readonly predicted: number;
}

/** Every classification metric of one set of rows. */
export interface ClassificationMetrics {
  readonly task: 'classification';
  readonly rows: number;
  readonly classes: readonly string[];
  /** Share of rows whose most probable class is the label. */
  readonly accuracy: number;
  /** Mean recall over the classes that occur in the labels. */
  readonly balancedAccuracy: number;
  /** Plain means over the classes that occur in the labels or in the predictions. */
  readonly macroPrecision: number;
  readonly macroRecall: number;
  readonly macroF1: number;
  /** Mean negative natural logarithm of the probability given to the label. */
  readonly logLoss: number;
  /** Row counts, [true class][predicted class]. */
  readonly confusion: readonly (readonly number[])[];
  readonly perClass: readonly ClassMetrics[];
}

/** The smallest probability the logarithm sees: float64's machine epsilon, the bound scikit-learn clips float64 input to. */
const PROBABILITY_FLOOR = Number.EPSILON;

/** float32 softmax rows sum to 1 within about classes * 6e-8; logits or counts are off by far more than this. */
const ROW_SUM_TOLERANCE = 1e-3;

/**
 * Judges class probabilities against labels: accuracy, balanced accuracy, precision, recall and F1 per class and as macro
 * averages, confusion matrix and log loss. The prediction is the most probable class, the first one of a tie.
 *
 * The log loss is computed in float64 with probabilities clipped to [2^-52, 1 - 2^-52] and rows not rescaled, which is what
 * scikit-learn does with float64 input. Macro averages leave out classes found neither in the labels nor in the predictions.
 *
 * @param probabilities [N,C] row-major; each row within [0, 1] and summing to 1 within 1e-3
 * @param labels        [N] class indices, 0 to C-1
 * @param classes       C class names, at least 2
 * @throws E_SHAPE when sizes do not fit; E_DATA for no rows, fewer than two classes, or values that are no probabilities;
 *         E_INDEX for a label out of range
 * @source scikit-learn `sklearn/metrics/_classification.py`: accuracy_score, balanced_accuracy_score,
 *         precision_recall_fscore_support, log_loss
 */
export function evaluateClassification(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: readonly string[],
): ClassificationMetrics {
  const numClasses = classes.length;
  const rows = labels.length;
  checkSizes(probabilities.length, rows, numClasses);

  const counts = new Float64Array(numClasses * numClasses);
  let logLossSum = 0;
  for (let row = 0; row < rows; ++row) {
    const label = checkedLabel(labels[row], row, numClasses);
    const predicted = mostProbable(probabilities, row, numClasses);
    counts[label * numClasses + predicted]! += 1;
    const given = probabilities[row * numClasses + label]!;
    logLossSum -= Math.log(Math.min(Math.max(given, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR));
  }

  const confusion = classes.map((_, k) => Array.from(counts.subarray(k * numClasses, (k + 1) * numClasses)));
  return { task: 'classification', rows, classes: [...classes], logLoss: logLossSum / rows, ...summarize(confusion, classes) };
}

function checkSizes(numProbabilities: number, rows: number, numClasses: number): void {
  if (numClasses < 2) {
    throw new TensorkilnError('E_DATA', `[evaluate] too few classes: expected at least 2, got ${numClasses}.`);
  }
  if (rows === 0) {
    throw new TensorkilnError('E_DATA', '[evaluate] no rows to judge: expected at least 1 label, got 0.');
  }
  if (numProbabilities !== rows * numClasses) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[evaluate] probabilities do not fit the labels: expected ${rows} x ${numClasses} = ${rows * numClasses} values, ` +
        `got ${numProbabilities}.`,
    );
  }
}

function checkedLabel(label: number | undefined, row: number, numClasses: number): number {
  if (label === undefined || !Number.isInteger(label) || label < 0 || label >= numClasses) {
    throw new TensorkilnError(
      'E_INDEX',
      `[evaluate] label of row ${row} is out of range: expected an integer from 0 to ${numClasses - 1}, got ${label}.`,
    );
  }
  return label;
}

/** Index of the largest probability of a row, after checking that the row is a distribution. */
function mostProbable(probabilities: ArrayLike<number>, row: number, numClasses: number): number {
  let best = 0;
  let sum = 0;
  const start = row * numClasses;
  for (let k = 0; k < numClasses; ++k) {
    const value = probabilities[start + k]!;
    // Rounding may push a probability a hair over 1; NaN fails both comparisons.
    if (!(value >= 0 && value <= 1 + ROW_SUM_TOLERANCE)) {
      throw new TensorkilnError(
        'E_DATA',
        `[evaluate] value of row ${row}, class ${k} is no probability: expected 0 to 1, got ${value}. ` +
          'Apply softmax to logits first.',
      );
    }
    if (value > probabilities[start + best]!) best = k;
    sum += value;
  }
  if (Math.abs(sum - 1) > ROW_SUM_TOLERANCE) {
    throw new TensorkilnError(
      'E_DATA',
      `[evaluate] probabilities of row ${row} do not sum to 1: got ${sum}. Apply softmax to logits first.`,
    );
  }
  return best;
}

type Summary = Omit<ClassificationMetrics, 'task' | 'rows' | 'classes' | 'logLoss'>;

function summarize(confusion: readonly (readonly number[])[], classes: readonly string[]): Summary {
  const perClass = classes.map((name, k): ClassMetrics => {
    const right = confusion[k]![k]!;
    const support = sum(confusion[k]!);
    const predicted = sum(confusion.map((counts) => counts[k]!));
    return {
      name,
      precision: ratio(right, predicted),
      recall: ratio(right, support),
      // 2PR/(P+R) with both ratios written out, which needs one division and is exact for 0.
      f1: ratio(2 * right, support + predicted),
      support,
      predicted,
    };
  });
  const labelled = perClass.filter((entry) => entry.support > 0);
  const seen = perClass.filter((entry) => entry.support > 0 || entry.predicted > 0);
  const rows = sum(perClass.map((entry) => entry.support));
  return {
    accuracy: sum(classes.map((_, k) => confusion[k]![k]!)) / rows,
    balancedAccuracy: mean(labelled.map((entry) => entry.recall)),
    macroPrecision: mean(seen.map((entry) => entry.precision)),
    macroRecall: mean(seen.map((entry) => entry.recall)),
    macroF1: mean(seen.map((entry) => entry.f1)),
    confusion,
    perClass,
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
