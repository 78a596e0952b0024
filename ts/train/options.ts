/** What trainers and `fit` take, and its checks. */
import { checkBoolean, checkInteger, checkKeys, checkNumber, checkOneOf, show } from '../arguments.js';
import type { Precision } from '../backend/custom/autocast.js';
import { TensorkilnError } from '../errors.js';
import type { Layer } from '../nn/layer.js';
import type { Loss } from '../nn/losses.js';
import type { Optimizer } from '../optim/optimizer.js';
import type { Schedule } from '../optim/schedules.js';
import type { Callback } from './callbacks.js';
import type { Facts } from './checkpoint/facts.js';
import { checkGuard, type CheckedGuard, type DivergenceOptions, type NonFiniteOptions } from './guard.js';
import type { Metric, StepFunctions } from './steps.js';
import type { TfjsModel } from './trainable.js';
import type { TrainingData } from './training-data.js';
import type { TrainingEvent } from './types.js';
import { checkUnfreezing, type Unfreezing } from './unfreeze.js';

interface CommonOptions {
  /** Seed of the order of rows, an integer in [0, 2^53). Default 0. Initial weights and dropout follow the model's seed. */
  readonly seed?: number;
  /**
   * Whether steps are recorded once per batch shape and replayed; the results are the same bits. Default true. A step that cannot
   * be recorded, as with layers of a LayersModel that draw host random numbers, runs as it stands; the event `not_compiled` says why.
   */
  readonly compile?: boolean;
}

/** A trainer of a model with losses. */
export interface ModelTrainerOptions extends CommonOptions {
  /** Our layers (built, or built by `fit` for the training data), or a `tf.LayersModel`. Any number of inputs and outputs. */
  readonly model: Layer | TfjsModel;
  /** One, or one per output. */
  readonly loss: Loss | readonly Loss[];
  /** How much each output's loss counts, >= 0; default 1 each. */
  readonly lossWeights?: readonly number[];
  /** Judged on validation rows beside the loss, for the first output. */
  readonly metrics?: readonly Metric[];
  /** Not bound to other parameters. The trainer does not dispose it. */
  readonly optimizer: Optimizer;
  /** How much a row of each class counts in the training loss, >= 0, by class index; for one output with one class per row. */
  readonly classWeights?: readonly number[];
  /**
   * How activations are stored: 'float32', or in 16 bits as `autocast` says; parameters and the optimizer's state stay float32.
   * With 'f16' losses are scaled as `GradScaler` does. Default 'float32'.
   */
  readonly precision?: Precision;
}

/** A trainer of a step function. */
export interface StepTrainerOptions extends CommonOptions {
  readonly step: StepFunctions;
  /** The optimizer that `step.train` applies, where it uses one of ours: its state is saved and its rate scheduled. */
  readonly optimizer?: Optimizer;
}

export type TrainerOptions = ModelTrainerOptions | StepTrainerOptions;

/** A figure of an epoch: `train_loss`, `validation_loss`, `validation_accuracy` or `validation_<metric>`. */
export type MonitorName = string;

interface Watching {
  /** Default `validation_loss`, without validation data `train_loss`. */
  readonly monitor?: MonitorName;
  /** Whether less or more is better; default min for a loss, max for `validation_accuracy`. A metric of your own needs it. */
  readonly mode?: 'min' | 'max';
  /** How much better the figure must be to count, >= 0. Default 0. */
  readonly minDelta?: number;
}

/** Ends training when a figure no longer improves. It is also what decides which epoch is the best. */
export interface EarlyStopping extends Watching {
  /** Epochs without improvement before training ends, >= 1. */
  readonly patience: number;
  /** Whether the model ends with the weights of its best epoch, however training ends. Default true. */
  readonly restoreBest?: boolean;
}

/** Lowers the learning rate when a figure no longer improves. */
export interface ReduceOnPlateau extends Watching {
  /** Epochs without improvement before the rate is lowered, >= 1. Default 10. */
  readonly patience?: number;
  /** What the rate is multiplied by, above 0 and below 1. Default 0.1. */
  readonly factor?: number;
  /** The rate does not go below, >= 0. Default 0. */
  readonly minLearningRate?: number;
}

/** Where and when the whole state of training is saved. */
export interface CheckpointOptions {
  /** Made when it is not there. A run that does not resume removes what an earlier one left in it. */
  readonly folder: string;
  /** After how many epochs, steps or seconds; default every 60 seconds. The end of training is always saved. */
  readonly every?: { readonly epochs: number } | { readonly steps: number } | { readonly seconds: number };
  /** How many of the newest stay, >= 1. Default 3. The best epoch's weights stay beside them, as best.safetensors. */
  readonly keep?: number;
  /** What the run rests on besides the trainer's own data and options: compared when it is resumed. */
  readonly facts?: Facts;
}

