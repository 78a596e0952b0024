import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Runs a script of this folder in a process of its own and gives the JSON of its last line. */
export async function runLifecycle(
  script: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const path = fileURLToPath(new URL(`./${script}`, import.meta.url));
  // A crash of the child shows as a rejection with the signal's name.
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', path, ...args], {
    env: { ...process.env, ...env },
    timeout: 170_000,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}
