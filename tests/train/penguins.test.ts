import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../ts/run/config/load.js';
import { runTraining } from '../../ts/run/run-training.js';

const CONFIG = fileURLToPath(new URL('../../examples/penguins/training-config.yaml', import.meta.url));
const SEEDS = [0, 1, 2, 3, 4];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-penguins-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it('the penguin example reaches 98.5 % on held-out rows as the mean of five splits and seeds', async () => {
  const accuracies: number[] = [];
  for (const seed of SEEDS) {
    const config = await loadConfig(CONFIG, {
      output: join(folder, String(seed)),
      set: [`split.seed=${seed}`, `training.seed=${seed}`],
    });
    const { test, baselines } = await runTraining(config, { name: `seed ${seed}` });
    const [accuracy, majority] = [test, baselines.find(({ name }) => name === 'majority')].map((scores) =>
      scores?.task === 'classification' ? scores.accuracy : NaN,
    ) as [number, number];
    accuracies.push(accuracy);
    expect(accuracy).toBeGreaterThan(majority);
  }
  expect(accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / SEEDS.length).toBeGreaterThanOrEqual(0.985);
});
