/** The sections training, logging and targets of a configuration. */
import { z } from 'zod';
import { optimizerNames, optimizerSection } from './optimizer-schema.js';
import { flag, refuse, seed } from './schema-parts.js';

/** What training can watch, with the direction that is better. */
export const MONITORS = { validation_loss: 'min', validation_accuracy: 'max', train_loss: 'min' } as const;
const monitor = (): z.ZodDefault<z.ZodEnum<{ [K in keyof typeof MONITORS]: K }>> =>
  z
    .enum(['validation_loss', 'validation_accuracy', 'train_loss'])
    .default('validation_loss')
    .describe('one of validation_loss, validation_accuracy, train_loss');

const earlyStopping = z
  .union([
    z.literal(false),
    z.strictObject({
      monitor: monitor(),
      patience: z.int().min(1).default(20).describe('a number of epochs >= 1'),
      min_delta: z.number().min(0).default(0).describe('a number >= 0'),
      restore_best: flag(true),
    }),
  ])
  .prefault({})
  .describe('a section with monitor, patience, min_delta and restore_best, or false');

const share = (): z.ZodNumber => z.number().gt(0).lt(1);
const factor = (value: number): z.ZodDefault<z.ZodNumber> => share().default(value).describe('a factor above 0 and below 1');
const rate = (value: number): z.ZodDefault<z.ZodNumber> => z.number().min(0).default(value).describe('a number >= 0');
const epochs = (value: number): z.ZodDefault<z.ZodNumber> => z.int().min(1).default(value).describe('a number of epochs >= 1');
const warmup = (): z.ZodDefault<z.ZodNumber> =>
  z.number().min(0).default(0).describe('a number of epochs >= 0 in which the rate grows from 0');

const schedulerType = <T extends string>(name: T): z.ZodLiteral<T> =>
  z.literal(name).describe('one of constant, step, exponential, cosine, reduce_on_plateau');

const scheduler = z
  .discriminatedUnion('type', [
    z.strictObject({ type: schedulerType('constant'), warmup_epochs: warmup() }),
    z.strictObject({ type: schedulerType('step'), every: epochs(30), factor: factor(0.1), warmup_epochs: warmup() }),
    z.strictObject({ type: schedulerType('exponential'), factor: factor(0.95), warmup_epochs: warmup() }),
    z.strictObject({ type: schedulerType('cosine'), min_learning_rate: rate(0), warmup_epochs: warmup() }),
    z.strictObject({
      type: schedulerType('reduce_on_plateau'),
      monitor: monitor(),
      factor: factor(0.1),
      patience: epochs(10),
      min_delta: rate(0),
      min_learning_rate: rate(0),
    }),
  ])
  .prefault({ type: 'constant' })
  .describe('a section with type constant, step, exponential, cosine or reduce_on_plateau and its options');

const limit = (): z.ZodOptional<z.ZodUnion<readonly [z.ZodInt, z.ZodNumber]>> =>
  z
    .union([z.int().min(1), share()])
    .optional()
    .describe('a number of batches >= 1, or a share above 0 and below 1');

/** Losses by task; `auto` takes the first. */
export const LOSSES = {
  classification: ['cross_entropy', 'focal'],
  regression: ['mean_squared_error', 'mean_absolute_error', 'huber'],
} as const;

