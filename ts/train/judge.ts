/** Loss and metrics of a model on rows it does not learn from. */
import type { LayerDType } from '../nn/layer.js';
import { disposeBatch, toTensors } from './batches.js';
import { InFlight } from './in-flight.js';
import { applyLimit } from './options.js';
import type { Step } from './step.js';
import { stepArguments } from './steps.js';
import type { BatchSource } from './training-data.js';

/** Least rows in a step that only judges: there is no reason for small ones. */
export const JUDGE_BATCH = 256;
/** As in training: the engine is never idle. */
const STEPS_IN_FLIGHT = 2;

/**
 * Mean loss over rows, and the share of rows whose largest score is the target when the loss is one of classification; rows
 * whose targets the loss ignores are left out of that share.
 */
export interface Evaluation {
  readonly loss: number;
  readonly accuracy?: number;
  /** Means over rows of the trainer's further metrics, by name. */
  readonly metrics?: Readonly<Record<string, number>>;
}

export interface JudgeOptions {
  readonly batchSize: number;
  /** Batches that are judged; all when undefined. */
  readonly limit: number | undefined;
  readonly isClassification: boolean;
  readonly metricNames: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly inputDTypes: readonly LayerDType[] | undefined;
}

/** @returns nothing when the signal ended it early */
export async function judge(
  step: Step,
  source: BatchSource,
  options: JudgeOptions,
): Promise<(Evaluation & { readonly metrics: Readonly<Record<string, number>> }) | undefined> {
  const { batchSize, metricNames, signal } = options;
  const sums = new Float64Array(3 + metricNames.length);
  const most = applyLimit(Math.ceil(source.size / batchSize), options.limit);
  let rows = 0;
  let batches = 0;
  const inFlight = new InFlight<undefined>(STEPS_IN_FLIGHT, (values) => {
    for (let index = 0; index < sums.length; ++index) sums[index] = (sums[index] as number) + (values[index] as number);
  });
  try {
    for await (const host of source.batches({ batchSize, pass: 0, seed: 0, shuffle: false, skip: 0 })) {
      if (signal?.aborted === true) return undefined;
      const batch = toTensors(source, host, options.inputDTypes);
      let result;
      try {
        result = step(...stepArguments(batch));
      } finally {
        disposeBatch(batch);
      }
      rows += batch.rows;
      await inFlight.push(result, undefined);
      if (++batches >= most) break;
    }
    await inFlight.drain();
  } finally {
    await inFlight.abandon();
  }
  const [loss = 0, correct = 0, counted = 0, ...others] = sums;
  return {
    loss: loss / rows,
    ...(options.isClassification ? { accuracy: correct / Math.max(1, counted) } : {}),
    metrics: Object.fromEntries(metricNames.map((name, index) => [name, (others[index] as number) / rows])),
  };
}
