import { createHash } from 'node:crypto';
import { checkInteger } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { importOptional } from '../../optional-package.js';
import { allocate } from '../shared-memory.js';
import { sortCategories } from '../table.js';
import type { NumericTensor } from '../formats/bytes.js';
import { readIdx } from '../formats/idx.js';
import { labeledFiles } from '../formats/labeled-files.js';
import { readNpy } from '../formats/npy.js';

/** Images of one size in memory, one byte a channel, with a class each. */
export interface ImageSet {
  readonly size: number;
  /** Height, width, channels of one image. */
  readonly shape: readonly [number, number, number];
  /** [size, height, width, channels]; in shared memory when large */
  readonly pixels: Uint8Array;
  /** Class index per image. */
  readonly labels: Int32Array;
  readonly classes: readonly string[];
}

export interface ImageFolderOptions {
  readonly height: number;
  readonly width: number;
  /** 1 for grey, 3 for colour; default 3. */
  readonly channels?: 1 | 3;
  readonly signal?: AbortSignal;
}

export const IMAGE_EXTENSIONS: readonly string[] = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'];

/**
 * Images of a folder or .tar.gz archive, the class being the folder each lies in; decoded, turned as their EXIF data says, and resized
 * to fill height and width (what stands over is cut off evenly).
 *
 * @throws E_CONFIG for a size that is none; E_IO; E_DATA when there are none, one cannot be decoded (named), or the optional package sharp is absent; E_ABORTED
 */
