// Writes the pages and files that are made from schema and commands. Needs dist/: `npm run docs` builds first.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import prettier from 'prettier';
import { generatedFiles } from '../dist/cli/docs.js';
import { ROOT } from './native/sources.mjs';

for (const [name, content] of Object.entries(generatedFiles())) {
  const path = join(ROOT, name);
  const options = await prettier.resolveConfig(path);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, await prettier.format(content, { ...options, filepath: path }));
  console.log(name);
}
