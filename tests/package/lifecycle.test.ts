/** The engine's life cycle in processes of their own: workers that end at any moment, several environments, the budget. */
import { describe, expect, it } from 'vitest';
import { runLifecycle as run } from '../support/lifecycle/run.js';

describe('life cycle', () => {
  it('survives 200 workers terminated in mid-step, then trains in the main thread', { timeout: 180_000 }, async () => {
    const result = await run('worker-terminated.mjs', ['200']);
    expect(result.rounds).toBe(200);
    // 150 more workers than at the first reading: what each left behind would show.
    expect(result.growthMb).toBeLessThan(30);
    expect(result.lastLoss).toBeLessThan((result.firstLoss as number) * 0.9);
  });

  it('trains in two workers and the main thread at once, each as if alone', { timeout: 120_000 }, async () => {
    expect((await run('workers-and-main.mjs')).equal).toEqual([true, true, true]);
  });

  it('reports the memory budget clearly and stays usable', { timeout: 120_000 }, async () => {
    const result = await run('budget.mjs', [], { TENSORKILN_MEMORY_LIMIT: '256M' });
    expect(result.code).toBe('E_OUT_OF_MEMORY');
    expect(result.message).toMatch(
      /\[(fill|add)\] out of memory for shape \[1024,1024\]: asked 4194304 bytes, held \d+ of a budget of 268435456 bytes/,
    );
    expect(result.count).toBeGreaterThan(25);
    expect(result.intact).toBe(true);
    expect(result.single).toBe('E_OUT_OF_MEMORY');
    expect(result.after).toBe(3072);
  });
});
