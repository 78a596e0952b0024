import { evaluateClassification, mostProbable, type EvaluateClassificationOptions } from './metrics.js';
import { rankRows, thresholdPoints, type ThresholdPoint } from './ranking.js';

/** A curve as points for a picture. */
export type CurvePoints = readonly (readonly [x: number, y: number])[];

export interface ClassCurve {
  readonly name: string;
  /** Falling thresholds: false positive rate and true positive rate, from [0, 0] to [1, 1]. */
  readonly roc: CurvePoints;
  /** Falling thresholds: recall and precision, from [0, 1] on. */
  readonly precisionRecall: CurvePoints;
  readonly rocAuc: number;
  readonly prAuc: number;
  /** Share of rows of the class: the precision of guessing. */
  readonly share: number;
}

/** Rows whose probability lies within a tenth, and how many of them are what was said. */
export interface CalibrationBin {
  readonly rows: number;
  readonly meanProbability: number;
  readonly observedShare: number;
}

export interface Calibration {
  /** What the probabilities are about: the positive class, or with more than two classes the predicted one. */
  readonly about: string;
  /** Tenths that hold rows. */
  readonly bins: readonly CalibrationBin[];
  /** Mean distance of probability and observed share, weighted by rows. */
  readonly expectedError: number;
}

/** What a classifier's pictures are drawn from; no row of the data is in it. */
export interface ClassCurves {
  /** The positive class of two; with more the classes least well recognised, at most six. */
  readonly curves: readonly ClassCurve[];
  /** Classes that have no curve for lack of place. */
  readonly omitted: number;
  readonly calibration: Calibration;
}

const MAX_CURVES = 6;
const MAX_POINTS = 200;
const TENTHS = 10;

/**
 * ROC, precision-recall and calibration curves, thinned for drawing.
 *
 * @param probabilities [N,C] as `evaluateClassification`
 * @param labels        [N] class indices
 * @param classes       C class names
 * @throws as `evaluateClassification`
 */
export function classCurves(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: readonly string[],
  options: EvaluateClassificationOptions = {},
): ClassCurves {
  const { perClass, rows } = evaluateClassification(probabilities, labels, classes, options);
  const numClasses = classes.length;
  const positive = options.positive ?? 1;
  const candidates = perClass
    .map((entry, k) => ({ ...entry, k }))
    .filter((entry) => entry.rocAuc !== null && (numClasses > 2 || entry.k === positive))
    .sort((a, b) => a.rocAuc! - b.rocAuc! || a.k - b.k);
  const curves = candidates.slice(0, MAX_CURVES).map(({ k, name, rocAuc, prAuc, support }): ClassCurve => {
    const points = thresholdPoints(rankRows((row) => probabilities[row * numClasses + k]!, labels, k)) ?? [];
    return { name, ...draw(points), rocAuc: rocAuc!, prAuc: prAuc!, share: support / rows };
  });
  return {
    curves,
    omitted: candidates.length - curves.length,
    calibration: calibrate(probabilities, labels, classes, positive),
  };
}

function draw(points: readonly ThresholdPoint[]): Pick<ClassCurve, 'roc' | 'precisionRecall'> {
  return {
    roc: thin([[0, 0], ...points.map((point) => [point.falsePositiveRate, point.truePositiveRate] as const)]),
    precisionRecall: thin([[0, 1], ...points.map((point) => [point.truePositiveRate, point.precision] as const)]),
  };
}

/** Keeps the points that lie furthest from the last one kept, by equal steps along the curve. */
function thin(points: CurvePoints): CurvePoints {
  if (points.length <= MAX_POINTS) return points;
  const reach = (i: number): number =>
    Math.abs(points[i]![0] - points[i - 1]![0]) + Math.abs(points[i]![1] - points[i - 1]![1]);
  let total = 0;
  for (let i = 1; i < points.length; ++i) total += reach(i);
  const kept = [points[0]!];
  let [walked, next] = [0, total / MAX_POINTS];
  for (let i = 1; i < points.length - 1; ++i) {
    walked += reach(i);
    if (walked < next) continue;
    kept.push(points[i]!);
    next = walked + total / MAX_POINTS;
  }
  return [...kept, points.at(-1)!];
}

/**
 * Probabilities in ten equal bins beside what came true; the upper end belongs to a bin, as in scikit-learn's calibration_curve.
 *
 * @source Niculescu-Mizil, Caruana 2005, ICML: reliability diagrams; Guo et al. 2017, arXiv:1706.04599: expected error
 */
function calibrate(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: readonly string[],
  positive: number,
): Calibration {
  const numClasses = classes.length;
  const sums = Array.from({ length: TENTHS }, () => ({ rows: 0, probability: 0, right: 0 }));
  for (let row = 0; row < labels.length; ++row) {
    const k = numClasses === 2 ? positive : mostProbable(probabilities, row, numClasses);
    const probability = probabilities[row * numClasses + k]!;
    const bin = sums[binOf(probability)]!;
    bin.rows += 1;
    bin.probability += probability;
    bin.right += labels[row] === k ? 1 : 0;
  }
  const bins = sums
    .filter((bin) => bin.rows > 0)
    .map(({ rows, probability, right }) => ({ rows, meanProbability: probability / rows, observedShare: right / rows }));
  const distance = bins.reduce((sum, bin) => sum + bin.rows * Math.abs(bin.meanProbability - bin.observedShare), 0);
  return {
    about: numClasses === 2 ? classes[positive]! : 'the predicted class',
    bins,
    expectedError: distance / labels.length,
  };
}

function binOf(probability: number): number {
  let bin = 0;
  while (bin < TENTHS - 1 && probability > (bin + 1) / TENTHS) bin += 1;
  return bin;
}
