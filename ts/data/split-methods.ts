import { TensorkilnError } from '../errors.js';
import { SeededRandom } from './random.js';
import type { Split, SplitShares } from './split.js';

/**
 * Splits so that rows of one group stay together: groups are shuffled by `SeededRandom(seed)` and given, largest first among the next
 * ones, to the part that lacks most of its share.
 *
 * @param groups [rows] group of each row, from 0; -1 makes a row a group of its own
 * @throws E_USAGE for invalid shares; E_DATA when there are fewer groups than parts
 */
export function splitByGroup(groups: Int32Array, shares: SplitShares, seed: number): Split {
  const rowsOf = new Map<number, number[]>();
  groups.forEach((group, row) => {
    const key = group < 0 ? -1 - row : group;
    const rows = rowsOf.get(key);
    if (rows === undefined) rowsOf.set(key, [row]);
    else rows.push(row);
  });
  const wanted = (['train', 'validation', 'test'] as const).map((name) => ({
    name,
    rows: [] as number[],
    quota: shares[name] * groups.length,
  }));
  const parts = wanted.filter(({ quota }) => quota > 0);
  if (rowsOf.size < parts.length) {
    throw new TensorkilnError(
      'E_DATA',
      `[split] too few groups: expected at least ${parts.length}, one for each part, got ${rowsOf.size}.`,
    );
  }
  const order = Int32Array.from(rowsOf.keys());
  new SeededRandom(seed).shuffle(order);
  // A large group can only go where there is room for it, so the largest are placed first; the shuffle decides among equals.
  const bySize = [...order].sort((a, b) => (rowsOf.get(b)?.length ?? 0) - (rowsOf.get(a)?.length ?? 0));
  for (const [index, group] of bySize.entries()) {
    const left = bySize.length - index;
    const empty = parts.filter(({ rows }) => rows.length === 0);
    const open = empty.length >= left ? empty : parts;
    const part = open.reduce((best, other) => (lack(other) > lack(best) ? other : best));
    for (const row of rowsOf.get(group) ?? []) part.rows.push(row);
  }
  const [train, validation, test] = wanted.map(({ rows }) => Int32Array.from(rows).sort());
  return { train: train as Int32Array, validation: validation as Int32Array, test: test as Int32Array };
}

function lack({ rows, quota }: { readonly rows: readonly number[]; readonly quota: number }): number {
  return (quota - rows.length) / quota;
}

/**
 * Splits by time: the earliest rows train, the latest test. Rows of one time stay together, in the earlier part.
 *
 * @param times [rows] any number that grows with time, none NaN
 */
export function splitByTime(times: Float64Array, shares: SplitShares): Split {
  const order = Int32Array.from(times.keys()).sort((a, b) => (times[a] as number) - (times[b] as number) || a - b);
  const cut = (share: number): number => {
    let end = Math.min(order.length, Math.round(share * order.length));
    while (end > 0 && end < order.length && times[order[end] as number] === times[order[end - 1] as number]) end++;
    return end;
  };
  const trainEnd = cut(shares.train);
  const validationEnd = Math.max(trainEnd, cut(shares.train + shares.validation));
  return {
    train: order.slice(0, trainEnd).sort(),
    validation: order.slice(trainEnd, validationEnd).sort(),
    test: order.slice(validationEnd).sort(),
  };
}

/**
 * The folds of a k-fold cross-validation: every row is in the held part of exactly one. With `stratify` each class is spread evenly.
 *
 * @param labels [rows] class index of each row, from 0
 * @returns k pairs of row numbers, ascending
 * @throws E_USAGE when k is not an integer from 2 to the number of rows
 */
export function kFold(
  labels: Int32Array,
  options: { readonly folds: number; readonly seed: number; readonly stratify: boolean },
): readonly { readonly train: Int32Array; readonly held: Int32Array }[] {
  const { folds, seed, stratify } = options;
  if (!Number.isInteger(folds) || folds < 2 || folds > labels.length) {
    throw new TensorkilnError(
      'E_USAGE',
      `[split] invalid number of folds: expected an integer from 2 to ${labels.length}, the number of rows, got ${folds}.`,
    );
  }
  const order = Int32Array.from(labels.keys());
  new SeededRandom(seed).shuffle(order);
  // Dealt out class by class, the rows of each class fall on the folds in turn.
  if (stratify) order.sort((a, b) => (labels[a] as number) - (labels[b] as number));
  const foldOf = new Int32Array(labels.length);
  order.forEach((row, index) => {
    foldOf[row] = index % folds;
  });
  const rows = Int32Array.from(labels.keys());
  return Array.from({ length: folds }, (_, fold) => ({
    train: rows.filter((row) => foldOf[row] !== fold),
    held: rows.filter((row) => foldOf[row] === fold),
  }));
}

/**
 * Folds whose groups stay together: groups are shuffled by `SeededRandom(seed)` and given, largest first, to the fold with fewest rows.
 *
 * @param groups [rows] group of each row, from 0; -1 makes a row a group of its own
 * @throws E_USAGE when k is not an integer from 2 to the number of groups
 */
export function groupedKFold(
  groups: Int32Array,
  { folds, seed }: { readonly folds: number; readonly seed: number },
): readonly { readonly train: Int32Array; readonly held: Int32Array }[] {
  const keys = groups.map((group, row) => (group < 0 ? -1 - row : group));
  const sizes = new Map<number, number>();
  for (const key of keys) sizes.set(key, (sizes.get(key) ?? 0) + 1);
  if (!Number.isInteger(folds) || folds < 2 || folds > sizes.size) {
    throw new TensorkilnError(
      'E_USAGE',
      `[split] invalid number of folds: expected an integer from 2 to ${sizes.size}, the number of groups, got ${folds}.`,
    );
  }
  const order = Int32Array.from(sizes.keys());
  new SeededRandom(seed).shuffle(order);
  const rowsOf = new Array<number>(folds).fill(0);
  const foldOf = new Map<number, number>();
  for (const key of [...order].sort((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0))) {
    const fold = rowsOf.indexOf(Math.min(...rowsOf));
    foldOf.set(key, fold);
    rowsOf[fold] = (rowsOf[fold] ?? 0) + (sizes.get(key) ?? 0);
  }
  const rows = Int32Array.from(groups.keys());
  return Array.from({ length: folds }, (_, fold) => ({
    train: rows.filter((row) => foldOf.get(keys[row] as number) !== fold),
    held: rows.filter((row) => foldOf.get(keys[row] as number) === fold),
  }));
}
