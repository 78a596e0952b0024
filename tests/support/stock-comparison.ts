/** One tfjs program run on the stock cpu backend and on ours, for tests that compare the two. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '../../ts/backend/register.js';
import { expect } from 'vitest';

export type Numbers = ArrayLike<number>;

/** Runs a program on one backend and leaves ours the current one. */
export async function runOn<T>(backend: 'cpu' | 'tensorkiln-cpu', program: () => Promise<T>): Promise<T> {
  await tf.setBackend(backend);
  try {
    return await program();
  } finally {
    await tf.setBackend('tensorkiln-cpu');
  }
}

/** Runs a program on the stock cpu backend, then on ours. */
export async function onBoth<T>(program: () => Promise<T>): Promise<{ stock: T; ours: T }> {
  const stock = await runOn('cpu', program);
  return { stock, ours: await runOn('tensorkiln-cpu', program) };
}

/**
 * Expects |ours - stock| <= tolerance * max(1, |stock|) for each element; NaN and infinities must be the same ones.
 *
 * @param tolerance default 1e-4, what issue 4 allows: both compute in float32, with sums in another order
 */
export function expectClose(ours: Numbers, stock: Numbers, label: string, tolerance = 1e-4): void {
  expect(ours.length, `${label}: number of values`).toBe(stock.length);
  for (let i = 0; i < stock.length; i++) {
    const [found, expected] = [ours[i]!, stock[i]!];
    const isEqual =
      Object.is(found, expected) ||
      found === expected ||
      Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected));
    if (!isEqual) expect.fail(`${label}[${String(i)}]: expected ${String(expected)}, got ${String(found)}`);
  }
}

/** `count` numbers in [-1, 1): the same for the same seed on every backend (Numerical Recipes' linear congruential generator). */
export function numbers(count: number, seed: number): Float32Array {
  let state = (seed * 2654435761) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  });
}
