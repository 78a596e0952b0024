import type { z } from 'zod';
import type {
  ColumnReport,
  CsvOptions,
  DataConfig,
  FeatureOptions,
  FeatureType,
  ImageConfig,
  ImageInput,
  ImageTransform,
  PreprocessingOptions,
  TableFormat,
  TextConfig,
} from '../../data/index.js';
import { TensorkilnError } from '../../errors.js';
import type { augmentation, data, features, preprocessing, split } from './data-schema.js';

type FeatureSection = z.output<typeof features>;

/** The sections of a configuration that prepareData works by. */
export interface DataSections {
  readonly data: z.output<typeof data>;
  readonly features: FeatureSection;
  readonly split: z.output<typeof split>;
  readonly preprocessing: z.output<typeof preprocessing>;
}

const IMAGE_FORMATS = ['image_folder', 'idx', 'npy'] as const;

/** Whether the data is a running text that a language model learns. */
export function isText({ data }: Pick<DataSections, 'data'>): boolean {
  return data.format === 'text';
}

/** Characters a language model sees unless the configuration says otherwise. */
export const DEFAULT_CONTEXT_LENGTH = 128;

/**
 * What prepareText needs, in its own terms.
 *
 * @throws E_CONFIG for what is of tables alone
 */
export function textConfig({ data, features, split, preprocessing }: DataSections): TextConfig {
  const { method, by, fold, train, validation, test } = split;
  // Random is what stands there when nothing was said: pieces of one text that lie side by side cannot be parted at random.
  if (method === 'grouped' || method === 'time' || by !== undefined) throw textError('split.method', 'order', method);
  if (fold !== undefined) throw textError('split.fold', 'none', 'one');
  if (data.query !== undefined) throw textError('data.query', 'none', 'one');
  if (Object.keys(features).length > 0) throw textError('features', 'none', 'some');
  if (preprocessing.pca !== undefined) throw textError('preprocessing.pca', 'none', 'some');
  const key = tableKey(data);
  if (key !== undefined) throw textError(key, 'none', 'some');
  return {
    path: data.path,
    split: { train, validation, test },
    contextLength: data.context_length ?? DEFAULT_CONTEXT_LENGTH,
    ...(data.csv.encoding === undefined ? {} : { encoding: data.csv.encoding }),
    ...(data.test_path === undefined ? {} : { testPath: data.test_path }),
  };
}

/** A setting that only a table can follow. */
function tableKey({
  lags,
  replace,
  test_replace: testReplace,
  duplicates,
  outliers,
}: DataSections['data']): string | undefined {
  if (lags !== undefined) return 'data.lags';
  if (Object.keys(replace).length > 0) return 'data.replace';
  if (Object.keys(testReplace).length > 0) return 'data.test_replace';
  if (duplicates === 'drop') return 'data.duplicates';
  return outliers.action === 'drop' ? 'data.outliers.action' : undefined;
}

function textError(key: string, expected: string, got: string): TensorkilnError {
  return new TensorkilnError('E_CONFIG', `[config] wrong ${key}: expected ${expected} for a running text, got ${got}.`);
}

/** Whether the data is images rather than a table. */
export function isImages({ data }: Pick<DataSections, 'data'>): boolean {
  return (IMAGE_FORMATS as readonly unknown[]).includes(data.format);
}

/**
 * What prepareImages needs, in its own terms.
 *
 * @throws E_CONFIG for what is of tables alone
 */
export function imageConfig({ data, features, split, preprocessing }: DataSections): ImageConfig {
  const { method, by, fold, ...shares } = split;
  if (method === 'grouped' || method === 'time' || by !== undefined)
    throw imagesError('split.method', 'random or order', method);
  if (data.task === 'regression') throw imagesError('data.task', 'classification', data.task);
  if (Object.keys(features).length > 0) throw imagesError('features', 'none', 'some');
  if (preprocessing.pca !== undefined) throw imagesError('preprocessing.pca', 'none', 'some');
  const key = tableKey(data);
  if (key !== undefined) throw imagesError(key, 'none', 'some');
  const { scaling } = preprocessing;
  if (scaling === 'robust') throw imagesError('preprocessing.scaling', 'standard, min_max or none', scaling);
  const input = (path: string, labels: string | undefined): ImageInput =>
    data.image === undefined ? { path, labels: labels ?? '' } : { path, ...data.image };
  return {
    input: input(data.path, data.labels),
    ...(data.test_path === undefined ? {} : { testInput: input(data.test_path, data.test_labels) }),
    split: { ...shares, method, ...(fold === undefined ? {} : { fold }) },
    // Pixels run from 0 to 255 whatever the training part holds, so min_max is the plain way.
    scaling: scaling === 'standard' ? 'standard' : 'none',
  };
}

