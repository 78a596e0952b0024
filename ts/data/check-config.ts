/** What prepareData, prepareImages and prepareText are given, checked and with the defaults of a configuration file. */
import { checkBoolean, checkInteger, checkKeys, checkNumber, checkOneOf, checkText, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { CsvOptions } from './csv/dialect.js';
import type { CategoricalEncoding, FeatureType } from './feature-options.js';
import type { ImageConfig, ImageSplit } from './images/prepare-images.js';
import type { CheckedSplit } from './partition.js';
import type { DataConfig, PrepareOptions } from './prepare.js';
import { DEFAULT_PREPROCESSING, type PreprocessingOptions, type Scaling } from './preprocessing-options.js';
import type { TableFormat } from './read-table.js';
import type { SplitShares } from './split.js';
import type { TextConfig } from './text-corpus.js';

/** How rows are divided when nothing is said. */
export const DEFAULT_SPLIT: SplitShares = { train: 0.7, validation: 0.15, test: 0.15 };

export interface CheckedDataConfig extends DataConfig {
  readonly split: CheckedSplit;
  readonly preprocessing: PreprocessingOptions;
}

const DATA_KEYS: readonly (keyof DataConfig)[] = [
  ...(['path', 'format', 'csv', 'naValues', 'query', 'replace', 'lags', 'testPath', 'testReplace', 'target', 'task'] as const),
  ...(['features', 'split', 'preprocessing', 'targetScaling', 'duplicates', 'outliers', 'cacheFolder'] as const),
];
const OPTION_KEYS: readonly (keyof PrepareOptions)[] = ['force', 'poolFromCells', 'threads', 'signal', 'onEvent'];
const FEATURE_KEYS = ['type', 'encoding', 'imputation', 'scaling', 'buckets', 'dateOrder', 'dateParts', 'text'] as const;
const FEATURE_TYPES: readonly FeatureType[] = ['numeric', 'categorical', 'boolean', 'date', 'text', 'ignore'];
const ENCODINGS: readonly CategoricalEncoding[] = ['one_hot', 'label', 'target', 'hash'];
const CSV_KEYS: readonly (keyof CsvOptions)[] = ['delimiter', 'quote', 'decimal', 'thousands', 'encoding', 'header', 'names'];
const FORMATS: readonly TableFormat[] = ['csv', 'parquet', 'jsonl', 'sqlite', 'postgres', 'text_folder'];
/** What each option of a text may be: one of some words, or an integer in a range. */
const TEXT_CHOICES: Readonly<Record<string, readonly string[]>> = {
  encoding: ['bag', 'sequence'],
  level: ['word', 'character'],
  counts: ['plain', 'sublinear', 'binary'],
  padding: ['start', 'end'],
  truncation: ['start', 'end'],
};
const TEXT_NUMBERS = { ngrams: { min: 1, max: 5 }, maxTokens: { min: 1 }, minRows: { min: 1 }, length: { min: 1 } };
const SCALINGS: readonly Scaling[] = ['standard', 'min_max', 'robust', 'none'];
const SPLIT_KEYS = ['train', 'validation', 'test', 'method', 'by', 'stratify', 'seed', 'fold'] as const;
const SPLIT_METHODS = ['random', 'grouped', 'time', 'order'] as const;

/**
 * The configuration of a table with its defaults. What needs the data to be judged is checked where that is read.
 *
 * @throws E_CONFIG naming the key, what it is and what it may be
 */
export function checkDataConfig(config: DataConfig, options: PrepareOptions): CheckedDataConfig {
  const place = 'prepareData';
  checkKeys(place, config, DATA_KEYS);
  checkKeys(place, options, OPTION_KEYS);
  checkText(place, 'path', config.path);
  checkText(place, 'target', config.target);
  if (config.testPath !== undefined) checkText(place, 'testPath', config.testPath);
  if (config.format !== undefined) checkOneOf(place, 'format', config.format, FORMATS);
  if (config.csv !== undefined) checkKeys(`${place} csv`, config.csv, CSV_KEYS);
  const { naValues = [] } = config;
  if (!Array.isArray(naValues) || !naValues.every((text) => typeof text === 'string'))
    throw wrong(place, 'naValues', 'a list of texts', naValues);
  if (config.task !== undefined) checkOneOf(place, 'task', config.task, ['classification', 'regression']);
  if (config.duplicates !== undefined) checkOneOf(place, 'duplicates', config.duplicates, ['keep', 'drop']);
  if (config.targetScaling !== undefined) checkOneOf(place, 'targetScaling', config.targetScaling, SCALINGS);
  if (config.outliers !== undefined) {
    checkKeys(`${place} outliers`, config.outliers, ['method', 'threshold', 'action']);
    checkOneOf(place, 'outliers.method', config.outliers.method, ['iqr', 'z_score']);
    const { threshold } = config.outliers;
    if (threshold !== undefined) checkNumber(place, 'outliers.threshold', threshold, { above: 0 });
    checkOneOf(place, 'outliers.action', config.outliers.action ?? 'report', ['report', 'drop']);
  }
  if (config.features !== undefined) checkFeatures(place, config.features);
  const split = checkSplit(place, config.split);
  return { ...config, split, preprocessing: checkPreprocessing(place, config.preprocessing ?? {}) };
}

function checkFeatures(place: string, features: NonNullable<DataConfig['features']>): void {
  for (const [name, feature] of Object.entries(checkKeys(place, features, Object.keys(features)))) {
    const { type, encoding, scaling, buckets, dateOrder, dateParts, text } = checkKeys(
      `${place} features.${name}`,
      feature,
      FEATURE_KEYS,
    );
    if (type !== undefined) checkOneOf(place, `features.${name}.type`, type, FEATURE_TYPES);
    if (encoding !== undefined) checkOneOf(place, `features.${name}.encoding`, encoding, ENCODINGS);
    if (scaling !== undefined) checkOneOf(place, `features.${name}.scaling`, scaling, SCALINGS);
    if (buckets !== undefined) checkInteger(place, `features.${name}.buckets`, buckets, { min: 1 });
    if (dateOrder !== undefined) checkOneOf(place, `features.${name}.dateOrder`, dateOrder, ['ymd', 'dmy', 'mdy']);
    if (dateParts !== undefined) {
      const key = `features.${name}.dateParts`;
      if (!Array.isArray(dateParts)) throw wrong(place, key, 'a list of trend, year, week and day', dateParts);
      for (const part of dateParts as unknown[]) checkOneOf(place, key, part, ['trend', 'year', 'week', 'day']);
    }
    if (text !== undefined) checkTextFeature(place, `features.${name}.text`, text);
  }
}

function checkTextFeature(place: string, key: string, given: unknown): void {
  const allowed = [...Object.keys(TEXT_CHOICES), ...Object.keys(TEXT_NUMBERS), 'lowercase'];
  const text = checkKeys(`${place} ${key}`, given, allowed);
  for (const [name, choices] of Object.entries(TEXT_CHOICES))
    if (text[name] !== undefined) checkOneOf(place, `${key}.${name}`, text[name], choices);
  for (const [name, range] of Object.entries(TEXT_NUMBERS))
    if (text[name] !== undefined) checkInteger(place, `${key}.${name}`, text[name], range);
  if (text['lowercase'] !== undefined) checkBoolean(place, `${key}.lowercase`, text['lowercase']);
}

function checkPreprocessing(place: string, given: Partial<PreprocessingOptions>): PreprocessingOptions {
  checkKeys(`${place} preprocessing`, given, ['numericImputation', 'categoricalImputation', 'scaling', 'encoding', 'pca']);
  const preprocessing = { ...DEFAULT_PREPROCESSING, ...given };
  checkOneOf(place, 'preprocessing.scaling', preprocessing.scaling, SCALINGS);
  if (preprocessing.encoding !== undefined) checkOneOf(place, 'preprocessing.encoding', preprocessing.encoding, ENCODINGS);
  if (preprocessing.pca !== undefined) checkPca(place, preprocessing.pca);
  return preprocessing;
}

function checkPca(place: string, given: unknown): void {
  const { components, variance } = checkKeys(`${place} preprocessing.pca`, given, ['components', 'variance']);
  if ((components === undefined) === (variance === undefined))
    throw wrong(place, 'preprocessing.pca', 'one of components and variance', given);
  if (components !== undefined) checkInteger(place, 'preprocessing.pca.components', components, { min: 1 });
  else checkNumber(place, 'preprocessing.pca.variance', variance, { above: 0, max: 1 });
}

/** Shares must be numbers; whether they make a whole is checked where rows are divided. */
function checkSplit(place: string, split: DataConfig['split'] = DEFAULT_SPLIT): CheckedSplit {
  checkKeys(`${place} split`, split, SPLIT_KEYS);
  for (const part of ['train', 'validation', 'test'] as const) {
    if (typeof split[part] === 'number') continue;
    throw wrong(place, `split.${part}`, 'a share of the rows, a number from 0 to 1', split[part]);
  }
  if (split.method !== undefined) checkOneOf(place, 'split.method', split.method, SPLIT_METHODS);
  if (split.by !== undefined) checkText(place, 'split.by', split.by);
  return { ...split, stratify: checkBoolean(place, 'split.stratify', split.stratify ?? true), seed: split.seed ?? 0 };
}

/** The configuration of images with its defaults. @throws E_CONFIG as `checkDataConfig` */
export function checkImageConfig(config: ImageConfig): ImageConfig & { readonly split: ImageSplit } {
  const place = 'prepareImages';
  checkKeys(place, config, ['input', 'testInput', 'split', 'scaling']);
  for (const key of ['input', 'testInput'] as const) {
    const input = config[key];
    if (input === undefined && key === 'testInput') continue;
    const { path, labels } = checkKeys(`${place} ${key}`, input, ['path', 'labels', 'height', 'width', 'channels']);
    checkText(place, `${key}.path`, path);
    if (labels !== undefined) checkText(place, `${key}.labels`, labels);
  }
  checkOneOf(place, 'scaling', config.scaling ?? 'none', ['standard', 'none']);
  const split: ImageSplit = config.split ?? DEFAULT_SPLIT;
  checkSplit(place, split);
  if (split.method !== undefined) checkOneOf(place, 'split.method', split.method, ['random', 'order']);
  return { ...config, split };
}

/** The configuration of a running text with its defaults. @throws E_CONFIG as `checkDataConfig` */
export function checkTextConfig(config: TextConfig): TextConfig & { readonly split: SplitShares } {
  const place = 'prepareText';
  checkKeys(place, config, ['path', 'encoding', 'testPath', 'split', 'contextLength']);
  checkText(place, 'path', config.path);
  if (config.testPath !== undefined) checkText(place, 'testPath', config.testPath);
  checkInteger(place, 'contextLength', config.contextLength, { min: 1 });
  const { split = DEFAULT_SPLIT } = config;
  checkKeys(`${place} split`, split, ['train', 'validation', 'test']);
  checkSplit(place, split);
  return { ...config, split };
}

function wrong(place: string, key: string, expected: string, got: unknown): TensorkilnError {
  return new TensorkilnError('E_CONFIG', `[${place}] wrong ${key}: expected ${expected}, got ${show(got)}.`);
}
