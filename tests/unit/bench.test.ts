import { describe, expect, it } from 'vitest';
import { fixedValues } from '../../bench/harness/case.js';
import { median, quantile, relativeDifference, spread } from '../../bench/harness/statistics.js';

describe('statistics of the benchmarks', () => {
  it('takes the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
  });

  it('interpolates quantiles as numpy does', () => {
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
    expect(spread([1, 2, 3, 4, 5])).toBeCloseTo(2 / 3, 12);
  });

  it('compares results relative to their largest value', () => {
    expect(relativeDifference(Float32Array.of(1, 4), Float32Array.of(1, 2))).toBe(1);
    expect(relativeDifference(Float32Array.of(0), Float32Array.of(0))).toBe(0);
    expect(relativeDifference(Float32Array.of(NaN), Float32Array.of(1))).toBe(Infinity);
    expect(relativeDifference(Float32Array.of(1), Float32Array.of(1, 1))).toBe(Infinity);
  });

  it('makes the same inputs everywhere', () => {
    const values = fixedValues(1000, 7);
    expect(values).toEqual(fixedValues(1000, 7));
    expect(values).not.toEqual(fixedValues(1000, 8));
    expect(Math.max(...values)).toBeLessThan(1);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-1);
  });
});
