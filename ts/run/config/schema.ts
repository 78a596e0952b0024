import { z } from 'zod';
import { augmentation, data, features, preprocessing, split } from './data-schema.js';
import { model } from './model-schema.js';
import { LOSSES, logging, TARGET_METRICS, targets, training } from './training-schema.js';

/**
 * The configuration of a training run, as written in YAML. Every leaf carries a description of what it takes: it ends up in error
 * messages and in the JSON Schema for editors, so it reads as the end of "expected ...".
 */

const text = (): z.ZodString => z.string().min(1);

export const configSchema = z
  .strictObject({
    defaults: z.array(z.unknown()).optional().describe('a list of file names, `group: choice` and _self_'),
    data,
    features,
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
  .superRefine((config, context) => {
    const task = knownTask(config);
    if (task === undefined) return;
    const metrics: readonly string[] = Object.keys(TARGET_METRICS[task]);
    for (const [metric, value] of Object.entries(config.targets)) {
      if (value === undefined || metrics.includes(metric)) continue;
      const params = { expected: `${metrics.join(', ')} for ${task}`, found: metric };
      context.addIssue({ code: 'custom', path: ['targets', metric], params });
    }
  })
  .describe('a configuration with at least a data section');

/** The task, where the configuration tells it before any data is read. */
function knownTask({
  data: { task, format },
  training: { loss },
}: {
  readonly data: z.output<typeof data>;
  readonly training: z.output<typeof training>;
}): keyof typeof LOSSES | undefined {
  if (task !== undefined) return task;
  if (format === 'text') return 'language_model';
  if (format === 'image_folder' || format === 'idx' || format === 'npy') return 'classification';
  if (loss === 'focal') return 'classification';
  return (LOSSES.regression as readonly string[]).includes(loss) ? 'regression' : undefined;
}

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
