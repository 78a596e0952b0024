import { z } from 'zod';
import { holdsPassword } from '../../data/formats/connection-url.js';

/**
 * The sections of the configuration that say where data comes from and what is made of it: data, features, split, preprocessing,
 * augmentation.
 */

const text = (): z.ZodString => z.string().min(1);
const sign = (): z.ZodString => z.string().length(1);
const flag = (value: boolean): z.ZodDefault<z.ZodBoolean> => z.boolean().default(value).describe('true or false');

const csv = z
  .strictObject({
    delimiter: sign().optional().describe('one character, such as ";"'),
    quote: z.string().max(1).optional().describe('one character, or "" for a file without quotes'),
    decimal: z.enum(['.', ',']).optional().describe('"." or ","'),
    thousands: z.string().max(1).optional().describe('the character between groups of three digits, or "" for none'),
    encoding: text().optional().describe('the name of an encoding, such as windows-1252'),
    header: z.boolean().optional().describe('true or false'),
    names: z.array(text()).optional().describe('a list of column names'),
  })
  .prefault({})
  .describe('a section with delimiter, quote, decimal, thousands, encoding, header and names');

const replace = z
  .record(z.string(), z.record(z.string(), z.string().describe('a text')).describe('found texts with their replacements'))
  .default({})
  .describe('column names with found texts and their replacements');

const outliers = z
  .strictObject({
    method: z.enum(['iqr', 'z_score']).default('iqr').describe('iqr or z_score'),
    threshold: z.number().gt(0).optional().describe('a number above 0'),
    action: z.enum(['report', 'drop']).default('report').describe('report or drop'),
  })
  .prefault({})
  .describe('a section with method, threshold and action');

const image = z
  .strictObject({
    height: z.int().min(1).describe('a number of pixels >= 1'),
    width: z.int().min(1).describe('a number of pixels >= 1'),
    channels: z.literal([1, 3]).default(3).describe('1 for grey, 3 for colour'),
  })
  .optional()
  .describe('a section with height, width and channels');

/** Formats of tables, and of images. */
export const DATA_FORMATS = [
  'csv',
  'parquet',
  'jsonl',
  'sqlite',
  'postgres',
  'text',
  'text_folder',
  'image_folder',
  'idx',
  'npy',
] as const;

export const data = z
  .strictObject({
    path: text().describe(
      'the path of a table, of images or of texts, or the URL of a PostgreSQL server (env:NAME takes it from the environment)',
    ),
    labels: text().optional().describe('the path of an IDX or npy file with the class of each image in data.path'),
    test_path: text().optional().describe('the path of a second table or of further images whose rows are the test part'),
    test_labels: text().optional().describe('the path of an IDX or npy file with the class of each image in data.test_path'),
    format: z
      .enum(DATA_FORMATS)
      .optional()
      .describe(`one of ${DATA_FORMATS.join(', ')}`),
    image,
    context_length: z.int().min(1).optional().describe('a number of characters >= 1'),
    query: text().optional().describe('an SQL SELECT statement'),
    target: text().describe('the name of a column'),
    task: z
      .enum(['classification', 'regression', 'language_model'])
      .optional()
      .describe('classification, regression or language_model'),
    na_values: z
      .array(z.string())
      .default(['', 'NA', 'N/A', 'NaN', 'null', '?'])
      .describe('a list of texts that stand for a missing cell, in quotes where YAML would read them otherwise'),
    csv,
    replace,
    test_replace: replace,
    lags: z
      .record(z.string(), z.array(z.int().min(1)).min(1).describe('a list of numbers of rows >= 1'))
      .optional()
      .describe('column names with lists of numbers of rows >= 1'),
    duplicates: z.enum(['keep', 'drop']).default('keep').describe('keep or drop'),
    outliers,
    cache: text().optional().describe('the path of a folder for prepared data'),
  })
  .superRefine((section, context) => {
    const refuse = (key: string, expected: string, found: string): void => {
      context.addIssue({ code: 'custom', path: [key], params: { expected, found } });
    };
    for (const key of ['path', 'test_path'] as const)
      if (section[key] !== undefined && holdsPassword(section[key]))
        refuse(
          key,
          "a URL without a password, which would stand in the run's files: write env:NAME and put the URL into that environment variable, or the password alone into PGPASSWORD",
          'a URL with a password',
        );
    const isArrays = section.format === 'idx' || section.format === 'npy';
    if (isArrays && section.labels === undefined)
      refuse('labels', `the file of labels for format ${section.format ?? ''}`, 'nothing');
    if (!isArrays && section.format !== undefined)
      for (const key of ['labels', 'test_labels'] as const)
        if (section[key] !== undefined) refuse(key, 'it only with format idx or npy', `it with format ${section.format}`);
    if (isArrays && (section.test_path === undefined) !== (section.test_labels === undefined))
      refuse('test_labels', 'test_path and test_labels together', 'one of them');
    if (section.format === 'image_folder' && section.image === undefined)
      refuse('image', 'the size all images are brought to, for format image_folder', 'nothing');
    if (section.format !== 'text' && section.context_length !== undefined)
      refuse('context_length', 'it only with format text', `it with format ${section.format ?? 'csv'}`);
    if ((section.format === 'text') !== (section.task === 'language_model') && section.task !== undefined)
      refuse('task', 'language_model for format text and for no other', `${section.task} with ${section.format ?? 'csv'}`);
    if (section.format !== 'image_folder' && section.image !== undefined)
      refuse('image', 'it only with format image_folder', `it with format ${section.format ?? 'csv'}`);
  })
  .describe('a section with path and target');

