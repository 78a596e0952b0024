import { judgeCurves } from './curve-verdict.js';
import { judgeFacts } from './facts-verdict.js';
import { countOf, formatNumber } from './html.js';
import type { JudgedFacts, LanguageReport } from './types.js';
import { baselineNames, worstTone, type Note, type Verdict } from './verdict-types.js';

/** Judges a language model: against counting, and by its learning curves. */
export function judgeLanguage(input: Pick<LanguageReport, 'metrics' | 'baselines'> & JudgedFacts): Verdict {
  const { metrics, baselines, history } = input;
  const comparisons = baselines.map(({ name, metrics: other }): Note => {
    const scores = `perplexity ${formatNumber(metrics.perplexity)} against ${formatNumber(other.perplexity)}`;
    return metrics.perplexity < other.perplexity
      ? { tone: 'good', text: `Better than the ${name} baseline: ${scores}.` }
      : { tone: 'bad', text: `Not better than the ${name} baseline: ${scores}. Counting does as well.` };
  });
  const { notes: ofCurves, isConverged, isOverfitting } = judgeCurves(history);
  const { notes: ofFacts, meetsTargets } = judgeFacts(input);
  const ahead = baselines.filter((baseline) => baseline.metrics.perplexity <= metrics.perplexity);
  const result = `Perplexity ${formatNumber(metrics.perplexity)} on ${countOf(metrics.rows, 'held-out character')}`;
  return {
    tone: worstTone([...comparisons, ...ofFacts].map((note) => note.tone)),
    headline: headlineOf(result, baselines, ahead),
    notes: [...comparisons, ...ofFacts, ...ofCurves],
    facts: { isConverged, isOverfitting, beatsBaselines: baselines.length === 0 ? null : ahead.length === 0, meetsTargets },
  };
}

function headlineOf(result: string, baselines: LanguageReport['baselines'], ahead: LanguageReport['baselines']): string {
  if (baselines.length === 0) return `${result}, with no baseline to compare with.`;
  return ahead.length > 0 ? `${result}: does not beat the ${baselineNames(ahead)}.` : `${result}: beats every baseline.`;
}
