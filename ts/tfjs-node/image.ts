/**
 * `tf.node.decode*` and `encode*`. Arguments and their order are those of tfjs-node 4.22; texts of errors are tfjs-node's and
 * TensorFlow's where those have one.
 */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { loadSharp, type DecodeRequest } from './decode.js';
import { formatOf, type ImageFormat, type Pixels } from './pixels.js';
import { decodeSync } from './sync-decode.js';

const DTYPE_MESSAGE = 'decodeImage could only return Tensor of type `int32` for now.';
const CHANNELS: Readonly<Record<ImageFormat, readonly number[]>> = {
  jpeg: [0, 1, 3],
  png: [0, 1, 3, 4],
  gif: [0, 3],
  bmp: [0, 3, 4],
};

/** Checks what was given and decodes it. A decoder for JPEG, PNG or GIF takes a file of any of the three, as TensorFlow's do. */
function decode(place: string, contents: Uint8Array, more: Partial<DecodeRequest> = {}): Pixels {
  if (!(contents instanceof Uint8Array)) {
    const found = contents === null ? 'null' : typeof contents;
    throw new TensorkilnError('E_USAGE', `[${place}] contents: expected a Uint8Array with an encoded image, got ${found}.`);
  }
  const format = formatOf(contents);
  if (format === undefined) {
    throw new TensorkilnError('E_DATA', 'Expected image (BMP, JPEG, PNG, or GIF), but got unsupported image type');
  }
  if (place !== 'decodeImage' && (format === 'bmp') !== (place === 'decodeBmp')) {
    throw new TensorkilnError(
      'E_DATA',
      `[${place}] Trying to decode ${format.toUpperCase()} format using ${place}. Use decodeImage, which takes every format.`,
    );
  }
  const { channels = 0 } = more;
  if (!CHANNELS[format].includes(channels)) {
    const allowed = CHANNELS[format].join(', ').replace(/, (\d)$/, ' or $1');
    throw new TensorkilnError(
      'E_USAGE',
      `[${place}] \`channels\` must be ${allowed} for ${format.toUpperCase()}, but got ${String(channels)}.`,
    );
  }
  return decodeSync({
    place,
    format,
    bytes: contents,
    channels,
    ratio: 1,
    isTruncationAllowed: false,
    allFrames: false,
    ...more,
  });
}

function tensorOf({ data, height, width, channels }: Pixels): tf.Tensor3D {
  return tf.tensor3d(data, [height, width, channels], 'int32');
}

/**
 * Decodes a JPEG image. The decoder is sharp's: fancy upsampling and its own DCT, so that values may differ from TensorFlow's by
 * the rounding of the DCT.
 *
 * @param contents            the encoded image
 * @param channels            1 grey, 3 RGB, 0 as many as the file has; default 0
 * @param ratio               1, 2, 4 or 8: so many pixels become one in each direction, by their mean; default 1
 * @param _fancyUpscaling     taken and not used: the better upsampling is always on
 * @param tryRecoverTruncated whether a file that ends early gives an image, grey where data is missing; default false
 * @param _acceptableFraction taken and not used: every fraction is accepted
 * @param dctMethod           '', 'INTEGER_FAST' or 'INTEGER_ACCURATE': a hint, not used
 * @returns [height, width, channels] int32
 * @throws E_DATA when the bytes are no such image or sharp is not installed, E_USAGE for a wrong argument
 */
export function decodeJpeg(
  contents: Uint8Array,
  channels = 0,
  ratio = 1,
  _fancyUpscaling = true,
  tryRecoverTruncated = false,
  _acceptableFraction = 1,
  dctMethod = '',
): tf.Tensor3D {
  if (![1, 2, 4, 8].includes(ratio)) {
    throw new TensorkilnError('E_USAGE', `[decodeJpeg] ratio must be 1, 2, 4, or 8, got ${String(ratio)}.`);
  }
  if (!['', 'INTEGER_FAST', 'INTEGER_ACCURATE'].includes(dctMethod)) {
    throw new TensorkilnError('E_USAGE', `[decodeJpeg] dct_method must be one of {'', 'INTEGER_FAST', 'INTEGER_ACCURATE'}.`);
  }
  return tensorOf(decode('decodeJpeg', contents, { channels, ratio, isTruncationAllowed: tryRecoverTruncated }));
}

