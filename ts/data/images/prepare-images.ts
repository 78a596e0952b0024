import { TensorkilnError } from '../../errors.js';
import { checkImageConfig } from '../check-config.js';
import type { Dataset } from '../dataset.js';
import { foldOf, withoutTest, type Fold } from '../partition.js';
import type { DataCounts, DataEvent } from '../prepare.js';
import { shownPath } from '../formats/connection-url.js';
import { countShared, repeatedRows } from '../row-hash.js';
import { checkShares, splitRows, type Split, type SplitShares } from '../split.js';
import { splitByTime } from '../split-methods.js';
import { judge, type DataVerdict } from '../verdict.js';
import { plainImages } from './image-batches.js';
import { hashImages, joinImages, readImageArrays, readImageFolder, type ImageSet } from './image-set.js';

/** Where images come from. */
export type ImageInput =
  /** A folder or .tar.gz archive with one folder a class; images are resized. */
  | { readonly path: string; readonly height: number; readonly width: number; readonly channels?: 1 | 3 }
  /** A pair of IDX or .npy files. */
  | { readonly path: string; readonly labels: string };

export interface ImageSplit extends SplitShares {
  /** `random` (default), or in the `order` of the files: the first images train, the last test. */
  readonly method?: 'random' | 'order';
  /** For random: keep each class's share equal in all parts. Default true. */
  readonly stratify?: boolean;
  /** Default 0. */
  readonly seed?: number;
  /** One fold of a cross-validation; for random alone. */
  readonly fold?: Fold;
}

export interface ImageConfig {
  readonly input: ImageInput;
  /** Further images of the same shape and classes that are the test part; the split then divides the first ones. */
  readonly testInput?: ImageInput;
  /** Default: 70 % of the images for training, 15 % for validation, 15 % for the test. */
  readonly split?: ImageSplit;
  /** `standard`: each channel to mean 0 and variance 1 by the training part; `none` (default): values from 0 to 1. */
  readonly scaling?: 'standard' | 'none';
}

