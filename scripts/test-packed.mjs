// Packs the package, installs the tarball into an empty folder as a user would, and uses it there.
//   node scripts/test-packed.mjs
// Ends with one line `packed: N passed, N failed`; exit code 1 when anything failed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './native/sources.mjs';

const windows = process.platform === 'win32';
const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-packed-'));
let passed = 0;
let failed = 0;

function run(command, args, cwd) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    shell: windows,
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

function step(name, body) {
  const started = performance.now();
  try {
    body();
    passed += 1;
    console.log(`  ok      ${name}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return true;
  } catch (error) {
    failed += 1;
    console.log(`  FAILED  ${name}: ${error.message}`);
    return false;
  }
}

function expectEqual(what, found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(found)}`);
  }
}

const SMOKE = `
import * as tf from '@tensorflow/tfjs-core';
import 'tensorkiln';
const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
const grad = tf.grad((x) => tf.sum(tf.square(tf.matMul(x, a))));
console.log(JSON.stringify({
  backend: tf.getBackend(),
  product: [...tf.matMul(a, a).dataSync()],
  gradient: [...(await grad(tf.tensor2d([1, 2, 3, 4], [2, 2])).data())],
}));
`;

try {
  let tarball = '';
  const ready =
    step('npm pack', () => {
      // Scripts off: what lies in dist/ is what was built and tested.
      run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], ROOT);
      tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
      const files = run('tar', ['-tzf', join(folder, tarball)], folder).split('\n');
      for (const wanted of [
        'dist/index.js',
        'dist/cli/main.js',
        'native/ops/ops.def',
        'scripts/install.mjs',
        'LICENSE',
        'README.md',
      ]) {
        if (!files.includes(`package/${wanted}`)) throw new Error(`the tarball lacks ${wanted}`);
      }
      const stray = files.filter((name) => /^package\/(tests|ts|build|node_modules|\.ci)\//.test(name));
      expectEqual('files that do not belong there', stray, []);
    }) &&
    step('npm install into an empty folder', () => {
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'smoke', private: true, type: 'module' }));
      const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules/@tensorflow/tfjs-core/package.json'), 'utf8'));
      run(
        'npm',
        ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`, `@tensorflow/tfjs-core@${version}`],
        folder,
      );
    });
  if (ready) {
    step('a tfjs script runs on the addon', () => {
      writeFileSync(join(folder, 'smoke.mjs'), SMOKE);
      const result = JSON.parse(run(process.execPath, ['smoke.mjs'], folder));
      // d/dx of sum((x a)^2) is 2 (x a) aT; here x and a are two tensors of the values [[1, 2], [3, 4]].
      expectEqual('smoke.mjs', result, { backend: 'tensorkiln-cpu', product: [7, 10, 15, 22], gradient: [54, 122, 118, 266] });
    });
    step('the command runs', () => {
      const command = join(folder, 'node_modules', '.bin', windows ? 'tensorkiln.cmd' : 'tensorkiln');
      const report = JSON.parse(run(command, ['inspect', '--json'], folder));
      expectEqual('addon loaded', report.native.loaded, true);
      expectEqual('copies of tfjs-core', report.tfjsCore.length, 1);
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`packed: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
