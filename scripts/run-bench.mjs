// Bundles bench/, builds the native legs and runs the benchmark; arguments go on to bench/main.ts. The package itself and its
// dependencies stay outside the bundle. Nothing is installed: a library that is not there is a peer that is skipped.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { findProgram } from './native/toolchain.mjs';
import { ROOT } from './native/sources.mjs';

const outdir = join(ROOT, 'build-bench');

/** The legs in C++; without CMake the table of kernels says so. */
function buildLegs() {
  const cmake = findProgram('cmake');
  if (cmake === undefined) return;
  const folder = join(outdir, 'cmake');
  const step = (...args) => {
    const { status, stdout, stderr } = spawnSync(cmake, args, { cwd: ROOT, encoding: 'utf8' });
    if (status !== 0) throw new Error(`cmake ${args.join(' ')}:\n${stdout}${stderr}`);
  };
  const generator = findProgram('ninja') === undefined ? [] : ['-G', 'Ninja'];
  const definitions = process.env.TENSORKILN_BENCH_DEFINITIONS?.split(' ') ?? [];
  process.stderr.write('building the native legs of the benchmark\n');
  step('-S', '.', '-B', folder, ...generator, '-DTENSORKILN_BENCH=ON', '-DTENSORKILN_WERROR=OFF', ...definitions);
  step('--build', folder, '--parallel');
}

await build({
  entryPoints: { main: join(ROOT, 'bench/main.ts'), worker: join(ROOT, 'bench/ops/worker.ts') },
  outdir,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
buildLegs();
const args = ['--enable-source-maps', join(outdir, 'main.js'), ...process.argv.slice(2)];
const { status, error } = spawnSync(process.execPath, args, {
  cwd: ROOT,
  stdio: 'inherit',
  env: { ...process.env, TENSORKILN_BENCH_NATIVE: process.env.TENSORKILN_BENCH_NATIVE ?? join(outdir, 'cmake') },
});
if (error !== undefined) throw error;
process.exitCode = status ?? 1;
