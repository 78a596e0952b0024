import { TensorkilnError } from '../errors.js';
import { asCategories } from './cast.js';
import { dateOrder } from './dates.js';
import { asDays } from './encodings/date.js';
import { splitByGroup, splitByTime } from './split-methods.js';
import { checkShares, splitRows, type Split, type SplitShares } from './split.js';
import type { TargetColumn } from './suspects.js';
import type { Table } from './table.js';

/** How rows are divided. */
export interface SplitConfig extends SplitShares {
  /** `random` (default), `grouped` by a column whose rows stay together, or by `time`: the past trains, the future tests. */
  readonly method?: 'random' | 'grouped' | 'time';
  /** The column of groups or of times. */
  readonly by?: string;
  /** For random: keep each class's share equal in all parts; a target of values has no classes, so it says nothing there. */
  readonly stratify: boolean;
  readonly seed: number;
}

/**
 * Divides rows of a table.
 *
 * @param rows the rows to divide, ascending
 * @param how.test rows of a separate test file: then these are the test part, and the shares of training and validation are taken
 *        relative to each other
 * @throws E_USAGE for invalid shares or a method without its column; E_DATA for a column that does not fit the method
 */
export function partition(
  table: Table,
  rows: Int32Array,
  how: { readonly split: SplitConfig; readonly target: TargetColumn; readonly test: Int32Array | undefined },
): Split {
  const { split, target, test } = how;
  checkShares(split);
  const shares = test === undefined ? split : withoutTest(split);
  const parts = divide(table, rows, { ...split, ...shares }, target);
  const pick = (indices: Int32Array): Int32Array => indices.map((index) => rows[index] as number);
  return { train: pick(parts.train), validation: pick(parts.validation), test: test ?? pick(parts.test) };
}

function withoutTest({ train, validation }: SplitShares): SplitShares {
  return { train: train / (train + validation), validation: validation / (train + validation), test: 0 };
}

/** Indices into `rows`. */
function divide(table: Table, rows: Int32Array, split: SplitConfig, target: TargetColumn): Split {
  const { method = 'random', by } = split;
  if (method === 'random') {
    const stratify = split.stratify && target.task === 'classification';
    const labels =
      target.task === 'classification' ? rows.map((row) => target.codes[row] as number) : new Int32Array(rows.length);
    return splitRows(labels, { ...split, stratify });
  }
  if (by === undefined)
    throw new TensorkilnError('E_USAGE', `[split] the method ${method} needs a column: expected its name under split.by.`);
  if (method === 'grouped') {
    const { codes } = asCategories(table.column(by), false);
    return splitByGroup(
      rows.map((row) => codes[row] as number),
      split,
      split.seed,
    );
  }
  const times = timesOf(table, by);
  const missing = rows.reduce((count, row) => count + (Number.isNaN(times[row] as number) ? 1 : 0), 0);
  if (missing > 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[split] ${missing} rows have no value in "${by}": expected a time in every row to split by. Fill them in, or choose another column.`,
    );
  }
  return splitByTime(
    Float64Array.from(rows, (row) => times[row] as number),
    split,
  );
}

function timesOf(table: Table, by: string): Float64Array {
  const column = table.column(by);
  if (column.kind === 'numeric') return column.values;
  const order = dateOrder(column.categories);
  if (order !== undefined) return asDays(column, order).values;
  throw new TensorkilnError(
    'E_DATA',
    `[split] column "${by}" is no time: expected numbers, or dates such as 2024-03-01 in every cell, got ${column.categories.length} different texts.`,
  );
}
