import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import { TensorkilnError } from '../errors.js';
import type { TaskName, WorkerTasks } from './worker-tasks.js';

type TaskInput<Name extends TaskName> = Parameters<WorkerTasks[Name]>[0];
type TaskResult<Name extends TaskName> = Awaited<ReturnType<WorkerTasks[Name]>>;

export interface TaskOptions {
  readonly signal?: AbortSignal;
  /** Buffers of the task to hand over instead of copying them. */
  readonly transfer?: readonly ArrayBuffer[];
}

/**
 * Worker threads for what takes long: reading, filling, augmenting. They start with the first task, about 60 ms, and live until `close`.
 */
export class WorkerPool {
  readonly threads: number;
  #pool: Promise<Piscina> | undefined;

  /** @param threads default: what the machine or container gives */
  constructor(threads: number = availableParallelism()) {
    this.threads = threads;
  }

  /**
   * Runs a task. When its worker dies meanwhile, a new one takes it over: tasks depend on their input alone. One whose input was handed
   * over cannot be run again.
   *
   * @throws E_ABORTED; E_OUT_OF_MEMORY, E_INTERNAL when a worker died and the task could not be run again; and whatever the task throws
   */
  async run<Name extends TaskName>(name: Name, task: TaskInput<Name>, options: TaskOptions = {}): Promise<TaskResult<Name>> {
    this.#pool ??= startPool(this.threads);
    const pool = await this.#pool;
    const { signal, transfer = [] } = options;
    // Every task that waits or runs listens, so their number is no sign of a leak, which Node would warn of from 11 on.
    if (signal !== undefined) setMaxListeners(0, signal);
    for (let attempt = 1; ; attempt++) {
      try {
        return (await pool.run(
          { name, task },
          { ...(signal === undefined ? {} : { signal }), transferList: [...transfer] },
        )) as TaskResult<Name>;
      } catch (error) {
        if (signal?.aborted === true)
          throw new TensorkilnError('E_ABORTED', '[data] preparing the data was cancelled.', { cause: signal.reason });
        const death = deathOf(error);
        if (death === undefined) throw error;
        if (transfer.length === 0 && attempt < MAX_ATTEMPTS) continue;
        throw new TensorkilnError(
          death,
          `[data] a worker thread ended in the middle of its work (${name}): expected it to finish. Run again; if memory is short, give the process more or fewer threads.`,
          { cause: error },
        );
      }
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await (await pool)?.destroy();
  }
}

/** How often a task is begun whose workers die. */
const MAX_ATTEMPTS = 3;

/** The error code for a worker that died, undefined for an error of the task itself. */
function deathOf(error: unknown): 'E_OUT_OF_MEMORY' | 'E_INTERNAL' | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') return 'E_OUT_OF_MEMORY';
  // What piscina says of a thread that is gone; it has no code for it.
  return error.message.startsWith('worker exited with code') ? 'E_INTERNAL' : undefined;
}

async function startPool(threads: number): Promise<Piscina> {
  const { Piscina: Pool } = await import('piscina');
  return new Pool({ filename: workerPath(), minThreads: threads, maxThreads: threads });
}

/** The compiled worker: a neighbour in dist, or dist's when this file itself runs as TypeScript (tests), which worker threads cannot. */
function workerPath(): string {
  const compiled = import.meta.url.endsWith('.ts') ? '../../dist/data/worker.js' : './worker.js';
  const path = fileURLToPath(new URL(compiled, import.meta.url));
  if (!existsSync(path))
    throw new TensorkilnError(
      'E_INTERNAL',
      `[data] the worker ${path} is missing: build the package first (npm run build:ts).`,
    );
  return path;
}
