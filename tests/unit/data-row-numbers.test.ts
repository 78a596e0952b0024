import { describe, expect, it } from 'vitest';
import { meanAndDeviationOf, rangeOf, type RowNumbers } from '../../ts/data/row-numbers.js';
import { describePasses } from '../support/row-number-passes.js';

describe('passes in JavaScript over columns of', () => {
  describePasses(5_000);
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
