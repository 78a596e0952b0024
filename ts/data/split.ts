import { TensorkilnError } from '../errors.js';
import { SeededRandom } from './random.js';

/** Shares of the rows, each from 0 to 1, together 1; train above 0. */
export interface SplitShares {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

export interface SplitOptions extends SplitShares {
  /** Keep each class's share equal in all parts. */
  readonly stratify: boolean;
  readonly seed: number;
}

/** Row numbers of each part, ascending. Together they are all rows, each once. */
export interface Split {
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

const TRAIN = 0;
const NUM_PARTS = 3;

/**
 * Splits rows into three parts at random.
 *
 * Sizes are exact: each part gets its quota (share times rows) rounded down or up, the largest remainders up (Hamilton's method). With
 * `stratify` the same holds inside every class, and for the parts as a whole wherever both can hold; a class's first row goes to the
 * training part. Which rows: each class is shuffled by `SeededRandom(seed)`, classes in ascending order, and dealt out in the order
 * train, validation, test.
 *
 * @param labels [rows] class index of each row, from 0
 * @throws E_USAGE when the shares are not as described
 */
export function splitRows(labels: Int32Array, options: SplitOptions): Split {
  const shares = checkShares(options);
  const random = new SeededRandom(options.seed);
  const groups = options.stratify ? groupByClass(labels) : [Int32Array.from(labels.keys())];
  const counts = allotCounts(
    groups.map((group) => group.length),
    shares,
  );
  const parts: number[][] = [[], [], []];
  groups.forEach((group, index) => {
    random.shuffle(group);
    let start = 0;
    counts[index]?.forEach((count, part) => {
      for (const row of group.subarray(start, start + count)) parts[part]?.push(row);
      start += count;
    });
  });
  const [train, validation, test] = parts.map((rows) => Int32Array.from(rows).sort());
  if (train === undefined || validation === undefined || test === undefined)
    throw new TensorkilnError('E_INTERNAL', '[split] a part is lost.');
  return { train, validation, test };
}

/** @throws E_USAGE when the shares are not as described */
export function checkShares(options: SplitShares): readonly number[] {
  const shares = [options.train, options.validation, options.test];
  const sum = shares.reduce((total, share) => total + share, 0);
  // 1e-9: room for decimal shares such as 0.7 + 0.15 + 0.15, whose binary sum is off by a rounding.
  if (shares.some((share) => !(share >= 0 && share <= 1)) || !(options.train > 0) || Math.abs(sum - 1) > 1e-9) {
    throw new TensorkilnError(
      'E_USAGE',
      `[split] invalid shares: expected train > 0, validation and test from 0 to 1, together 1, got ${shares.join(' + ')} = ${sum}.`,
    );
  }
  return shares;
}

function groupByClass(labels: Int32Array): Int32Array[] {
  const rowsOf: number[][] = [];
  labels.forEach((label, row) => (rowsOf[label] ??= []).push(row));
  return Array.from(rowsOf, (rows) => Int32Array.from(rows ?? []));
}

/**
 * Rounds the table of quotas [classes, parts] so that every entry is its quota down or up, every class keeps its size and every part's
 * total is its own quota down or up (controlled rounding; Cox 1987). Such a rounding always exists. It is found greedily by remainder and
 * completed along alternating paths.
 */
function allotCounts(sizes: readonly number[], shares: readonly number[]): number[][] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const cells = sizes.map((size) => {
    const row = shares.map((share) => new Cell(size * share));
    // A class that the training part never sees cannot be learned, so its only row goes there.
    const train = row[TRAIN];
    if (size > 0 && train?.count === 0) train.pinUp();
    return row;
  });
  const totals = shares.map((share) => new Cell(total * share));
  for (const cell of byRemainder(totals, total - sum(totals))) cell.roundUp();
  const need = totals.map((cell, part) => cell.count - sum(cells.map((row) => row[part] ?? new Cell(0))));
  const spare = cells.map((row, index) => (sizes[index] ?? 0) - sum(row));

  const open = cells
    .flatMap((row, group) => row.map((cell, part) => ({ cell, group, part })))
    .filter(({ cell }) => cell.canRoundUp)
    .sort((a, b) => b.cell.remainder - a.cell.remainder || a.part - b.part || a.group - b.group);
  for (const { cell, group, part } of open) {
    if ((spare[group] ?? 0) > 0 && (need[part] ?? 0) > 0) {
      cell.roundUp();
      spare[group] = (spare[group] ?? 0) - 1;
      need[part] = (need[part] ?? 0) - 1;
    }
  }
  cells.forEach((row, group) => {
    while ((spare[group] ?? 0) > 0) {
      const part = augment(cells, group, need) ?? openPart(row);
      need[part] = (need[part] ?? 0) - 1;
      spare[group] = (spare[group] ?? 0) - 1;
    }
  });
  return cells.map((row) => row.map((cell) => cell.count));
}

/** One quota on its way to an integer. */
class Cell {
  readonly remainder: number;
  count: number;
  #roundedUp = false;
  #pinned = false;

  constructor(quota: number) {
    // 1e-9: a quota such as 0.15 * 20 is meant to be 3 and must not become 2 plus a remainder of nearly 1.
    this.count = Math.floor(quota + 1e-9);
    this.remainder = Math.max(0, quota - this.count);
  }

  get canRoundUp(): boolean {
    return !this.#roundedUp && this.remainder > 1e-9;
  }

  get canRoundDown(): boolean {
    return this.#roundedUp && !this.#pinned;
  }

  roundUp(): void {
    this.count++;
    this.#roundedUp = true;
  }

  /** Rounds up for good. */
  pinUp(): void {
    this.roundUp();
    this.#pinned = true;
  }

  roundDown(): void {
    this.count--;
    this.#roundedUp = false;
  }
}

function sum(cells: readonly Cell[]): number {
  return cells.reduce((total, cell) => total + cell.count, 0);
}

function byRemainder(cells: readonly Cell[], count: number): Cell[] {
  return cells.toSorted((a, b) => b.remainder - a.remainder).slice(0, count);
}

/**
 * Gives one unit of `group` to a part, if need be by moving units of other classes on, until it ends in a part that still needs one.
 *
 * @returns the part that grew in total, or undefined when there is no such path
 */
function augment(cells: readonly Cell[][], group: number, need: readonly number[]): number | undefined {
  const visited = new Set<number>();
  const extend = (from: number): number | undefined => {
    for (let part = 0; part < NUM_PARTS; part++) {
      const cell = cells[from]?.[part];
      if (cell === undefined || !cell.canRoundUp || visited.has(part)) continue;
      visited.add(part);
      if ((need[part] ?? 0) > 0) {
        cell.roundUp();
        return part;
      }
      for (let other = 0; other < cells.length; other++) {
        const taken = cells[other]?.[part];
        if (other === from || taken === undefined || !taken.canRoundDown) continue;
        const end = extend(other);
        if (end !== undefined) {
          taken.roundDown();
          cell.roundUp();
          return end;
        }
      }
    }
    return undefined;
  };
  return extend(group);
}

/** Where a left-over unit of a class goes when training rows forced on tiny classes have upset the totals. */
function openPart(row: readonly Cell[]): number {
  const part = row.reduce(
    (best, cell, index) => (cell.canRoundUp && cell.remainder > (row[best]?.remainder ?? 0) ? index : best),
    row.findIndex((cell) => cell.canRoundUp),
  );
  row[part]?.roundUp();
  return part;
}