/** A number of batches, or a share of them above 0 and below 1. */
export type BatchLimit = number;

export interface FitOptions {
  /** Judged after each epoch. */
  readonly validation?: TrainingData;
  /** Most epochs to run, >= 1. */
  readonly epochs: number;
  /** Rows per step, >= 1; the last step of an epoch takes what is left. */
  readonly batchSize: number;
  /** Whether each epoch visits the rows in a new order. Default true. */
  readonly shuffle?: boolean;
  /** Changes the learning rate from step to step. */
  readonly schedule?: Schedule;
  readonly reduceOnPlateau?: ReduceOnPlateau;
  readonly earlyStopping?: EarlyStopping;
  readonly callbacks?: readonly Callback[];
  readonly checkpoints?: CheckpointOptions;
  /** Whether to go on from the newest whole checkpoint of `checkpoints.folder`. Default false. */
  readonly resume?: boolean;
  /** Ends training after the step that passes this, in seconds since training began, > 0. */
  readonly maxTimeSeconds?: number;
  /** Batches of each epoch that are trained on. */
  readonly limitTrainBatches?: BatchLimit;
  /** Batches of the validation data that are judged. */
  readonly limitValidationBatches?: BatchLimit;
  /** Trains on just this many batches, the same ones in every epoch, to see that the model can learn them by heart. */
  readonly overfitBatches?: number;
  /** One epoch of one batch, training and validation, without checkpoints: to see that everything runs. */
  readonly fastDevRun?: boolean;
  /** Validation batches that are judged before the first epoch, so that what is wrong there is told at once. Default 2; 0 for none. */
  readonly sanityValidationBatches?: number;
  /** What comes of steps whose loss or gradients are not finite. */
  readonly nonFinite?: NonFiniteOptions;
  /** When a growing loss ends training. Default: never. */
  readonly divergence?: DivergenceOptions;
  /**
   * Most rows computed at a time, >= 1: a larger batch is computed in parts whose gradients are added up before its one update.
   * Not for models that normalise over the batch. Default: all, and fewer where the memory does not suffice (`microBatchAuto`).
   */
  readonly microBatch?: number;
  /** Whether a batch that does not fit into memory is computed in parts. Default true. */
  readonly microBatchAuto?: boolean;
  /** Parameters that are trained from an epoch on, though they are frozen before. */
  readonly unfreeze?: readonly Unfreezing[];
  /** Whether to look closely: checks of the data, where numbers stop being finite, statistics of gradients. Default false. */
  readonly debug?: boolean;
  /** Ends training after the running step. */
  readonly signal?: AbortSignal;
  /** Called in order; an error it throws ends training and rejects `fit`. */
  readonly onEvent?: (event: TrainingEvent) => void;
}

const FIT_KEYS = [
  'validation',
  'epochs',
  'batchSize',
  'shuffle',
  'schedule',
  'reduceOnPlateau',
  'earlyStopping',
  'callbacks',
  'checkpoints',
  'resume',
  'maxTimeSeconds',
  'limitTrainBatches',
  'limitValidationBatches',
  'overfitBatches',
  'fastDevRun',
  'sanityValidationBatches',
  'nonFinite',
  'divergence',
  'microBatch',
  'microBatchAuto',
  'unfreeze',
  'debug',
  'signal',
  'onEvent',
] as const;

export interface CheckedWatching {
  readonly monitor: MonitorName;
  readonly mode: 'min' | 'max';
  readonly minDelta: number;
}

export interface CheckedFit {
  readonly epochs: number;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly schedule: Schedule | undefined;
  readonly best: CheckedWatching;
  readonly earlyStopping: { readonly patience: number; readonly restoreBest: boolean } | undefined;
  readonly reduceOnPlateau:
    (CheckedWatching & { readonly patience: number; readonly factor: number; readonly minLearningRate: number }) | undefined;
  readonly callbacks: readonly Callback[];
  readonly checkpoints: (Required<Omit<CheckpointOptions, 'facts'>> & { readonly facts: Facts }) | undefined;
  readonly resume: boolean;
  readonly maxTimeSeconds: number;
  readonly limitTrainBatches: BatchLimit | undefined;
  readonly limitValidationBatches: BatchLimit | undefined;
  readonly sanityValidationBatches: number;
  readonly guard: CheckedGuard;
  readonly microBatch: number | undefined;
  readonly microBatchAuto: boolean;
  readonly unfreeze: readonly Unfreezing[];
  readonly debug: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: ((event: TrainingEvent) => void) | undefined;
}

