import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/files.js';

interface Expected {
  /** Specs of tfjs-core 4.22.0 that apply to a backend of another name than `cpu`. */
  readonly total: number;
  /** Specs that pass at least; the number may only rise. */
  readonly passed: number;
  /** Specs that tfjs-core itself marks as pending. */
  readonly pending: readonly string[];
  /** Specs that are left out; the list may only shrink. */
  readonly excluded: readonly { readonly name: string; readonly reason: string }[];
}

interface Results {
  readonly passed: number;
  readonly failed: readonly { readonly name: string; readonly messages: readonly string[] }[];
  readonly skipped: readonly string[];
  readonly excluded: readonly string[];
}

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Expected;

/** In a process of its own: a crash then fails this test and not the run. */
async function runSpecs(): Promise<Results> {
  const { stdout } = await promisify(execFile)(process.execPath, ['tests/conformance/run.mjs', '--strict'], {
    cwd: ROOT,
    maxBuffer: 64 << 20,
    timeout: 240_000,
  });
  return JSON.parse(stdout) as Results;
}

describe("tfjs-core's own specs, NaN and infinities compared strictly", () => {
  it('pass in the expected number', async () => {
    const results = await runSpecs();
    expect(results.passed + results.failed.length + results.skipped.length + results.excluded.length).toBe(expected.total);
    expect([...results.skipped].sort()).toEqual([...expected.pending].sort());
    expect([...results.excluded].sort()).toEqual(expected.excluded.map(({ name }) => name).sort());
    const failures = results.failed.map(({ name, messages }) => `${name}: ${messages[0] ?? ''}`);
    expect(results.passed, failures.slice(0, 20).join('\n')).toBeGreaterThanOrEqual(expected.passed);
  }, 300_000);

  it('are left out only for a stated reason', () => {
    expect(expected.pending.length + expected.excluded.length).toBe(24);
    for (const { name, reason } of expected.excluded) expect(reason, name).toMatch(/^needs \w+ of a browser$/);
  });
});
