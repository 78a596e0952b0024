import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliProcess {
  readonly process: ChildProcess;
  /** Resolves when stdout has held `text`; rejects when the process ends without it. */
  waitFor(text: string): Promise<void>;
  readonly ended: Promise<CliResult>;
}

/** Starts the compiled command line in a process of its own. */
export function startCli(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): CliProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd,
    env: { ...process.env, TENSORKILN_DEVICE: '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A test that times out must not leave its process behind.
  const stop = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', stop);
  child.once('close', () => process.off('exit', stop));
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const watcher of watchers) watcher();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  const waitFor = (text: string): Promise<void> => {
    const seen = new Promise<void>((resolve) => {
      const watcher = (): void => {
        if (stdout.includes(text)) resolve();
      };
      watchers.add(watcher);
      watcher();
    });
    const missed = ended.then((result) => {
      if (!stdout.includes(text))
        throw new Error(
          `the process ended with ${String(result.code)} before printing ${JSON.stringify(text)}:\n${stdout}${stderr}`,
        );
    });
    return Promise.race([seen, missed]);
  };
  return { process: child, waitFor, ended };
}

/** Runs the compiled command line to its end. */
export function runCli(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<CliResult> {
  return startCli(args, options).ended;
}
