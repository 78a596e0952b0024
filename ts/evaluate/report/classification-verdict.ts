import type { ClassificationBaseline } from '../baselines.js';
import type { ClassificationMetrics } from '../metrics.js';
import { judgeCurves } from './curve-verdict.js';
import { countOf, formatPercent } from './html.js';
import type { ClassificationReport } from './types.js';
import { baselineNames, worstTone, type Note, type Verdict } from './verdict-types.js';

/** Two-sided 95 % quantile of the normal distribution. */
const Z_95 = 1.959964;
/** Below this many rows one row is more than a percent. */
const FEW_ROWS = 100;
const WEAK_RECALL = 0.8;

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

/** Judges a classifier's run: against its baselines, by its learning curves, and class by class. */
export function judgeClassification(input: Pick<ClassificationReport, 'metrics' | 'baselines' | 'history'>): Verdict {
  const { metrics, baselines, history } = input;
  const comparisons = baselines.map((baseline) => compare(metrics, baseline));
  const tone = worstTone(comparisons.map((comparison) => comparison.tone));
  const notes = [...comparisons, judgeCurves(history), ...judgeClasses(metrics), ...judgeSize(metrics)];
  return { tone, headline: headline(metrics, baselines), notes };
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
