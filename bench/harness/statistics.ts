/** Median of the samples; the mean of the middle two for an even count. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Distance between the quartiles divided by the median: 0.1 means that half of the samples lie within about 10 %. */
export function spread(samples: readonly number[]): number {
  return (quantile(samples, 0.75) - quantile(samples, 0.25)) / median(samples);
}

/** Linear interpolation between order statistics (Hyndman, Fan 1996, type 7). */
export function quantile(samples: readonly number[], probability: number): number {
  if (samples.length === 0) throw new RangeError('quantile: expected at least one sample');
  const sorted = [...samples].sort((left, right) => left - right);
  const position = (sorted.length - 1) * probability;
  const low = sorted[Math.floor(position)] as number;
  const high = sorted[Math.ceil(position)] as number;
  return low + (high - low) * (position - Math.floor(position));
}

/** Largest difference between two results, relative to the largest magnitude in `expected`; infinite when sizes differ. */
export function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; ++i) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const distance = Math.abs(actual[i]! - expected[i]!);
    // NaN compares as false everywhere, and a NaN must not pass for equal.
    if (!(distance <= difference)) difference = Number.isNaN(distance) ? Infinity : distance;
  }
  return largest === 0 ? difference : difference / largest;
}
