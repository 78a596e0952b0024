import { CHARTS_FILE } from './files.js';
import { countOf, formatCount, formatPercent } from './html.js';
import { metricRows } from './metric-rows.js';
import { choiceOf } from './kept-epoch.js';
import type { ReportInput } from './types.js';
import { judge } from './verdict.js';
import type { Tone } from './verdict-types.js';

const MARKS: Readonly<Record<Tone, string>> = { good: '✓', warn: '!', bad: '✗', info: '·' };
/** Above this many classes only the weakest are listed. */
const MAX_CLASSES = 40;

/**
 * The report as Markdown: verdict, figures with their intervals beside the baselines, the classes, the data and what repeats
 * the run. Names from data and configuration are escaped; rows of the data are not in it.
 *
 * @param input facts of the run; equal facts give equal text
 */
export function renderMarkdown(input: ReportInput): string {
  const { headline, notes } = judge(input);
  const { run, history } = input;
  return `${[
    `# ${escape(input.title)}`,
    ...(run.finishedAt === undefined ? [] : [escape(run.finishedAt)]),
    `**${escape(headline)}**`,
    notes.map((note) => `- ${MARKS[note.tone]} ${escape(note.text)}`).join('\n'),
    '## Figures',
    figures(input),
    ...(input.task === 'classification' ? ['## Classes', classes(input.metrics)] : []),
    '## Training',
    `${choiceOf(history) === 'last' ? 'Epoch kept:' : 'Best epoch'} ${history.bestEpoch} of ${history.epochs.length}.${history.epochs.length === 0 ? '' : ` ![Learning curves](${CHARTS_FILE})`}`,
    '## Data',
    table(
      ['part', 'rows'],
      Object.entries(run.rows).map(([name, rows]) => [name, formatCount(rows)]),
    ),
    ...(input.warnings ?? []).map((text) => `- ${escape(text)}`),
    ...((input.columns?.length ?? 0) === 0
      ? []
      : [
          table(
            ['column', 'role', 'type', 'missing', 'distinct', 'why'],
            input.columns!.map(({ name, role, type, missing, distinct, reason }) => [
              name,
              role,
              type,
              formatCount(missing),
              formatCount(distinct),
              reason ?? '',
            ]),
            ['missing', 'distinct'],
          ),
        ]),
    '## Run',
    table(
      ['', 'value'],
      [
        ...Object.entries(run.details ?? {}),
        ...Object.entries(run.seeds).map(([name, seed]) => [`seed (${name})`, String(seed)]),
        ...Object.entries(run.versions),
      ],
      [],
    ),
  ].join('\n\n')}\n`;
}

function figures(input: ReportInput): string {
  const names = input.baselines.map((baseline) => `${baseline.name} baseline`);
  const head = ['metric', 'this model', '95 % interval', ...names];
  return table(
    head,
    metricRows(input).map(({ label, value, interval, baselines }) => [label, value, interval ?? '', ...baselines]),
  );
}

/** What scikit-learn calls a classification report. */
function classes(metrics: Extract<ReportInput, { task: 'classification' }>['metrics']): string {
  const isCut = metrics.perClass.length > MAX_CLASSES;
  const shown = isCut ? [...metrics.perClass].sort((a, b) => a.f1 - b.f1).slice(0, MAX_CLASSES) : metrics.perClass;
  const row = (name: string, precision: number, recall: number, f1: number, rows: number): string[] => [
    name,
    formatPercent(precision),
    formatPercent(recall),
    formatPercent(f1),
    formatCount(rows),
  ];
  const rows = [
    ...shown.map((entry) => row(entry.name, entry.precision, entry.recall, entry.f1, entry.support)),
    row('macro average', metrics.macroPrecision, metrics.macroRecall, metrics.macroF1, metrics.rows),
    row('weighted average', metrics.weightedPrecision, metrics.weightedRecall, metrics.weightedF1, metrics.rows),
  ];
  const note = isCut ? `The ${MAX_CLASSES} weakest of ${countOf(metrics.perClass.length, 'class')}.\n\n` : '';
  return note + table(['class', 'precision', 'recall', 'F1', 'rows'], rows);
}

/** @param right heads of the columns set to the right; by default all but the first */
function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = head.slice(1),
): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escape).join(' | ')} |`;
  const rule = `| ${head.map((name) => (right.includes(name) ? '---:' : '---')).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Text that cannot be read as markup, in a table or outside. */
function escape(text: string): string {
  return text
    .replaceAll(/[\r\n]+/g, ' ')
    .replaceAll(/[\\`*_[\]|#~]/g, (character) => `\\${character}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