const numericFill = z.union([z.enum(['median', 'mean', 'mode']), z.strictObject({ constant: z.number() })]);
const categoricalFill = z.union([z.enum(['mode']), z.strictObject({ constant: text() })]);
const scaling = z.enum(['standard', 'min_max', 'robust', 'none']);
const encoding = z.enum(['one_hot', 'label', 'target', 'hash']);
const SCALINGS = 'standard, min_max, robust or none';
const ENCODINGS = 'one_hot, label, target or hash';
const TYPES = ['numeric', 'categorical', 'boolean', 'date', 'text', 'ignore'] as const;

const textFeature = z
  .strictObject({
    encoding: z.enum(['bag', 'sequence']).optional().describe('bag or sequence'),
    level: z.enum(['word', 'character']).optional().describe('word or character'),
    ngrams: z.int().min(1).max(5).optional().describe('an integer from 1 to 5'),
    counts: z.enum(['plain', 'sublinear', 'binary']).optional().describe('plain, sublinear or binary'),
    max_tokens: z.int().min(1).optional().describe('an integer >= 1'),
    min_rows: z.int().min(1).optional().describe('an integer >= 1'),
    lowercase: z.boolean().optional().describe('true or false'),
    length: z.int().min(1).optional().describe('an integer >= 1'),
    padding: z.enum(['start', 'end']).optional().describe('start or end'),
    truncation: z.enum(['start', 'end']).optional().describe('start or end'),
  })
  .describe('a section with encoding, level, ngrams, counts, max_tokens, min_rows, lowercase, length, padding and truncation');

const feature = z
  .union([
    z.enum(TYPES),
    z.strictObject({
      type: z.enum(TYPES).optional().describe(TYPES.join(', ')),
      encoding: encoding.optional().describe(ENCODINGS),
      imputation: z
        .union([z.enum(['median', 'mean', 'mode']), z.strictObject({ constant: z.union([z.number(), text()]) })])
        .optional()
        .describe('median, mean, mode or {constant: <value>}'),
      scaling: scaling.optional().describe(SCALINGS),
      buckets: z.int().min(1).optional().describe('an integer >= 1'),
      date_parts: z
        .array(z.enum(['trend', 'year', 'week', 'day']))
        .min(1)
        .optional()
        .describe('a list of trend, year, week and day'),
      date_order: z.enum(['ymd', 'dmy', 'mdy']).optional().describe('ymd, dmy or mdy'),
      text: textFeature.optional(),
    }),
  ])
  .describe(
    `one of ${TYPES.join(', ')}, or a section with type, encoding, imputation, scaling, buckets, date_order, date_parts and text`,
  );

export const features = z
  .record(z.string(), feature)
  .default({})
  .describe('column names with a type, or a section that says how the column is treated');

const share = (value: number): z.ZodDefault<z.ZodNumber> =>
  z.number().gt(0).lt(1).default(value).describe('a share of the rows, above 0 and below 1');

