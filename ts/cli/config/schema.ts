import { z } from 'zod';
import { augmentation, data, features, preprocessing, split } from './data-schema.js';

/**
 * The configuration of a training run, as written in YAML. Every leaf carries a description of what it takes: it ends up in error
 * messages and in the JSON Schema for editors, so it reads as the end of "expected ...".
 */

const seed = (): z.ZodDefault<z.ZodNumber> => z.int().min(0).default(0).describe('an integer from 0 to 2^53 - 1');
const text = (): z.ZodString => z.string().min(1);

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

const model = z
  .strictObject({
    architecture: z.enum(['mlp']).default('mlp').describe('mlp'),
    hidden_units: z.array(z.int().min(1)).default([32]).describe('a list of layer sizes, each an integer >= 1; [] for none'),
    activation: z
      .enum(ACTIVATION_CHOICES)
      .default('relu')
      .describe(`one of ${ACTIVATION_CHOICES.join(', ')}`),
    dropout: z.number().min(0).lt(1).default(0).describe('a rate >= 0 and below 1'),
  })
  .prefault({})
  .describe('a section with architecture, hidden_units, activation and dropout');

const earlyStopping = z
  .strictObject({
    patience: z.int().min(1).default(20).describe('a number of epochs >= 1'),
    min_delta: z.number().min(0).default(0).describe('a number >= 0'),
  })
  .prefault({})
  .describe('a section with patience and min_delta');

const training = z
  .strictObject({
    batch_size: z
      .union([z.int().min(1), z.literal('auto')])
      .default('auto')
      .describe('an integer >= 1, or auto'),
    epochs: z.int().min(1).default(100).describe('an integer >= 1'),
    learning_rate: z.number().gt(0).default(0.001).describe('a number above 0'),
    optimizer: z.enum(['adam', 'adamw', 'sgd']).default('adam').describe('adam, adamw or sgd'),
    weight_decay: z.number().min(0).default(0).describe('a number >= 0'),
    early_stopping: earlyStopping,
    seed: seed(),
  })
  .prefault({})
  .describe('a section with batch_size, epochs, learning_rate, optimizer, weight_decay, early_stopping and seed');

export const configSchema = z
  .strictObject({
    data,
    features,
    split,
    preprocessing,
    augmentation,
    model,
    training,
    output: text().optional().describe('the path of a folder for the results'),
    device: z
      .string()
      .regex(/^(auto|cpu|cuda(:\d+)?)$/)
      .optional()
      .describe('auto, cpu, cuda or cuda:<number>'),
  })
  .describe('a configuration with at least a data section');

/** A checked configuration with every default filled in. Paths are absolute. */
export type TrainingConfig = z.output<typeof configSchema>;

/** The schema of one key, with wrappers for defaults taken off; undefined for a key there is none of. */
export function schemaAt(path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema: z.core.$ZodType | undefined = configSchema;
  for (const key of path) {
    const inner: z.core.$ZodType | undefined = schema === undefined ? undefined : unwrap(schema);
    if (inner instanceof z.ZodObject) schema = (inner.shape as Readonly<Record<PropertyKey, z.core.$ZodType>>)[key];
    else if (inner instanceof z.ZodRecord) schema = inner.valueType;
    else return undefined;
  }
  return schema instanceof z.ZodType ? schema : undefined;
}

/** Keys that are allowed below `path`; undefined where any are, or none. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] | undefined {
  const schema = schemaAt(path);
  const inner = schema === undefined ? undefined : unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : undefined;
}

/** Whether keys below `path` are the user's own, such as column names. */
export function isRecordAt(path: readonly PropertyKey[]): boolean {
  const schema = schemaAt(path);
  return schema !== undefined && unwrap(schema) instanceof z.ZodRecord;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
    inner = inner.unwrap();
  return inner;
}
