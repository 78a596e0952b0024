import { asCategories } from './cast.js';
import type { ColumnReport } from './columns.js';
import { asDays, orderOf } from './encodings/date.js';
import type { Column, Table } from './table.js';
import { LEAK_WARNING, type DriftReport, type LeakSuspect } from './verdict.js';

/** The target of each table row: class indices, or values. */
export type TargetColumn =
  | { readonly task: 'classification'; readonly codes: Int32Array; readonly classes: readonly string[] }
  | { readonly task: 'regression'; readonly values: Float64Array };

/** A category seen in fewer rows on average tells the target of those rows by chance. */
const MIN_ROWS_PER_CATEGORY = 5;
/** Rows that are looked at: more would not change the verdict. */
const MAX_ROWS = 100_000;

/**
 * Feature columns that alone tell the target in the training rows.
 *
 * For classes: how many more rows are right when each category (or each of 32 equal-width intervals of a number) says its most frequent
 * class, as a share of the rows the overall most frequent class gets wrong. For values: the squared correlation.
 */
export function findLeaks(
  table: Table,
  rows: Int32Array,
  columns: readonly ColumnReport[],
  target: TargetColumn,
): LeakSuspect[] {
  const looked = rows.subarray(0, MAX_ROWS);
  return columns
    .filter(({ role, type }) => role === 'feature' && type !== 'text' && type !== 'date')
    .map(({ name }) => ({ name, strength: strengthOf(table.column(name), looked, target) }))
    .filter(({ strength }) => strength >= LEAK_WARNING);
}

function strengthOf(column: Column, rows: Int32Array, target: TargetColumn): number {
  if (target.task === 'regression')
    return column.kind === 'numeric' ? squaredCorrelation(column.values, target.values, rows) : 0;
  const { codes, count } =
    column.kind === 'numeric' ? binned(column.values, rows) : { codes: column.codes, count: column.categories.length };
  if (count * MIN_ROWS_PER_CATEGORY > rows.length) return 0;
  const classes = target.classes.length;
  const table = new Int32Array((count + 1) * classes);
  const overall = new Int32Array(classes);
  for (const row of rows) {
    const label = target.codes[row] as number;
    const code = codes[row] as number;
    const place = (code < 0 ? count : code) * classes + label;
    table[place] = (table[place] as number) + 1;
    overall[label] = (overall[label] as number) + 1;
  }
  let right = 0;
  for (let start = 0; start < table.length; start += classes) right += Math.max(...table.subarray(start, start + classes));
  const majority = Math.max(...overall);
  return majority === rows.length ? 0 : (right - majority) / (rows.length - majority);
}

const INTERVALS = 32;

/** Numbers with few different values by value, others by interval. */
function binned(values: Float64Array, rows: Int32Array): { readonly codes: Int32Array; readonly count: number } {
  const codes = new Int32Array(values.length).fill(-1);
  const codeOf = new Map<number, number>();
  let [minimum, maximum] = [Infinity, -Infinity];
  for (const row of rows) {
    const value = values[row] as number;
    if (value !== value) continue;
    if (codeOf.size <= INTERVALS && !codeOf.has(value)) codeOf.set(value, codeOf.size);
    minimum = Math.min(minimum, value);
    maximum = Math.max(maximum, value);
  }
  const few = codeOf.size <= INTERVALS;
  for (const row of rows) {
    const value = values[row] as number;
    if (value !== value) continue;
    const share = maximum > minimum ? (value - minimum) / (maximum - minimum) : 0;
    codes[row] = few ? (codeOf.get(value) ?? -1) : Math.min(INTERVALS - 1, Math.floor(share * INTERVALS));
  }
  return { codes, count: few ? Math.max(1, codeOf.size) : INTERVALS };
}

function squaredCorrelation(values: Float64Array, targets: Float64Array, rows: Int32Array): number {
  const used = rows.filter((row) => !Number.isNaN(values[row]));
  const [meanX, meanY] = [meanOver(values, used), meanOver(targets, used)];
  let [xx, yy, xy] = [0, 0, 0];
  for (const row of used) {
    const [x, y] = [(values[row] as number) - meanX, (targets[row] as number) - meanY];
    xx += x * x;
    yy += y * y;
    xy += x * y;
  }
  return xx > 0 && yy > 0 ? (xy * xy) / (xx * yy) : 0;
}

function meanOver(values: Float64Array, rows: Int32Array): number {
  return rows.reduce((sum, row) => sum + (values[row] as number), 0) / Math.max(1, rows.length);
}

/** Compares the target of the earlier half of the rows with that of the later, by the first column of dates; undefined without one. */
export function measureDrift(
  table: Table,
  rows: Int32Array,
  columns: readonly ColumnReport[],
  context: { readonly target: TargetColumn; readonly splitByTime: boolean },
): DriftReport | undefined {
  const date = columns.find(({ role, type }) => role !== 'target' && type === 'date');
  if (date === undefined) return undefined;
  const column = table.column(date.name);
  const { values } = asDays(column, orderOf(asCategories(column, false)));
  const dated = rows.filter((row) => !Number.isNaN(values[row])).sort((a, b) => (values[a] as number) - (values[b] as number));
  const middle = dated.length >> 1;
  const halves = [dated.subarray(0, middle), dated.subarray(middle)] as const;
  const { target, splitByTime } = context;
  return {
    name: date.name,
    change: target.task === 'regression' ? meanChange(target.values, halves) : shareChange(target, halves),
    splitByTime,
  };
}

function meanChange(values: Float64Array, [early, late]: readonly [Int32Array, Int32Array]): number {
  const [first, second] = [meanOver(values, early), meanOver(values, late)];
  const all = new Int32Array(early.length + late.length);
  all.set(early);
  all.set(late, early.length);
  const mean = meanOver(values, all);
  const deviation = Math.sqrt(
    all.reduce((sum, row) => sum + ((values[row] as number) - mean) ** 2, 0) / Math.max(1, all.length),
  );
  return deviation > 0 ? Math.abs(second - first) / deviation : 0;
}

function shareChange(
  { codes, classes }: Extract<TargetColumn, { task: 'classification' }>,
  halves: readonly [Int32Array, Int32Array],
): number {
  const shares = halves.map((half) => {
    const counts = new Float64Array(classes.length);
    for (const row of half) counts[codes[row] as number] = (counts[codes[row] as number] as number) + 1;
    return counts.map((count) => count / Math.max(1, half.length));
  });
  return Math.max(...classes.map((_, index) => Math.abs((shares[0]?.[index] ?? 0) - (shares[1]?.[index] ?? 0))));
}
