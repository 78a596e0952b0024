import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { runCli, type CliResult } from '../support/cli.js';

const run = (...args: string[]): Promise<CliResult> => runCli(['bench', ...args], { cwd: tmpdir() });

describe('tensorkiln bench', () => {
  it('lists what it can measure', async () => {
    const { code, stdout } = await run('--list');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ops: matmul, /);
    expect(stdout).toMatch('peers: onednn, ');
  });

  it('refuses an unknown op with the list of those there are', async () => {
    const { code, stderr } = await run('--ops', 'matmull');
    expect(code).toBe(2);
    expect(stderr).toMatch("unknown op 'matmull': expected matmul, conv2d");
  });

  it('checks and times an op beside the stock backend', async () => {
    const chosen = ['--ops', 'add', '--shapes', '64', '--peers', 'tfjs cpu,tfjs-node'];
    const { code, stdout } = await run('--quick', '--table', 'tfjs', ...chosen);
    expect(code).toBe(0);
    expect(stdout).toMatch(/add 64, \d+ threads?: .* us/);
    expect(stdout).toMatch(/\d+\.\d\dx\s+tfjs cpu/);
    expect(stdout).toMatch('tfjs-node: skipped, @tensorflow/tfjs-node is not installed');
  });
});
