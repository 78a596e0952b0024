/** A configuration's training section in the trainer's terms. */
import { TensorkilnError } from '../errors.js';
import { MONITORS } from './config/scheduler-schema.js';
import { patternOf } from './config/schema-parts.js';
import type { RunData } from './run-data.js';
import { scheduleOf } from './schedule-of.js';
import type { EarlyStopping, FitOptions, ReduceOnPlateau } from '../train/index.js';
import type { ResolvedConfig } from './config/resolve.js';

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Everything but data, signal, listeners and checkpoints. */
export function fitOptions({ training }: ResolvedConfig): FitOptions {
  const { early_stopping: stopping, scheduler, fast_dev_run: fastDevRun } = training;
  const schedule = scheduler.type === 'reduce_on_plateau' ? undefined : scheduleOf(scheduler, training.learning_rate);
  const { skip, rollbacks, rate_factor: rateFactor } = training.non_finite;
  return {
    epochs: training.epochs,
    batchSize: training.batch_size,
    sanityValidationBatches: training.sanity_validation_batches,
    fastDevRun,
    shuffle: training.shuffle,
    debug: training.debug,
    nonFinite: { skip, rollbacks, rateFactor },
    microBatchAuto: training.micro_batch_auto,
    unfreeze: training.unfreeze.map(({ epoch, layers }) => ({ epoch, layers: layers.map(patternOf) })),
    ...(training.micro_batch === undefined ? {} : { microBatch: training.micro_batch }),
    ...(training.divergence === false ? {} : { divergence: training.divergence }),
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