export interface PrepareImagesOptions {
  /** Go on although the verdict is `failed`. Default false. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: DataEvent) => void;
}

/** What pixels are scaled by: (value / 255 - mean) / deviation, channel by channel. */
export interface ImageScale {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** Images made ready for training. */
export interface PreparedImages {
  readonly set: ImageSet;
  /** [H, W, C] a row. For augmented batches of the training part, see ImageBatches with `split.train` as order. */
  readonly train: Dataset;
  readonly validation: Dataset;
  readonly test: Dataset;
  readonly classes: readonly string[];
  readonly scale: ImageScale;
  /** Images of each part. */
  readonly split: Split;
  readonly counts: DataCounts;
  readonly verdict: DataVerdict;
  /** Whether training goes on although the verdict is `failed`. */
  readonly forced: boolean;
}

/**
 * Reads images, splits them, judges them and scales them to float32.
 *
 * @throws E_CONFIG for a key or value that is none of these; E_IO, E_DATA when they cannot be read; E_DATA when a part would be empty or the verdict is `failed` without `force`; E_USAGE for
 *         invalid shares or seed; E_ABORTED
 */
export async function prepareImages(config: ImageConfig, options: PrepareImagesOptions = {}): Promise<PreparedImages> {
  const checked = checkImageConfig(config);
  const { input, testInput, scaling = 'none' } = checked;
  const { onEvent, force = false } = options;
  const read = async (from: ImageInput): Promise<ImageSet> => {
    const set = await readImages(from, options.signal);
    onEvent?.({ type: 'data_read', path: shownPath(from.path), rows: set.size, columns: 1 });
    return set;
  };
  const first = await read(input);
  const set = testInput === undefined ? first : joinImages(first, await read(testInput), `test images ${testInput.path}`);
  const split = divide(first, set, checked.split);
  for (const part of ['train', 'validation', 'test'] as const) {
    if (split[part].length === 0 && checked.split[part] > 0)
      throw new TensorkilnError(
        'E_DATA',
        `[split] too few images: the ${part} part (${checked.split[part]} of ${set.size}) is empty.`,
      );
  }
  const counts = countParts(set, split);
  const verdict = judge({
    task: 'classification',
    columns: [],
    profiles: [],
    disguised: [],
    rows: counts.rows,
    missingTarget: 0,
    classes: counts.perClass.map(({ name, train, validation, test }) => ({ name, rows: train + validation + test })),
    duplicates: counts.duplicates,
    overlap: counts.overlap,
    testRows: counts.test,
    outliers: [],
    leaks: [],
    drift: undefined,
  });
  const forced = verdict.status === 'failed' && force;
  onEvent?.({ type: 'data_verdict', verdict, forced });
  if (verdict.status === 'failed' && !forced) {
    const failed = verdict.checks.filter(({ level }) => level === 'failed').map(({ message }) => message);
    throw new TensorkilnError(
      'E_DATA',
      `[data] the data failed its validation: ${failed.join(' ')} To train all the same, use --force, in code the option force.`,
    );
  }
  const scale = scaling === 'standard' ? measureChannels(set, split.train) : unitScale(set);
  const dataset = (rows: Int32Array): Dataset => ({
    size: rows.length,
    featureShape: [...set.shape],
    features: plainImages(set, rows, scale),
    targets: rows.map((row) => set.labels[row] as number),
    targetShape: [],
  });
  const datasets = {
    train: dataset(split.train),
    validation: dataset(split.validation),
    test: dataset(split.test),
  };
  onEvent?.({ type: 'data_ready', counts, features: set.shape[0] * set.shape[1] * set.shape[2] });
  return { set, ...datasets, classes: set.classes, scale, split, counts, verdict, forced };
}

function readImages(input: ImageInput, signal: AbortSignal | undefined): Promise<ImageSet> {
  return 'labels' in input
    ? readImageArrays(input.path, input.labels)
    : readImageFolder(input.path, { ...input, ...(signal === undefined ? {} : { signal }) });
}

function divide(first: ImageSet, all: ImageSet, split: ImageSplit): Split {
  checkShares(split);
  const { method = 'random', stratify = true, seed = 0, fold } = split;
  const test =
    all.size > first.size ? Int32Array.from({ length: all.size - first.size }, (_, row) => first.size + row) : undefined;
  if (fold !== undefined) {
    if (test !== undefined || method === 'order')
      throw new TensorkilnError(
        'E_USAGE',
        '[split] a fold needs images that may be mixed: expected no test images and no method order beside it.',
      );
    const { train: others, held } = foldOf({ labels: first.labels, isGrouped: false }, { seed, stratify }, fold);
    const parts = splitRows(
      others.map((row) => first.labels[row] as number),
      { ...withoutTest(split), stratify, seed },
    );
    const pick = (rows: Int32Array): Int32Array => rows.map((row) => others[row] as number);
    return { train: pick(parts.train), validation: pick(parts.validation), test: held };
  }
  const shares = test === undefined ? split : withoutTest(split);
  const parts =
    method === 'order'
      ? splitByTime(Float64Array.from(first.labels.keys()), shares)
      : splitRows(first.labels, { ...shares, stratify, seed });
  return test === undefined ? parts : { ...parts, test };
}

function countParts(set: ImageSet, split: Split): DataCounts {
  const hashes = hashImages(set);
  const perClass = set.classes.map((name) => ({ name, train: 0, validation: 0, test: 0 }));
  for (const part of ['train', 'validation', 'test'] as const) {
    for (const row of split[part]) {
      const entry = perClass[set.labels[row] as number];
      if (entry !== undefined) entry[part]++;
    }
  }
  return {
    rows: set.size,
    missingTarget: 0,
    duplicates: repeatedRows(hashes, Int32Array.from(set.labels.keys())).length,
    dropped: 0,
    overlap: countShared(hashes, split.test, split.train),
    train: split.train.length,
    validation: split.validation.length,
    test: split.test.length,
    perClass,
  };
}

function unitScale({ shape }: ImageSet): ImageScale {
  return { mean: new Array<number>(shape[2]).fill(0), deviation: new Array<number>(shape[2]).fill(1) };
}

/** Mean and standard deviation of every channel over the training images; deviation 1 for a constant channel. */
function measureChannels({ shape, pixels }: ImageSet, rows: Int32Array): ImageScale {
  const [height, width, channels] = shape;
  const length = height * width * channels;
  // Sums of bytes and of their squares are exact: they stay below 2^53 up to 10^11 pixels.
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (const row of rows) {
    for (let place = 0; place < length; place++) {
      const value = pixels[row * length + place] as number;
      const channel = place % channels;
      sums[channel] = (sums[channel] as number) + value;
      squares[channel] = (squares[channel] as number) + value * value;
    }
  }
  const count = rows.length * height * width;
  const mean = Array.from(sums, (sum) => sum / count);
  const deviation = Array.from(squares, (square, channel) => {
    const variance = square / count - (mean[channel] as number) ** 2;
    return variance > 0 ? Math.sqrt(variance) / 255 : 1;
  });
  return { mean: mean.map((value) => value / 255), deviation };
}