export const split = z
  .strictObject({
    train: share(0.7),
    validation: z.number().min(0).lt(1).default(0.15).describe('a share of the rows, at least 0 and below 1'),
    test: share(0.15),
    method: z.enum(['random', 'grouped', 'time', 'order']).default('random').describe('random, grouped, time or order'),
    by: text().optional().describe('the name of a column'),
    stratify: flag(true),
    seed: z.int().min(0).default(0).describe('an integer from 0 to 2^53 - 1'),
    fold: z
      .strictObject({
        index: z.int().min(0).describe('an integer >= 0 and below of'),
        of: z.int().min(2).describe('an integer >= 2'),
      })
      .optional()
      .describe('{index: <integer from 0>, of: <number of folds >= 2>}'),
  })
  .superRefine(({ train, validation, test, method, by }, context) => {
    if ((method === 'grouped' || method === 'time') && by === undefined)
      context.addIssue({ code: 'custom', params: { expected: `by: <column> beside method: ${method}`, found: 'no column' } });
    const sum = train + validation + test;
    // 1e-9: room for the binary rounding of decimal shares.
    if (Math.abs(sum - 1) <= 1e-9) return;
    const found = `${train} + ${validation} + ${test} = ${Number(sum.toFixed(9))}`;
    context.addIssue({ code: 'custom', params: { expected: 'train, validation and test to sum to 1', found } });
  })
  .prefault({})
  .describe('a section with train, validation, test, method, by, stratify, seed and fold');

export const preprocessing = z
  .strictObject({
    numeric_imputation: numericFill.default('median').describe('median, mean, mode or {constant: <number>}'),
    categorical_imputation: categoricalFill.default('mode').describe('mode or {constant: <text>}'),
    scaling: scaling.default('standard').describe(SCALINGS),
    encoding: encoding.default('one_hot').describe(ENCODINGS),
    target_scaling: scaling.default('standard').describe(SCALINGS),
    pca: z
      .union([
        z.strictObject({ components: z.int().min(1).describe('an integer >= 1') }),
        z.strictObject({ variance: z.number().gt(0).max(1).describe('a share above 0, at most 1') }),
      ])
      .optional()
      .describe('{components: <integer >= 1>} or {variance: <share above 0, at most 1>}'),
  })
  .prefault({})
  .describe('a section with numeric_imputation, categorical_imputation, scaling, encoding, target_scaling and pca');

const probability = (): z.ZodDefault<z.ZodNumber> => z.number().min(0).max(1).default(0).describe('a share from 0 to 1');
const amount = (): z.ZodDefault<z.ZodNumber> => z.number().min(0).max(1).default(0).describe('a number from 0 to 1');

const factor = (): z.ZodDefault<z.ZodNumber> => z.number().gt(0).default(1);
const slant = (): z.ZodDefault<z.ZodNumber> => z.number().min(0).max(45).default(0);

function rising({ minimum, maximum }: { minimum: number; maximum: number }, context: z.RefinementCtx): void {
  if (minimum <= maximum) return;
  const params = { expected: 'minimum to be at most maximum', found: `${minimum} and ${maximum}` };
  context.addIssue({ code: 'custom', params });
}

const transform = z
  .union([
    z.strictObject({ flip: z.strictObject({ horizontal: probability(), vertical: probability() }) }),
    z.strictObject({ shift: z.strictObject({ x: amount(), y: amount() }) }),
    z.strictObject({
      crop: z
        .strictObject({ minimum: z.number().gt(0).max(1), maximum: z.number().gt(0).max(1).default(1) })
        .superRefine(rising),
    }),
    z.strictObject({ rotate: z.strictObject({ degrees: z.number().min(0).max(180) }) }),
    z.strictObject({ scale: z.strictObject({ minimum: factor(), maximum: factor() }).superRefine(rising) }),
    z.strictObject({ shear: z.strictObject({ x: slant(), y: slant() }) }),
    z.strictObject({ elastic: z.strictObject({ amount: z.number().min(0), spacing: z.number().min(1).default(8) }) }),
    z.strictObject({ color_jitter: z.strictObject({ brightness: amount(), contrast: amount(), saturation: amount() }) }),
  ])
  .describe('one of flip, shift, crop, rotate, scale, shear, elastic and color_jitter with its amounts');

export const augmentation = z
  .strictObject({
    enabled: flag(false),
    transforms: z
      .array(transform)
      .default([])
      .describe('a list of flip, shift, crop, rotate, scale, shear, elastic and color_jitter with their amounts'),
  })
  .prefault({})
  .describe('a section with enabled and transforms');
