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

  /** @throws E_ABORTED, and whatever the task throws */
  async run<Name extends TaskName>(name: Name, task: TaskInput<Name>, options: TaskOptions = {}): Promise<TaskResult<Name>> {
    this.#pool ??= startPool(this.threads);
    const pool = await this.#pool;
    const { signal, transfer = [] } = options;
    try {
      return (await pool.run(
        { name, task },
        { ...(signal === undefined ? {} : { signal }), transferList: [...transfer] },
      )) as TaskResult<Name>;
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      throw new TensorkilnError('E_ABORTED', '[data] preparing the data was cancelled.', { cause: signal.reason });
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await (await pool)?.destroy();
  }
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
