import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ROOT } from '../support/files.js';

it('docs/kernels.md says what a run of every kernel shows', { timeout: 120_000 }, async () => {
  // A stale page ends the script with exit code 1 and the way out, which is the message of the rejection.
  const { stderr } = await promisify(execFile)(process.execPath, ['scripts/kernels-doc.mjs', '--check'], { cwd: ROOT });
  expect(stderr).toBe('');
});
