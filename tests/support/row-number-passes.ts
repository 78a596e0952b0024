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
import { profileNumbers } from '../../ts/data/profile.js';
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

/** What the passes over a column of so many cells must give, whoever makes them. */
export function describePasses(length: number): void {
  describe.each(Object.entries(COLUMNS))('%s', (_, next) => {
    const values = Float64Array.from({ length }, () => (uniform() < 0.1 ? NaN : next()));
    const rows = Int32Array.from({ length: 0.8 * length }, (__, index) => (index * 7) % length);
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

    it.each([NaN, 1.5])('has the mean and deviation of its numbers, summed in order, missing ones as %d', (fill) => {
      const all = cells(fill);
      const sum = (of: (value: number) => number): number => all.reduce((total, value) => total + of(value), 0);
      const first = sum((value) => value) / all.length;
      const mean = first + sum((value) => value - first) / all.length;
      const deviation = Math.sqrt(sum((value) => (value - mean) * (value - mean)) / all.length);
      expect(meanAndDeviationOf({ values, rows, fill }, all.length)).toEqual({
        mean,
        deviation: deviation <= 1e-14 * Math.abs(mean) ? 0 : deviation,
      });
    });

    it('is profiled', () => {
      const present = values.filter((value) => !Number.isNaN(value));
      expect(profileNumbers('x', values)).toMatchObject({
        missing: length - present.length,
        integers: present.filter((value) => value === Math.floor(value)).length,
        minimum: present.reduce((least, value) => (value < least ? value : least)),
        maximum: present.reduce((most, value) => (value > most ? value : most)),
      });
    });
  });
}
