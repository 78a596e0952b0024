/** Decodes BMP files. */
import { TensorkilnError } from '../errors.js';
import { importOptional } from '../optional-package.js';
import type { Pixels } from './pixels.js';

/** Most pixels of one image: what TensorFlow allows. */
const MAX_PIXELS = 2 ** 28;

/**
 * Uncompressed files of 24 and 32 bits are read here, by TensorFlow's rules: the fourth byte of a pixel is its alpha. Palettes,
 * 16 bits and run lengths, which TensorFlow refuses or hands out as they are, are read by bmp-ts and become RGB.
 *
 * @returns 3 or 4 channels, one frame
 * @throws E_DATA for a file that is damaged, and where bmp-ts is needed and absent
 * @source tensorflow/tensorflow, tensorflow/core/kernels/image/decode_image_op.cc
 */
export async function decodeBmpPixels(bytes: Uint8Array): Promise<Pixels> {
  if (bytes.length < 54) throw broken(`a header has at least 54 bytes, the file has ${String(bytes.length)}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  if (width <= 0 || height === 0) throw broken(`width and height are ${String(width)} and ${String(signedHeight)}`);
  if (width * height > MAX_PIXELS) throw broken(`${String(width)} x ${String(height)} pixels are more than 2^28`);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  if (compression !== 0 || (bits !== 24 && bits !== 32)) return decodeRare(bytes);

  const channels = bits / 8;
  const start = view.getUint32(10, true);
  const rowBytes = Math.ceil((channels * width) / 4) * 4;
  if (start + rowBytes * height > bytes.length) {
    throw broken(`the pixels need ${String(start + rowBytes * height)} bytes, the file has ${String(bytes.length)}`);
  }
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    // Rows are stored from below, unless the height is negative.
    const from = start + (signedHeight < 0 ? y : height - 1 - y) * rowBytes;
    for (let x = 0; x < width; x++) {
      const source = from + x * channels;
      const target = (y * width + x) * channels;
      data[target] = bytes[source + 2]!;
      data[target + 1] = bytes[source + 1]!;
      data[target + 2] = bytes[source]!;
      if (channels === 4) data[target + 3] = bytes[source + 3]!;
    }
  }
  return { width, height, channels, frames: 1, data };
}

async function decodeRare(bytes: Uint8Array): Promise<Pixels> {
  const bmp = await importOptional('bmp-ts', () => import('bmp-ts'));
  if (bmp === undefined) {
    throw new TensorkilnError('E_DATA', '[decodeBmp] this kind of BMP needs the optional package bmp-ts: npm install bmp-ts');
  }
  try {
    const image = bmp.decode(Buffer.from(bytes), { toRGBA: true });
    const data = new Uint8Array(image.width * image.height * 3);
    for (let i = 0; i < image.width * image.height; i++) data.set(image.data.subarray(4 * i, 4 * i + 3), 3 * i);
    return { width: image.width, height: image.height, channels: 3, frames: 1, data };
  } catch (cause) {
    throw broken(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function broken(what: string, cause?: unknown): TensorkilnError {
  return new TensorkilnError('E_DATA', `[decodeBmp] Invalid BMP data: ${what}.`, { cause });
}
