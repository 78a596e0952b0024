/** Runs a few lines of JavaScript in a process of its own, beside the compiled package. */
import { execFile } from 'node:child_process';
import { ROOT } from './files.js';

export interface ModuleResult {
  /** Exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param source lines of an ES module; relative imports start at the package's folder
 * @param env    environment variables besides those of this process
 */
export function runModule(source: string, env: Readonly<Record<string, string>> = {}): Promise<ModuleResult> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '--eval', source],
      { cwd: ROOT, env: { ...process.env, ...env }, timeout: 60_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}
