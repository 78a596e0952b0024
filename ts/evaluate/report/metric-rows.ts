/** The figures of a run as rows of a table: the page and the Markdown report show the same ones. */
import type { Interval } from '../bootstrap.js';
import type { ClassificationMetrics } from '../metrics.js';
import type { LanguageMetrics } from '../language.js';
import type { RegressionMetrics } from '../regression.js';
import { formatLoss, formatNumber, formatPercent } from './html.js';
import type { ClassificationReport, RegressionReport, ReportInput } from './types.js';

export interface MetricRow {
  readonly label: string;
  /** The model's value, its interval where one is known, then the value of each baseline; ready to be shown. */
  readonly value: string;
  readonly interval: string | undefined;
  readonly baselines: readonly string[];
}

interface MetricKind<Metrics, Intervals> {
  readonly label: string;
  readonly of: (metrics: Metrics) => number | null | undefined;
  readonly interval?: keyof Intervals;
  readonly format: (value: number) => string;
}

type Kind = MetricKind<ClassificationMetrics, NonNullable<ClassificationReport['intervals']>>;
type NumberKind = MetricKind<RegressionMetrics, NonNullable<RegressionReport['intervals']>>;

const coefficient = (value: number): string => value.toFixed(4);

const CLASSIFICATION: readonly Kind[] = [
  { label: 'accuracy', of: (m) => m.accuracy, interval: 'accuracy', format: formatPercent },
  { label: 'balanced accuracy', of: (m) => m.balancedAccuracy, interval: 'balancedAccuracy', format: formatPercent },
  { label: 'precision, macro', of: (m) => m.macroPrecision, format: formatPercent },
  { label: 'recall, macro', of: (m) => m.macroRecall, format: formatPercent },
  { label: 'F1, macro', of: (m) => m.macroF1, interval: 'macroF1', format: formatPercent },
  { label: 'F1, micro', of: (m) => m.microF1, format: formatPercent },
  { label: 'F1, weighted', of: (m) => m.weightedF1, format: formatPercent },
  { label: 'ROC-AUC', of: (m) => m.rocAuc, interval: 'rocAuc', format: coefficient },
  { label: 'PR-AUC', of: (m) => m.prAuc, interval: 'prAuc', format: coefficient },
  { label: 'MCC', of: (m) => m.mcc, interval: 'mcc', format: coefficient },
  { label: 'log loss', of: (m) => m.logLoss, interval: 'logLoss', format: formatLoss },
  { label: 'Brier score', of: (m) => m.brier, interval: 'brier', format: coefficient },
  ...[2, 3, 5, 10].map((k): Kind => ({ label: `among the first ${k}`, of: (m) => m.topK[String(k)], format: formatPercent })),
];

const REGRESSION: readonly NumberKind[] = [
  { label: 'RMSE', of: (m) => m.rmse, interval: 'rmse', format: formatNumber },
  { label: 'MAE', of: (m) => m.mae, interval: 'mae', format: formatNumber },
  { label: 'R2', of: (m) => m.r2, interval: 'r2', format: coefficient },
  { label: 'MAPE', of: (m) => m.mape, format: formatMape },
  { label: 'median absolute error', of: (m) => m.medianAbsoluteError, format: formatNumber },
  { label: 'largest error', of: (m) => m.maxError, format: formatNumber },
  { label: 'mean error', of: (m) => m.meanError, format: formatNumber },
];

const LANGUAGE: readonly MetricKind<LanguageMetrics, Record<string, never>>[] = [
  { label: 'perplexity', of: (m) => m.perplexity, format: formatNumber },
  { label: 'bits per character', of: (m) => m.bitsPerCharacter, format: formatNumber },
  { label: 'cross-entropy', of: (m) => m.crossEntropy, format: formatLoss },
  { label: 'accuracy', of: (m) => m.accuracy, format: formatPercent },
];

/** Beyond this MAPE is owed to targets near zero and says nothing. */
export const MAX_MAPE = 10;

function formatMape(value: number): string {
  return value > MAX_MAPE ? 'says nothing: targets near 0' : formatPercent(value);
}

/** Every figure that is defined for the model. */
export function metricRows(input: ReportInput): readonly MetricRow[] {
  switch (input.task) {
    case 'classification':
      return rowsOf(CLASSIFICATION, input.metrics, input.intervals, input.baselines);
    case 'regression':
      return rowsOf(REGRESSION, input.metrics, input.intervals, input.baselines);
    case 'language_model':
      return rowsOf(LANGUAGE, input.metrics, undefined, input.baselines);
  }
}

function rowsOf<Metrics, Intervals extends Readonly<Record<string, Interval | null>>>(
  kinds: readonly MetricKind<Metrics, Intervals>[],
  own: Metrics,
  intervals: Intervals | undefined,
  baselines: readonly { readonly metrics: Metrics }[],
): readonly MetricRow[] {
  return kinds.flatMap(({ label, of, interval: key, format }) => {
    const value = of(own);
    if (value === null || value === undefined) return [];
    const interval = key === undefined ? null : (intervals?.[key] ?? null);
    return [
      {
        label,
        value: format(value),
        interval: interval === null ? undefined : `${format(interval[0])} to ${format(interval[1])}`,
        baselines: baselines.map(({ metrics }) => {
          const other = of(metrics);
          return other === null || other === undefined ? '' : format(other);
        }),
      },
    ];
  });
}
