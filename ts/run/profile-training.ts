import { chromeTrace, profileTable } from '../backend/profiler.js';
import type { StepProfile } from '../train/index.js';
import { buildOptimizer } from './build-model.js';
import { buildTrainer, prepareModel } from './build-trainer.js';
import { resolveConfig } from './config/resolve.js';
import type { TrainingConfig } from './config/schema.js';
import { planPicture } from './plan-picture.js';
import { prepareAnyData, TrainingRows } from './run-data.js';
import { defaultFolder } from './run-folder.js';
import { selectDevice } from './select-device.js';

export interface ProfileTrainingOptions {
  /** Steps that are profiled; default 20. */
  readonly steps?: number;
  readonly signal?: AbortSignal;
}

/** A configuration's training step: what it compiles to and what it spends its time on. */
export interface TrainingProfile extends StepProfile {
  /** The profile as a table. */
  readonly table: string;
  /** The profile for chrome://tracing or ui.perfetto.dev: JSON text with lanes for JavaScript, queue and kernels. */
  readonly trace: string;
  /** The optimised plan as SVG text; undefined when the step could not be compiled. */
  readonly picture: string | undefined;
}

/**
 * Prepares the data, builds the model and runs training steps on the first batch. Writes nothing.
 *
 * @throws as `runTraining` does before training
 */
export async function profileTraining(config: TrainingConfig, options: ProfileTrainingOptions = {}): Promise<TrainingProfile> {
  const { steps = 20 } = options;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const device = await selectDevice(config.device);
  const data = await prepareAnyData(config, { force: true, ...signal });
  const { config: resolved } = resolveConfig(config, data, { output: defaultFolder('profile', new Date()), device });
  const model = await prepareModel(resolved, data);
  const optimizer = buildOptimizer(resolved);
  const rows = new TrainingRows(resolved, data);
  const trainer = buildTrainer(resolved, data, { model, optimizer });
  try {
    const result = await trainer.profile(rows.train, { batchSize: resolved.training.batch_size, steps, ...signal });
    return {
      ...result,
      table: profileTable(result.profile),
      trace: chromeTrace(result.profile),
      picture: result.optimised === undefined ? undefined : planPicture(result.optimised),
    };
  } finally {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
    await rows.close();
  }
}