/** The options of `fit`, checked and with defaults. @throws E_CONFIG */
export function checkFitOptions(options: FitOptions, monitors: readonly MonitorName[]): CheckedFit {
  checkKeys('fit', options, FIT_KEYS);
  const hasValidation = options.validation !== undefined;
  const fast = checkBoolean('fit', 'fastDevRun', options.fastDevRun ?? false);
  const overfit = options.overfitBatches;
  if (overfit !== undefined) checkInteger('fit', 'overfitBatches', overfit, { min: 1 });
  const limits = [
    overfit !== undefined && 'overfitBatches',
    fast && 'fastDevRun',
    options.limitTrainBatches !== undefined && 'limitTrainBatches',
  ].filter((name) => name !== false);
  if (limits.length > 1) {
    throw new TensorkilnError('E_CONFIG', `[fit] conflicting options: expected only one of ${limits.join(', ')}.`);
  }
  if (options.resume === true && options.checkpoints === undefined)
    throw new TensorkilnError('E_CONFIG', '[fit] wrong resume: it needs checkpoints, got none.');
  const { earlyStopping } = options;
  if (earlyStopping !== undefined) {
    checkKeys('fit', earlyStopping, ['patience', 'minDelta', 'restoreBest', 'monitor', 'mode']);
    if (!hasValidation && earlyStopping.monitor !== 'train_loss')
      throw new TensorkilnError(
        'E_CONFIG',
        '[fit] wrong earlyStopping: it needs validation data, or monitor train_loss, got neither.',
      );
  }
  const watch = (key: string, watching: Watching | undefined): CheckedWatching =>
    checkWatching(key, watching, monitors, hasValidation);
  return {
    epochs: fast ? 1 : checkInteger('fit', 'epochs', options.epochs, { min: 1 }),
    batchSize: checkInteger('fit', 'batchSize', options.batchSize, { min: 1 }),
    shuffle: checkBoolean('fit', 'shuffle', options.shuffle ?? true) && overfit === undefined,
    schedule: checkFunction('schedule', options.schedule, 'a schedule, such as cosineSchedule()'),
    best: watch('earlyStopping', earlyStopping),
    earlyStopping:
      earlyStopping === undefined
        ? undefined
        : {
            patience: checkInteger('fit', 'earlyStopping.patience', earlyStopping.patience, { min: 1 }),
            restoreBest: checkBoolean('fit', 'earlyStopping.restoreBest', earlyStopping.restoreBest ?? true),
          },
    reduceOnPlateau: options.reduceOnPlateau === undefined ? undefined : checkPlateau(options.reduceOnPlateau, watch),
    callbacks: checkCallbacks(options.callbacks ?? []),
    checkpoints: options.checkpoints === undefined || fast ? undefined : checkCheckpoints(options.checkpoints),
    resume: checkBoolean('fit', 'resume', options.resume ?? false) && !fast,
    maxTimeSeconds:
      options.maxTimeSeconds === undefined
        ? Infinity
        : checkNumber('fit', 'maxTimeSeconds', options.maxTimeSeconds, { above: 0 }),
    limitTrainBatches: fast ? 1 : (overfit ?? checkLimit('limitTrainBatches', options.limitTrainBatches)),
    limitValidationBatches: fast ? 1 : checkLimit('limitValidationBatches', options.limitValidationBatches),
    sanityValidationBatches: checkInteger('fit', 'sanityValidationBatches', options.sanityValidationBatches ?? 2, { min: 0 }),
    guard: checkGuard(options.nonFinite, options.divergence),
    microBatch:
      options.microBatch === undefined ? undefined : checkInteger('fit', 'microBatch', options.microBatch, { min: 1 }),
    microBatchAuto: checkBoolean('fit', 'microBatchAuto', options.microBatchAuto ?? true),
    unfreeze: checkUnfreezing(options.unfreeze ?? []),
    debug: checkBoolean('fit', 'debug', options.debug ?? false),
    signal: options.signal,
    onEvent: checkFunction('onEvent', options.onEvent, 'a function'),
  };
}

function checkFunction<T>(key: string, value: T, expected: string): T {
  if (value === undefined || typeof value === 'function') return value;
  throw new TensorkilnError('E_CONFIG', `[fit] wrong ${key}: expected ${expected}, got ${show(value)}.`);
}

const HOOKS: readonly string[] = ['onStart', 'onEpochStart', 'onStep', 'onEpochEnd', 'onEnd'];

