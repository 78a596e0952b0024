import { bootstrap, type BootstrapOptions, type Interval } from './bootstrap.js';
import { scoreConfusion } from './confusion-scores.js';
import {
  evaluateClassification,
  lossOf,
  meanOfKnown,
  mostProbable,
  squaredDistance,
  type EvaluateClassificationOptions,
} from './metrics.js';
import { rankRows, scoreRanking } from './ranking.js';

/** Intervals of the metrics that a classifier is compared by; null where they are not defined or were too much work. */
export type ClassificationIntervals = Readonly<
  Record<'accuracy' | 'balancedAccuracy' | 'macroF1' | 'mcc' | 'rocAuc' | 'prAuc' | 'logLoss' | 'brier', Interval | null>
>;

/** Rows times ranked classes that each sample walks through: more takes longer than intervals are worth. */
const MAX_RANKED = 2e6;

/**
 * Bootstrap intervals of the metrics of a classifier. Areas under curves get none where there are more than two million rows
 * times classes.
 *
 * @param probabilities [N,C] as `evaluateClassification`
 * @param labels        [N] class indices
 * @param classes       C class names
 * @throws as `evaluateClassification` and `bootstrap`
 */
export async function classificationIntervals(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: readonly string[],
  options: BootstrapOptions & EvaluateClassificationOptions = {},
): Promise<ClassificationIntervals> {
  evaluateClassification(probabilities, labels, classes, options);
  const numClasses = classes.length;
  const rows = labels.length;
  const cells = Uint32Array.from(
    { length: rows },
    (_, row) => labels[row]! * numClasses + mostProbable(probabilities, row, numClasses),
  );
  const losses = Float64Array.from({ length: rows }, (_, row) => lossOf(probabilities[row * numClasses + labels[row]!]!));
  const distances = Float64Array.from({ length: rows }, (_, row) =>
    squaredDistance(probabilities, row, labels[row]!, numClasses),
  );
  const ranked = numClasses === 2 ? [options.positive ?? 1] : classes.map((_, k) => k);
  const rankings =
    rows * ranked.length > MAX_RANKED
      ? []
      : ranked.map((k) => rankRows((row) => probabilities[row * numClasses + k]!, labels, k));
  const counts = new Float64Array(numClasses * numClasses);
  return bootstrap(
    rows,
    (weights) => {
      counts.fill(0);
      let [loss, distance] = [0, 0];
      for (let row = 0; row < rows; ++row) {
        const weight = weights[row]!;
        if (weight === 0) continue;
        counts[cells[row]!]! += weight;
        loss += weight * losses[row]!;
        distance += weight * distances[row]!;
      }
      const { accuracy, balancedAccuracy, mcc, macro } = scoreConfusion(counts, numClasses);
      const ranks = rankings.map((ranking) => scoreRanking(ranking, weights));
      return {
        accuracy,
        balancedAccuracy,
        mcc,
        macroF1: macro.f1,
        logLoss: loss / rows,
        brier: distance / (numClasses === 2 ? 2 * rows : rows),
        rocAuc: meanOfKnown(ranks.map((rank) => rank.rocAuc)),
        prAuc: meanOfKnown(ranks.map((rank) => rank.prAuc)),
      };
    },
    options,
  );
}
