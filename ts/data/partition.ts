import { TensorkilnError } from '../errors.js';
import { asCategories } from './cast.js';
import { dateOrder } from './dates.js';
import { asDays } from './encodings/date.js';
import { groupedKFold, kFold, splitByGroup, splitByTime } from './split-methods.js';
import { checkShares, splitRows, type Split, type SplitShares } from './split.js';
import type { TargetColumn } from './suspects.js';
import type { Table } from './table.js';

/** How rows are divided. */
export interface SplitConfig extends SplitShares {
  /**
   * `random` (default); `grouped` by a column whose rows stay together; by `time`: the past trains, the future tests; in the `order` of
   * the file: the first rows train, the last test.
   */
  readonly method?: 'random' | 'grouped' | 'time' | 'order';
  /** The column of groups or of times. */
  readonly by?: string;
  /** For random: keep each class's share equal in all parts; a target of values has no classes, so it says nothing there. Default true. */
  readonly stratify?: boolean;
  /** Which rows go where, an integer in [0, 2^53). Default 0. */
  readonly seed?: number;
  /** One fold of a cross-validation: its rows are the test part, and the shares of training and validation divide the others. */
  readonly fold?: Fold;
}

/** With its defaults. */
export interface CheckedSplit extends SplitConfig {
  readonly stratify: boolean;
  readonly seed: number;
}

/** One of several folds, which the seed divides the rows into. */
export interface Fold {
  /** From 0. */
  readonly index: number;
  /** At least 2. */
  readonly of: number;
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
  how: { readonly split: CheckedSplit; readonly target: TargetColumn; readonly test: Int32Array | undefined },
): Split {
  const { split, target, test } = how;
  checkShares(split);
  const pick = (indices: Int32Array, from = rows): Int32Array => indices.map((index) => from[index] as number);
  if (split.fold !== undefined) {
    if (test !== undefined)
      throw new TensorkilnError('E_USAGE', '[split] a fold and a separate test file exclude each other: expected one of them.');
    const { train: others, held } = foldOf(groupsOf(table, rows, split, target), split, split.fold);
    const kept = pick(others);
    const parts = divide(table, kept, { ...split, ...withoutTest(split) }, target);
    return { train: pick(parts.train, kept), validation: pick(parts.validation, kept), test: pick(held) };
  }
  const shares = test === undefined ? split : withoutTest(split);
  const parts = divide(table, rows, { ...split, ...shares }, target);
  return { train: pick(parts.train), validation: pick(parts.validation), test: test ?? pick(parts.test) };
}

/** What a fold goes by: classes, which are spread evenly, or groups, which stay together. */
interface FoldGroups {
  readonly labels: Int32Array;
  readonly isGrouped: boolean;
}

function groupsOf(table: Table, rows: Int32Array, split: CheckedSplit, target: TargetColumn): FoldGroups {
  const { method = 'random', by } = split;
  if (method === 'grouped' && by !== undefined) {
    const { codes } = asCategories(table.column(by), false);
    return { labels: rows.map((row) => codes[row] as number), isGrouped: true };
  }
  if (method !== 'random')
    throw new TensorkilnError(
      'E_USAGE',
      `[split] folds of a cross-validation mix rows, which the method ${method} must not: expected random or grouped.`,
    );
  const labels =
    target.task === 'classification' ? rows.map((row) => target.codes[row] as number) : new Int32Array(rows.length);
  return { labels, isGrouped: false };
}

/** Indices of the rows of a fold, and of the others. @throws E_USAGE for a fold that is not there */
export function foldOf(
  { labels, isGrouped }: FoldGroups,
  { seed, stratify }: Pick<CheckedSplit, 'seed' | 'stratify'>,
  { index, of }: Fold,
): { readonly train: Int32Array; readonly held: Int32Array } {
  const folds = isGrouped ? groupedKFold(labels, { folds: of, seed }) : kFold(labels, { folds: of, seed, stratify });
  const fold = folds[index];
  if (fold === undefined)
    throw new TensorkilnError('E_USAGE', `[split] no such fold: expected an index from 0 to ${of - 1}, got ${index}.`);
  return fold;
}

export function withoutTest({ train, validation }: SplitShares): SplitShares {
  return { train: train / (train + validation), validation: validation / (train + validation), test: 0 };
}

/** Indices into `rows`. */
function divide(table: Table, rows: Int32Array, split: CheckedSplit, target: TargetColumn): Split {
  const { method = 'random', by } = split;
  if (method === 'order') return splitByTime(Float64Array.from(rows.keys()), split);
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
