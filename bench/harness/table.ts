import type { CaseResult, Outcome } from './measure.js';
import { OURS } from './peers.js';
import { type Ratio, geometricMean, median, ratioOf, spread } from './statistics.js';

/** What one thread or all of them can do at most, measured at the start. Absent where there is no such loop. */
export interface Limits {
  readonly gflops?: number;
  readonly copy?: number;
  readonly streamed?: number;
  readonly read?: number;
}

export interface PeerCell {
  readonly name: string;
  readonly ratio?: Ratio;
  readonly seconds?: number;
  /** Why there is no time. */
  readonly note?: string;
}

export interface Row {
  readonly name: string;
  readonly family: string;
  readonly threads: number;
  readonly seconds: number;
  readonly spread: number;
  readonly rate: number;
  readonly unit: 'GFLOP/s' | 'GB/s';
  /** Of the limit measured at the start. */
  readonly share: number | undefined;
  readonly peers: readonly PeerCell[];
  readonly othersLoad: number;
}

function cellOf(name: string, outcome: Outcome | undefined, ours: readonly number[]): PeerCell {
  if (outcome === undefined || outcome.kind === 'unsupported') return { name, note: 'has no such op' };
  if (outcome.kind === 'failed') return { name, note: outcome.reason };
  return { name, ratio: ratioOf(ours, outcome.samples), seconds: median(outcome.samples) };
}

/** Large results go past the caches, so the copy that does so is their limit; a sum has nothing to write. */
function limitOf({ entry }: CaseResult, limits: Limits): number | undefined {
  if (entry.work.unit === 'flop') return limits.gflops;
  const reads = entry.size * 4 < entry.work.amount / 16;
  const fits = entry.work.amount < 32e6;
  if (fits) return undefined;
  return reads ? limits.read : Math.max(limits.copy ?? 0, limits.streamed ?? 0) || undefined;
}

export function rowOf(result: CaseResult, limits: Limits): Row {
  const { entry, threads, outcomes } = result;
  const ours = outcomes.get(OURS);
  if (ours?.kind !== 'time') throw new Error(`${entry.name}: not measured`);
  const seconds = median(ours.samples);
  const rate = entry.work.amount / seconds / 1e9;
  const limit = limitOf(result, limits);
  return {
    name: entry.name,
    family: entry.family,
    threads,
    seconds,
    spread: spread(ours.samples),
    rate,
    unit: entry.work.unit === 'flop' ? 'GFLOP/s' : 'GB/s',
    share: limit === undefined ? undefined : rate / limit,
    peers: [...outcomes.entries()]
      .filter(([name]) => name !== OURS)
      .map(([name, outcome]) => cellOf(name, outcome, ours.samples)),
    othersLoad: result.othersLoad,
  };
}

/** Geometric mean of the ratios to each peer, over the rows that have one. */
export function means(rows: readonly Row[]): ReadonlyMap<string, { readonly mean: number; readonly count: number }> {
  const ratios = new Map<string, number[]>();
  for (const { peers } of rows) {
    for (const { name, ratio } of peers) {
      if (ratio !== undefined) ratios.set(name, [...(ratios.get(name) ?? []), ratio.value]);
    }
  }
  return new Map([...ratios].map(([name, values]) => [name, { mean: geometricMean(values), count: values.length }]));
}
