/** The sections training, logging and targets of a configuration. */
import { z } from 'zod';
import { optimizerNames, optimizerSection } from './optimizer-schema.js';
import { robustness } from './robustness-schema.js';
import { monitor, scheduler } from './scheduler-schema.js';
import { flag, refuse, seed } from './schema-parts.js';

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
const limit = (): z.ZodOptional<z.ZodUnion<readonly [z.ZodInt, z.ZodNumber]>> =>
  z
    .union([z.int().min(1), share()])
    .optional()
    .describe('a number of batches >= 1, or a share above 0 and below 1');

/** Losses by task; `auto` takes the first. */
export const LOSSES = {
  language_model: ['cross_entropy'],
  classification: ['cross_entropy', 'focal'],
  regression: ['mean_squared_error', 'mean_absolute_error', 'huber', 'log_cosh'],
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
    huber_delta: z.number().gt(0).optional().describe('a number above 0'),
    label_smoothing: z.number().min(0).lt(1).default(0).describe('a share >= 0 and below 1'),
    class_weights: z
      .union([z.enum(['none', 'balanced']), z.record(z.string(), z.number().min(0))])
      .default('none')
      .describe('none, balanced, or class names with a weight >= 0 each'),
    ...robustness,
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
    const { momentum, optimizer, focal_gamma: gamma, huber_delta: delta, label_smoothing: smoothing, loss } = section;
    if (momentum !== undefined && optimizer !== 'sgd') {
      const found = typeof optimizer === 'string' ? `it with ${optimizer}` : 'it with an optimizer section';
      refuse(context, { path: ['momentum'], expected: 'it only with optimizer sgd', found });
    }
    if (gamma !== undefined && loss !== 'focal')
      refuse(context, { path: ['focal_gamma'], expected: 'it only with loss focal', found: `it with ${loss}` });
    if (delta !== undefined && loss !== 'huber')
      refuse(context, { path: ['huber_delta'], expected: 'it only with loss huber', found: `it with ${loss}` });
    if (smoothing > 0 && loss !== 'cross_entropy' && loss !== 'auto')
      refuse(context, { path: ['label_smoothing'], expected: 'it only with loss cross_entropy', found: `it with ${loss}` });
    const { batch_size: batch, micro_batch: part } = section;
    if (typeof batch === 'number' && part !== undefined && part > batch)
      refuse(context, { path: ['micro_batch'], expected: 'at most batch_size', found: `${part} with batch_size ${batch}` });
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
    micro_f1: 'max',
    weighted_precision: 'max',
    weighted_recall: 'max',
    weighted_f1: 'max',
    roc_auc: 'max',
    pr_auc: 'max',
    mcc: 'max',
    log_loss: 'min',
    brier: 'min',
  },
  language_model: { perplexity: 'min', bits_per_character: 'min', cross_entropy: 'min', accuracy: 'max' },
  regression: { rmse: 'min', mae: 'min', median_absolute_error: 'min', max_error: 'min', mape: 'min', r2: 'max' },
} as const;
export type TargetMetric = {
  [Task in keyof typeof TARGET_METRICS]: keyof (typeof TARGET_METRICS)[Task];
}[keyof typeof TARGET_METRICS];

const threshold = (): z.ZodOptional<z.ZodNumber> => z.number().optional().describe('a number');

export const targets = z
  .strictObject({
    accuracy: threshold(),
    balanced_accuracy: threshold(),
    macro_precision: threshold(),
    macro_recall: threshold(),
    macro_f1: threshold(),
    micro_f1: threshold(),
    weighted_precision: threshold(),
    weighted_recall: threshold(),
    weighted_f1: threshold(),
    roc_auc: threshold(),
    pr_auc: threshold(),
    mcc: threshold(),
    brier: threshold(),
    log_loss: threshold(),
    rmse: threshold(),
    mae: threshold(),
    median_absolute_error: threshold(),
    max_error: threshold(),
    mape: threshold(),
    r2: threshold(),
    perplexity: threshold(),
    bits_per_character: threshold(),
    cross_entropy: threshold(),
  })
  .prefault({})
  .describe('a section with a threshold for each metric wanted, or the path of a file with it');
