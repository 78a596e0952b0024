// Spoils one output of one op after the other and reports which test notices.
//   node scripts/mutation.mjs
// Prints a line `op output -> test` for each; exit code 1 when a mutant survives. The tests themselves also run in `npm test`
// (tests/differential/mutation.test.ts); tests/support/differential/mutation.ts says what is changed and how.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './native/sources.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-mutation-'));
const report = join(folder, 'report.json');
const command = ['vitest', 'run', '--project', 'differential', 'mutation', '--reporter', 'json', '--outputFile', report];

try {
  const { error, status } = spawnSync('npx', command, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  if (error) throw error;
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const mutants = results.filter(({ ancestorTitles }) => ancestorTitles.includes('a wrong result is noticed'));
  const survivors = mutants.filter(({ meta }) => meta.catcher === undefined);
  for (const { title, meta } of mutants) console.log(`${title} -> ${meta.catcher ?? 'SURVIVED'}`);
  console.log(`mutation: ${mutants.length - survivors.length} caught, ${survivors.length} survived`);
  process.exitCode = status === 0 && mutants.length > 0 && survivors.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
