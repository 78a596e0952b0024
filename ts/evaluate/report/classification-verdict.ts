import type { ClassificationBaseline } from '../baselines.js';
import type { ClassCurves } from '../class-curves.js';
import type { ClassificationMetrics } from '../metrics.js';
import { judgeCurves } from './curve-verdict.js';
import { judgeFacts } from './facts-verdict.js';
import { countOf, formatPercent } from './html.js';
import type { ClassificationReport, JudgedFacts } from './types.js';
import { baselineNames, worstTone, type Note, type Verdict } from './verdict-types.js';

/** Two-sided 95 % quantile of the normal distribution. */
const Z_95 = 1.959964;
/** Below this many rows one row is more than a percent. */
const FEW_ROWS = 100;
const WEAK_RECALL = 0.8;
/** Share of the largest class from which on accuracy is a poor guide. */
const LOPSIDED = 0.9;
/** Mean distance of probability and observed share that is worth a word. */
const POOR_CALIBRATION = 0.1;

/**
 * The range that holds the true accuracy in 95 % of cases, given `right` of `rows`.
 *
 * @source Wilson 1927, JASA 22: score interval
 */
export function wilsonInterval(right: number, rows: number): readonly [number, number] {
  const share = right / rows;
  const z2 = Z_95 ** 2 / rows;
  const centre = share + z2 / 2;
  const half = Z_95 * Math.sqrt((share * (1 - share)) / rows + z2 / (4 * rows));
  return [Math.max(0, (centre - half) / (1 + z2)), Math.min(1, (centre + half) / (1 + z2))];
}

/** Rows of the test part that were predicted right. */
export function rightRows(metrics: ClassificationMetrics): number {
  return metrics.confusion.reduce((total, counts, k) => total + counts[k]!, 0);
}

type Judged = Pick<ClassificationReport, 'metrics' | 'baselines' | 'curves'> & JudgedFacts;

/** Judges a classifier's run: against its baselines, by its learning curves, and class by class. */
export function judgeClassification(input: Judged): Verdict {
  const { metrics, baselines, history, curves } = input;
  const comparisons = baselines.map((baseline) => compare(metrics, baseline));
  const { notes: ofCurves, isConverged, isOverfitting } = judgeCurves(history);
  const { notes: ofFacts, meetsTargets } = judgeFacts(input);
  return {
    tone: worstTone([...comparisons, ...ofFacts].map((note) => note.tone)),
    headline: headline(metrics, baselines),
    notes: [
      ...comparisons,
      ...ofFacts,
      ...ofCurves,
      ...judgeBalance(metrics),
      ...judgeClasses(metrics),
      ...judgeCalibration(curves),
      ...judgeSize(metrics),
    ],
    facts: {
      isConverged,
      isOverfitting,
      beatsBaselines:
        baselines.length === 0 ? null : baselines.every((baseline) => rightRows(metrics) > rightRows(baseline.metrics)),
      meetsTargets,
    },
  };
}

function headline(metrics: ClassificationMetrics, baselines: readonly ClassificationBaseline[]): string {
  const result = `${rightRows(metrics)} of ${countOf(metrics.rows, 'held-out row')} right`;
  if (baselines.length === 0) return `${result}, with no baseline to compare with.`;
  const behind = baselines.filter((baseline) => rightRows(baseline.metrics) > rightRows(metrics));
  const level = baselines.filter((baseline) => rightRows(baseline.metrics) === rightRows(metrics));
  if (behind.length > 0) return `${result}: does not beat the ${baselineNames(behind)}.`;
  if (level.length > 0) return `${result}: level with the ${baselineNames(level)}.`;
  return `${result}: beats ${baselines.length === 1 ? `the ${baselineNames(baselines)}` : 'every baseline'}.`;
}

