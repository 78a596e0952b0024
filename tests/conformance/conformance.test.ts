import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  /** Specs whose literals are too coarse for FINE_TOLERANCE; the list may only shrink. */
  readonly coarse: readonly { readonly name: string; readonly reason: string }[];
}

interface Results {
  readonly passed: number;
  readonly failed: readonly { readonly name: string; readonly messages: readonly string[] }[];
  readonly skipped: readonly string[];
  readonly excluded: readonly string[];
  readonly coarse: readonly string[];
}

/** A tenth of what the specs allow by themselves. */
const FINE_TOLERANCE = '1e-4';
const COARSE_SPECS = 19;

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Expected;

/** TENSORKILN_DEVICE chooses the backend, as for the op tests. */
const BACKEND = process.env['TENSORKILN_DEVICE']?.startsWith('cuda') === true ? 'tensorkiln-cuda' : 'tensorkiln-cpu';

/** As expected.json has it, for the backend under test. */
const named = (name: string): string => name.replace('tensorkiln-cpu', BACKEND);

/** In a process of its own: a crash then fails this test and not the run. */
async function runSpecs(...options: string[]): Promise<Results> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['tests/conformance/run.mjs', '--backend', BACKEND, ...options],
    {
      cwd: ROOT,
      maxBuffer: 64 << 20,
      timeout: 240_000,
    },
  );
  return JSON.parse(stdout) as Results;
}

function names(list: readonly { readonly name: string }[]): string[] {
  return list.map(({ name }) => named(name)).sort();
}

function expectCounts(results: Results): void {
  expect(results.passed + results.failed.length + results.skipped.length + results.excluded.length).toBe(expected.total);
  expect([...results.skipped].sort()).toEqual(expected.pending.map(named).sort());
  expect([...results.excluded].sort()).toEqual(names(expected.excluded));
  const failures = results.failed.map(({ name, messages }) => `${name}: ${messages[0] ?? ''}`);
  expect(failures.slice(0, 20)).toEqual([]);
  expect(results.passed).toBe(expected.passed);
}

describe("tfjs-core's own specs", () => {
  it('pass in the expected number as shipped', { timeout: 300_000 }, async () => {
    const results = await runSpecs();
    expectCounts(results);
    expect(results.coarse).toEqual([]);
  });

  // One run for both: whatever passes with the finer tolerance passes with the coarser one too, and the coarse specs run with
  // theirs. So all pass strictly, and all but the coarse ones within 1e-4 as well.
  it('pass with NaN and infinities compared strictly, and within 1e-4', { timeout: 300_000 }, async () => {
    const results = await runSpecs('--strict', '--tolerance', FINE_TOLERANCE);
    expectCounts(results);
    expect([...results.coarse].sort()).toEqual(names(expected.coarse));
    expect(results.passed - results.coarse.length).toBe(expected.passed - COARSE_SPECS);
  });

  it('run where no line of a stock backend can be loaded', async () => {
    const folder = mkdtempSync(join(ROOT, 'build', 'stock-'));
    try {
      const file = join(folder, 'specs.cjs');
      writeFileSync(file, "require('@tensorflow/tfjs-backend-cpu/dist/shared');\n");
      await expect(runSpecs('--specs', file)).rejects.toThrow('the specs run without the stock backends');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are left out only for a stated reason', () => {
    expect(expected.pending.length + expected.excluded.length).toBe(24);
    for (const { name, reason } of expected.excluded) expect(reason, name).toMatch(/^needs \w+ of a browser$/);
    for (const { name, reason } of expected.coarse) expect(reason, name).toMatch(/^(its literal|float32 has no number)/);
  });
});
