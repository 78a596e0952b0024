/** The engine's life cycle in processes of their own: workers that end at any moment, several environments, memory. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

async function run(script: string, args: string[] = [], env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const path = fileURLToPath(new URL(`../support/lifecycle/${script}`, import.meta.url));
  // A crash of the child shows as a rejection with the signal's name.
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', path, ...args], {
    env: { ...process.env, ...env },
    timeout: 170_000,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

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

  it('keeps the resident size flat over 10,000 cycles of created and forgotten tensors', { timeout: 120_000 }, async () => {
    const { settledMb, endMb, livingBytes, peakMb } = (await run('forget.mjs', ['10000'])) as Record<string, number>;
    expect(endMb).toBeLessThanOrEqual((settledMb as number) * 1.05);
    // One cycle makes 0.8 MB: without reclaim all cycles would hold 8 GB. The last ones may still be referenced.
    expect(peakMb).toBeLessThan(1024);
    expect(livingBytes).toBeLessThan(4 * 2 ** 20);
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

  it('never keeps the JavaScript thread in native code for 10 ms while it trains', { timeout: 170_000 }, async () => {
    // The counter is wall-clock time: on a busy machine other processes push the thread aside in mid-call, which is not ours
    // to count. A call that really stays too long does so in every run.
    const runs = [];
    for (let attempt = 0; attempt < 6; ++attempt) {
      const { longestStayMs, firstStayMs, steps } = (await run('stay.mjs')) as Record<string, number>;
      expect(steps).toBe(20);
      runs.push({ longestStayMs: longestStayMs as number, firstStayMs: firstStayMs as number });
      if (runs.some((one) => one.longestStayMs < 10) && runs.some((one) => one.firstStayMs < 50)) return;
    }
    expect.fail(`longest stays of six runs: ${JSON.stringify(runs)}`);
  });
});
