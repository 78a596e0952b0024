import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What a leg says when asked to prepare a case. `null` among the values stands for NaN or an infinity. */
export interface Prepared {
  readonly size: number;
  readonly finite: boolean;
  readonly values: readonly (number | null)[];
}
export interface Timed {
  /** Seconds of one call. */
  readonly seconds: number;
  readonly calls: number;
}
export type Answer<T> = T | { readonly unsupported: string } | { readonly error: string } | { readonly missing: string };

/** A leg that ended or did not answer in time. */
export class LegFailure extends Error {}

const ANSWER_TIMEOUT_MS = 300_000;

/**
 * A peer, or we, in a process of its own, asked line by line (bench/native/leg.h). Between answers the process is stopped, where the
 * system can do that: threads that go on waiting busily after a call, as onnxruntime's and OpenMP's may, would take processors from
 * whoever has the next turn.
 */
export class Leg {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #stderr = '';
  #failure: LegFailure | undefined;

  constructor(
    readonly name: string,
    command: readonly string[],
    env: Record<string, string>,
  ) {
    this.#child = spawn(command[0]!, command.slice(1), { env: { ...process.env, ...env } });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-2000)));
    this.#child.stdin.on('error', () => undefined); // a leg that ended is reported by 'close'
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      // Libraries print as they like; answers are objects.
      if (line.startsWith('{')) this.#waiting.shift()?.resolve(line);
    });
    const fail = (message: string): void => {
      this.#failure ??= new LegFailure(message);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    };
    this.#child.on('error', (error) => fail(`could not start: ${error.message}`));
    this.#child.on('close', (code, signal) => fail(`ended with ${signal ?? `code ${code}`}: ${this.#lastWords()}`));
  }

  /** The first line of every leg: `{"ready": version}` or `{"missing": reason}`. */
  async version(): Promise<Answer<{ ready: string }>> {
    return this.#answer<{ ready: string }>();
  }

  async ask<T>(line: string): Promise<Answer<T>> {
    this.#signal('SIGCONT');
    const answer = this.#answer<T>();
    if (this.#failure === undefined) this.#child.stdin.write(`${line}\n`);
    try {
      return await answer;
    } finally {
      this.#signal('SIGSTOP');
    }
  }

  /** Seconds of processor time so far, where /proc tells. */
  processorSeconds(): number {
    try {
      const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return 0;
    }
  }

  close(): void {
    this.#child.stdin.end();
    this.#child.kill();
    this.#signal('SIGCONT');
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (process.platform !== 'win32') this.#child.kill(signal);
  }

  async #answer<T>(): Promise<Answer<T>> {
    if (this.#failure !== undefined) throw this.#failure;
    let timer: NodeJS.Timeout | undefined;
    try {
      const line = await new Promise<string>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        timer = setTimeout(() => {
          this.#failure ??= new LegFailure(`gave no answer within ${ANSWER_TIMEOUT_MS / 1000} s`);
          this.close();
          reject(this.#failure);
        }, ANSWER_TIMEOUT_MS);
      });
      return JSON.parse(line) as Answer<T>;
    } finally {
      clearTimeout(timer);
    }
  }

  #lastWords(): string {
    return this.#stderr.trim().split('\n').at(-1) ?? '';
  }
}
