/** Wrong input for every kernel, past the checks of tfjs-core and through them. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { SIGNATURES } from '../../ts/backend/kernels/signatures.js';
import { kernelTable } from '../../ts/backend/kernels/table.js';
import { ROOT } from '../support/files.js';

interface Sweep {
  readonly attempts: number;
  readonly refused: number;
  readonly ran: number;
  readonly problems: readonly string[];
}

/** Runs the sweep in a process of its own; a crash is reported with the attempt that was under way. */
function sweep(script: string): Promise<Sweep> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`tests/support/${script}`], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let last = '';
    let output = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      // A dying V8 says more than the name of the attempt.
      if (line.includes(' #')) last = line;
    });
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(output) as Sweep);
      else reject(new Error(`the process ended with ${signal ?? String(code)} in: ${last}`));
    });
  });
}

it('has a signature for every kernel and no other', () => {
  expect(Object.keys(SIGNATURES).sort()).toEqual(kernelTable.map(({ name }) => name).sort());
});

it('is refused by every kernel, or does no harm', { timeout: 600_000 }, async () => {
  const { attempts, refused, ran, problems } = await sweep('bad-input.mjs');
  expect(problems).toEqual([]);
  // The calls of the fixture give that many; fewer would mean that kernels were skipped.
  expect(attempts).toBeGreaterThan(15_000);
  expect(refused + ran).toBe(attempts);
  expect(ran).toBeGreaterThan(kernelTable.length);
});

it('is refused through tf.*, or does no harm', { timeout: 600_000 }, async () => {
  const { attempts, refused, ran, problems } = await sweep('bad-input-tf.mjs');
  expect(problems).toEqual([]);
  expect(attempts).toBeGreaterThan(7000);
  expect(refused + ran).toBe(attempts);
});
