/** Channels of decoded images, by the rules of TensorFlow's decoders. Pure functions over bytes. */

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Of all frames, one below the other. */
  readonly data: Uint8Array;
  readonly frames: number;
}

export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'bmp';

/** Format by the first bytes; undefined for any other. */
export function formatOf(bytes: Uint8Array): ImageFormat | undefined {
  const startsWith = (...magic: number[]): boolean => magic.every((byte, index) => bytes[index] === byte);
  if (startsWith(0xff, 0xd8, 0xff)) return 'jpeg';
  if (startsWith(0x47, 0x49, 0x46, 0x38)) return 'gif';
  if (startsWith(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png';
  if (startsWith(0x42, 0x4d)) return 'bmp';
  return undefined;
}

/** How many channels a PNG file has by its header: a palette counts as colours, with alpha where the file lists it. */
export function pngChannels(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const colourType = bytes[25];
  if (colourType !== 3) return colourType === 0 ? 1 : colourType === 4 ? 2 : colourType === 6 ? 4 : 3;
  // Chunks: length, name, content, checksum; a palette's alpha stands between header and image data.
  for (let at = 8; at + 8 <= bytes.length; at += view.getUint32(at) + 12) {
    const name = view.getUint32(at + 4);
    if (name === 0x74524e53 /* tRNS */) return 4;
    if (name === 0x49444154 /* IDAT */) break;
  }
  return 3;
}

/** Components of a JPEG file, by its frame header: 1 is grey. A file without one counts as colour; decoding it then fails. */
export function jpegChannels(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return bytes[at + 9] === 1 ? 1 : 3;
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return 3;
}

/** Weights of red, green and blue in grey, in 1/32768: 0.299, 0.587, 0.114 (ITU-R BT.601), as libpng rounds them. */
const GREY = [9798, 19235, 3735] as const;

/**
 * Pixels with another number of channels: alpha is dropped or set to 255, colours become grey, grey is repeated.
 *
 * @param channels 1 to 4; 2 is grey with alpha
 * @param rounding what is added before a grey is cut to an integer: libpng cuts (0), libjpeg rounds (0.5)
 */
export function withChannels(pixels: Pixels, channels: number, rounding = 0): Pixels {
  const { channels: had, data } = pixels;
  if (had === channels) return pixels;
  const count = data.length / had;
  const result = new Uint8Array(count * channels);
  const [isColour, wantsColour] = [had >= 3, channels >= 3];
  const [hasAlpha, wantsAlpha] = [had % 2 === 0, channels % 2 === 0];
  const bias = rounding * 32768;
  for (let i = 0; i < count; i++) {
    const from = i * had;
    const to = i * channels;
    const [red, green, blue] = isColour
      ? [data[from]!, data[from + 1]!, data[from + 2]!]
      : [data[from]!, data[from]!, data[from]!];
    if (wantsColour) {
      result[to] = red;
      result[to + 1] = green;
      result[to + 2] = blue;
    } else {
      const isGrey = red === green && red === blue;
      result[to] = isGrey ? red : (GREY[0] * red + GREY[1] * green + GREY[2] * blue + bias) >> 15;
    }
    if (wantsAlpha) result[to + channels - 1] = hasAlpha ? data[from + had - 1]! : 255;
  }
  return { ...pixels, channels, data: result };
}

/**
 * Means of squares of `ratio` x `ratio` pixels; those at the right and lower edge may be cut off.
 *
 * @param ratio 2, 4 or 8
 */
export function shrink(pixels: Pixels, ratio: number): Pixels {
  const { width, height, channels, data } = pixels;
  const [columns, rows] = [Math.ceil(width / ratio), Math.ceil(height / ratio)];
  const result = new Uint8Array(columns * rows * channels);
  for (let row = 0; row < rows; row++) {
    const [top, bottom] = [row * ratio, Math.min((row + 1) * ratio, height)];
    for (let column = 0; column < columns; column++) {
      const [left, right] = [column * ratio, Math.min((column + 1) * ratio, width)];
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let y = top; y < bottom; y++) {
          for (let x = left; x < right; x++) sum += data[(y * width + x) * channels + channel]!;
        }
        result[(row * columns + column) * channels + channel] = Math.round(sum / ((bottom - top) * (right - left)));
      }
    }
  }
  return { ...pixels, width: columns, height: rows, data: result };
}