/**
 * Decodes a PNG image, exactly; 16 bits are cut to 8.
 *
 * @param channels 1 grey, 3 RGB, 4 RGBA, 0 as many as the file has; default 0
 * @param dtype    'int32', the only one
 * @returns [height, width, channels] int32
 * @throws as decodeJpeg
 */
export function decodePng(contents: Uint8Array, channels = 0, dtype = 'int32'): tf.Tensor3D {
  tf.util.assert(dtype === 'int32', () => DTYPE_MESSAGE);
  return tensorOf(decode('decodePng', contents, { channels }));
}

/**
 * Decodes a BMP image.
 *
 * @param channels 3 RGB, 4 RGBA, 0 as many as the file has; default 0
 * @returns [height, width, channels] int32
 * @throws as decodeJpeg
 */
export function decodeBmp(contents: Uint8Array, channels = 0): tf.Tensor3D {
  return tensorOf(decode('decodeBmp', contents, { channels }));
}

/**
 * Decodes all frames of a GIF image. Each frame is the whole picture at its time; where it is transparent it is black.
 *
 * @returns [frames, height, width, 3] int32
 * @throws as decodeJpeg
 */
export function decodeGif(contents: Uint8Array): tf.Tensor4D {
  const { data, frames, height, width, channels } = decode('decodeGif', contents, { allFrames: true });
  return tf.tensor4d(data, [frames, height, width, channels], 'int32');
}

/**
 * Decodes a BMP, GIF, JPEG or PNG image, told apart by its first bytes.
 *
 * @param channels         as for the format's own function; default 0
 * @param dtype            'int32', the only one
 * @param expandAnimations whether a GIF gives all its frames, [frames, height, width, 3]; else the first one. Default true
 * @returns [height, width, channels] int32, or of rank 4 for a GIF
 * @throws as decodeJpeg
 */
export function decodeImage(
  content: Uint8Array,
  channels = 0,
  dtype = 'int32',
  expandAnimations = true,
): tf.Tensor3D | tf.Tensor4D {
  tf.util.assert(dtype === 'int32', () => DTYPE_MESSAGE);
  const allFrames = expandAnimations && content instanceof Uint8Array && formatOf(content) === 'gif';
  const pixels = decode('decodeImage', content, { channels, allFrames });
  return allFrames
    ? tf.tensor4d(pixels.data, [pixels.frames, pixels.height, pixels.width, pixels.channels], 'int32')
    : tensorOf(pixels);
}

/** Values of an image to encode, as bytes: fractions are cut, other values wrap round, as in tfjs-node. */
async function bytesOf(place: string, image: tf.Tensor3D, channels: readonly number[]): Promise<RawImage> {
  if (!(image instanceof tf.Tensor) || (image as tf.Tensor).rank !== 3) {
    const found = image instanceof tf.Tensor ? `shape [${String((image as tf.Tensor).shape)}]` : typeof image;
    throw new TensorkilnError('E_SHAPE', `[${place}] image must be 3-dimensional [height, width, channels], got ${found}.`);
  }
  const [height, width, found] = image.shape;
  if (!channels.includes(found)) {
    const allowed = channels.join(', ').replace(/, (\d)$/, ' or $1');
    throw new TensorkilnError('E_SHAPE', `[${place}] image must have ${allowed} channels, got shape [${String(image.shape)}].`);
  }
  if (height === 0 || width === 0) {
    throw new TensorkilnError('E_SHAPE', `[${place}] image has no pixels: shape [${String(image.shape)}].`);
  }
  return { data: new Uint8Array(await image.data()), raw: { width, height, channels: found as 1 } };
}

interface RawImage {
  readonly data: Uint8Array;
  readonly raw: { width: number; height: number; channels: 1 | 2 | 3 | 4 };
}

function checkRange(place: string, name: string, value: number, [low, high]: readonly [number, number]): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new TensorkilnError('E_USAGE', `[${place}] ${name} must be in [${String(low)},${String(high)}], got ${String(value)}.`);
}

