/** Decodes BMP files. */
import { TensorkilnError } from '../errors.js';
import type { Pixels } from './pixels.js';

/** Most pixels of one image: what TensorFlow allows. */
const MAX_PIXELS = 2 ** 28;

/**
 * Decodes an uncompressed BMP file: 24 and 32 bits by TensorFlow's rules, the fourth byte of a pixel being its alpha. Palettes of
 * 1, 4 and 8 bits become RGB; TensorFlow refuses the first two and hands out the indices of the third.
 *
 * @returns 3 or 4 channels, one frame
 * @throws E_DATA for a file that is damaged, run-length coded or of 16 bits
 * @source tensorflow/tensorflow, tensorflow/core/kernels/image/decode_image_op.cc; palettes: Microsoft Learn, "Bitmap Storage"
 */
export function decodeBmpPixels(bytes: Uint8Array): Pixels {
  if (bytes.length < 54) throw broken(`a header has at least 54 bytes, the file has ${String(bytes.length)}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = view.getUint32(10, true);
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  if (width <= 0 || height === 0) throw broken(`width and height are ${String(width)} and ${String(signedHeight)}`);
  if (width * height > MAX_PIXELS) throw broken(`${String(width)} x ${String(height)} pixels are more than 2^28`);
  // 3 says where a pixel's channels are; for 32 bits they are where they always are.
  const isPlain = compression === 0 || (compression === 3 && bits === 32);
  if (!isPlain || ![1, 4, 8, 24, 32].includes(bits)) {
    throw broken(
      `expected 1, 4, 8, 24 or 32 bits without compression, got ${String(bits)} bits, compression ${String(compression)}`,
    );
  }
  const rowBytes = Math.ceil((bits * width) / 32) * 4;
  if (start + rowBytes * height > bytes.length) {
    throw broken(`the pixels need ${String(start + rowBytes * height)} bytes, the file has ${String(bytes.length)}`);
  }

  const channels = bits === 32 ? 4 : 3;
  const paletteStart = 14 + view.getUint32(14, true);
  const colours = bits <= 8 ? Math.min(view.getUint32(46, true) || 2 ** bits, 2 ** bits) : 0;
  if (paletteStart + 4 * colours > start) throw broken('the palette reaches into the pixels');
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    // Rows are stored from below, unless the height is negative.
    const row = start + (signedHeight < 0 ? y : height - 1 - y) * rowBytes;
    for (let x = 0; x < width; x++) {
      let source = row + (x * bits) / 8;
      if (bits <= 8) {
        const shift = 8 - bits - ((x * bits) % 8);
        const index = (bytes[Math.floor(source)]! >> shift) & (2 ** bits - 1);
        if (index >= colours) throw broken(`a pixel has colour ${String(index)} of a palette of ${String(colours)}`);
        source = paletteStart + 4 * index;
      }
      const target = (y * width + x) * channels;
      data[target] = bytes[source + 2]!;
      data[target + 1] = bytes[source + 1]!;
      data[target + 2] = bytes[source]!;
      if (channels === 4) data[target + 3] = bytes[source + 3]!;
    }
  }
  return { width, height, channels, frames: 1, data };
}

function broken(what: string): TensorkilnError {
  return new TensorkilnError('E_DATA', `[decodeBmp] Invalid BMP data: ${what}.`);
}
