// Removes everything that a build or a test run makes.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './native/sources.mjs';

for (const name of readdirSync(ROOT)) {
  if (['dist', 'build', 'coverage', '.cache'].includes(name) || name.startsWith('build-')) {
    rmSync(join(ROOT, name), { recursive: true, force: true });
  }
}
