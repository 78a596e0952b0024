import { passesAddon } from './table-addon.js';

/**
 * Statistics of some rows of a column of numbers, without a copy of them: a column may be most of the memory there is.
 *
 * The loops branch where a conditional value would read as well: V8 makes of `value === value ? value : fill` a choice that takes two to
 * three times as long as the rest of a pass, and a branch on so rare a thing as a missing cell is nearly always foreseen.
 */

/** The cells of `rows`; a missing one counts as `fill`, and not at all where `fill` is NaN. */
export interface RowNumbers {
  /** [table rows], NaN = missing */
  readonly values: Float64Array;
  readonly rows: Int32Array;
  readonly fill: number;
}

export interface NumberRange {
  /** How many numbers there are. */
  readonly count: number;
  /** Infinity and -Infinity without any. */
  readonly minimum: number;
  readonly maximum: number;
}

export function rangeOf(numbers: RowNumbers): NumberRange {
  const { rows, fill } = numbers;
  const present = presentRange(numbers);
  const { missing } = present;
  let { minimum, maximum } = present;
  const filled = fill === fill;
  if (filled && missing > 0) {
    if (fill < minimum) minimum = fill;
    if (fill > maximum) maximum = fill;
  }
  return { count: filled ? rows.length : rows.length - missing, minimum, maximum };
}

function presentRange({ values, rows, fill }: RowNumbers): {
  readonly missing: number;
  readonly minimum: number;
  readonly maximum: number;
} {
  let missing = 0;
  let minimum = Infinity;
  let maximum = -Infinity;
  const native = passesAddon(rows.length);
  if (native !== undefined) {
    [missing, minimum, maximum] = native.numberRange(values, rows, fill) as unknown as [number, number, number];
    return { missing, minimum, maximum };
  }
  for (let index = 0; index < rows.length; index++) {
    const value = values[rows[index] as number] as number;
    // NaN alone differs from itself, and is neither less nor more than anything.
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
    if (value !== value) missing++;
  }
  return { missing, minimum, maximum };
}

/** Two passes: the second adds the mean of what the first left over, which keeps large offsets exact. @param count at least 1 */
export function meanOf(numbers: RowNumbers, count: number): number {
  const first = sumOf(numbers, 0) / count;
  return first + sumOf(numbers, first) / count;
}

/** The sum of the numbers less `shift`. */
function sumOf({ values, rows, fill }: RowNumbers, shift: number): number {
  const native = passesAddon(rows.length);
  if (native !== undefined) return native.numberSum(values, rows, fill, shift);
  let sum = 0;
  for (let index = 0; index < rows.length; index++) {
    const value = values[rows[index] as number] as number;
    if (value === value) sum += value - shift;
    else if (fill === fill) sum += fill - shift;
  }
  return sum;
}

/** Mean, and standard deviation over n (not n - 1), all passes in float64; a constant column has deviation 0. @param count at least 1 */
export function meanAndDeviationOf(numbers: RowNumbers, count: number): { readonly mean: number; readonly deviation: number } {
  const mean = meanOf(numbers, count);
  const deviation = Math.sqrt(squaresOf(numbers, mean) / count);
  // Rounding in the mean leaves a constant column a deviation of some units in the last place; dividing by that would blow up noise.
  return { mean, deviation: deviation <= 1e-14 * Math.abs(mean) ? 0 : deviation };
}

/** The sum of the squares of the numbers less `shift`. */
function squaresOf({ values, rows, fill }: RowNumbers, shift: number): number {
  const native = passesAddon(rows.length);
  if (native !== undefined) return native.numberSquares(values, rows, fill, shift);
  const filled = fill === fill ? (fill - shift) * (fill - shift) : 0;
  let squares = 0;
  for (let index = 0; index < rows.length; index++) {
    const value = values[rows[index] as number] as number;
    if (value === value) {
      const distance = value - shift;
      squares += distance * distance;
    } else {
      squares += filled;
    }
  }
  return squares;
}

/** So many counters stay in the first-level cache. */
const BUCKETS = 4096;
/** The bucket of cells that do not count. */
const NOWHERE = BUCKETS + 1;
/** Rows whose buckets are found before they are counted: both loops then run at full speed, where one that does both is half as fast. */
const TILE = 2048;

/**
 * The numbers that would stand at some places if all were sorted.
 *
 * One pass counts numbers by where they lie in their range, a second takes those of the buckets wanted: both read in order and branch
 * little, which is several times as fast as selection in place for a column that exceeds the caches.
 *
 * @param ranks each from 0 to range.count - 1
 */
export function rankedOf(numbers: RowNumbers, range: NumberRange, ranks: readonly number[]): readonly number[] {
  const { count, minimum, maximum } = range;
  // Numbers that overflow here all count as of the first bucket, and are then selected among themselves.
  const place = { minimum, factor: BUCKETS / (maximum - minimum) };
  const counts = countBuckets(numbers, place);
  const starts = new Int32Array(BUCKETS + 2);
  for (let bucket = 0; bucket <= BUCKETS; bucket++)
    starts[bucket + 1] = (starts[bucket] as number) + (counts[bucket] as number);
  const bucketOf = (rank: number): number => starts.findLastIndex((start) => start <= Math.min(rank, count - 1));
  const found = new Map<number, Float64Array>();
  return ranks.map((rank) => {
    const wanted = bucketOf(rank);
    let bucket = found.get(wanted);
    if (bucket === undefined) {
      bucket = takeBucket(numbers, place, { wanted, size: counts[wanted] as number });
      found.set(wanted, bucket);
    }
    return select(bucket, rank - (starts[wanted] as number));
  });
}

