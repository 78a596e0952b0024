import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import { TensorkilnError } from '../errors.js';
import { fillRows, type FillPlan } from './fill.js';
import type { FillTask } from './fill-worker.js';
import { allocate, shared } from './shared-memory.js';

export interface MatrixFillerOptions {
  /** Matrices with at least this many cells are filled by worker threads; default POOL_FROM_CELLS. */
  readonly poolFromCells?: number;
  /** Worker threads; default: what the machine or container gives. */
  readonly threads?: number;
}

/**
 * Default of `poolFromCells`. Measured on two cores of a Zen 3 server, shared with other work: filling takes about 4 to 12 ns a cell, starting
 * the pool about 60 ms, so below this the pool would be longer than what it spares the event loop (17 to 46 ms).
 */
export const POOL_FROM_CELLS = 4_000_000;

/** Rows per task are chosen for about this many cells, so that a task is long beside its round trip and short beside the whole. */
const CELLS_PER_TASK = 1_000_000;

/**
 * Fills feature matrices: small ones on the spot, large ones by a pool of worker threads over shared memory, so that the event loop stays
 * free. The pool starts with the first large matrix. Both ways give the same bits. Close it when done.
 */
export class MatrixFiller {
  readonly #poolFromCells: number;
  readonly #threads: number;
  #pool: Piscina<FillTask, void> | undefined;

  constructor(options: MatrixFillerOptions = {}) {
    this.#poolFromCells = options.poolFromCells ?? POOL_FROM_CELLS;
    this.#threads = options.threads ?? availableParallelism();
  }

  /**
   * @param rows table rows, in the order wanted
   * @returns [rows.length, plan.width]; in shared memory when it is large
   * @throws E_OUT_OF_MEMORY when the matrix does not fit; E_ABORTED
   */
  async fill(plan: FillPlan, rows: Int32Array, signal?: AbortSignal): Promise<Float32Array> {
    const cells = rows.length * plan.width;
    const out = allocateMatrix(rows.length, plan.width);
    if (cells < this.#poolFromCells) {
      fillRows(plan, rows, out, { from: 0, to: rows.length });
      return out;
    }
    const pool = await this.#startPool();
    const sharedOut = shared(out);
    const task = { plan: sharePlan(plan), rows: shared(rows), out: sharedOut };
    const step = Math.max(1, Math.floor(CELLS_PER_TASK / plan.width));
    const pieces = Array.from({ length: Math.ceil(rows.length / step) }, (_, index) => index * step);
    try {
      const runOptions = signal === undefined ? {} : { signal };
      await Promise.all(pieces.map((from) => pool.run({ ...task, from, to: Math.min(rows.length, from + step) }, runOptions)));
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      throw new TensorkilnError('E_ABORTED', '[data] preparing the data was cancelled.', { cause: signal.reason });
    }
    return sharedOut;
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  async #startPool(): Promise<Piscina<FillTask, void>> {
    if (this.#pool === undefined) {
      const { Piscina: Pool } = await import('piscina');
      this.#pool = new Pool<FillTask, void>({ filename: workerPath(), minThreads: this.#threads, maxThreads: this.#threads });
    }
    return this.#pool;
  }
}

function allocateMatrix(rows: number, width: number): Float32Array {
  try {
    return allocate(Float32Array, rows * width);
  } catch (cause) {
    const gibibytes = ((rows * width * 4) / 2 ** 30).toFixed(1);
    throw new TensorkilnError(
      'E_OUT_OF_MEMORY',
      `[data] no memory for ${rows} rows of ${width} features (${gibibytes} GiB). Ignore columns with very many categories.`,
      { cause },
    );
  }
}

/** The compiled worker: a neighbour in dist, or dist's when this file itself runs as TypeScript (tests), which worker threads cannot. */
function workerPath(): string {
  const compiled = import.meta.url.endsWith('.ts') ? '../../dist/data/fill-worker.js' : './fill-worker.js';
  const path = fileURLToPath(new URL(compiled, import.meta.url));
  if (!existsSync(path))
    throw new TensorkilnError(
      'E_INTERNAL',
      `[data] the worker ${path} is missing: build the package first (npm run build:ts).`,
    );
  return path;
}

function sharePlan(plan: FillPlan): FillPlan {
  return {
    width: plan.width,
    columns: plan.columns.map((column) =>
      column.kind === 'numeric' ? { ...column, values: shared(column.values) } : { ...column, codes: shared(column.codes) },
    ),
  };
}
