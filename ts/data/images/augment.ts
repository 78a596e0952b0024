import { Draws } from './draws.js';
import { drawWarp, sample } from './warp.js';

/** One kind of random change. Each image gets its own draw. */
export type ImageTransform =
  /** Mirrors with these probabilities. */
  | { readonly kind: 'flip'; readonly horizontal: number; readonly vertical: number }
  /** Moves by up to these shares of width and height, either way. */
  | { readonly kind: 'shift'; readonly x: number; readonly y: number }
  /** Cuts out a window of this share of the area, somewhere, and enlarges it to the whole. */
  | { readonly kind: 'crop'; readonly minimum: number; readonly maximum: number }
  /** Turns about the middle by up to so many degrees, either way. */
  | { readonly kind: 'rotate'; readonly degrees: number }
  /** Multiplies the size by a factor from `minimum` to `maximum`, both axes alike, about the middle; what is smaller gets a black border. */
  | { readonly kind: 'scale'; readonly minimum: number; readonly maximum: number }
  /** Slants by up to so many degrees, either way, along the rows (x) or the columns (y). */
  | { readonly kind: 'shear'; readonly x: number; readonly y: number }
  /** Moves each place by up to `amount` pixels, either way, along a smooth random field that bends about every `spacing` pixels. */
  | { readonly kind: 'elastic'; readonly amount: number; readonly spacing: number }
  /** Multiplies brightness, contrast and saturation by factors from 1 - x to 1 + x. */
  | { readonly kind: 'color_jitter'; readonly brightness: number; readonly contrast: number; readonly saturation: number };

export interface AugmentTask {
  /** [images, height, width, channels], bytes */
  readonly pixels: Uint8Array;
  readonly shape: readonly [number, number, number];
  /** Images of the batch, in order. */
  readonly rows: Int32Array;
  /** [rows, height, width, channels] float32, in shared memory */
  readonly out: Float32Array;
  readonly transforms: readonly ImageTransform[];
  readonly seed: number;
  readonly epoch: number;
  /** Each value v becomes (v / 255 - mean) / deviation of its channel. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/**
 * Fills one batch. All geometric changes are joined into one map and the source is sampled once, bilinearly; beyond its border lies black.
 * A bend (`elastic`) comes first, wherever it stands in the list.
 *
 * An image's draw depends on seed, epoch and its number alone, so the result is the same on any number of threads and after a resume.
 */
export function augment(task: AugmentTask): void {
  const { shape, rows, out, transforms } = task;
  const [height, width, channels] = shape;
  const length = height * width * channels;
  const image = new Float32Array(length);
  rows.forEach((row, index) => {
    const random = new Draws(task.seed, task.epoch, row);
    const source = task.pixels.subarray(row * length, (row + 1) * length);
    sample(source, image, shape, drawWarp(transforms, shape, random));
    for (const transform of transforms) if (transform.kind === 'color_jitter') jitter(image, channels, transform, random);
    const start = index * length;
    for (let place = 0; place < length; place++) {
      const channel = place % channels;
      out[start + place] =
        ((image[place] as number) / 255 - (task.mean[channel] as number)) / (task.deviation[channel] as number);
    }
  });
}

/** Weights of red, green and blue in grey: ITU-R BT.601. */
const GREY = [0.299, 0.587, 0.114] as const;

function jitter(
  image: Float32Array,
  channels: number,
  amounts: Extract<ImageTransform, { kind: 'color_jitter' }>,
  random: Draws,
): void {
  const brightness = 1 + random.symmetric(amounts.brightness);
  const contrast = 1 + random.symmetric(amounts.contrast);
  const saturation = 1 + random.symmetric(amounts.saturation);
  const mean = (image.reduce((sum, value) => sum + value, 0) / image.length) * brightness;
  const clamp = (value: number): number => Math.min(255, Math.max(0, value));
  for (let place = 0; place < image.length; place += channels) {
    let grey = 0;
    for (let channel = 0; channel < channels; channel++) {
      const value = clamp(((image[place + channel] as number) * brightness - mean) * contrast + mean);
      image[place + channel] = value;
      grey += value * (channels === 3 ? (GREY[channel] as number) : 1 / channels);
    }
    if (channels !== 3) continue;
    for (let channel = 0; channel < 3; channel++)
      image[place + channel] = clamp(((image[place + channel] as number) - grey) * saturation + grey);
  }
}
