import type { AugmentTask, ImageTransform } from './augment.js';
import type { Draws } from './draws.js';

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

/** Where the pixels of a result come from: each place is moved by the bend, if any, and then mapped. */
export interface Warp {
  readonly map: Affine;
  /** [height, width, 2]: how far each place is moved along x and y, in pixels */
  readonly bend: Float32Array | undefined;
}

/** What the geometric transforms make of one image. The draws are taken in the order of the list. */
export function drawWarp(transforms: readonly ImageTransform[], shape: AugmentTask['shape'], random: Draws): Warp {
  const [height, width] = shape;
  let map = IDENTITY;
  let bend: Float32Array | undefined;
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
        const angle = radians(random.symmetric(transform.degrees));
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        map = compose(map, { a: cos, b: -sin, c: 0, d: sin, e: cos, f: 0 });
        break;
      }
      case 'scale': {
        const share = 1 / (transform.minimum + random.unit() * (transform.maximum - transform.minimum));
        map = compose(map, { ...IDENTITY, a: share, e: share });
        break;
      }
      case 'shear': {
        const b = Math.tan(radians(random.symmetric(transform.x)));
        const d = Math.tan(radians(random.symmetric(transform.y)));
        map = compose(map, { ...IDENTITY, b, d });
        break;
      }
      case 'elastic':
        bend ??= new Float32Array(height * width * 2);
        addBend(bend, shape, transform, random);
        break;
      case 'color_jitter':
        break;
    }
  }
  return { map, bend };
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

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

/**
 * Adds a smooth field: random moves of a grid's knots, between them the uniform cubic B-spline, which never exceeds the largest knot.
 *
 * @source Rueckert et al. 1999, "Nonrigid registration using free-form deformations", eq. 1
 */
function addBend(
  bend: Float32Array,
  [height, width]: AugmentTask['shape'],
  { amount, spacing }: Extract<ImageTransform, { kind: 'elastic' }>,
  random: Draws,
): void {
  const across = splineWeights(width, spacing);
  const down = splineWeights(height, spacing);
  const knots = Float64Array.from({ length: across.knots * down.knots * 2 }, () => random.symmetric(amount));
  // Along the rows first, for each row of knots; then down the columns.
  const rows = new Float64Array(down.knots * width * 2);
  for (let knot = 0; knot < down.knots; knot++) {
    for (let x = 0; x < width; x++) {
      for (let axis = 0; axis < 2; axis++) {
        let sum = 0;
        for (let i = 0; i < 4; i++) {
          const place = knot * across.knots + (across.first[x] as number) + i;
          sum += (across.weights[4 * x + i] as number) * (knots[2 * place + axis] as number);
        }
        rows[2 * (knot * width + x) + axis] = sum;
      }
    }
  }
  const stride = 2 * width;
  for (let y = 0; y < height; y++) {
    const start = (down.first[y] as number) * stride;
    for (let place = 0; place < stride; place++) {
      let sum = 0;
      for (let i = 0; i < 4; i++) sum += (down.weights[4 * y + i] as number) * (rows[start + i * stride + place] as number);
      bend[y * stride + place] = (bend[y * stride + place] as number) + sum;
    }
  }
}

/** The first of the four knots that each of so many places lies between, and their weights. */
function splineWeights(
  length: number,
  spacing: number,
): { readonly knots: number; readonly first: Int32Array; readonly weights: Float64Array } {
  const first = new Int32Array(length);
  const weights = new Float64Array(4 * length);
  for (let place = 0; place < length; place++) {
    const knot = Math.floor(place / spacing);
    const t = place / spacing - knot;
    first[place] = knot;
    weights[4 * place] = (1 - t) ** 3 / 6;
    weights[4 * place + 1] = (3 * t ** 3 - 6 * t ** 2 + 4) / 6;
    weights[4 * place + 2] = (-3 * t ** 3 + 3 * t ** 2 + 3 * t + 1) / 6;
    weights[4 * place + 3] = t ** 3 / 6;
  }
  return { knots: (first[length - 1] as number) + 4, first, weights };
}

/** Fills an image with what the warp brings from the source. */
export function sample(
  source: Uint8Array,
  image: Float32Array,
  [height, width, channels]: AugmentTask['shape'],
  { map, bend }: Warp,
): void {
  if (map === IDENTITY && bend === undefined) {
    image.set(source);
    return;
  }
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [dx, dy] = [x - middleX, y - middleY];
      if (bend !== undefined) {
        dx += bend[2 * (y * width + x)] as number;
        dy += bend[2 * (y * width + x) + 1] as number;
      }
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
