// Bundles bench/steps and runs it; arguments go on to bench/steps/main.ts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './native/sources.mjs';

const outdir = join(ROOT, 'build-bench');
await build({
  entryPoints: { 'steps-main': join(ROOT, 'bench/steps/main.ts'), 'steps-worker': join(ROOT, 'bench/steps/worker.ts') },
  outdir,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});
const { status, error } = spawnSync(process.execPath, [join(outdir, 'steps-main.js'), ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
});
if (error !== undefined) throw error;
process.exitCode = status ?? 1;
