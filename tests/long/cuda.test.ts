/** What takes too long for every change: the CUDA library for all targets, kernels under sanitizers, the archive for a GPU machine. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasCudaHeaders } from '../../scripts/native/emulated.mjs';
import { ROOT } from '../support/files.js';

function run(program: string, args: readonly string[], cwd = ROOT): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, TENSORKILN_DEVICE: '', TENSORKILN_CUDA: '' },
  });
  if (error !== undefined) throw error;
  return { status, output: `${stdout}${stderr}` };
}

describe('the CUDA library', () => {
  it('compiles for all targets without spills in hot kernels', (context) => {
    const { status, output } = run(process.execPath, ['scripts/build-cuda.mjs', '--targets']);
    if (output.includes('skipped')) context.skip('nvcc is not here');
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toMatch(/\d+ kernels for sm_80, .*\n.*\d+ kernels for sm_90a/);
  });

  it('passes its tests under sanitizers and notices every fault', (context) => {
    if (!hasCudaHeaders()) context.skip('the headers of the CUDA toolkit are not here');
    const { status, output } = run(process.execPath, ['scripts/test-kernels.mjs', '--long']);
    expect({ status, output }).toMatchObject({ status: 0 });
  });
});

describe('the archive for a machine with a GPU', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-gpu-'));
  const place = join(folder, 'tensorkiln-gpu');
  const results = (name: string): Record<string, unknown>[] =>
    readFileSync(join(place, name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  beforeAll(() => {
    if (!hasCudaHeaders()) return;
    for (const args of [['scripts/build-emulated.mjs'], ['scripts/gpu-bundle.mjs', '--emulated']]) {
      const { status, output } = run(process.execPath, args);
      if (status !== 0) throw new Error(output);
    }
    const { status, output } = run('tar', ['-xf', join(ROOT, 'build-gpu/tensorkiln-gpu.tar.xz'), '-C', folder]);
    if (status !== 0) throw new Error(output);
  }, 10 * 60_000);
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('is smaller than 60 MB', (context) => {
    if (!hasCudaHeaders()) context.skip('the headers of the CUDA toolkit are not here');
    expect(statSync(join(ROOT, 'build-gpu/tensorkiln-gpu.tar.xz')).size).toBeLessThan(60e6);
  });

  it.each([
    ['gpu-bench', ['--dry', 'softmax'], 'gpu-bench.jsonl'],
    ['gpu-steps', ['--dry'], 'gpu-steps.jsonl'],
    ['gpu-check', ['ops softmax'], 'gpu-check.jsonl'],
  ])('%s writes each result as it comes and does not repeat it', (command, args, file) => {
    if (!hasCudaHeaders()) return; // said by the test above
    const first = run(join(place, command), args, place);
    expect(first).toMatchObject({ status: 0 });
    const rows = results(file);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      expect(row).toMatchObject({
        device: 'emulated',
        commit: expect.any(String) as string,
        date: expect.any(String) as string,
      });
      expect(row.error).toBeUndefined();
    }
    const second = run(join(place, command), args, place);
    expect(second).toMatchObject({ status: 0 });
    expect(results(file)).toEqual(rows);
  });
});
