import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { platformPackageName } from '../../scripts/native/platform-package.mjs';
import { BuildProgress } from '../../scripts/native/progress.mjs';
import { platformPackage } from '../../ts/native/load.js';
import { ROOT } from '../support/files.js';

let folder: string;

/** A copy of what the install script needs, as a clone (with ts/) or as an installed package, with a PATH that has Node only. */
function makePackage(kind: 'clone' | 'dependency'): string {
  const root = kind === 'clone' ? join(folder, 'clone') : join(folder, 'node_modules', 'tensorkiln');
  for (const path of ['scripts', 'native', 'package.json', 'CMakeLists.txt', 'binding.gyp']) {
    cpSync(join(ROOT, path), join(root, path), { recursive: true });
  }
  if (kind === 'clone') mkdirSync(join(root, 'ts'));
  return root;
}

function install(root: string, env: Record<string, string>): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(root, 'scripts', 'install.mjs')], { encoding: 'utf8', env });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-install-'));
  mkdirSync(join(folder, 'bin'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the install script', () => {
  const noTools = (): Record<string, string> => ({ PATH: join(folder, 'bin') });

  it('fails loudly in a clone and names compiler, CMake and the line that installs them', () => {
    const { status, stderr } = install(makePackage('clone'), noTools());
    expect(status).toBe(1);
    expect(stderr).toContain('a C++ compiler (g++ or clang++)');
    expect(stderr).toContain('CMake');
    expect(stderr).toMatch(/apt-get install -y g\+\+ make cmake|dnf install|brew install/);
  });

  it('names CMake alone when only CMake is missing', () => {
    for (const name of ['g++', 'make']) {
      writeFileSync(join(folder, 'bin', name), '#!/bin/sh\necho 1.0\n', { mode: 0o755 });
    }
    const { status, stderr } = install(makePackage('clone'), noTools());
    expect(status).toBe(1);
    expect(stderr).toContain('cannot find CMake (or node-gyp with Python). Install with:');
  });

  it('prints one line and succeeds as a dependency', () => {
    const { status, stdout, stderr } = install(makePackage('dependency'), noTools());
    expect(status).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^tensorkiln: native addon not built \(cannot find .*\n$/);
  });

  it('takes the platform package of the same version', () => {
    const root = makePackage('dependency');
    const name = platformPackageName();
    const installed = join(root, 'node_modules', name);
    mkdirSync(installed, { recursive: true });
    const manifest = (version: string): void =>
      writeFileSync(join(installed, 'package.json'), JSON.stringify({ name, version }));
    manifest('0.0.1');
    expect(install(root, noTools()).stdout).toContain('not built');
    cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
    expect(install(root, noTools())).toMatchObject({
      status: 0,
      stdout: `tensorkiln: using the ready-made addon of ${name}\n`,
    });
  });

  it('names the platform package as the loader does', () => {
    expect(platformPackageName()).toBe(platformPackage());
  });

  it('leaves the build out when asked', () => {
    const { status, stdout } = install(makePackage('clone'), { ...noTools(), TENSORKILN_SKIP_BUILD: '1' });
    expect(status).toBe(0);
    expect(stdout).toBe('tensorkiln: native build skipped (TENSORKILN_SKIP_BUILD=1)\n');
  });

  it('shows the compiler error of a build that fails', (context) => {
    if (spawnSync('cmake', ['--version']).status !== 0) context.skip('needs CMake');
    const root = makePackage('clone');
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    rmSync(join(root, 'native'), { recursive: true });
    mkdirSync(join(root, 'native', 'core'), { recursive: true });
    writeFileSync(join(root, 'native', 'core', 'error.cc'), 'int main() { return broken_on_purpose; }\n');
    writeFileSync(
      join(root, 'CMakeLists.txt'),
      'cmake_minimum_required(VERSION 3.18)\nproject(t LANGUAGES CXX)\nset(CMAKE_EXPORT_COMPILE_COMMANDS ON)\nadd_library(t native/core/error.cc)\n',
    );
    const { status, stderr } = install(root, process.env as Record<string, string>);
    expect(status).toBe(1);
    expect(stderr).toContain('broken_on_purpose');
    expect(stderr).toContain(join('build', 'install.log'));
  });
});

describe('build progress', () => {
  /** Feeds output through the display of a pipe and returns the lines it writes. */
  function linesFor(total: number, output: string): string[] {
    let written = '';
    const pipe = { write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
    const progress = new BuildProgress(total, pipe);
    // In pieces, as pipes deliver it.
    for (let at = 0; at < output.length; at += 7) progress.feed(output.slice(at, at + 7));
    progress.end();
    return written.split('\n').filter(Boolean);
  }

  it('counts the steps of make', () => {
    const output =
      '[ 33%] Building CXX object CMakeFiles/tensorkiln_avx2.dir/native/ops/conv/conv2d_cpu.cc.o\n' +
      '[ 66%] Building CXX object CMakeFiles/x.dir/native/core/error.cc.o\n[100%] Built target x\n';
    expect(linesFor(3, output)).toEqual(['[1/3] conv2d_cpu.cc (avx2)', '[2/3] error.cc']);
  });

  it('takes the numbers of ninja', () => {
    expect(linesFor(1, '[12/87] Building CXX object a/b_cpu.cc.o\nninja: done\n')).toEqual(['[12/87] b_cpu.cc']);
  });

  it('counts the objects of node-gyp', () => {
    const output = '  CXX(target) Release/obj.target/tensorkiln_avx512/native/a_cpu.o\n  COPY Release/x.a\n';
    expect(linesFor(2, output)).toEqual(['[1/2] a_cpu (avx512)']);
  });

  it('shows about ten lines of a long build on a pipe', () => {
    const output = Array.from({ length: 200 }, (_, i) => `[${i + 1}/200] Building CXX object f${i}.cc.o\n`).join('');
    const lines = linesFor(200, output);
    expect(lines.length).toBeLessThanOrEqual(12);
    expect(lines.at(-1)).toBe('[200/200] f199.cc');
  });
});
