import { closeSync, openSync } from 'node:fs';
import { pino, type Logger } from 'pino';
import { errorCodeOf, TensorkilnError } from '../errors.js';
import type { RunEvent } from './run-events.js';
import { withSnakeKeys } from './snake-case.js';

/** Events that are too many to keep one line each. */
const UNLOGGED = new Set<RunEvent['type']>(['step']);

/** log.jsonl of a run: one JSON line per event, flushed line by line so that a crash loses none. */
export class RunLog {
  readonly #descriptor: number;
  readonly #logger: Logger;

  /** Starts the file anew, or goes on with it. @throws E_IO */
  constructor(path: string, options: { readonly append: boolean }) {
    try {
      this.#descriptor = openSync(path, options.append ? 'a' : 'w');
    } catch (cause) {
      throw new TensorkilnError(
        'E_IO',
        `[log] cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
        { cause },
      );
    }
    this.#logger = pino(
      { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
      pino.destination({ dest: this.#descriptor, sync: true }),
    );
  }

  event(event: RunEvent): void {
    if (UNLOGGED.has(event.type)) return;
    const { type, ...fields } = event;
    const level = type === 'data_warning' ? 'warn' : 'info';
    this.#logger[level]({ event: type, ...(withSnakeKeys(fields) as object) });
  }

  /** What ended the run before its time. */
  failure(error: unknown): void {
    const code = errorCodeOf(error);
    this.#logger.error({ event: 'run_failed', code, message: error instanceof Error ? error.message : String(error) });
  }

  close(): void {
    this.#logger.flush();
    closeSync(this.#descriptor);
  }
}
