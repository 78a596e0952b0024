import { TensorkilnError } from '../../errors.js';
import type { Dataset } from '../dataset.js';
import { splitRows, type Split, type SplitOptions } from '../split.js';
import { plainImages } from './image-batches.js';
import { readImageArrays, readImageFolder, type ImageSet } from './image-set.js';

/** Where images come from. */
export type ImageInput =
  /** A folder or .tar.gz archive with one folder a class; images are resized. */
  | { readonly path: string; readonly height: number; readonly width: number; readonly channels?: 1 | 3 }
  /** A pair of IDX or .npy files. */
  | { readonly path: string; readonly labels: string };

export interface ImageConfig {
  readonly input: ImageInput;
  /** Shares by class at random; or the first and last rows of the file, in its own order. */
  readonly split:
    SplitOptions | { readonly method: 'order'; readonly train: number; readonly validation: number; readonly test: number };
}

/** Images made ready for training. */
export interface PreparedImages {
  readonly set: ImageSet;
  /** Values from 0 to 1, [H, W, C] a row. For augmented batches of the training part, see ImageBatches with `split.train` as order. */
  readonly train: Dataset;
  readonly validation: Dataset;
  readonly test: Dataset;
  readonly classes: readonly string[];
  /** Images of each part. */
  readonly split: Split;
}

/**
 * Reads images, splits them and scales them to float32.
 *
 * @throws E_IO, E_DATA when they cannot be read; E_DATA when a part would be empty; E_USAGE for invalid shares or seed; E_ABORTED
 */
export async function prepareImages(
  { input, split }: ImageConfig,
  options: { readonly signal?: AbortSignal } = {},
): Promise<PreparedImages> {
  const set =
    'labels' in input
      ? await readImageArrays(input.path, input.labels)
      : await readImageFolder(input.path, { ...input, ...options });
  const parts = 'method' in split ? byOrder(set.size, split) : splitRows(set.labels, split);
  for (const part of ['train', 'validation', 'test'] as const) {
    if (parts[part].length === 0 && split[part] > 0)
      throw new TensorkilnError('E_DATA', `[split] too few images: the ${part} part (${split[part]} of ${set.size}) is empty.`);
  }
  const dataset = (rows: Int32Array): Dataset => ({
    size: rows.length,
    featureShape: [...set.shape],
    features: plainImages(set, rows),
    targets: rows.map((row) => set.labels[row] as number),
    targetShape: [],
  });
  return {
    set,
    train: dataset(parts.train),
    validation: dataset(parts.validation),
    test: dataset(parts.test),
    classes: set.classes,
    split: parts,
  };
}

function byOrder(size: number, shares: { readonly train: number; readonly validation: number }): Split {
  const rows = Int32Array.from({ length: size }, (_, row) => row);
  const trainEnd = Math.round(size * shares.train);
  const validationEnd = Math.round(size * (shares.train + shares.validation));
  return { train: rows.slice(0, trainEnd), validation: rows.slice(trainEnd, validationEnd), test: rows.slice(validationEnd) };
}
