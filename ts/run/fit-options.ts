/** A configuration's training section in the trainer's terms. */
import { TensorkilnError } from '../errors.js';
import {
  constantSchedule,
  cosineSchedule,
  exponentialSchedule,
  stepSchedule,
  withWarmup,
  type Schedule,
} from '../optim/index.js';
import { MONITORS } from './config/training-schema.js';
import type { RunData } from './run-data.js';
import type { EarlyStopping, FitOptions, ReduceOnPlateau } from '../train/index.js';
import type { ResolvedConfig } from './config/resolve.js';

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Everything but data, signal, listeners and checkpoints. */
export function fitOptions({ training }: ResolvedConfig): FitOptions {
  const { early_stopping: stopping, scheduler, fast_dev_run: fastDevRun } = training;
  const schedule = scheduleOf(training);
  return {
    epochs: training.epochs,
    batchSize: training.batch_size,
    sanityValidationBatches: training.sanity_validation_batches,
    fastDevRun,
    ...(schedule === undefined ? {} : { schedule }),
    ...(stopping === false ? {} : { earlyStopping: earlyStopping(stopping) }),
    ...(scheduler.type === 'reduce_on_plateau' ? { reduceOnPlateau: plateau(scheduler) } : {}),
    ...(training.max_time === undefined ? {} : { maxTimeSeconds: seconds(training.max_time) }),
    ...(training.limit_train_batches === undefined ? {} : { limitTrainBatches: training.limit_train_batches }),
    ...(training.limit_validation_batches === undefined ? {} : { limitValidationBatches: training.limit_validation_batches }),
    ...(training.overfit_batches === undefined ? {} : { overfitBatches: training.overfit_batches }),
  };
}

/**
 * How much each class counts: `balanced` is rows / (classes * rows of the class) of the training part, as in scikit-learn.
 *
 * @throws E_CONFIG for a class that the target does not have
 */
export function classWeights(
  { training }: ResolvedConfig,
  { classes, counts }: Pick<RunData, 'classes' | 'counts'>,
): readonly number[] | undefined {
  const { class_weights: weights } = training;
  if (weights === 'none') return undefined;
  if (weights === 'balanced') {
    const total = counts.perClass.reduce((sum, { train }) => sum + train, 0);
    return counts.perClass.map(({ train }) => (train === 0 ? 0 : total / (classes.length * train)));
  }
  const unknown = Object.keys(weights).find((name) => !classes.includes(name));
  if (unknown !== undefined) {
    const known = classes.slice(0, 10).join(', ');
    throw new TensorkilnError(
      'E_CONFIG',
      `[config] wrong training.class_weights: expected classes of the target (${known}), got "${unknown}".`,
    );
  }
  return classes.map((name) => weights[name] ?? 1);
}

function scheduleOf({ scheduler, learning_rate: rate }: ResolvedConfig['training']): Schedule | undefined {
  if (scheduler.type === 'reduce_on_plateau') return undefined;
  const warmup = scheduler.warmup_epochs;
  const schedule = ((): Schedule | undefined => {
    switch (scheduler.type) {
      case 'constant':
        return undefined;
      case 'step':
        return stepSchedule({ every: scheduler.every, factor: scheduler.factor });
      case 'exponential':
        return exponentialSchedule({ factor: scheduler.factor });
      case 'cosine':
        return cosineSchedule({ floor: Math.min(1, scheduler.min_learning_rate / rate) });
    }
  })();
  return warmup === 0 ? schedule : withWarmup(schedule ?? constantSchedule, { epochs: warmup });
}

function earlyStopping(section: Exclude<ResolvedConfig['training']['early_stopping'], false>): EarlyStopping {
  const { monitor, patience, min_delta: minDelta, restore_best: restoreBest } = section;
  return { monitor, mode: MONITORS[monitor], patience, minDelta, restoreBest };
}

function plateau(section: Extract<ResolvedConfig['training']['scheduler'], { type: 'reduce_on_plateau' }>): ReduceOnPlateau {
  const { monitor, factor, patience, min_delta: minDelta, min_learning_rate: minLearningRate } = section;
  return { monitor, mode: MONITORS[monitor], factor, patience, minDelta, minLearningRate };
}

function seconds(text: string): number {
  return Number(text.slice(0, -1)) * UNIT_SECONDS[text.at(-1) as keyof typeof UNIT_SECONDS];
}