interface BucketPlace {
  readonly minimum: number;
  readonly factor: number;
}

function countBuckets({ values, rows, fill }: RowNumbers, { minimum, factor }: BucketPlace): Int32Array {
  const counts = new Int32Array(BUCKETS + 2);
  const native = passesAddon(rows.length);
  if (native !== undefined) {
    native.countNumberBuckets(values, rows, fill, minimum, factor, counts);
    return counts;
  }
  const tile = new Int32Array(TILE);
  const filled = fill === fill ? ((fill - minimum) * factor) | 0 : NOWHERE;
  for (let from = 0; from < rows.length; from += TILE) {
    const length = Math.min(TILE, rows.length - from);
    for (let index = 0; index < length; index++) {
      const value = values[rows[from + index] as number] as number;
      if (value === value) tile[index] = ((value - minimum) * factor) | 0;
      else tile[index] = filled;
    }
    for (let index = 0; index < length; index++) {
      const bucket = tile[index] as number;
      counts[bucket] = (counts[bucket] as number) + 1;
    }
  }
  return counts;
}

function takeBucket(
  { values, rows, fill }: RowNumbers,
  { minimum, factor }: BucketPlace,
  { wanted, size }: { readonly wanted: number; readonly size: number },
): Float64Array {
  const bucket = new Float64Array(size);
  const native = passesAddon(rows.length);
  if (native !== undefined) {
    const found = native.takeNumberBucket(values, rows, fill, minimum, factor, BUCKETS, wanted, bucket);
    return bucket.fill(fill, found);
  }
  let taken = 0;
  for (let index = 0; index < rows.length; index++) {
    const value = values[rows[index] as number] as number;
    // What is no number has place 0, like the smallest numbers.
    if ((((value - minimum) * factor) | 0) === wanted && value === value) bucket[taken++] = value;
  }
  // Order does not matter within a bucket, so the filled cells can come last.
  bucket.fill(fill, taken);
  return bucket;
}

/** The middle of the sorted numbers; the mean of the middle two. @param range with a count of at least 1 */
export function medianOf(numbers: RowNumbers, range: NumberRange): number {
  const middle = range.count >> 1;
  if (range.count % 2 === 1) return rankedOf(numbers, range, [middle])[0] as number;
  const [lower, upper] = rankedOf(numbers, range, [middle - 1, middle]) as [number, number];
  return (lower + upper) / 2;
}

/** The numbers that shares of the others lie below, between two neighbours by straight interpolation (type 7 of Hyndman and Fan 1996). */
export function quantilesOf(numbers: RowNumbers, range: NumberRange, shares: readonly number[]): readonly number[] {
  const positions = shares.map((share) => share * (range.count - 1));
  const ranks = positions.flatMap((position) => [Math.floor(position), Math.min(range.count - 1, Math.floor(position) + 1)]);
  const ranked = rankedOf(numbers, range, ranks);
  return positions.map((position, index) => {
    const [lower, upper] = [ranked[2 * index] as number, ranked[2 * index + 1] as number];
    const below = Math.floor(position);
    return position === below ? lower : lower + (position - below) * (upper - lower);
  });
}

/** The most frequent number, the smallest of equals; `count` at least 1. */
export function modeOf({ values, rows, fill }: RowNumbers, count: number): number {
  const sorted = new Float64Array(count);
  let taken = 0;
  for (let index = 0; index < rows.length; index++) {
    const value = values[rows[index] as number] as number;
    if (value === value) sorted[taken++] = value;
  }
  if (fill === fill) sorted.fill(fill, taken);
  sorted.sort();
  let best = sorted[0] ?? NaN;
  let bestCount = 0;
  let start = 0;
  for (let end = 1; end <= count; end++) {
    if (sorted[end] === sorted[start]) continue;
    if (end - start > bestCount) {
      best = sorted[start] ?? NaN;
      bestCount = end - start;
    }
    start = end;
  }
  return best;
}

/**
 * Puts the value of rank `rank` in its place, smaller ones before it, larger ones after, and returns it: linear time on average where
 * sorting would take much longer (Hoare 1961, "Find"; pivot: median of three).
 */
function select(values: Float64Array, rank: number): number {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const [a, b, c] = [values[left] as number, values[(left + right) >> 1] as number, values[right] as number];
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    let low = left;
    let high = right;
    while (low <= high) {
      while ((values[low] as number) < pivot) low++;
      while ((values[high] as number) > pivot) high--;
      if (low > high) break;
      const kept = values[low] as number;
      values[low++] = values[high] as number;
      values[high--] = kept;
    }
    if (rank <= high) right = high;
    else if (rank >= low) left = low;
    else break;
  }
  return values[rank] as number;
}