function imagesError(key: string, expected: string, got: string): TensorkilnError {
  return new TensorkilnError('E_CONFIG', `[config] wrong ${key}: expected ${expected} for images, got ${got}.`);
}

/** What prepareData needs, in its own terms. */
export function dataConfig({ data, features, split, preprocessing }: DataSections): DataConfig {
  const { by, fold, ...shares } = split;
  return {
    path: data.path,
    target: data.target,
    naValues: data.na_values,
    csv: present<CsvOptions>(data.csv),
    replace: data.replace,
    ...(data.lags === undefined ? {} : { lags: data.lags }),
    duplicates: data.duplicates,
    outliers: present<NonNullable<DataConfig['outliers']>>(data.outliers),
    ...(data.test_path === undefined ? {} : { testPath: data.test_path }),
    // The second file has the replacements of the first and its own.
    testReplace: { ...data.replace, ...data.test_replace },
    ...(data.format === undefined ? {} : { format: data.format as TableFormat }),
    ...(data.query === undefined ? {} : { query: data.query }),
    ...(data.task === undefined || data.task === 'language_model' ? {} : { task: data.task }),
    features: Object.fromEntries(Object.entries(features).map(([name, feature]) => [name, featureOptions(feature)])),
    split: { ...shares, ...(by === undefined ? {} : { by }), ...(fold === undefined ? {} : { fold }) },
    preprocessing: preprocessingOptions(preprocessing),
    targetScaling: preprocessing.target_scaling,
    ...(data.cache === undefined ? {} : { cacheFolder: data.cache }),
  };
}

function preprocessingOptions(section: DataSections['preprocessing']): PreprocessingOptions {
  return {
    numericImputation: section.numeric_imputation,
    categoricalImputation: section.categorical_imputation,
    scaling: section.scaling,
    encoding: section.encoding,
    ...(section.pca === undefined ? {} : { pca: section.pca }),
  };
}

function featureOptions(feature: FeatureSection[string]): FeatureOptions {
  if (typeof feature === 'string') return { type: feature };
  const { date_order: dateOrder, date_parts: dateParts, text, ...rest } = feature;
  return present<FeatureOptions>({
    ...rest,
    dateOrder,
    dateParts,
    text:
      text === undefined
        ? undefined
        : present<NonNullable<FeatureOptions['text']>>({
            encoding: text.encoding,
            level: text.level,
            ngrams: text.ngrams,
            counts: text.counts,
            maxTokens: text.max_tokens,
            minRows: text.min_rows,
            lowercase: text.lowercase,
            length: text.length,
            padding: text.padding,
            truncation: text.truncation,
          }),
  });
}

/** The object without keys that are undefined. */
function present<T extends object>(object: { readonly [Key in keyof T]: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

/** The features section with every column's type decided. */
export function resolveFeatures(section: FeatureSection, columns: readonly ColumnReport[]): FeatureSection {
  const decided = columns
    .filter((column) => column.role !== 'target')
    .map((column) => {
      const type: FeatureType = column.role === 'ignored' ? 'ignore' : column.type;
      const own = section[column.name];
      return [column.name, typeof own === 'object' ? { ...own, type } : type] as const;
    });
  return Object.fromEntries(decided);
}

/** The random changes that the augmentation section asks for; none when it is not enabled. */
export function imageTransforms({ enabled, transforms }: z.output<typeof augmentation>): readonly ImageTransform[] {
  if (!enabled) return [];
  return transforms.map((transform): ImageTransform => {
    if ('flip' in transform) return { kind: 'flip', ...transform.flip };
    if ('shift' in transform) return { kind: 'shift', ...transform.shift };
    if ('crop' in transform) return { kind: 'crop', ...transform.crop };
    if ('rotate' in transform) return { kind: 'rotate', ...transform.rotate };
    if ('scale' in transform) return { kind: 'scale', ...transform.scale };
    if ('shear' in transform) return { kind: 'shear', ...transform.shear };
    if ('elastic' in transform) return { kind: 'elastic', ...transform.elastic };
    return { kind: 'color_jitter', ...transform.color_jitter };
  });
}
