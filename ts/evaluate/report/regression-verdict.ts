import type { RegressionBaseline } from '../regression-baselines.js';
import type { RegressionMetrics } from '../regression.js';
import { judgeCurves } from './curve-verdict.js';
import { judgeFacts } from './facts-verdict.js';
import { countOf, formatNumber, formatPercent } from './html.js';
import type { JudgedFacts, RegressionReport } from './types.js';
import { baselineNames, worstTone, type Note, type Verdict } from './verdict-types.js';

/** RMSE this near to a baseline's, in relation to it, is level with it where no interval is known. */
const LEVEL = 0.01;
/** A mean error this large in relation to the RMSE is a leaning worth a word. */
const LEANING = 0.25;
/** A largest error this many times the RMSE is an outlier worth a word. */
const OUTLIER = 6;
/** Below this many rows a metric says little. */
const FEW_ROWS = 100;

type Judged = Pick<RegressionReport, 'metrics' | 'baselines' | 'intervals'> & JudgedFacts;

/** Judges a regression's run: against its baselines, by its learning curves, and by its errors. */
export function judgeRegression(input: Judged): Verdict {
  const { metrics, baselines, history } = input;
  const comparisons = baselines.map((baseline) => compare(input, baseline));
  const { notes: ofCurves, isConverged, isOverfitting } = judgeCurves(history);
  const { notes: ofFacts, meetsTargets } = judgeFacts(input);
  return {
    tone: worstTone([...comparisons, ...ofFacts].map((note) => note.tone)),
    headline: headline(metrics, baselines),
    notes: [...comparisons, ...ofFacts, ...ofCurves, ...judgeErrors(metrics), ...judgeSize(metrics)],
    facts: {
      isConverged,
      isOverfitting,
      beatsBaselines: baselines.length === 0 ? null : baselines.every((baseline) => metrics.rmse < baseline.metrics.rmse),
      meetsTargets,
    },
  };
}

function headline(metrics: RegressionMetrics, baselines: readonly RegressionBaseline[]): string {
  const result = `RMSE ${formatNumber(metrics.rmse)} on ${countOf(metrics.rows, 'held-out row')}`;
  if (baselines.length === 0) return `${result}, with no baseline to compare with.`;
  const ahead = baselines.filter((baseline) => baseline.metrics.rmse <= metrics.rmse);
  if (ahead.length > 0) return `${result}: does not beat the ${baselineNames(ahead)}.`;
  return `${result}: beats ${baselines.length === 1 ? `the ${baselineNames(baselines)}` : 'every baseline'}.`;
}

function compare({ metrics, intervals }: Judged, baseline: RegressionBaseline): Note {
  const [own, other] = [metrics.rmse, baseline.metrics.rmse];
  const place = `the ${baseline.name} baseline`;
  const scores = `RMSE ${formatNumber(own)} against ${formatNumber(other)}`;
  const [low, high] = intervals?.rmse ?? [own - LEVEL * other, own + LEVEL * other];
  const isClear = other < low || other > high;
  if (own === other) {
    return { tone: 'warn', text: `Level with ${place}: ${scores}. A simpler model does as well on these rows.` };
  }
  if (own < other) {
    return isClear
      ? { tone: 'good', text: `Clearly better than ${place}: ${scores}.` }
      : { tone: 'good', text: `Better than ${place}: ${scores}. So small a difference may be chance.` };
  }
  return isClear
    ? { tone: 'bad', text: `Clearly worse than ${place}: ${scores}. Use the simpler model or look for a mistake.` }
    : { tone: 'warn', text: `Behind ${place}: ${scores}. The simpler model is the better choice so far.` };
}

function judgeErrors(metrics: RegressionMetrics): Note[] {
  const { meanError, rmse, maxError, medianAbsoluteError, targetDeviation } = metrics;
  const notes: Note[] = [];
  if (targetDeviation === 0) {
    notes.push({ tone: 'warn', text: 'All targets of the test part are equal: R2 says nothing.' });
  }
  if (Math.abs(meanError) > LEANING * rmse) {
    const direction = meanError > 0 ? 'high' : 'low';
    notes.push({ tone: 'warn', text: `Predictions are too ${direction} by ${formatNumber(Math.abs(meanError))} on average.` });
  }
  if (maxError > OUTLIER * rmse) {
    notes.push({
      tone: 'info',
      text: `Half of the errors are below ${formatNumber(medianAbsoluteError)}, but the largest is ${formatNumber(maxError)}.`,
    });
  }
  return notes;
}

function judgeSize({ rows, r2 }: RegressionMetrics): Note[] {
  if (rows >= FEW_ROWS) return [];
  const share = r2 === null ? '' : ` R2 of ${formatPercent(r2)} rests on them.`;
  return [{ tone: 'info', text: `Only ${countOf(rows, 'test row')}: another split may look different.${share}` }];
}
