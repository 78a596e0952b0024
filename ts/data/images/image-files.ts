import { readdir, readFile } from 'node:fs/promises';
import { extname, join, posix, relative, sep } from 'node:path';
import { TensorkilnError } from '../../errors.js';
import { readError } from '../csv/byte-source.js';
import { plainImages } from './image-batches.js';
import { decodeImage, IMAGE_EXTENSIONS, loadSharp } from './image-set.js';

/** Images made ready for a model. */
export interface ImageFileBatch {
  /** Relative to the folder, with forward slashes. */
  readonly paths: readonly string[];
  /** [paths, height, width, channels] float32 */
  readonly features: Float32Array;
}

export interface ImageFilesOptions {
  readonly shape: readonly [height: number, width: number, channels: number];
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly batchSize: number;
  readonly signal?: AbortSignal;
}

/**
 * The images of a folder and those below it, whatever folder each lies in, brought to one size and scaled.
 *
 * @yields in the order of their paths
 * @throws E_IO; E_DATA for one that cannot be decoded (named), or when the optional package sharp is absent; E_ABORTED
 */
export async function* readImageFiles(folder: string, options: ImageFilesOptions): AsyncGenerator<ImageFileBatch> {
  const [height, width, channels] = options.shape;
  const sharp = await loadSharp();
  const paths = await imagePaths(folder);
  for (let start = 0; start < paths.length; start += options.batchSize) {
    const batch = paths.slice(start, start + options.batchSize);
    const pixels = new Uint8Array(batch.length * height * width * channels);
    for (const [index, path] of batch.entries()) {
      if (options.signal?.aborted === true)
        throw new TensorkilnError('E_ABORTED', '[read] reading the images was cancelled.', { cause: options.signal.reason });
      const bytes = await readFile(join(folder, path)).catch((cause: unknown) => {
        throw readError(path, cause);
      });
      const size = { height, width, channels: channels === 1 ? 1 : 3 } as const;
      pixels.set(await decodeImage(sharp, { path, bytes }, { folder, ...size }), index * height * width * channels);
    }
    const set = { size: batch.length, shape: options.shape, pixels, labels: new Int32Array(batch.length), classes: [] };
    const rows = Int32Array.from(batch, (_, row) => row);
    yield { paths: batch, features: plainImages(set, rows, { mean: options.mean, deviation: options.deviation }) };
  }
}

async function imagePaths(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw readError(folder, cause);
  });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .filter((entry) => IMAGE_EXTENSIONS.includes(extname(entry.name).toLowerCase()))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join(posix.sep))
    .sort();
}
