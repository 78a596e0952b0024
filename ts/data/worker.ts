/** The program of a worker thread: runs one task and hands the result's buffers over instead of copying them. */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { transferList, WORKER_TASKS, type TaskName } from './worker-tasks.js';

export interface WorkerRequest {
  readonly name: TaskName;
  readonly task: never;
}

export default function runTask({ name, task }: WorkerRequest): unknown {
  const result: unknown = WORKER_TASKS[name](task);
  const transfer = transferList(result);
  if (transfer.length === 0) return result;
  return move({ [transferableSymbol]: transfer, [valueSymbol]: result } as never);
}
