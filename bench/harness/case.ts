import type * as Tfjs from '@tensorflow/tfjs-core';

/** Which backend a process measures. `stock` is @tensorflow/tfjs-backend-cpu, `tensorkiln` ours. */
export const SUBJECTS = ['tensorkiln', 'stock'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** One prepared case: `run` does the work once, waits for it and returns what it computed. */
export interface PreparedCase {
  run: () => Float32Array;
  /** Everything computed so far, where `run` returns only part of it; compared between subjects instead. */
  result?: () => Float32Array;
}

/** One line of the benchmark; the same work for every subject. */
export interface BenchmarkCase {
  readonly name: string;
  /** Floating-point operations or bytes of one run, whichever limits it. */
  readonly work: { readonly amount: number; readonly unit: 'flop' | 'byte' };
  /** Largest difference allowed between subjects, relative to the largest magnitude in the result, with its reason. */
  readonly tolerance: { readonly relative: number; readonly reason: string };
  readonly prepare: (tf: typeof Tfjs, subject: Subject) => Promise<PreparedCase>;
}

/** Values in [-1, 1) that are the same on every machine: a linear congruential generator (Numerical Recipes, 2nd ed., ch. 7.1). */
export function fixedValues(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
