/** Loading the addon and choosing the device, each in a process of its own: both are decided once per process. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runModule } from '../support/run-module.js';

const folder = mkdtempSync(path.join(tmpdir(), 'tensorkiln-load-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const require = createRequire(import.meta.url);

function file(name: string, content: string): string {
  const target = path.join(folder, name);
  writeFileSync(target, content);
  return target;
}

/** Imports the package, uses it, and prints the error as JSON. */
const USE = `
  import * as tf from '@tensorflow/tfjs-core';
  import './dist/index.js';
  console.log('imported ' + tf.getBackend());
  const report = (error) => console.log(JSON.stringify({ code: error.code, message: error.message, stack: error.stack }));
  try { console.log(JSON.stringify({ sum: tf.sum(tf.fill([2, 3], 2)).dataSync()[0] })); } catch (error) { report(error); }
`;

interface Report {
  readonly code?: string;
  readonly message?: string;
  readonly sum?: number;
}

async function use(env: Record<string, string>): Promise<{ imported: string; report: Report; stderr: string }> {
  const { code, stdout, stderr } = await runModule(USE, env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [imported = '', report = ''] = stdout.trim().split('\n');
  return { imported, report: JSON.parse(report) as Report, stderr };
}

describe('the addon', () => {
  it('is found in the local build', async () => {
    const { imported, report } = await use({});
    expect(imported).toBe('imported tensorkiln-cpu');
    expect(report.sum).toBe(12);
  });

  it('that is missing lets the import succeed and says at first use where it was looked for', async () => {
    const { imported, report } = await use({ TENSORKILN_ADDON: path.join(folder, 'absent.node') });
    expect(imported).toBe('imported tensorkiln-cpu');
    expect(report.code).toBe('E_NATIVE_LOAD');
    for (const part of [
      'absent.node',
      'no such file',
      process.platform,
      process.arch,
      process.version,
      'npm rebuild tensorkiln',
      'g++',
    ]) {
      expect(report.message).toContain(part);
    }
  });

  it('that cannot be loaded is reported with the reason', async () => {
    const { report } = await use({ TENSORKILN_ADDON: file('broken.node', 'this is not a shared library') });
    expect(report.code).toBe('E_NATIVE_LOAD');
    expect(report.message).toMatch(/broken\.node: .+/);
  });

  it('of another interface version is refused', async () => {
    const { report } = await use({ TENSORKILN_ADDON: file('other-api.cjs', 'module.exports = { apiVersion: 99 };') });
    expect(report.code).toBe('E_NATIVE_VERSION');
    expect(report.message).toMatch(/version 99/);
  });

  it('built from another package version is refused, naming both', async () => {
    const source = `module.exports = { apiVersion: 1, buildInfo: () => ({ version: '0.0.7' }) };`;
    const { report } = await use({ TENSORKILN_ADDON: file('other-version.cjs', source) });
    expect(report.code).toBe('E_NATIVE_VERSION');
    expect(report.message).toContain('0.0.7');
    const { version } = require('../../package.json') as { version: string };
    expect(report.message).toContain(version);
  });

  it('that lacks an op is refused, naming the op', async () => {
    const source = `
      const { version } = require(${JSON.stringify(require.resolve('../../package.json'))});
      module.exports = {
        apiVersion: 1,
        buildInfo: () => ({ version }),
        argumentBlock: () => ({ ints: new Int32Array(8), floats: new Float64Array(8) }),
        ops: () => [],
      };`;
    const { report } = await use({ TENSORKILN_ADDON: file('no-ops.cjs', source) });
    expect(report.code).toBe('E_NATIVE_VERSION');
    expect(report.message).toMatch(/matmul/);
  });

  it('is described without an exception, present or not', async () => {
    const source = `
      import { describeNative } from './dist/native/load.js';
      console.log(JSON.stringify(describeNative()));`;
    const present = JSON.parse((await runModule(source)).stdout) as Record<string, unknown>;
    expect(present).toMatchObject({ loaded: true, platform: process.platform });
    expect(present['attempts']).toContainEqual(expect.objectContaining({ outcome: 'loaded', reason: '' }));
    const absent = JSON.parse((await runModule(source, { TENSORKILN_ADDON: '/nowhere/x.node' })).stdout) as Record<
      string,
      unknown
    >;
    expect(absent).toMatchObject({ loaded: false, error: { code: 'E_NATIVE_LOAD' } });
    expect(absent['attempts']).toEqual([
      { place: 'TENSORKILN_ADDON', path: '/nowhere/x.node', outcome: 'absent', reason: 'no such file' },
    ]);
  });
});

describe('a wrong environment variable of the addon', () => {
  it.each([
    ['TENSORKILN_THREADS', 'many'],
    ['TENSORKILN_LEVEL', 'best'],
    ['TENSORKILN_BF16', 'fast'],
    ['TENSORKILN_MEMORY_LIMIT', '12Q'],
  ])('%s is named at the first use, and the process ends', async (name, value) => {
    const source = `
      import * as tf from '@tensorflow/tfjs-core';
      import './dist/index.js';
      try { await tf.tensor1d([1]).data(); } catch (error) { console.log(error.code, error.message); }`;
    const { code, stdout } = await runModule(source, { [name]: value });
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^E_CONFIG .*${name}: expected .*'${value}'`));
    expect(stdout).not.toContain('npm rebuild');
  });
});

describe('TENSORKILN_DEVICE', () => {
  it.each(['auto', 'cpu', ''])("'%s' is the CPU", async (value) => {
    const { imported, report } = await use({ TENSORKILN_DEVICE: value });
    expect(imported).toBe('imported tensorkiln-cpu');
    expect(report.sum).toBe(12);
  });

  it.each(['cuda', 'cuda:1'])("'%s' without a GPU fails when it is used", async (value) => {
    const { imported, report } = await use({ TENSORKILN_DEVICE: value });
    expect(imported).toBe('imported tensorkiln-cuda');
    expect(report.code).toBe('E_DEVICE');
    expect(report.message).toContain(value);
    // How to get the library, or, where it is built, what else is missing.
    expect(report.message).toMatch(/nvcc.*npm run build:cuda|NVIDIA driver|GPU/);
  });

  it('leaves the CPU backend to those who ask for it', async () => {
    const source = USE.replace('try {', `await tf.setBackend('tensorkiln-cpu'); try {`);
    const { stdout } = await runModule(source, { TENSORKILN_DEVICE: 'cuda' });
    expect(stdout).toContain('{"sum":12}');
  });

  it('of an unknown value stops the import', async () => {
    const { code, stderr } = await runModule(USE, { TENSORKILN_DEVICE: 'tpu' });
    expect(code).not.toBe(0);
    expect(stderr).toContain('E_CONFIG');
    expect(stderr).toContain("'tpu'");
  });
});

describe('together with other packages', () => {
  it('takes over from the stock backend, imported before or after', async () => {
    for (const order of [
      ['@tensorflow/tfjs-backend-cpu', './dist/index.js'],
      ['./dist/index.js', '@tensorflow/tfjs-backend-cpu'],
    ]) {
      const source = `
        import * as tf from '@tensorflow/tfjs-core';
        ${order.map((name) => `import '${name}';`).join('\n')}
        console.log(tf.getBackend(), tf.grad((x) => x.square().sum())(tf.tensor1d([3])).dataSync()[0]);`;
      expect((await runModule(source)).stdout.trim()).toBe('tensorkiln-cpu 6');
    }
  });

  it('works from CommonJS', async () => {
    const source = `
      import { createRequire } from 'node:module';
      const tf = createRequire(process.cwd() + '/package.json')('@tensorflow/tfjs-core');
      await import('./dist/index.js');
      console.log(tf.getBackend(), tf.tensor1d([1, 2]).add(1).sum().dataSync()[0]);`;
    expect((await runModule(source)).stdout.trim()).toBe('tensorkiln-cpu 5');
  });

  it('names both places when tfjs-core is loaded twice', async () => {
    const copy = path.join(folder, 'node_modules', '@tensorflow', 'tfjs-core');
    mkdirSync(path.join(copy, 'dist'), { recursive: true });
    const original = path.dirname(require.resolve('@tensorflow/tfjs-core/package.json'));
    cpSync(path.join(original, 'package.json'), path.join(copy, 'package.json'));
    cpSync(path.join(original, 'dist', 'tf-core.node.js'), path.join(copy, 'dist', 'tf-core.node.js'));
    for (const dependency of ['long', 'seedrandom', 'node-fetch']) {
      const stub = path.join(folder, 'node_modules', dependency);
      mkdirSync(stub, { recursive: true });
      writeFileSync(
        path.join(stub, 'index.js'),
        `module.exports = require(${JSON.stringify(require.resolve(dependency, { paths: [original] }))});`,
      );
    }
    const second = path.join(copy, 'dist', 'tf-core.node.js');
    const load = `import { createRequire } from 'node:module'; createRequire(import.meta.url)(${JSON.stringify(second)});`;
    const before = await runModule(`${load} await import('./dist/index.js');`);
    expect(before.code).not.toBe(0);
    for (const part of ['E_DUPLICATE_TFJS', second, path.join(original, 'dist', 'tf-core.node.js'), 'npm dedupe']) {
      expect(before.stderr).toContain(part);
    }
    const after = await runModule(`
      import * as tf from '@tensorflow/tfjs-core';
      import './dist/index.js';
      ${load}
      try { tf.ones([1]); } catch (error) { console.log(error.code); }`);
    expect(after.stdout.trim()).toBe('E_DUPLICATE_TFJS');
  });
});
