/** Training steps under the profiler. */
import { checkInteger, checkKeys } from '../arguments.js';
import { measureLimits, profileExecution, type ExecutionProfile } from '../backend/profiler.js';
import { TensorkilnError } from '../errors.js';
import { disposeBatch, toTensors } from './batches.js';
import type { Step } from './step.js';
import { stepArguments } from './steps.js';
import type { Trainable } from './trainable.js';
import type { BatchSource } from './training-data.js';

export interface ProfileOptions {
  /** Default 32. */
  readonly batchSize?: number;
  /** Default 10. */
  readonly steps?: number;
  readonly signal?: AbortSignal;
}

export interface StepProfile {
  readonly profile: ExecutionProfile;
  /** Steps that were profiled. */
  readonly steps: number;
  /** The plan of the step as it was recorded; undefined when it could not be compiled. */
  readonly recorded: string | undefined;
  /** What is replayed in its place. */
  readonly optimised: string | undefined;
  /** Why it could not be compiled. */
  readonly fallback: string | undefined;
}

/** Recordings a step may need before it is replayed, and one replay to warm up. */
const WARM_UP = 4;

/** @param parts `model` and its training `step`, and the `source` whose first batch is used */
export async function profileSteps(
  { model, step, source }: { readonly model: Trainable; readonly step: Step; readonly source: BatchSource },
  options: ProfileOptions,
): Promise<StepProfile> {
  checkKeys('profile', options, ['batchSize', 'steps', 'signal']);
  const batchSize = checkInteger('profile', 'batchSize', options.batchSize ?? 32, { min: 1 });
  const steps = checkInteger('profile', 'steps', options.steps ?? 10, { min: 1 });
  for await (const host of source.batches({ batchSize, pass: 0, seed: 0, shuffle: false, skip: 0 })) {
    const batch = toTensors(source, host, model.inputDTypes);
    try {
      const run = async (count: number): Promise<void> => {
        for (let i = 0; i < count; ++i) {
          if (options.signal?.aborted === true)
            throw new TensorkilnError('E_ABORTED', '[profile] cancelled by its signal.', { cause: options.signal.reason });
          const loss = step(...stepArguments(batch));
          await loss.data();
          loss.dispose();
        }
      };
      await run(WARM_UP);
      const limits = measureLimits();
      const profile = await profileExecution(() => run(steps), { limits });
      const { recorded, optimised } = step.plans();
      return { profile, steps, recorded: recorded[0], optimised: optimised[0], fallback: step.takeFallbacks()[0] };
    } finally {
      disposeBatch(batch);
    }
  }
  throw new TensorkilnError('E_DATA', '[profile] the training data has no rows: expected at least one.');
}
