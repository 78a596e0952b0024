import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitRows, type Split, type SplitOptions } from '../../ts/data/split.js';

const SHARES = { train: 0.7, validation: 0.15, test: 0.15 };
const PARTS = ['train', 'validation', 'test'] as const;

function countByClass(labels: Int32Array, rows: Int32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(labels[row] ?? -1, (counts.get(labels[row] ?? -1) ?? 0) + 1);
  return counts;
}

function expectPartition(split: Split, size: number): void {
  const all = [...split.train, ...split.validation, ...split.test].sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: size }, (_, index) => index));
}

const shares = fc
  .tuple(fc.integer({ min: 1, max: 18 }), fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 10 }))
  .map(([a, b, c]) => ({ train: a / (a + b + c), validation: b / (a + b + c), test: c / (a + b + c) }));
const labels = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 300 }).map((list) => Int32Array.from(list));
const seed = fc.nat();

describe('splitRows', () => {
  it('gives every row to exactly one part, with every class within one row of its quota', () => {
    fc.assert(
      fc.property(labels, shares, seed, (rows, share, number) => {
        const split = splitRows(rows, { ...share, stratify: true, seed: number });
        expectPartition(split, rows.length);
        const sizes = countByClass(rows, Int32Array.from(rows.keys()));
        for (const part of PARTS) {
          const counts = countByClass(rows, split[part]);
          for (const [label, size] of sizes) {
            // 1e-6 for the binary rounding of shares such as 3/7.
            expect(Math.abs((counts.get(label) ?? 0) - size * share[part])).toBeLessThan(1 + 1e-6);
          }
        }
      }),
    );
  });

  it('keeps the parts themselves within one row of their quota when every class has a few rows', () => {
    const large = fc
      .array(fc.integer({ min: 20, max: 60 }), { minLength: 1, maxLength: 8 })
      .map((sizes) => Int32Array.from(sizes.flatMap((size, label) => new Array<number>(size).fill(label))));
    fc.assert(
      fc.property(large, shares, seed, (rows, share, number) => {
        const split = splitRows(rows, { ...share, stratify: true, seed: number });
        for (const part of PARTS) expect(Math.abs(split[part].length - rows.length * share[part])).toBeLessThan(1 + 1e-6);
      }),
    );
  });

  it('shows every class to the training part', () => {
    fc.assert(
      fc.property(labels, shares, seed, (rows, share, number) => {
        const split = splitRows(rows, { ...share, stratify: true, seed: number });
        expect(countByClass(rows, split.train).size).toBe(new Set(rows).size);
      }),
    );
  });

  it('rounds 152 + 68 + 124 rows at 70/15/15 by largest remainder', () => {
    const rows = Int32Array.from([
      ...new Array<number>(152).fill(0),
      ...new Array<number>(68).fill(1),
      ...new Array<number>(124).fill(2),
    ]);
    const split = splitRows(rows, { ...SHARES, stratify: true, seed: 1 });
    // Quotas 106.4 47.6 86.8 | 22.8 10.2 18.6 | 22.8 10.2 18.6; totals 240.8 51.6 51.6, of which train and validation round up.
    expect([...countByClass(rows, split.train).values()]).toEqual([106, 48, 87]);
    expect([split.train.length, split.validation.length, split.test.length]).toEqual([241, 52, 51]);
  });

  it('depends on the seed only, and differs between seeds', () => {
    const rows = Int32Array.from({ length: 100 }, (_, row) => row % 3);
    const options: SplitOptions = { ...SHARES, stratify: true, seed: 5 };
    expect(splitRows(rows, options)).toEqual(splitRows(rows, options));
    expect(splitRows(rows, options).test).not.toEqual(splitRows(rows, { ...options, seed: 6 }).test);
  });

  it('deals rows out without looking at classes when not stratified', () => {
    fc.assert(
      fc.property(labels, shares, seed, (rows, share, number) => {
        const split = splitRows(rows, { ...share, stratify: false, seed: number });
        expectPartition(split, rows.length);
        expect(split).toEqual(splitRows(new Int32Array(rows.length), { ...share, stratify: false, seed: number }));
      }),
    );
  });

  it.each([
    { train: 0.7, validation: 0.2, test: 0.2 },
    { train: 0, validation: 0.5, test: 0.5 },
    { train: 1.2, validation: -0.1, test: -0.1 },
    { train: NaN, validation: 0.5, test: 0.5 },
  ])('refuses the shares %j', (share) => {
    expect(() => splitRows(Int32Array.of(0, 1), { ...share, stratify: true, seed: 0 })).toThrow(
      expect.objectContaining({ code: 'E_USAGE' }),
    );
  });
});
