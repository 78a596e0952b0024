import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kFold, splitByGroup, splitByTime } from '../../ts/data/split-methods.js';

const SHARES = { train: 0.6, validation: 0.2, test: 0.2 };
const sorted = (...parts: Int32Array[]): number[] => parts.flatMap((part) => [...part]).sort((a, b) => a - b);

describe('splitByGroup', () => {
  it('keeps groups together, uses every row once, and leaves no part empty', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 12 }), { minLength: 3, maxLength: 80 }), fc.nat(1000), (groups, seed) => {
        fc.pre(new Set(groups.map((group, row) => (group < 0 ? `own ${row}` : group))).size >= 3);
        const { train, validation, test } = splitByGroup(Int32Array.from(groups), SHARES, seed);
        expect(sorted(train, validation, test)).toEqual(groups.map((_, row) => row));
        expect(Math.min(train.length, validation.length, test.length)).toBeGreaterThan(0);
        const partsOf = new Map<number, Set<string>>();
        for (const [name, part] of Object.entries({ train, validation, test })) {
          for (const row of part) {
            const group = groups[row] as number;
            if (group >= 0) partsOf.set(group, (partsOf.get(group) ?? new Set()).add(name));
          }
        }
        expect([...partsOf.values()].every((parts) => parts.size === 1)).toBe(true);
      }),
    );
  });

  it('comes near the shares, the same for one seed, another for another', () => {
    const groups = Int32Array.from({ length: 1000 }, (_, row) => row % 100);
    const first = splitByGroup(groups, SHARES, 1);
    expect(first.train.length).toBe(600);
    expect(first.test.length).toBe(200);
    expect(splitByGroup(groups, SHARES, 1)).toEqual(first);
    expect(splitByGroup(groups, SHARES, 2)).not.toEqual(first);
  });

  it('refuses fewer groups than parts', () => {
    expect(() => splitByGroup(Int32Array.of(0, 0, 1, 1), SHARES, 0)).toThrow(/expected at least 3, one for each part, got 2/);
  });
});

describe('splitByTime', () => {
  it('trains on the past and tests on the future, whatever the order of rows', () => {
    const times = Float64Array.of(50, 10, 40, 20, 30, 90, 70, 60, 80, 100);
    const { train, validation, test } = splitByTime(times, SHARES);
    const at = (rows: Int32Array): number[] => [...rows].map((row) => times[row] as number).sort((a, b) => a - b);
    expect([at(train), at(validation), at(test)]).toEqual([
      [10, 20, 30, 40, 50, 60],
      [70, 80],
      [90, 100],
    ]);
  });

  it('does not tear one point in time apart', () => {
    const { train, validation, test } = splitByTime(Float64Array.of(1, 2, 2, 2, 2, 2, 2, 2, 3, 3), SHARES);
    expect([train.length, validation.length, test.length]).toEqual([8, 0, 2]);
  });
});

describe('kFold', () => {
  const labels = Int32Array.from({ length: 53 }, (_, row) => (row % 10 === 0 ? 1 : 0));

  it.each([true, false])('holds each row out once (stratify: %s)', (stratify) => {
    const folds = kFold(labels, { folds: 5, seed: 3, stratify });
    expect(sorted(...folds.map(({ held }) => held))).toEqual([...labels.keys()]);
    for (const { train, held } of folds) {
      expect(sorted(train, held)).toEqual([...labels.keys()]);
      expect([10, 11]).toContain(held.length);
    }
  });

  it('spreads each class evenly when asked', () => {
    const rare = kFold(labels, { folds: 3, seed: 0, stratify: true }).map(
      ({ held }) => held.filter((row) => labels[row] === 1).length,
    );
    expect(rare).toEqual([2, 2, 2]);
  });

  it.each([1, 2.5, 54])('refuses %s folds', (folds) => {
    expect(() => kFold(labels, { folds, seed: 0, stratify: true })).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
