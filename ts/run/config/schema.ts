import { z } from 'zod';
import { logging, model, targets, training } from './training-schema.js';

/**
 * The configuration of a training run, as written in YAML. Every leaf carries a description of what it takes: it ends up in error
 * messages and in the JSON Schema for editors, so it reads as the end of "expected ...".
 */

const seed = (): z.ZodDefault<z.ZodNumber> => z.int().min(0).default(0).describe('an integer from 0 to 2^53 - 1');
const text = (): z.ZodString => z.string().min(1);

const data = z
  .strictObject({
    path: text().describe('the path of a CSV file'),
    target: text().describe('the name of a column'),
    na_values: z
      .array(z.string())
      .default(['', 'NA', 'N/A', 'NaN', 'null', '?'])
      .describe('a list of texts that stand for a missing cell, in quotes where YAML would read them otherwise'),
    features: z
      .record(z.string(), z.enum(['numeric', 'categorical', 'ignore']).describe('numeric, categorical or ignore'))
      .default({})
      .describe('column names with numeric, categorical or ignore'),
  })
  .describe('a section with path and target');

const share = (value: number): z.ZodDefault<z.ZodNumber> =>
  z.number().gt(0).lt(1).default(value).describe('a share of the rows, above 0 and below 1');

const split = z
  .strictObject({
    train: share(0.7),
    validation: share(0.15),
    test: share(0.15),
    stratify: z.boolean().default(true).describe('true or false'),
    seed: seed(),
  })
  .superRefine(({ train, validation, test }, context) => {
    const sum = train + validation + test;
    // 1e-9: room for the binary rounding of decimal shares.
    if (Math.abs(sum - 1) <= 1e-9) return;
    const found = `${train} + ${validation} + ${test} = ${Number(sum.toFixed(9))}`;
    context.addIssue({ code: 'custom', params: { expected: 'train, validation and test to sum to 1', found } });
  })
  .prefault({})
  .describe('a section with train, validation, test, stratify and seed');

const preprocessing = z
  .strictObject({
    numeric_imputation: z
      .union([z.enum(['median', 'mean', 'mode']), z.strictObject({ constant: z.number() })])
      .default('median')
      .describe('median, mean, mode or {constant: <number>}'),
    categorical_imputation: z
      .union([z.enum(['mode']), z.strictObject({ constant: text() })])
      .default('mode')
      .describe('mode or {constant: <text>}'),
    scaling: z.enum(['standard', 'none']).default('standard').describe('standard or none'),
  })
  .prefault({})
  .describe('a section with numeric_imputation, categorical_imputation and scaling');

const augmentation = z
  .strictObject({
    enabled: z.boolean().default(false).describe('true or false'),
    transforms: z.array(z.unknown()).default([]).describe('a list of transforms'),
  })
  .prefault({})
  .describe('a section with enabled and transforms');

export const configSchema = z
  .strictObject({
    defaults: z.array(z.unknown()).optional().describe('a list of file names, `group: choice` and _self_'),
    data,
    split,
    preprocessing,
    augmentation,
    model,
    training,
    logging,
    targets,
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
    const choices: readonly z.core.$ZodType[] = schema === undefined ? [] : alternatives(schema);
    schema = choices
      .map((choice) =>
        choice instanceof z.ZodObject
          ? (choice.shape as Readonly<Record<string, z.core.$ZodType>>)[String(key)]
          : choice instanceof z.ZodRecord
            ? choice.valueType
            : undefined,
      )
      .find((inner) => inner !== undefined);
  }
  return schema instanceof z.ZodType ? schema : undefined;
}

/** Keys that are allowed below `path`; undefined where any are, or none. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] | undefined {
  const schema = schemaAt(path);
  const keys = (schema === undefined ? [] : alternatives(schema)).flatMap((choice) =>
    choice instanceof z.ZodObject ? Object.keys(choice.shape) : [],
  );
  return keys.length === 0 ? undefined : [...new Set(keys)];
}

/** What a schema allows, wrappers taken off: one, or the choices of a union. */
export function alternatives(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const inner = unwrap(schema);
  return inner instanceof z.ZodUnion ? inner.options.flatMap(alternatives) : [inner];
}

/** Whether keys below `path` are the user's own, such as column names. */
export function isRecordAt(path: readonly PropertyKey[]): boolean {
  const schema = schemaAt(path);
  return schema !== undefined && alternatives(schema).some((choice) => choice instanceof z.ZodRecord);
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
      inner = inner.unwrap();
    else if (inner instanceof z.ZodPipe) inner = inner.in;
    else return inner;
  }
}
