import { hash32 } from './fill.js';

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

/** How many times as fast as the peer we are, with a 95 % interval. */
export interface Ratio {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Ratio of the medians, peer over ours, from blocks measured in turn: block i of both lies in round i. The interval is a percentile
 * bootstrap over rounds (Efron 1979), which keeps what both suffered together in a round together.
 */
export function ratioOf(ours: readonly number[], peer: readonly number[]): Ratio {
  if (ours.length !== peer.length) throw new RangeError(`ratioOf: ${ours.length} blocks of ours, ${peer.length} of the peer's`);
  const value = median(peer) / median(ours);
  const rounds = ours.length;
  const resampled: number[] = [];
  for (let i = 0; i < 1000; ++i) {
    // Fixed numbers: one set of samples gives one interval.
    const picked = Array.from({ length: rounds }, (_, j) => hash32(i * rounds + j) % rounds);
    resampled.push(median(picked.map((round) => peer[round]!)) / median(picked.map((round) => ours[round]!)));
  }
  return { value, low: quantile(resampled, 0.025), high: quantile(resampled, 0.975) };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