/**
 * Encodes an image as JPEG.
 *
 * @param image              [height, width, 1 or 3], values 0 to 255
 * @param format             '', 'grayscale' (1 channel) or 'rgb' (3 channels): a check of the channels; default ''
 * @param quality            0 to 100; default 95
 * @param progressive        default false
 * @param optimizeSize       smaller file of the same pixels, more work; default false
 * @param chromaDownsampling halves the resolution of colours; default true
 * @param densityUnit        'in' or 'cm'; default 'in'
 * @param xDensity           pixels per unit; default 300
 * @param yDensity           pixels per unit; default 300
 * @param xmpMetadata        XMP to embed; default '', none
 * @throws E_SHAPE for another shape, E_USAGE for a wrong option, E_DATA when sharp is not installed
 */
export async function encodeJpeg(
  image: tf.Tensor3D,
  format: '' | 'grayscale' | 'rgb' = '',
  quality = 95,
  progressive = false,
  optimizeSize = false,
  chromaDownsampling = true,
  densityUnit: 'in' | 'cm' = 'in',
  xDensity = 300,
  yDensity = 300,
  xmpMetadata = '',
): Promise<Uint8Array> {
  const place = 'encodeJpeg';
  const { data, raw } = await bytesOf(place, image, [1, 3]);
  const needed = { '': raw.channels, grayscale: 1, rgb: 3 }[format] as number | undefined;
  if (needed !== raw.channels) {
    const expected = needed === undefined ? `expected '', 'grayscale' or 'rgb'` : `expected ${String(needed)} channels`;
    throw new TensorkilnError(
      'E_USAGE',
      `[${place}] format is '${format}': ${expected}, got ${String(raw.channels)} channels.`,
    );
  }
  checkRange(place, 'quality', quality, [0, 100]);
  checkRange(place, 'xDensity', xDensity, [0, 65535]);
  checkRange(place, 'yDensity', yDensity, [0, 65535]);
  if (!['in', 'cm'].includes(densityUnit)) {
    throw new TensorkilnError('E_USAGE', `[${place}] densityUnit must be 'in' or 'cm', got '${densityUnit}'.`);
  }
  const sharp = await loadSharp(place);
  const pipeline = sharp(data, { raw })
    .toColourspace(raw.channels === 1 ? 'b-w' : 'srgb')
    .jpeg({
      // libjpeg treats 0 as 1, sharp refuses it.
      quality: Math.max(quality, 1),
      progressive,
      optimiseCoding: optimizeSize,
      chromaSubsampling: chromaDownsampling ? '4:2:0' : '4:4:4',
    });
  const encoded = await (xmpMetadata === '' ? pipeline : pipeline.withXmp(xmpMetadata)).toBuffer();
  return withDensity(encoded, densityUnit === 'in' ? 1 : 2, xDensity, yDensity);
}

/** Length of the JFIF segment without a thumbnail, marker included. */
const JFIF_BYTES = 18;

/**
 * Puts unit and densities into the JFIF segment, which comes first: sharp knows one density for both directions, and writes no
 * such segment beside XMP.
 */
function withDensity(jpeg: Uint8Array, unit: number, x: number, y: number): Uint8Array {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  const hasJfif = view.getUint16(2) === 0xffe0;
  const body = jpeg.subarray(hasJfif ? 4 + view.getUint16(4) : 2);
  const segment = new DataView(new ArrayBuffer(2 + JFIF_BYTES));
  segment.setUint16(0, 0xffd8);
  segment.setUint16(2, 0xffe0);
  segment.setUint16(4, JFIF_BYTES - 2);
  segment.setUint32(6, 0x4a464946); // JFIF, then a zero
  segment.setUint16(11, 0x0101); // version 1.01
  segment.setUint8(13, unit);
  segment.setUint16(14, x);
  segment.setUint16(16, y);
  return Buffer.concat([new Uint8Array(segment.buffer), body]);
}

/**
 * Encodes an image as PNG.
 *
 * @param image       [height, width, 1 to 4], values 0 to 255
 * @param compression 0 none to 9 most; -1 is 6; default 1
 * @throws as encodeJpeg
 */
export async function encodePng(image: tf.Tensor3D, compression = 1): Promise<Uint8Array> {
  const place = 'encodePng';
  const { data, raw } = await bytesOf(place, image, [1, 2, 3, 4]);
  checkRange(place, 'compression', compression, [-1, 9]);
  const sharp = await loadSharp(place);
  return sharp(data, { raw })
    .toColourspace(raw.channels <= 2 ? 'b-w' : 'srgb')
    .png({ compressionLevel: compression === -1 ? 6 : compression })
    .toBuffer();
}
