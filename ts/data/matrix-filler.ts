import { TensorkilnError } from '../errors.js';
import { fillRows, type FillPlan } from './fill.js';
import { allocate, shared } from './shared-memory.js';
import type { WorkerPool } from './worker-pool.js';

/**
 * Default of `poolFromCells`. Measured on two cores of a Zen 3 server, shared with other work: filling takes about 4 to 12 ns a cell, starting
 * the pool about 60 ms, so below this the pool would be longer than what it spares the event loop (17 to 46 ms).
 */
export const POOL_FROM_CELLS = 4_000_000;

/** Rows per task are chosen for about this many cells, so that a task is long beside its round trip and short beside the whole. */
const CELLS_PER_TASK = 1_000_000;

export interface FillMatrixOptions {
  readonly pool: WorkerPool;
  /** Matrices with at least this many cells are filled by worker threads; default POOL_FROM_CELLS. */
  readonly poolFromCells?: number;
  readonly signal?: AbortSignal;
}

/**
 * Fills a feature matrix: a small one on the spot, a large one by worker threads over shared memory, so that the event loop stays free.
 * Both ways give the same bits.
 *
 * @param rows table rows, in the order wanted
 * @returns [rows.length, plan.width]; in shared memory when it is large
 * @throws E_OUT_OF_MEMORY when the matrix does not fit; E_ABORTED
 */
export async function fillMatrix(plan: FillPlan, rows: Int32Array, options: FillMatrixOptions): Promise<Float32Array> {
  const { pool, poolFromCells = POOL_FROM_CELLS, signal } = options;
  const out = allocateMatrix(rows.length, plan.width);
  if (rows.length * plan.width < poolFromCells) {
    fillRows(plan, rows, out, { from: 0, to: rows.length });
    return out;
  }
  const sharedOut = shared(out);
  const task = { plan: sharePlan(plan), rows: shared(rows), out: sharedOut };
  const step = Math.max(1, Math.floor(CELLS_PER_TASK / Math.max(1, plan.width)));
  const pieces = Array.from({ length: Math.ceil(rows.length / step) }, (_, index) => index * step);
  await Promise.all(
    pieces.map((from) =>
      pool.run('fill', { ...task, from, to: Math.min(rows.length, from + step) }, signal === undefined ? {} : { signal }),
    ),
  );
  return sharedOut;
}

function allocateMatrix(rows: number, width: number): Float32Array {
  try {
    return allocate(Float32Array, rows * width);
  } catch (cause) {
    const gibibytes = ((rows * width * 4) / 2 ** 30).toFixed(1);
    throw new TensorkilnError(
      'E_OUT_OF_MEMORY',
      `[data] no memory for ${rows} rows of ${width} features (${gibibytes} GiB). Ignore columns with very many categories, or give them the hash or target encoding.`,
      { cause },
    );
  }
}

function sharePlan(plan: FillPlan): FillPlan {
  return {
    width: plan.width,
    columns: plan.columns.map((column) => {
      switch (column.kind) {
        case 'numeric':
          return { ...column, values: shared(column.values) };
        case 'one_hot':
          return { ...column, codes: shared(column.codes) };
        case 'lookup':
          return { ...column, codes: shared(column.codes), table: shared(column.table) };
        case 'sparse':
          return {
            ...column,
            codes: shared(column.codes),
            starts: shared(column.starts),
            places: shared(column.places),
            weights: shared(column.weights),
          };
      }
    }),
  };
}
