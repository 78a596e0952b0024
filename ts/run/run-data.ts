/** The data of a run, whatever kind it is. */
import {
  prepareData,
  prepareImages,
  WorkerPool,
  type DataEvent,
  type PreparedData,
  type PreparedImages,
  type PrepareOptions,
  type Preprocessor,
} from '../data/index.js';
import type { TrainingData } from '../train/index.js';
import { AugmentedImages } from './augmented-images.js';
import { dataConfig, imageConfig, imageTransforms, isImages, isText } from './config/data-config.js';
import type { TrainingConfig } from './config/schema.js';
import { prepareLanguageData, windowsOf, type LanguageData } from './language/language-data.js';
import type { TextEvent } from './run-events.js';

/** A table or images, made ready for training. Targets of a regression are as the data has them. */
export interface RunData extends Omit<PreparedData, 'preprocessor'> {
  /** How rows of a table become features; undefined for images. */
  readonly preprocessor: Preprocessor | undefined;
  readonly images: PreparedImages | undefined;
  /** Name of every feature, or of the axes of an image. */
  readonly featureNames: readonly string[];
  /** For rows of tokens: how many different ones there are, padding and the unknown token included. */
  readonly vocabulary: number | undefined;
}

/** Rows to be judged one by one, or a running text. */
export type AnyData = RunData | LanguageData;

/**
 * Reads and prepares whatever a configuration names.
 *
 * @throws as `prepareRunData` and `prepareText`
 */
export async function prepareAnyData(
  config: TrainingConfig,
  options: Omit<PrepareOptions, 'onEvent'> & { readonly onEvent?: (event: DataEvent | TextEvent) => void } = {},
): Promise<AnyData> {
  return isText(config) ? prepareLanguageData(config, options) : prepareRunData(config, options);
}

/**
 * Reads and prepares what a configuration names.
 *
 * @throws as `prepareData` and `prepareImages`; E_CONFIG for settings that do not fit the kind of data
 */
export async function prepareRunData(config: TrainingConfig, options: PrepareOptions = {}): Promise<RunData> {
  if (isImages(config)) return ofImages(await prepareImages(imageConfig(config), options));
  const data = await prepareData(dataConfig(config), options);
  const [block, ...others] = data.preprocessor.columns;
  const isTokens = block?.kind === 'sequence' && others.length === 0 && data.preprocessor.pca === undefined;
  return {
    ...data,
    images: undefined,
    featureNames: data.preprocessor.featureNames,
    // Numbers 0 and 1 stand for padding and for a token that is not in the vocabulary.
    vocabulary: isTokens ? block.vocabulary.length + 2 : undefined,
  };
}

function ofImages(images: PreparedImages): RunData {
  const { train, validation, test, classes, counts, verdict, forced, split, set } = images;
  return {
    task: 'classification',
    ...{ train, validation, test, classes, counts, verdict, forced, split },
    preprocessor: undefined,
    images,
    vocabulary: undefined,
    featureNames: [`image of ${set.shape.join(' x ')}`],
    targetScale: undefined,
    columns: [],
    profiles: [],
    outliers: [],
    warnings: [],
  };
}

/** The rows a model learns from, and those its epochs are judged by, in the trainer's terms. */
export class TrainingRows {
  readonly train: TrainingData;
  /** Undefined when the split has no validation part. */
  readonly validation: TrainingData | undefined;
  readonly #pool: WorkerPool | undefined;

  constructor(config: TrainingConfig, data: AnyData) {
    if (data.task === 'language_model') {
      this.train = windowsOf(data, 'train');
      this.validation = data.text.parts.validation.length === 0 ? undefined : windowsOf(data, 'validation');
      return;
    }
    const { targetScale } = data;
    const scaled = (rows: PreparedData['train']): PreparedData['train'] =>
      targetScale === undefined
        ? rows
        : { ...rows, targets: Float32Array.from(rows.targets, (value) => (value - targetScale.shift) / targetScale.scale) };
    const transforms = imageTransforms(config.augmentation);
    if (data.images !== undefined && transforms.length > 0) {
      this.#pool = new WorkerPool();
      this.train = new AugmentedImages(data.images, { pool: this.#pool, transforms, seed: config.training.seed });
    } else {
      this.train = scaled(data.train);
    }
    this.validation = data.validation.size === 0 ? undefined : scaled(data.validation);
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }
}
