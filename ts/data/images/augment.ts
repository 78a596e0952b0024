import { SeededRandom } from '../random.js';

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

/** A map from places of the result to places of the source: x' = a x + b y + c, y' = d x + e y + f, in pixels from the middle. */
interface Affine {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

const IDENTITY: Affine = { a: 1, b: 0, c: 0, d: 0, e: 1, f: 0 };

/**
 * Fills one batch. All geometric changes are joined into one map and the source is sampled once, bilinearly; beyond its border lies black.
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
    sample(source, image, shape, geometry(transforms, shape, random));
    for (const transform of transforms) if (transform.kind === 'color_jitter') jitter(image, channels, transform, random);
    const start = index * length;
    for (let place = 0; place < length; place++) {
      const channel = place % channels;
      out[start + place] =
        ((image[place] as number) / 255 - (task.mean[channel] as number)) / (task.deviation[channel] as number);
    }
  });
}

/** Uniform draws for one image of one epoch. */
class Draws {
  readonly #random: SeededRandom;

  constructor(seed: number, epoch: number, row: number) {
    // Three odd multipliers keep neighbouring epochs and images apart; SplitMix64 inside does the mixing.
    this.#random = new SeededRandom((seed * 0x9e3779b1 + epoch * 0x85ebca77 + row * 0xc2b2ae3d) % Number.MAX_SAFE_INTEGER);
  }

  /** In [0, 1). */
  unit(): number {
    return this.#random.nextUint32() / 2 ** 32;
  }

  /** In [-limit, limit). */
  symmetric(limit: number): number {
    return (2 * this.unit() - 1) * limit;
  }
}

function geometry(transforms: readonly ImageTransform[], [height, width]: AugmentTask['shape'], random: Draws): Affine {
  let map = IDENTITY;
  for (const transform of transforms) {
    switch (transform.kind) {
      case 'flip': {
        const a = random.unit() < transform.horizontal ? -1 : 1;
        const e = random.unit() < transform.vertical ? -1 : 1;
        map = compose(map, { ...IDENTITY, a, e });
        break;
      }
      case 'shift':
        map = compose(map, {
          ...IDENTITY,
          c: random.symmetric(transform.x) * width,
          f: random.symmetric(transform.y) * height,
        });
        break;
      case 'crop': {
        const scale = Math.sqrt(transform.minimum + random.unit() * (transform.maximum - transform.minimum));
        // Up to the middles of the outermost pixels, so that nothing from beyond the border comes in.
        const c = random.symmetric((1 - scale) / 2) * (width - 1);
        const f = random.symmetric((1 - scale) / 2) * (height - 1);
        map = compose(map, { ...IDENTITY, a: scale, e: scale, c, f });
        break;
      }
      case 'rotate': {
        const angle = (random.symmetric(transform.degrees) * Math.PI) / 180;
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        map = compose(map, { a: cos, b: -sin, c: 0, d: sin, e: cos, f: 0 });
        break;
      }
      case 'color_jitter':
        break;
    }
  }
  return map;
}

/** First `inner`, then `outer`. */
function compose(outer: Affine, inner: Affine): Affine {
  return {
    a: outer.a * inner.a + outer.b * inner.d,
    b: outer.a * inner.b + outer.b * inner.e,
    c: outer.a * inner.c + outer.b * inner.f + outer.c,
    d: outer.d * inner.a + outer.e * inner.d,
    e: outer.d * inner.b + outer.e * inner.e,
    f: outer.d * inner.c + outer.e * inner.f + outer.f,
  };
}

function sample(source: Uint8Array, image: Float32Array, [height, width, channels]: AugmentTask['shape'], map: Affine): void {
  if (map === IDENTITY) {
    image.set(source);
    return;
  }
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [dx, dy] = [x - middleX, y - middleY];
      const fromX = map.a * dx + map.b * dy + map.c + middleX;
      const fromY = map.d * dx + map.e * dy + map.f + middleY;
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      const [right, bottom] = [fromX - left, fromY - top];
      for (let channel = 0; channel < channels; channel++) {
        const at = (row: number, column: number): number =>
          row < 0 || row >= height || column < 0 || column >= width
            ? 0
            : (source[(row * width + column) * channels + channel] as number);
        // A weight of zero must not read: the neighbour may lie beyond the border.
        const upper = right === 0 ? at(top, left) : (1 - right) * at(top, left) + right * at(top, left + 1);
        const lower = bottom === 0 ? 0 : (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1);
        image[(y * width + x) * channels + channel] = (1 - bottom) * upper + bottom * lower;
      }
    }
  }
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
