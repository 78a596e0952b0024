import { setImmediate } from 'node:timers/promises';
import { booleanWords } from './booleans.js';
import { hasLeadingZero, isInexactInteger, parseNumber } from './csv/numbers.js';
import { dateOrder, type DateOrder } from './dates.js';
import { shared } from './shared-memory.js';
import { passesAddon } from './table-addon.js';
import type { Column, Table } from './table.js';
import type { WorkerPool } from './worker-pool.js';

/** What was counted in one column. */
export interface ColumnProfile {
  readonly name: string;
  readonly missing: number;
  /** Cells that are not missing. */
  readonly present: number;
  /** Present cells that are decimal numbers (1, -2.5, .5, 1e-3) which float64 holds without loss of digits in front. */
  readonly numbers: number;
  /** Of those, without a fraction. */
  readonly integers: number;
  /** Different present cells; for a column of numbers with more than DISTINCT_LIMIT of them a lower bound. */
  readonly distinct: number;
  readonly distinctExact: boolean;
  /** Smallest and largest of the numbers; NaN when there are none. */
  readonly minimum: number;
  readonly maximum: number;
  /** Text cells of digits that begin with a zero, such as postcodes. */
  readonly leadingZeros: number;
  /** Integers beyond 2^53 in text cells. */
  readonly inexact: number;
  /** Text cells that would be numbers with "," or "." between groups of three digits. */
  readonly grouped: number;
  /** Text cells that are words such as n/a, which often stand for a missing cell but were not declared to, and those words. */
  readonly missingLike: number;
  readonly missingWords: readonly string[];
  /** Mean number of words of a present text cell. */
  readonly words: number;
  /** Whether every present cell is one of a pair such as yes and no, and both come. */
  readonly isBoolean: boolean;
  /** The order in which every present cell is a date, if there is one. */
  readonly dateOrder: DateOrder | undefined;
}

/** What a column of numbers never has. */
const NO_TEXT = {
  leadingZeros: 0,
  inexact: 0,
  grouped: 0,
  missingLike: 0,
  missingWords: [],
  words: 0,
  isBoolean: false,
  dateOrder: undefined,
} as const;

/** How tables spell a missing cell, without case. */
const MISSING_WORDS: ReadonlySet<string> = new Set([
  ...['na', 'n/a', '#n/a', 'n.a.', 'nan', '#nan', 'null', 'nil', 'none', 'missing', 'unknown', 'undefined'],
  ...['-', '--', '---', '.', '..', '*', '?', '\\n'],
]);

/** From here on it matters only that there are many. */
export const DISTINCT_LIMIT = 10_000;

/** Tables with at least this many cells are counted by worker threads. */
const POOL_FROM_CELLS = 4_000_000;

/** Counts every column: numbers of a large table by worker threads, text by one look per distinct cell. */
export async function profileTable(table: Table, pool: WorkerPool): Promise<readonly ColumnProfile[]> {
  const large = table.rowCount * table.columns.length >= POOL_FROM_CELLS;
  const count = async (column: Column): Promise<ColumnProfile> => {
    if (!large) return profileColumn(column);
    if (column.kind === 'numeric') return pool.run('profile', { name: column.name, values: shared(column.values) });
    // Only when the workers have their tasks, so that all threads count at once.
    await setImmediate();
    return profileColumn(column);
  };
  return Promise.all(table.columns.map(count));
}

/** Counts one column. */
export function profileColumn(column: Column): ColumnProfile {
  return column.kind === 'numeric' ? profileNumbers(column.name, column.values) : profileText(column);
}

export function profileNumbers(name: string, values: Float64Array): ColumnProfile {
  const { missing, integers, minimum, maximum } = countNumbers(values);
  const present = values.length - missing;
  const { distinct, exact } = countDistinct(values, { present, integers, minimum, maximum });
  return {
    name,
    missing,
    present,
    numbers: present,
    integers,
    distinct,
    distinctExact: exact,
    minimum: present === 0 ? NaN : minimum,
    maximum: present === 0 ? NaN : maximum,
    ...NO_TEXT,
  };
}

interface CountedNumbers {
  readonly missing: number;
  readonly integers: number;
  /** Infinity and -Infinity where every cell is missing. */
  readonly minimum: number;
  readonly maximum: number;
}

