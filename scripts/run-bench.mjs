// Bundles bench/ and runs it; arguments go on to bench/main.ts. The package itself and its dependencies stay outside the bundle.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './native/sources.mjs';

const outdir = join(ROOT, 'build-bench');
await build({
  entryPoints: { main: join(ROOT, 'bench/main.ts'), worker: join(ROOT, 'bench/harness/worker.ts') },
  outdir,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const args = ['--enable-source-maps', join(outdir, 'main.js'), ...process.argv.slice(2)];
const { status, error } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
if (error !== undefined) throw error;
process.exitCode = status ?? 1;
