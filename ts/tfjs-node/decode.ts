/** From the bytes of an image file to pixels, by sharp; BMP by bmp.ts. Runs in the worker of decode-worker.ts. */
import { TensorkilnError } from '../errors.js';
import { importOptional } from '../optional-package.js';
import { decodeBmpPixels } from './bmp.js';
import { jpegChannels, pngChannels, shrink, withChannels, type ImageFormat, type Pixels } from './pixels.js';

export interface DecodeRequest {
  /** Function that the user called, for error texts. */
  readonly place: string;
  readonly format: ImageFormat;
  readonly bytes: Uint8Array;
  /** Channels wanted: 1, 3 or 4; 0 as many as the file has. */
  readonly channels: number;
  /** JPEG only: 1, 2, 4 or 8 pixels become one in each direction. */
  readonly ratio: number;
  /** JPEG only: whether a file that ends early still gives an image. */
  readonly isTruncationAllowed: boolean;
  /** GIF only: all frames, else the first. */
  readonly allFrames: boolean;
}

/** @throws E_DATA when the bytes are no such image, or sharp is not installed */
export async function decodePixels(request: DecodeRequest): Promise<Pixels> {
  const { format, bytes, channels } = request;
  if (format === 'bmp') {
    const pixels = decodeBmpPixels(bytes);
    return withChannels(pixels, channels || pixels.channels);
  }
  const pixels = await decodeWithSharp(request);
  if (format === 'gif') return withChannels(pixels, 3);
  if (format === 'png') return withChannels(pixels, channels || pngChannels(bytes));
  const wanted = withChannels(pixels, channels || jpegChannels(bytes), 0.5);
  return request.ratio === 1 ? wanted : shrink(wanted, request.ratio);
}

async function decodeWithSharp({ place, format, bytes, allFrames, isTruncationAllowed }: DecodeRequest): Promise<Pixels> {
  const sharp = await loadSharp(place);
  try {
    const image = sharp(bytes, {
      // TensorFlow knows no colour profiles: the pixels are what the file says.
      ignoreIcc: true,
      failOn: isTruncationAllowed ? 'none' : 'truncated',
      ...(format === 'gif' && { pages: allFrames ? -1 : 1 }),
    });
    const { pages = 1 } = allFrames ? await image.metadata() : {};
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height / pages, channels: info.channels, frames: pages, data };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError(
      'E_DATA',
      `[${place}] Invalid ${format.toUpperCase()} data, size ${String(bytes.length)}: ${reason.replace(/[:.\s]+$/, '')}.`,
      {
        cause,
      },
    );
  }
}

/** @throws E_DATA when sharp is not installed */
export async function loadSharp(place: string): Promise<typeof import('sharp').default> {
  const module = await importOptional('sharp', () => import('sharp'));
  if (module === undefined) {
    throw new TensorkilnError('E_DATA', `[${place}] images need the optional package sharp: npm install sharp`);
  }
  return module.default;
}