export const training = z
  .strictObject({
    batch_size: z
      .union([z.int().min(1), z.literal('auto')])
      .default('auto')
      .describe('an integer >= 1, or auto'),
    epochs: z.int().min(1).default(100).describe('an integer >= 1'),
    learning_rate: z
      .union([z.number().gt(0), z.literal('auto')])
      .default(0.001)
      .describe('a number above 0, or auto'),
    optimizer: z
      .union([z.enum(optimizerNames), optimizerSection])
      .default('adam')
      .describe(`one of ${optimizerNames.join(', ')}, or a section with type, its options and clip`),
    momentum: z.number().min(0).lt(1).optional().describe('a number >= 0 and below 1'),
    weight_decay: z.number().min(0).default(0).describe('a number >= 0'),
    scheduler,
    early_stopping: earlyStopping,
    loss: z
      .enum(['auto', ...LOSSES.classification, ...LOSSES.regression])
      .default('auto')
      .describe(`auto, ${[...LOSSES.classification, ...LOSSES.regression].join(', ')}`),
    focal_gamma: z.number().min(0).optional().describe('a number >= 0'),
    class_weights: z
      .union([z.enum(['none', 'balanced']), z.record(z.string(), z.number().min(0))])
      .default('none')
      .describe('none, balanced, or class names with a weight >= 0 each'),
    max_time: z
      .string()
      .regex(/^\d+(\.\d+)?[smhd]$/)
      .optional()
      .describe('a number with s, m, h or d behind it, such as 90m'),
    limit_train_batches: limit(),
    limit_validation_batches: limit(),
    overfit_batches: z.int().min(1).optional().describe('a number of batches >= 1'),
    fast_dev_run: flag(false),
    sanity_validation_batches: z.int().min(0).default(2).describe('a number of batches >= 0'),
    seed: seed(),
  })
  .superRefine((section, context) => {
    const exclusive = (keys: readonly (keyof typeof section)[]): void => {
      const set = keys.filter((key) => section[key] !== undefined && section[key] !== false);
      if (set.length > 1)
        refuse(context, { path: [set[1] as string], expected: `only one of ${keys.join(', ')}`, found: set.join(' and ') });
    };
    exclusive(['overfit_batches', 'limit_train_batches', 'fast_dev_run']);
    const { momentum, optimizer, focal_gamma: gamma, loss } = section;
    if (momentum !== undefined && optimizer !== 'sgd') {
      const found = typeof optimizer === 'string' ? `it with ${optimizer}` : 'it with an optimizer section';
      refuse(context, { path: ['momentum'], expected: 'it only with optimizer sgd', found });
    }
    if (gamma !== undefined && loss !== 'focal')
      refuse(context, { path: ['focal_gamma'], expected: 'it only with loss focal', found: `it with ${loss}` });
  })
  .prefault({})
  .describe('a section with batch_size, epochs, learning_rate, optimizer, scheduler, early_stopping and others');

export const logging = z
  .strictObject({
    tensorboard: flag(false),
    checkpoint_every: z
      .union([
        z.int().min(1),
        z.literal(false),
        z.strictObject({ steps: z.int().min(1).describe('a number of steps >= 1') }),
        z.strictObject({ seconds: z.number().min(0).describe('a number of seconds >= 0') }),
      ])
      .default({ seconds: 60 })
      .describe('a number of epochs >= 1, {steps: <number>}, {seconds: <number>}, or false'),
    keep_checkpoints: z.int().min(1).default(3).describe('an integer >= 1'),
  })
  .prefault({})
  .describe('a section with tensorboard, checkpoint_every and keep_checkpoints');

/** Metrics a target can be set for, with the direction that is better, by task. */
export const TARGET_METRICS = {
  classification: {
    accuracy: 'max',
    balanced_accuracy: 'max',
    macro_precision: 'max',
    macro_recall: 'max',
    macro_f1: 'max',
    weighted_f1: 'max',
    roc_auc: 'max',
    pr_auc: 'max',
    mcc: 'max',
    log_loss: 'min',
    brier: 'min',
  },
  regression: { rmse: 'min', mae: 'min', mape: 'min', r2: 'max' },
} as const;
export type TargetMetric = keyof typeof TARGET_METRICS.classification | keyof typeof TARGET_METRICS.regression;

const threshold = (): z.ZodOptional<z.ZodNumber> => z.number().optional().describe('a number');

export const targets = z
  .strictObject({
    accuracy: threshold(),
    balanced_accuracy: threshold(),
    macro_precision: threshold(),
    macro_recall: threshold(),
    macro_f1: threshold(),
    weighted_f1: threshold(),
    roc_auc: threshold(),
    pr_auc: threshold(),
    mcc: threshold(),
    brier: threshold(),
    log_loss: threshold(),
    rmse: threshold(),
    mae: threshold(),
    mape: threshold(),
    r2: threshold(),
  })
  .prefault({})
  .describe('a section with a threshold for each metric wanted, or the path of a file with it');
