import { TensorkilnError } from '../errors.js';
import { scoreConfusion } from './confusion-scores.js';
import { rankRows, scoreRanking, type RankScores } from './ranking.js';

/** How one class fared. A ratio without a denominator (nothing predicted, nothing true) is 0, as in scikit-learn. */
export interface ClassMetrics {
  readonly name: string;
  /** Of the rows predicted as this class, the share that is right. */
  readonly precision: number;
  /** Of the rows of this class, the share that was found. */
  readonly recall: number;
  /** Harmonic mean of precision and recall. */
  readonly f1: number;
  /** Area under the ROC curve of this class against the others; null when there are no rows of it or none of another. */
  readonly rocAuc: number | null;
  /** Average precision of this class against the others; null as `rocAuc`. */
  readonly prAuc: number | null;
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
  /** With two classes the one that `rocAuc` and `prAuc` are about; null with more. */
  readonly positiveClass: string | null;
  /** Share of rows whose most probable class is the label. */
  readonly accuracy: number;
  /** Mean recall over the classes that occur in the labels. */
  readonly balancedAccuracy: number;
  /** Plain means over the classes that occur in the labels or in the predictions. */
  readonly macroPrecision: number;
  readonly macroRecall: number;
  readonly macroF1: number;
  /** Over all rows; with one label a row these equal the accuracy. */
  readonly microPrecision: number;
  readonly microRecall: number;
  readonly microF1: number;
  /** Means over the classes weighted by their rows. */
  readonly weightedPrecision: number;
  readonly weightedRecall: number;
  readonly weightedF1: number;
  /** Matthews' correlation of labels and predictions, -1 to 1; 0 when either knows one class only. */
  readonly mcc: number;
  /**
   * Area under the ROC curve: with two classes of the positive one, with more the plain mean of each class against the others.
   * Classes without rows are left out; null when none is left, and beyond 50 million rows times classes.
   */
  readonly rocAuc: number | null;
  /** Average precision, taken as `rocAuc`. */
  readonly prAuc: number | null;
  /** Mean negative natural logarithm of the probability given to the label. */
  readonly logLoss: number;
  /** Mean over rows of the squared distance of the probabilities from the label, halved with two classes. */
  readonly brier: number;
  /** Share of rows whose label is among the k most probable classes, for k of 2, 3, 5, 10 below the number of classes. */
  readonly topK: Readonly<Record<string, number>>;
  /** Row counts, [true class][predicted class]. */
  readonly confusion: readonly (readonly number[])[];
  readonly perClass: readonly ClassMetrics[];
}

export interface EvaluateClassificationOptions {
  /** With two classes the index of the one to be found; default 1, the second. */
  readonly positive?: 0 | 1;
}

/** The smallest probability the logarithm sees: float64's machine epsilon, the bound scikit-learn clips float64 input to. */
const PROBABILITY_FLOOR = Number.EPSILON;

/** float32 softmax rows sum to 1 within about classes * 6e-8; logits or counts are off by far more than this. */
const ROW_SUM_TOLERANCE = 1e-3;

/** Rows times classes beyond which sorting the rows by each class takes minutes. */
const MAX_RANKED = 5e7;

const TOP = [2, 3, 5, 10] as const;

/**
 * Judges class probabilities against labels by every metric of `ClassificationMetrics`. The prediction is the most probable
 * class, the first one of a tie; so is the order for top-k.
 *
 * The log loss is computed in float64 with probabilities clipped to [2^-52, 1 - 2^-52] and rows not rescaled, which is what
 * scikit-learn does with float64 input. Macro averages leave out classes found neither in the labels nor in the predictions.
 *
 * @param probabilities [N,C] row-major; each row within [0, 1] and summing to 1 within 1e-3
 * @param labels        [N] class indices, 0 to C-1
 * @param classes       C class names, at least 2
 * @throws E_SHAPE when sizes do not fit; E_DATA for no rows, fewer than two classes, or values that are no probabilities;
 *         E_INDEX for a label out of range
 * @source scikit-learn `sklearn/metrics/_classification.py` and `_ranking.py`: accuracy_score, balanced_accuracy_score,
 *         precision_recall_fscore_support, matthews_corrcoef, log_loss, brier_score_loss, roc_auc_score (one against the rest),
 *         average_precision_score, top_k_accuracy_score
 */
