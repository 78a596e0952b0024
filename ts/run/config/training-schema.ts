/** The sections model, training, logging and targets of a configuration. */
import { z } from 'zod';

const text = (): z.ZodString => z.string().min(1);
const seed = (): z.ZodDefault<z.ZodNumber> => z.int().min(0).default(0).describe('an integer from 0 to 2^53 - 1');
const flag = (value: boolean): z.ZodDefault<z.ZodBoolean> => z.boolean().default(value).describe('true or false');

/** What a check across keys reports; `describeIssue` writes the message. */
function refuse(
  context: z.RefinementCtx,
  issue: { readonly path?: readonly string[]; readonly expected: string; readonly found: string },
): void {
  context.addIssue({
    code: 'custom',
    path: [...(issue.path ?? [])],
    params: { expected: issue.expected, found: issue.found },
  });
}

export const ACTIVATION_CHOICES = [
  'linear',
  'relu',
  'relu6',
  'elu',
  'selu',
  'leaky_relu',
  'sigmoid',
  'tanh',
  'softplus',
  'gelu',
] as const;

/** Architectures that are planned, so that naming one is told from a mistake. */
export const PLANNED_ARCHITECTURES = ['cnn', 'resnet', 'rnn', 'lstm', 'gru', 'transformer'] as const;

const MLP_KEYS = ['hidden_units', 'activation', 'dropout'] as const;

const layer = z
  .strictObject({
    type: text().describe('the name of a layer type, such as dense'),
    name: text().optional().describe('a text without a slash'),
    config: z.record(z.string(), z.unknown()).default({}).describe('a section with the options of the layer'),
  })
  .describe('a layer with type, name and config');

export const model = z
  .strictObject({
    architecture: z.enum(['mlp', 'layers']).default('mlp').describe('mlp, or layers with a list of them'),
    hidden_units: z.array(z.int().min(1)).optional().describe('a list of layer sizes, each an integer >= 1; [] for none'),
    activation: z
      .enum(ACTIVATION_CHOICES)
      .optional()
      .describe(`one of ${ACTIVATION_CHOICES.join(', ')}`),
    dropout: z.number().min(0).lt(1).optional().describe('a rate >= 0 and below 1'),
    layers: z.array(layer).min(1).optional().describe('a list of layers, the last one giving one value per class'),
    pretrained: z.literal(false).default(false).describe('false'),
    num_classes: z
      .union([z.int().min(2), z.literal('auto')])
      .default('auto')
      .describe('an integer >= 2, or auto'),
  })
  .superRefine((section, context) => {
    if (section.architecture === 'layers') {
      if (section.layers === undefined)
        refuse(context, { path: ['layers'], expected: 'a list of layers for architecture layers', found: 'nothing' });
      const key = MLP_KEYS.find((name) => section[name] !== undefined);
      if (key !== undefined)
        refuse(context, { path: [key], expected: 'it only with architecture mlp', found: 'it with architecture layers' });
    } else if (section.layers !== undefined) {
      refuse(context, {
        path: ['layers'],
        expected: 'them only with architecture layers',
        found: 'them with architecture mlp',
      });
    }
  })
  .transform(({ architecture, hidden_units, activation, dropout, layers, ...rest }) =>
    architecture === 'layers'
      ? { architecture, layers: layers ?? [], ...rest }
      : {
          architecture,
          hidden_units: hidden_units ?? [32],
          activation: activation ?? ('relu' as const),
          dropout: dropout ?? 0,
          ...rest,
        },
  )
  .prefault({})
  .describe('a section with architecture, hidden_units, activation, dropout, layers, pretrained and num_classes');

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
    optimizer: z.enum(['adam', 'adamw', 'sgd']).default('adam').describe('adam, adamw or sgd'),
    momentum: z.number().min(0).lt(1).optional().describe('a number >= 0 and below 1'),
    weight_decay: z.number().min(0).default(0).describe('a number >= 0'),
    scheduler,
    early_stopping: earlyStopping,
    loss: z.enum(['cross_entropy', 'focal']).default('cross_entropy').describe('cross_entropy or focal'),
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
    if (section.momentum !== undefined && section.optimizer !== 'sgd')
      refuse(context, { path: ['momentum'], expected: 'it only with optimizer sgd', found: `it with ${section.optimizer}` });
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

/** Metrics a target can be set for, with the direction that is better. */
export const TARGET_METRICS = {
  accuracy: 'max',
  balanced_accuracy: 'max',
  macro_precision: 'max',
  macro_recall: 'max',
  macro_f1: 'max',
  log_loss: 'min',
} as const;
export type TargetMetric = keyof typeof TARGET_METRICS;

const threshold = (): z.ZodOptional<z.ZodNumber> => z.number().optional().describe('a number');

export const targets = z
  .strictObject({
    accuracy: threshold(),
    balanced_accuracy: threshold(),
    macro_precision: threshold(),
    macro_recall: threshold(),
    macro_f1: threshold(),
    log_loss: threshold(),
  })
  .prefault({})
  .describe('a section with a threshold for each metric wanted, or the path of a file with it');