export async function readImageFolder(path: string, options: ImageFolderOptions): Promise<ImageSet> {
  const { channels = 3, signal } = options;
  const height = checkInteger('images', 'height', options.height, { min: 1 });
  const width = checkInteger('images', 'width', options.width, { min: 1 });
  checkInteger('images', 'channels', channels);
  if (channels !== 1 && channels !== 3)
    throw new TensorkilnError(
      'E_CONFIG',
      `[images] wrong channels: expected 1 for grey or 3 for colour, got ${String(channels)}.`,
    );
  const sharp = await loadSharp();
  const images: Uint8Array[] = [];
  const names: string[] = [];
  for await (const file of labeledFiles(path, { extensions: IMAGE_EXTENSIONS, ...(signal === undefined ? {} : { signal }) })) {
    images.push(await decodeImage(sharp, file, { folder: path, height, width, channels }));
    names.push(file.label);
  }
  if (images.length === 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[images] ${path}: no images: expected files such as cats/1.jpg, their folder being the class, ending with one of ${IMAGE_EXTENSIONS.join(', ')}.`,
    );
  }
  const classes = sortCategories([...new Set(names)]);
  const pixels = allocate(Uint8Array, images.length * height * width * channels);
  images.forEach((image, index) => {
    pixels.set(image, index * height * width * channels);
  });
  const labels = Int32Array.from(names, (name) => classes.indexOf(name));
  return { size: images.length, shape: [height, width, channels], pixels, labels, classes };
}

/** The decoder. @throws E_DATA when the optional package is absent, with the line that installs it */
export async function loadSharp(): Promise<typeof import('sharp')> {
  const sharp = await importOptional('sharp', () => import('sharp'));
  if (sharp !== undefined) return sharp;
  throw new TensorkilnError(
    'E_DATA',
    '[images] reading images needs the optional package sharp, which is not installed. Install it: npm install sharp',
  );
}

/** An image as bytes [height, width, channels]. @throws E_DATA naming the file when it cannot be decoded */
export async function decodeImage(
  sharp: typeof import('sharp'),
  file: { readonly path: string; readonly bytes: Uint8Array },
  { folder, height, width, channels }: ImageFolderOptions & { readonly folder: string },
): Promise<Uint8Array> {
  try {
    const image = sharp.default(file.bytes).autoOrient().resize(width, height, { fit: 'cover' }).removeAlpha();
    const plain = channels === 1 ? image.toColourspace('b-w') : image.toColourspace('srgb');
    return await plain.raw().toBuffer();
  } catch (cause) {
    throw new TensorkilnError(
      'E_DATA',
      `[images] ${folder}: ${file.path} cannot be decoded: expected a whole image. Replace or remove it.`,
      { cause },
    );
  }
}

/**
 * Images and labels from a pair of IDX or .npy files (by name, .gz aside): pixels [N, height, width] or [N, height, width, channels] of
 * bytes, labels [N] of integers, whose different values, sorted, are the classes.
 *
 * @throws E_IO; E_DATA when a file is cut off, or shapes or types are not these
 */
export async function readImageArrays(imagePath: string, labelPath: string): Promise<ImageSet> {
  const [images, labels] = [await readArray(imagePath), await readArray(labelPath)];
  const [size = 0, height = 0, width = 0, channels = 1] = images.shape;
  if (!(images.data instanceof Uint8Array) || images.shape.length < 3 || images.shape.length > 4) {
    throw new TensorkilnError(
      'E_DATA',
      `[images] ${imagePath}: expected bytes of shape [N, height, width] or [N, height, width, channels], got ${images.data.constructor.name} of [${images.shape.join(', ')}].`,
    );
  }
  if (labels.shape.length !== 1 || labels.shape[0] !== size) {
    throw new TensorkilnError(
      'E_DATA',
      `[images] ${labelPath}: expected ${size} labels, one for each image, got shape [${labels.shape.join(', ')}].`,
    );
  }
  const values = [...new Set(labels.data)].sort((a, b) => a - b);
  const codeOf = new Map(values.map((value, code) => [value, code]));
  const pixels = allocate(Uint8Array, images.data.length);
  pixels.set(images.data);
  return {
    size,
    shape: [height, width, channels],
    pixels,
    labels: Int32Array.from(labels.data, (value) => codeOf.get(value) ?? 0),
    classes: values.map(String),
  };
}

function readArray(path: string): Promise<NumericTensor> {
  return /\.npy(\.gz)?$/i.test(path) ? readNpy(path) : readIdx(path);
}

/**
 * Images of a second set behind those of a first, which says what classes there are.
 *
 * @throws E_DATA when shapes differ or the second set has a class that the first lacks
 */
export function joinImages(first: ImageSet, second: ImageSet, place: string): ImageSet {
  if (first.shape.join() !== second.shape.join()) {
    throw new TensorkilnError(
      'E_DATA',
      `[images] ${place}: expected images of [${first.shape.join(', ')}] as in training, got [${second.shape.join(', ')}].`,
    );
  }
  const codes = second.classes.map((name) => first.classes.indexOf(name));
  const unknown = second.classes.filter((_, code) => (codes[code] as number) < 0);
  if (unknown.length > 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[images] ${place}: expected only classes of the training images, got also ${unknown.slice(0, 10).join(', ')}.`,
    );
  }
  const pixels = allocate(Uint8Array, first.pixels.length + second.pixels.length);
  pixels.set(first.pixels);
  pixels.set(second.pixels, first.pixels.length);
  const labels = new Int32Array(first.size + second.size);
  labels.set(first.labels);
  labels.set(
    second.labels.map((code) => codes[code] as number),
    first.size,
  );
  return { size: first.size + second.size, shape: first.shape, pixels, labels, classes: first.classes };
}

/** 53 bits of a digest of every image and its class, in a float64, as `hashRows` gives them for tables. */
export function hashImages({ size, pixels, labels }: ImageSet): Float64Array {
  const length = pixels.length / size;
  return Float64Array.from({ length: size }, (_, row) => {
    const digest = createHash('sha1')
      .update(pixels.subarray(row * length, (row + 1) * length))
      .update(String(labels[row]))
      .digest();
    return digest.readUInt32LE(0) * 0x200000 + (digest.readUInt32LE(4) >>> 11);
  });
}
