import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ROOT } from '../support/files.js';

// The long form is `npm run soak`. Few steps and cycles show what grows with each of them all the same.
it('a short soak keeps the resident size flat and gives everything back', { timeout: 170_000 }, async () => {
  const args = ['scripts/soak.mjs', '--steps', '1200', '--cycles', '400', '--samples', '8', '--quiet'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  const { flat, parts } = JSON.parse(stdout) as { flat: boolean; parts: { count: number; left: { dataIds: number } }[] };
  expect(flat, stdout).toBe(true);
  expect(parts.map(({ count }) => count)).toEqual([400, 400, 400, 400]);
});
