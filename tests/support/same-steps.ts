import { expect } from 'vitest';
import { bitsOf } from './native-backend.js';
import { runSteps, type StepCase, type StepRun } from './training-steps.js';

/** Checks that eager and replayed steps on 1 and 2 threads give the same losses and weights bit for bit. */
export async function expectSameSteps(stepCase: StepCase, count: number): Promise<void> {
  const reference = await runSteps(stepCase, count, { isCompiled: false, threads: 1 });
  expect(reference.replays).toBe(0);
  expect(reference.losses.every(Number.isFinite)).toBe(true);
  // The run learns: a comparison of steps that change nothing would prove nothing.
  expect(reference.losses.at(-1)!).toBeLessThan(reference.losses[0]!);
  for (const mode of [
    { isCompiled: true, threads: 1 },
    { isCompiled: false, threads: 2 },
    { isCompiled: true, threads: 2 },
  ]) {
    const run: StepRun = await runSteps(stepCase, count, mode);
    const label = JSON.stringify(mode);
    expect(run.replays, label).toBe(mode.isCompiled ? count - 2 : 0);
    expect(bitsOf(run.losses), label).toEqual(bitsOf(reference.losses));
    expect(run.weights.map(bitsOf), label).toEqual(reference.weights.map(bitsOf));
  }
}