/** A hook of another name would never be called. */
function checkCallbacks(callbacks: unknown): readonly Callback[] {
  if (!Array.isArray(callbacks))
    throw new TensorkilnError('E_CONFIG', `[fit] wrong callbacks: expected a list of callbacks, got ${show(callbacks)}.`);
  callbacks.forEach((callback: unknown, index) => {
    if (typeof callback !== 'object' || callback === null)
      throw new TensorkilnError('E_CONFIG', `[fit] wrong callbacks[${index}]: expected a callback, got ${show(callback)}.`);
    const unknown = Object.keys(callback).find((key) => /^on[A-Z]/.test(key) && !HOOKS.includes(key));
    if (unknown !== undefined)
      throw new TensorkilnError(
        'E_CONFIG',
        `[fit] unknown hook '${unknown}' of callbacks[${index}]: expected some of ${HOOKS.join(', ')}.`,
      );
  });
  return callbacks as readonly Callback[];
}

/** Figures of which it is known whether less or more is better. */
const KNOWN_MODES: readonly MonitorName[] = ['train_loss', 'validation_loss', 'validation_accuracy'];

function checkWatching(
  key: string,
  watching: Watching | undefined,
  monitors: readonly MonitorName[],
  hasValidation: boolean,
): CheckedWatching {
  const monitor = checkOneOf(
    'fit',
    `${key}.monitor`,
    watching?.monitor ?? (hasValidation ? 'validation_loss' : 'train_loss'),
    monitors,
  );
  if (watching?.mode === undefined && !KNOWN_MODES.includes(monitor)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[fit] ${key}.mode is missing: expected min or max, since only you know whether less or more ${monitor} is better, got nothing.`,
    );
  }
  const mode = checkOneOf('fit', `${key}.mode`, watching?.mode ?? (monitor === 'validation_accuracy' ? 'max' : 'min'), [
    'min',
    'max',
  ] as const);
  return { monitor, mode, minDelta: checkNumber('fit', `${key}.minDelta`, watching?.minDelta ?? 0, { min: 0 }) };
}

function checkPlateau(
  options: ReduceOnPlateau,
  watch: (key: string, watching: Watching) => CheckedWatching,
): NonNullable<CheckedFit['reduceOnPlateau']> {
  checkKeys('fit', options, ['patience', 'minDelta', 'monitor', 'mode', 'factor', 'minLearningRate']);
  return {
    ...watch('reduceOnPlateau', options),
    patience: checkInteger('fit', 'reduceOnPlateau.patience', options.patience ?? 10, { min: 1 }),
    factor: checkNumber('fit', 'reduceOnPlateau.factor', options.factor ?? 0.1, { above: 0, below: 1 }),
    minLearningRate: checkNumber('fit', 'reduceOnPlateau.minLearningRate', options.minLearningRate ?? 0, { min: 0 }),
  };
}

function checkCheckpoints(options: CheckpointOptions): NonNullable<CheckedFit['checkpoints']> {
  checkKeys('fit', options, ['folder', 'every', 'keep', 'facts']);
  if (typeof options.folder !== 'string' || options.folder === '')
    throw new TensorkilnError('E_CONFIG', `[fit] wrong checkpoints.folder: expected a path, got ${show(options.folder)}.`);
  const every = options.every ?? { seconds: 60 };
  const [[unit, value] = ['', undefined], ...others] = Object.entries(checkKeys('fit', every, ['epochs', 'steps', 'seconds']));
  if (others.length > 0 || unit === '')
    throw new TensorkilnError('E_CONFIG', '[fit] wrong checkpoints.every: expected one of epochs, steps, seconds.');
  if (unit === 'seconds') checkNumber('fit', 'checkpoints.every.seconds', value, { min: 0 });
  else checkInteger('fit', `checkpoints.every.${unit}`, value, { min: 1 });
  return {
    folder: options.folder,
    every,
    keep: checkInteger('fit', 'checkpoints.keep', options.keep ?? 3, { min: 1 }),
    facts: options.facts ?? {},
  };
}

function checkLimit(key: string, limit: BatchLimit | undefined): BatchLimit | undefined {
  if (limit === undefined) return undefined;
  if (typeof limit === 'number' && limit > 0 && limit < 1) return limit;
  return checkInteger('fit', key, limit, { min: 1 });
}

/** How many of `batches` a limit leaves; at least one. */
export function applyLimit(batches: number, limit: BatchLimit | undefined): number {
  if (limit === undefined) return batches;
  return limit < 1 ? Math.max(1, Math.floor(batches * limit)) : Math.min(batches, limit);
}
