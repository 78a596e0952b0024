/** What only a process that has the machine to itself can show: memory at rest and delays. */
import { expect, it } from 'vitest';
import { runLifecycle as run } from '../support/lifecycle/run.js';

it('keeps the resident size flat over 10,000 cycles of created and forgotten tensors', { timeout: 120_000 }, async () => {
  const { settledMb, endMb, livingBytes, peakMb } = (await run('forget.mjs', ['10000'])) as Record<string, number>;
  expect(endMb).toBeLessThanOrEqual((settledMb as number) * 1.05);
  // One cycle makes 0.8 MB: without reclaim all cycles would hold 8 GB. The last ones may still be referenced.
  expect(peakMb).toBeLessThan(1024);
  expect(livingBytes).toBeLessThan(4 * 2 ** 20);
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
