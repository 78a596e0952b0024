import { parseBlock, type ParsedBlock, type ParseTask } from './csv/parse-block.js';
import { fitNumeric, type NumericFit } from './encodings/numeric.js';
import type { NumericEncoding } from './encodings/schemas.js';
import { fillRows, type FillPlan } from './fill.js';
import { augment, type AugmentTask } from './images/augment.js';
import { profileNumbers, type ColumnProfile } from './profile.js';

/** One piece of a matrix; every array lies in shared memory, so nothing is copied and nothing needs to be sent back. */
export interface FillTask {
  readonly plan: FillPlan;
  readonly rows: Int32Array;
  readonly out: Float32Array;
  readonly from: number;
  readonly to: number;
}

/** Fill and scaling of one column of numbers. */
export interface FitNumericTask {
  readonly name: string;
  readonly values: Float64Array;
  readonly rows: Int32Array;
  readonly fit: NumericFit;
}

/** What worker threads can do, by name: plain data in, plain data out. */
export const WORKER_TASKS = {
  fill: (task: FillTask): void => {
    fillRows(task.plan, task.rows, task.out, task);
  },
  fitNumeric: ({ name, values, rows, fit }: FitNumericTask): NumericEncoding => fitNumeric(name, values, rows, fit),
  profile: ({ name, values }: { readonly name: string; readonly values: Float64Array }): ColumnProfile =>
    profileNumbers(name, values),
  augment: (task: AugmentTask): void => {
    augment(task);
  },
  parse: (task: ParseTask): ParsedBlock => parseBlock(task),
} as const;

export type WorkerTasks = typeof WORKER_TASKS;
export type TaskName = keyof WorkerTasks;

/** Buffers of a result that may change hands without a copy. */
export function transferList(result: unknown): ArrayBuffer[] {
  if (typeof result !== 'object' || result === null || !('columns' in result)) return [];
  const { columns } = result as ParsedBlock;
  return columns.flatMap((column) => {
    if (column === undefined) return [];
    const { buffer } = column.kind === 'numeric' ? column.values : column.codes;
    return buffer instanceof ArrayBuffer ? [buffer] : [];
  });
}