export function evaluateClassification(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: readonly string[],
  options: EvaluateClassificationOptions = {},
): ClassificationMetrics {
  const numClasses = classes.length;
  const rows = labels.length;
  checkSizes(probabilities.length, rows, numClasses);

  const counts = new Float64Array(numClasses * numClasses);
  const top = TOP.filter((k) => k < numClasses);
  const within = new Float64Array(top.length);
  let [logLoss, brier] = [0, 0];
  for (let row = 0; row < rows; ++row) {
    const label = checkedLabel(labels[row], row, numClasses);
    const predicted = mostProbable(probabilities, row, numClasses);
    counts[label * numClasses + predicted]! += 1;
    logLoss += lossOf(probabilities[row * numClasses + label]!);
    brier += squaredDistance(probabilities, row, label, numClasses);
    const place = placeOf(probabilities, row, label, numClasses);
    top.forEach((k, i) => {
      if (place < k) within[i]! += 1;
    });
  }

  const { macro, micro, weighted, perClass, ...scores } = scoreConfusion(counts, numClasses);
  const ranks = rankClasses(probabilities, labels, numClasses);
  const positive = numClasses === 2 ? (options.positive ?? 1) : undefined;
  const ranked = positive === undefined ? ranks : [ranks[positive]!];
  return {
    task: 'classification',
    rows,
    classes: [...classes],
    positiveClass: positive === undefined ? null : classes[positive]!,
    ...scores,
    macroPrecision: macro.precision,
    macroRecall: macro.recall,
    macroF1: macro.f1,
    microPrecision: micro.precision,
    microRecall: micro.recall,
    microF1: micro.f1,
    weightedPrecision: weighted.precision,
    weightedRecall: weighted.recall,
    weightedF1: weighted.f1,
    rocAuc: meanOfKnown(ranked.map((rank) => rank.rocAuc)),
    prAuc: meanOfKnown(ranked.map((rank) => rank.prAuc)),
    logLoss: logLoss / rows,
    brier: brier / (numClasses === 2 ? 2 * rows : rows),
    topK: Object.fromEntries(top.map((k, i) => [String(k), within[i]! / rows])),
    confusion: classes.map((_, k) => Array.from(counts.subarray(k * numClasses, (k + 1) * numClasses))),
    perClass: perClass.map((entry, k) => ({ name: classes[k]!, ...entry, ...ranks[k]! })),
  };
}

/** Log loss of one row. */
export function lossOf(given: number): number {
  return -Math.log(Math.min(Math.max(given, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR));
}

/** The mean of the values that are not null; null when all are. */
export function meanOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Squared distance of a row's probabilities from certainty of its label. */
export function squaredDistance(probabilities: ArrayLike<number>, row: number, label: number, numClasses: number): number {
  let sum = 0;
  for (let k = 0; k < numClasses; ++k) sum += (probabilities[row * numClasses + k]! - (k === label ? 1 : 0)) ** 2;
  return sum;
}

function rankClasses(probabilities: ArrayLike<number>, labels: ArrayLike<number>, numClasses: number): RankScores[] {
  if (labels.length * numClasses > MAX_RANKED) {
    return Array.from({ length: numClasses }, () => ({ rocAuc: null, prAuc: null }));
  }
  return Array.from({ length: numClasses }, (_, k) =>
    scoreRanking(rankRows((row) => probabilities[row * numClasses + k]!, labels, k)),
  );
}

/** How many classes come before the label: those of a higher probability, and earlier ones of the same. */
function placeOf(probabilities: ArrayLike<number>, row: number, label: number, numClasses: number): number {
  const start = row * numClasses;
  const own = probabilities[start + label]!;
  let place = 0;
  for (let k = 0; k < numClasses; ++k) {
    const other = probabilities[start + k]!;
    if (other > own || (other === own && k < label)) place += 1;
  }
  return place;
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
export function mostProbable(probabilities: ArrayLike<number>, row: number, numClasses: number): number {
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
