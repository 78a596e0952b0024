import { z } from 'zod';

/** What was learned about a numeric column: a missing cell becomes `fill`, then (x - shift) / scale. */
const numeric = z.strictObject({
  kind: z.literal('numeric'),
  name: z.string(),
  fill: z.number(),
  shift: z.number(),
  scale: z.number().positive(),
});

/** Words for true and false, and what a missing or unknown cell counts as. */
const boolean = z.strictObject({
  kind: z.literal('boolean'),
  name: z.string(),
  truthy: z.array(z.string()),
  falsy: z.array(z.string()),
  fill: z.number(),
});

const categories = {
  name: z.string(),
  /** What a missing cell counts as. */
  fill: z.string(),
  categories: z.array(z.string()).min(1),
  /** Whether the categories are numbers, spelled the shortest way. */
  spell_numbers: z.boolean(),
};

/** One column per category; an unseen category is all zeros. */
const oneHot = z.strictObject({ kind: z.literal('one_hot'), ...categories });

/** The category's place, from 1; 0 for an unseen one. */
const label = z.strictObject({ kind: z.literal('label'), ...categories });

/** Smoothed means of the target, one row per category; `prior` for an unseen one. */
const target = z.strictObject({
  kind: z.literal('target'),
  ...categories,
  /** One name per column: the class, or the target's own name. */
  outputs: z.array(z.string()).min(1),
  prior: z.array(z.number()),
  means: z.array(z.array(z.number())),
});

/** One-hot over buckets: FNV-1a of the UTF-8 text, modulo their number. No category is kept: there may be one for each row. */
const hash = z.strictObject({
  kind: z.literal('hash'),
  name: z.string(),
  /** Bucket of a missing cell. */
  fill_bucket: z.int().min(0),
  buckets: z.int().min(1),
  spell_numbers: z.boolean(),
});

/** Numbers made of a date, each imputed and scaled as a numeric column. */
const date = z.strictObject({
  kind: z.literal('date'),
  name: z.string(),
  order: z.enum(['ymd', 'dmy', 'mdy']),
  parts: z
    .array(
      z.strictObject({
        part: z.enum(['days', 'year_sin', 'year_cos', 'week_sin', 'week_cos', 'day_sin', 'day_cos']),
        fill: z.number(),
        shift: z.number(),
        scale: z.number().positive(),
      }),
    )
    .min(1),
});

const tokens = {
  name: z.string(),
  level: z.enum(['word', 'character']),
  lowercase: z.boolean(),
  vocabulary: z.array(z.string()),
};

/** Words, and runs of up to `ngrams` of them, weighted by tf-idf, each row of length 1. Files of before have neither key. */
const bag = z.strictObject({
  kind: z.literal('bag'),
  ...tokens,
  ngrams: z.int().min(1).default(1),
  counts: z.enum(['plain', 'sublinear', 'binary']).default('plain'),
  idf: z.array(z.number()),
});

/** Token numbers in reading order: 0 padding, 1 a token that is not in the vocabulary, from 2 on the vocabulary. */
const sequence = z.strictObject({
  kind: z.literal('sequence'),
  ...tokens,
  length: z.int().min(1),
  padding: z.enum(['start', 'end']),
  truncation: z.enum(['start', 'end']),
});

export const columnEncoding = z.discriminatedUnion('kind', [
  numeric,
  boolean,
  oneHot,
  label,
  target,
  hash,
  date,
  bag,
  sequence,
]);

/** Rows of `components` are unit vectors; a feature row x becomes components * (x - mean). */
export const pcaEncoding = z.strictObject({
  mean: z.array(z.number()),
  components: z.array(z.array(z.number())).min(1),
  /** Share of the variance that each component explains. */
  explained: z.array(z.number()),
});

export const savedPreprocessor = z.strictObject({
  format: z.literal('tensorkiln.preprocessor'),
  version: z.literal(2),
  columns: z.array(columnEncoding).min(1),
  pca: pcaEncoding.optional(),
});

export type ColumnEncoding = z.infer<typeof columnEncoding>;
export type EncodingOf<Kind extends ColumnEncoding['kind']> = Extract<ColumnEncoding, { kind: Kind }>;
export type NumericEncoding = EncodingOf<'numeric'>;
export type OneHotEncoding = EncodingOf<'one_hot'>;
export type PcaEncoding = z.infer<typeof pcaEncoding>;
/** The plain-data form of a Preprocessor, as saved beside an exported model. */
export type SavedPreprocessor = z.infer<typeof savedPreprocessor>;
