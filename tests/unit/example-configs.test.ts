import { readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../../ts/run/config/load.js';
import { ROOT } from '../support/files.js';

const EXAMPLES = join(ROOT, 'examples');
const configs = readdirSync(EXAMPLES).filter((name) => existsSync(join(EXAMPLES, name, 'training-config.yaml')));

it.each(configs)('examples/%s is a valid configuration whose data lies beside it or in shared/data', async (name) => {
  const { data } = await loadConfig(join(EXAMPLES, name, 'training-config.yaml'));
  expect(data.path).toMatch(name === 'penguins' ? /examples\/penguins\/penguins\.csv$/ : /\/shared\/data\//);
});
