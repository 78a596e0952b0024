import type { ColumnReport } from './columns.js';
import type { ColumnEncoding, NumericEncoding } from './encodings/schemas.js';
import type { PreprocessingOptions } from './preprocessing-options.js';
import type { ColumnTreatment } from './prepare.js';
import type { Preprocessor } from './preprocessor.js';

/** What is done with a column's cells, in a few words; empty for the target and for what is ignored. */
export function treatmentOf(column: ColumnReport, preprocessor: Preprocessor, options: PreprocessingOptions): string {
  const encoding = preprocessor.columns.find(({ name }) => name === column.name);
  if (column.role !== 'feature' || encoding === undefined) return '';
  const missing = column.missing > 0 ? `, missing as ${fillOf(encoding)}` : '';
  return `${describe(encoding, options)}${missing}`;
}

function describe(encoding: ColumnEncoding, { scaling }: PreprocessingOptions): string {
  switch (encoding.kind) {
    case 'numeric':
      return describeScaling(encoding, scaling);
    case 'boolean':
      return '1 and 0';
    case 'one_hot':
      return `one-hot, ${encoding.categories.length} columns`;
    case 'label':
      return `numbered 1 to ${encoding.categories.length}`;
    case 'target':
      return `mean of the target, ${encoding.outputs.length === 1 ? '1 column' : `${encoding.outputs.length} columns`}`;
    case 'hash':
      return `hashed to ${encoding.buckets} columns`;
    case 'date':
      return `${dateGroups(encoding.parts.map(({ part }) => part))}, ${encoding.parts.length} ${encoding.parts.length === 1 ? 'column' : 'columns'}`;
    case 'bag':
      return `bag of ${encoding.vocabulary.length} ${encoding.level}s${encoding.ngrams === 1 ? '' : ` and runs of up to ${encoding.ngrams}`}`;
    case 'sequence':
      return `${encoding.length} ${encoding.level}s in order, ${encoding.vocabulary.length} known`;
  }
}

function describeScaling({ shift, scale }: NumericEncoding, scaling: PreprocessingOptions['scaling']): string {
  if (shift === 0 && scale === 1) return 'as it is';
  const name = { standard: 'standard', min_max: '0 to 1', robust: 'robust', none: 'own' }[scaling];
  return `${name}: (x - ${short(shift)}) / ${short(scale)}`;
}

function fillOf(encoding: ColumnEncoding): string {
  switch (encoding.kind) {
    case 'numeric':
    case 'boolean':
      return short(encoding.fill);
    case 'date':
      return 'a usual date';
    case 'bag':
    case 'sequence':
      return 'no text';
    case 'hash':
      return `bucket ${encoding.fill_bucket}`;
    default:
      return `"${encoding.fill}"`;
  }
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** The columns and their treatment as lines of a table, for people; widths follow the longest cell, at most 32 characters. */
export function columnTable(columns: readonly ColumnTreatment[]): readonly string[] {
  const header = ['column', 'use', 'type', 'missing', 'distinct', 'treatment'];
  const rows = columns.map(({ name, role, type, missing, distinct, treatment, reason }) => [
    name,
    role,
    type,
    String(missing),
    String(distinct),
    treatment === '' ? reason : treatment,
  ]);
  const cut = (text: string, index: number): string => (index < 5 && text.length > 32 ? `${text.slice(0, 31)}…` : text);
  const cells = [header, ...rows].map((row) => row.map(cut));
  const widths = header.map((_, index) => Math.max(...cells.map((row) => (row[index] ?? '').length)));
  const isNumber = (index: number): boolean => index === 3 || index === 4;
  return cells.map((row) =>
    row
      .map((cell, index) => (isNumber(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** What is made of a date, in words. */
function dateGroups(parts: readonly string[]): string {
  const circles = ['year', 'week', 'day'].filter((circle) => parts.includes(`${circle}_sin`));
  const place = circles.length === 0 ? [] : [`place in ${circles.join(' and ')}`];
  return [...(parts.includes('days') ? ['days'] : []), ...place].join(' and ');
}
