import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../ts/run/config/load.js';
import { repeatTraining } from '../../ts/run/series.js';
import { ROOT } from '../support/files.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-examples-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What examples/README.md says, as bounds on means over seeds. */
it.for([
  { name: 'housing', times: 10, score: 'rmse', most: 3.7 },
  { name: 'adult', times: 3, score: 'rocAuc', least: 0.91 },
  { name: 'reviews', times: 3, score: 'accuracy', least: 0.85 },
  { name: 'mammography', times: 3, score: 'prAuc', least: 0.6 },
])(
  'examples/$name: $score as the mean of $times runs',
  async ({ name, times, score, most = Infinity, least = -Infinity }, context) => {
    const config = await loadConfig(join(ROOT, 'examples', name, 'training-config.yaml'), { output: join(folder, name) });
    if (!existsSync(config.data.path)) context.skip('its data is not on this machine');
    const { test } = await repeatTraining(config, times);
    expect(test[score]?.mean).toBeLessThanOrEqual(most);
    expect(test[score]?.mean).toBeGreaterThanOrEqual(least);
  },
);
