/** Scores as people read them. */
import type { Scores } from '../run/scores.js';
import type { SeriesResult } from '../run/series.js';
import { formatLoss, formatPercent } from './progress-line.js';

interface Column {
  readonly score: string;
  readonly label: string;
  readonly format: (value: number) => string;
}

const COLUMNS: Readonly<Record<Scores['task'], readonly Column[]>> = {
  classification: [
    { score: 'accuracy', label: 'accuracy', format: formatPercent },
    { score: 'balancedAccuracy', label: 'balanced', format: formatPercent },
    { score: 'rocAuc', label: 'ROC-AUC', format: formatLoss },
    { score: 'prAuc', label: 'PR-AUC', format: formatLoss },
    { score: 'logLoss', label: 'log loss', format: formatLoss },
  ],
  language_model: [
    { score: 'perplexity', label: 'perplexity', format: formatMeasure },
    { score: 'bitsPerCharacter', label: 'bits/char', format: formatMeasure },
    { score: 'accuracy', label: 'accuracy', format: formatPercent },
  ],
  regression: [
    { score: 'rmse', label: 'RMSE', format: formatMeasure },
    { score: 'mae', label: 'MAE', format: formatMeasure },
    { score: 'r2', label: 'R2', format: formatLoss },
  ],
};

/** In the unit of the target, whatever that is. */
function formatMeasure(value: number): string {
  return String(Number(value.toPrecision(4)));
}

const valuesOf = (scores: object): Readonly<Record<string, unknown>> => scores as Readonly<Record<string, unknown>>;

/** One line per model below a line of headings; a score that no model has is left out. */
export function scoreTable(rows: readonly (readonly [label: string, scores: Scores])[]): readonly string[] {
  const task = rows[0]?.[1].task ?? 'classification';
  const columns = COLUMNS[task].filter(({ score }) => rows.some(([, scores]) => typeof valuesOf(scores)[score] === 'number'));
  const width = Math.max(...rows.map(([label]) => label.length));
  const heading = columns.map(({ label }) => label.padStart(10)).join('');
  const lines = rows.map(([label, scores]) => {
    const cells = columns.map(({ score, format }) => {
      const value = valuesOf(scores)[score];
      return (typeof value === 'number' ? format(value) : '-').padStart(10);
    });
    return `  ${label.padEnd(width)}${cells.join('')}`;
  });
  return [`  ${''.padEnd(width)}${heading}`, ...lines];
}

/** Mean and deviation of each score of a series, a line each. */
export function seriesLines({ runs, test }: Pick<SeriesResult, 'runs' | 'test'>): readonly string[] {
  const columns = COLUMNS[runs[0]?.test.task ?? 'classification'];
  const width = Math.max(...columns.map(({ label }) => label.length));
  return columns.flatMap(({ score, label, format }) => {
    const value = test[score];
    return value === undefined ? [] : [`  ${label.padEnd(width)}  ${format(value.mean)} ± ${format(value.deviation)}`];
  });
}