function countNumbers(values: Float64Array): CountedNumbers {
  const native = passesAddon(values.length);
  if (native !== undefined) {
    const [missing, minimum, maximum, integers] = native.profileNumbers(values) as unknown as [number, number, number, number];
    return { missing, integers, minimum, maximum };
  }
  let missing = 0;
  let integers = 0;
  let minimum = Infinity;
  let maximum = -Infinity;
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as number;
    // NaN alone differs from itself.
    if (value !== value) {
      missing++;
      continue;
    }
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
    if (value === Math.floor(value)) integers++;
  }
  return { missing, integers, minimum, maximum };
}

interface NumberRange {
  readonly present: number;
  readonly integers: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** Bits per row that the exact count of integers may take: a range wider than that cannot be a gapless count anyway. */
const BITS_PER_ROW = 32;

function countDistinct(values: Float64Array, range: NumberRange): { readonly distinct: number; readonly exact: boolean } {
  const { present, integers, minimum, maximum } = range;
  const span = maximum - minimum + 1;
  // Identifiers are integers without repetition, so integers are counted to the end where that is cheap.
  if (present > 0 && integers === present && span <= Math.max(values.length * BITS_PER_ROW, 1 << 16)) {
    // At most BITS_PER_ROW times the rows of a table, so that a place fits 32 bits where its column fits memory.
    const seen = new Int32Array(Math.ceil(span / 32));
    for (let row = 0; row < values.length; row++) {
      const value = values[row] as number;
      if (value !== value) continue;
      const place = value - minimum;
      const word = span <= 2 ** 31 ? (place | 0) >> 5 : Math.floor(place / 32);
      seen[word] = (seen[word] as number) | (1 << (place & 31));
    }
    let distinct = 0;
    for (const word of seen) distinct += countBits(word);
    return { distinct, exact: true };
  }
  const limit = integers === present ? values.length : DISTINCT_LIMIT;
  const seen = new Set<number>();
  for (const value of values) {
    if (value !== value) continue;
    seen.add(value);
    if (seen.size > limit) return { distinct: seen.size, exact: false };
  }
  return { distinct: seen.size, exact: true };
}

/** Ones in a 32-bit word (Warren, Hacker's Delight, 5-1). */
function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function profileText(column: Extract<Column, { kind: 'categorical' }>): ColumnProfile {
  const { codes, categories } = column;
  const counts = new Int32Array(categories.length);
  let missing = 0;
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row] as number;
    if (code < 0) missing++;
    else counts[code] = (counts[code] as number) + 1;
  }
  let [numbers, integers, leadingZeros, inexact, grouped, words, missingLike] = [0, 0, 0, 0, 0, 0, 0];
  const missingWords: string[] = [];
  const used = categories.filter((_, code) => counts[code] !== 0);
  let minimum = Infinity;
  let maximum = -Infinity;
  categories.forEach((category, code) => {
    const count = counts[code] as number;
    if (count === 0) return;
    words += count * countWords(category);
    if (MISSING_WORDS.has(category.toLowerCase())) {
      missingLike += count;
      missingWords.push(category);
    }
    if (hasLeadingZero(category)) leadingZeros += count;
    const value = parseNumber(category);
    if (value === undefined) {
      const other = category.includes(',') ? { thousands: ',' } : { thousands: '.', decimal: ',' };
      if (parseNumber(category, other) !== undefined) grouped += count;
      return;
    }
    if (isInexactInteger(value)) inexact += count;
    if (hasLeadingZero(category) || isInexactInteger(value) || Math.abs(value) === Infinity) return;
    numbers += count;
    if (Number.isInteger(value)) integers += count;
    minimum = Math.min(minimum, value);
    maximum = Math.max(maximum, value);
  });
  const present = codes.length - missing;
  return {
    name: column.name,
    missing,
    present,
    numbers,
    integers,
    distinct: used.length,
    distinctExact: true,
    minimum: numbers === 0 ? NaN : minimum,
    maximum: numbers === 0 ? NaN : maximum,
    leadingZeros,
    inexact,
    grouped,
    missingLike,
    missingWords,
    words: present === 0 ? 0 : words / present,
    isBoolean: used.length <= MAX_BOOLEAN_SPELLINGS && booleanWords(used) !== undefined,
    dateOrder: dateOrder(used),
  };
}

/** A pair of words in lower case, upper case and capitalized. */
const MAX_BOOLEAN_SPELLINGS = 6;

function countWords(text: string): number {
  return text.split(/\s+/).length;
}
