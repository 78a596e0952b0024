// Bundles the gradients that tfjs-core does not register in Node, compiles ts/ to dist/ and bundles the benchmark into dist/bench.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './native/sources.mjs';

function node(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** Exits the process with the compiler's code when a step fails. */
export async function buildTypeScript() {
  const started = performance.now();
  // The compiler reads the declarations of the bundle, so the bundle comes first.
  node(join(ROOT, 'scripts', 'build-gradients.mjs'));
  node(createRequire(join(ROOT, 'package.json')).resolve('typescript/bin/tsc'), '--project', 'tsconfig.json');
  const { build } = await import('esbuild'); // not there where only dependencies are installed
  // The package itself and its dependencies stay outside the bundle.
  await build({
    entryPoints: { main: join(ROOT, 'bench/main.ts'), worker: join(ROOT, 'bench/ops/worker.ts') },
    outdir: join(ROOT, 'dist/bench'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    sourcemap: 'linked',
    logLevel: 'warning',
  });
  const command = join(ROOT, 'dist', 'cli', 'main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  console.log(`tensorkiln: TypeScript compiled in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildTypeScript();
