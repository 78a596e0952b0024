import { describe, expect, it } from 'vitest';
import {
  meanAndDeviationOf,
  medianOf,
  modeOf,
  quantilesOf,
  rangeOf,
  rankedOf,
  type RowNumbers,
} from '../../ts/data/row-numbers.js';
import { SeededRandom } from '../../ts/data/random.js';

const random = new SeededRandom(11);
const uniform = (): number => random.nextUint32() / 2 ** 32;

/** Columns that buckets of equal width find hard, each with a missing cell in ten. */
const COLUMNS: Readonly<Record<string, () => number>> = {
  'uniform numbers': () => uniform() * 1000 - 500,
  'few different numbers': () => Math.floor(uniform() * 3),
  'one number': () => 7.25,
  'a long tail': () => Math.exp(30 * uniform()),
  'both ends of float64': () => (uniform() < 0.5 ? -1 : 1) * Number.MAX_VALUE * uniform(),
  'numbers next to 0': () => uniform() * Number.MIN_VALUE * 50,
  infinities: () => (uniform() < 0.3 ? Infinity : uniform() < 0.3 ? -Infinity : uniform()),
};

describe.each(Object.entries(COLUMNS))('%s', (_, next) => {
  const values = Float64Array.from({ length: 5000 }, () => (uniform() < 0.1 ? NaN : next()));
  const rows = Int32Array.from({ length: 4000 }, (__, index) => (index * 7) % 5000);
  const cells = (fill: number): number[] =>
    [...rows].map((row) => (Number.isNaN(values[row]) ? fill : values[row]!)).filter((value) => !Number.isNaN(value));

  it.each([NaN, 1.5])('has the ranks, quantiles and mode of its sorted numbers, missing ones as %d', (fill) => {
    const numbers: RowNumbers = { values, rows, fill };
    const sorted = cells(fill).sort((a, b) => a - b);
    const range = rangeOf(numbers);
    expect(range).toEqual({ count: sorted.length, minimum: sorted[0], maximum: sorted.at(-1) });
    const ranks = [0, 1, sorted.length >> 2, sorted.length >> 1, sorted.length - 2, sorted.length - 1];
    expect(rankedOf(numbers, range, ranks)).toEqual(ranks.map((rank) => sorted[rank]));
    const half = sorted.length >> 1;
    expect(medianOf(numbers, range)).toBe(sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1]! + sorted[half]!) / 2);
    const position = 0.9 * (sorted.length - 1);
    const [lower, upper] = [sorted[Math.floor(position)]!, sorted[Math.floor(position) + 1]!];
    expect(quantilesOf(numbers, range, [0, 0.9, 1])).toEqual([
      sorted[0],
      lower + (position - Math.floor(position)) * (upper - lower),
      sorted.at(-1),
    ]);
    const counts = new Map<number, number>();
    for (const value of sorted) counts.set(value, (counts.get(value) ?? 0) + 1);
    const most = Math.max(...counts.values());
    expect(modeOf(numbers, range.count)).toBe([...counts].find(([, count]) => count === most)?.[0]);
  });
});

it('mean and deviation keep a large offset exact, and a constant column has none', () => {
  const rows = Int32Array.of(0, 1, 2, 3);
  const numbers: RowNumbers = { values: Float64Array.of(1e12 + 1, 1e12 + 3, NaN, 1e12 + 5), rows, fill: NaN };
  expect(meanAndDeviationOf(numbers, 3)).toEqual({ mean: 1e12 + 3, deviation: Math.sqrt(8 / 3) });
  expect(meanAndDeviationOf({ values: Float64Array.of(0.1, 0.1, 0.1, NaN), rows, fill: 0.1 }, 4).deviation).toBe(0);
  expect(rangeOf({ values: new Float64Array(4).fill(NaN), rows, fill: NaN })).toEqual({
    count: 0,
    minimum: Infinity,
    maximum: -Infinity,
  });
});