function compare(metrics: ClassificationMetrics, baseline: ClassificationBaseline): Note {
  const right = rightRows(metrics);
  const difference = right - rightRows(baseline.metrics);
  const scores = `${formatPercent(metrics.accuracy)} against ${formatPercent(baseline.metrics.accuracy)}`;
  const place = `the ${baseline.name} baseline`;
  if (difference === 0) {
    return { tone: 'warn', text: `Level with ${place}: ${scores}. A simpler model does as well on these rows.` };
  }
  const rows = countOf(Math.abs(difference), 'row');
  const [low, high] = wilsonInterval(right, metrics.rows);
  const isClear = baseline.metrics.accuracy < low || baseline.metrics.accuracy > high;
  if (difference > 0) {
    return isClear
      ? { tone: 'good', text: `Clearly better than ${place}: ${scores}.` }
      : { tone: 'good', text: `Better than ${place} by ${rows}: ${scores}. With so few rows this may be chance.` };
  }
  return isClear
    ? { tone: 'bad', text: `Clearly worse than ${place}: ${scores}. Use the simpler model or look for a mistake.` }
    : { tone: 'warn', text: `Behind ${place} by ${rows}: ${scores}. The simpler model is the better choice so far.` };
}

/** Accuracy says little where nearly all rows are of one class. */
function judgeBalance(metrics: ClassificationMetrics): Note[] {
  const largest = metrics.perClass.reduce((most, entry) => (entry.support > most.support ? entry : most));
  const share = largest.support / metrics.rows;
  if (share < LOPSIDED) return [];
  const areas = metrics.prAuc === null ? '' : `PR-AUC ${metrics.prAuc.toFixed(3)} and `;
  const text = `${formatPercent(share)} of the test rows are ${largest.name}: accuracy says little here, ${areas}MCC ${metrics.mcc.toFixed(3)} say more.`;
  return [{ tone: 'info', text }];
}

/** Probabilities that are far from what comes true. */
function judgeCalibration(curves: ClassCurves | undefined): Note[] {
  const error = curves?.calibration.expectedError ?? 0;
  if (error <= POOR_CALIBRATION) return [];
  return [
    { tone: 'warn', text: `Probabilities are off by ${formatPercent(error)} on average: do not take them at their word.` },
  ];
}

/** The weakest class, if it is weak, and the most frequent mistake. */
function judgeClasses(metrics: ClassificationMetrics): Note[] {
  const notes: Note[] = [];
  const weakest = metrics.perClass
    .map((entry, k) => ({ ...entry, k }))
    .filter((entry) => entry.support > 0)
    .reduce((worst, entry) => (entry.recall < worst.recall ? entry : worst));
  if (weakest.recall < WEAK_RECALL) {
    const found = metrics.confusion[weakest.k]![weakest.k]!;
    notes.push({
      tone: 'warn',
      text: `Weakest class: ${weakest.name}, ${found} of ${countOf(weakest.support, 'row')} found (${formatPercent(weakest.recall)}).`,
    });
  }
  const mistake = mostFrequentMistakes(metrics, 1)[0];
  if (mistake !== undefined) {
    notes.push({
      tone: 'info',
      text: `Most frequent mistake: ${mistake.truth} taken for ${mistake.predicted}, ${countOf(mistake.count, 'row')}.`,
    });
  }
  const absent = metrics.perClass.filter((entry) => entry.support === 0);
  if (absent.length > 0) {
    notes.push({ tone: 'warn', text: `No test row of: ${absent.map((entry) => entry.name).join(', ')}.` });
  }
  return notes;
}

export interface Mistake {
  readonly truth: string;
  readonly predicted: string;
  readonly count: number;
}

/** The largest counts off the diagonal of the confusion matrix, largest first. */
export function mostFrequentMistakes(metrics: ClassificationMetrics, limit: number): Mistake[] {
  const { classes, confusion } = metrics;
  return confusion
    .flatMap((counts, k) => counts.map((count, l) => ({ truth: classes[k]!, predicted: classes[l]!, count, isRight: k === l })))
    .filter((entry) => !entry.isRight && entry.count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, limit)
    .map(({ truth, predicted, count }) => ({ truth, predicted, count }));
}

function judgeSize(metrics: ClassificationMetrics): Note[] {
  if (metrics.rows >= FEW_ROWS) return [];
  const text = `Only ${countOf(metrics.rows, 'test row')}: one row more or less is ${formatPercent(1 / metrics.rows)}.`;
  return [{ tone: 'info', text }];
}
