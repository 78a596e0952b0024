import { fillRows, type FillPlan } from './fill.js';

/** One piece of a matrix; every array lies in shared memory, so nothing is copied and nothing needs to be sent back. */
export interface FillTask {
  readonly plan: FillPlan;
  readonly rows: Int32Array;
  readonly out: Float32Array;
  readonly from: number;
  readonly to: number;
}

export default function fillTask(task: FillTask): void {
  fillRows(task.plan, task.rows, task.out, task);
}
