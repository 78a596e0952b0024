import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augment, type AugmentTask, type ImageTransform } from '../../ts/data/images/augment.js';
import { ImageBatches, plainImages } from '../../ts/data/images/image-batches.js';
import { readImageArrays, readImageFolder, type ImageSet } from '../../ts/data/images/image-set.js';
import { prepareImages } from '../../ts/data/images/prepare-images.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';

let folder: string;
let pool: WorkerPool;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-images-'));
  pool = new WorkerPool(2);
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true });
});

/** One grey image of 4 x 4 with values 0, 10, ..., 150. */
const PIXELS = Uint8Array.from({ length: 16 }, (_, place) => 10 * place);

function run(transforms: readonly ImageTransform[], changes: Partial<AugmentTask> = {}): number[] {
  const task: AugmentTask = {
    pixels: PIXELS,
    shape: [4, 4, 1],
    rows: Int32Array.of(0),
    out: new Float32Array(16),
    transforms,
    seed: 1,
    epoch: 1,
    // Gives back the bytes.
    mean: [0],
    deviation: [1 / 255],
    ...changes,
  };
  augment(task);
  return [...task.out].map((value) => Math.round(value));
}

const rowsOf = (values: readonly number[]): number[][] =>
  Array.from({ length: 4 }, (_, row) => values.slice(4 * row, 4 * row + 4));

describe('augment', () => {
  it('changes nothing without transforms', () => {
    expect(run([])).toEqual([...PIXELS]);
  });

  it('flips', () => {
    const across = rowsOf([...PIXELS]).flatMap((row) => row.toReversed());
    expect(run([{ kind: 'flip', horizontal: 1, vertical: 0 }])).toEqual(across);
    expect(run([{ kind: 'flip', horizontal: 0, vertical: 1 }])).toEqual(
      rowsOf([...PIXELS])
        .toReversed()
        .flat(),
    );
    expect(run([{ kind: 'flip', horizontal: 0, vertical: 0 }])).toEqual([...PIXELS]);
  });

  it('turns about the middle, and back', () => {
    // 180 degrees either way: the draw decides how far, so a half turn is made of two flips to compare with.
    const turned = run([{ kind: 'flip', horizontal: 1, vertical: 1 }]);
    expect(turned).toEqual([...PIXELS].toReversed());
    const small = run([{ kind: 'rotate', degrees: 5 }]);
    expect(small).not.toEqual([...PIXELS]);
    // The middle four keep their mean: turning about the middle moves them round it.
    const middle = [5, 6, 9, 10].map((place) => small[place] ?? NaN);
    expect(middle.reduce((sum, value) => sum + value, 0) / 4).toBeCloseTo(75, 0);
    expect(run([{ kind: 'rotate', degrees: 0 }])).toEqual([...PIXELS]);
  });

  it('shifts by up to its share, with black behind', () => {
    const flat = { pixels: new Uint8Array(16).fill(100) };
    const shifted = rowsOf(run([{ kind: 'shift', x: 0.5, y: 0 }], flat));
    // Every row is the same; what came in from beyond the border is darker, the rest is as it was.
    expect(new Set(shifted.map((row) => row.join())).size).toBe(1);
    expect(shifted[0]).toContain(100);
    expect(Math.min(...(shifted[0] ?? []))).toBeLessThan(100);
    expect(run([{ kind: 'shift', x: 0, y: 0 }], flat)).toEqual([...flat.pixels]);
  });

  it('cuts out a window that lies inside, and enlarges it', () => {
    const flat = { pixels: new Uint8Array(16).fill(100) };
    expect(run([{ kind: 'crop', minimum: 0.2, maximum: 0.5 }], flat)).toEqual([...flat.pixels]);
    const cropped = run([{ kind: 'crop', minimum: 0.25, maximum: 0.25 }]);
    // A quarter of the area: neighbours in a row differ by half a step.
    expect((cropped[2] ?? NaN) - (cropped[1] ?? NaN)).toBe(5);
    expect(Math.max(...cropped) - Math.min(...cropped)).toBeLessThan(100);
  });

  it('scales about the middle, alike on both axes', () => {
    const half = rowsOf(run([{ kind: 'scale', minimum: 0.5, maximum: 0.5 }]));
    // Half the size: the middle four come from twice as far out, (-1, -1) from the middle at (0.5, 0.5) and so on; the rest is black.
    expect(half).toEqual([
      [0, 0, 0, 0],
      [0, 25, 45, 0],
      [0, 105, 125, 0],
      [0, 0, 0, 0],
    ]);
    const twice = rowsOf(run([{ kind: 'scale', minimum: 2, maximum: 2 }]));
    expect((twice[0]?.[2] ?? NaN) - (twice[0]?.[1] ?? NaN)).toBe(5);
    expect(run([{ kind: 'scale', minimum: 1, maximum: 1 }])).toEqual([...PIXELS]);
  });

  it('slants rows by their distance from the middle', () => {
    // A vertical stroke leans, each row moved by its distance from the middle times one tangent; a flat image of rows stays as it is.
    const size = 9;
    const shape = [size, size, 1] as const;
    const pixels = Uint8Array.from({ length: size * size }, (_, place) => (place % size === 4 ? 200 : 0));
    const slanted = run([{ kind: 'shear', x: 30, y: 0 }], { pixels, shape, out: new Float32Array(size * size) });
    const centre = (row: number): number => {
      const values = slanted.slice(row * size, (row + 1) * size);
      return values.reduce((sum, value, x) => sum + value * x, 0) / values.reduce((sum, value) => sum + value, 0);
    };
    const lean = centre(5) - centre(4);
    expect(Math.abs(lean)).toBeGreaterThan(0.01);
    expect(Math.abs(lean)).toBeLessThan(Math.tan(Math.PI / 6) + 0.01);
    expect(centre(4)).toBeCloseTo(4, 5);
    expect(centre(7) - 4).toBeCloseTo(3 * lean, 1);
    expect(centre(1) - 4).toBeCloseTo(-3 * lean, 1);
    const level = Uint8Array.from({ length: size * size }, (_, place) => 20 * Math.floor(place / size));
    const same = run([{ kind: 'shear', x: 30, y: 0 }], { pixels: level, shape, out: new Float32Array(size * size) });
    expect(same[4 * size + 4]).toBe(80);
    expect(same[2 * size + 4]).toBe(40);
  });

  it('bends smoothly and by no more than its amount', () => {
    const size = 24;
    const shape = [size, size, 1] as const;
    const ramp = { pixels: Uint8Array.from({ length: size * size }, (_, place) => 10 * (place % size)), shape };
    const amount = 2;
    const bent = run([{ kind: 'elastic', amount, spacing: 6 }], { ...ramp, out: new Float32Array(size * size) });
    // On a ramp of 10 a pixel a move of one pixel along x shows as 10; away from the border, beyond which lies black.
    const moves: number[] = [];
    for (let y = 3; y < size - 3; y++)
      for (let x = 3; x < size - 3; x++) moves.push(((bent[y * size + x] ?? NaN) - 10 * x) / 10);
    expect(Math.max(...moves.map(Math.abs))).toBeLessThanOrEqual(amount + 0.1);
    expect(Math.max(...moves) - Math.min(...moves)).toBeGreaterThan(0.5);
    // The B-spline's slope is at most 2 amounts a knot: 0.67 here; neighbours differ by no more, and roundings.
    const inner = size - 6;
    moves.forEach((move, place) => {
      if (place % inner > 0) expect(Math.abs(move - (moves[place - 1] ?? NaN))).toBeLessThan(0.67 + 0.2);
    });
    expect(run([{ kind: 'elastic', amount: 0, spacing: 6 }], { ...ramp, out: new Float32Array(size * size) })).toEqual([
      ...ramp.pixels,
    ]);
  });

  it('changes brightness, contrast and saturation within bounds', () => {
    const grey = run([{ kind: 'color_jitter', brightness: 0.5, contrast: 0, saturation: 0 }]);
    const factor = (grey[8] ?? 0) / 80;
    expect(factor).toBeGreaterThan(0.49);
    expect(factor).toBeLessThan(1.51);
    expect(factor).not.toBe(1);
    grey.forEach((value, place) => expect(value).toBeCloseTo(Math.min(255, (PIXELS[place] ?? 0) * factor), -0.5));
    const flat = { pixels: new Uint8Array(16).fill(100) };
    expect(run([{ kind: 'color_jitter', brightness: 0, contrast: 0.9, saturation: 0 }], flat)).toEqual([...flat.pixels]);
    const color = {
      pixels: Uint8Array.of(200, 100, 50),
      shape: [1, 1, 3] as const,
      out: new Float32Array(3),
      mean: [0, 0, 0],
      deviation: [1 / 255, 1 / 255, 1 / 255],
    };
    const [red = 0, green = 0, blue = 0] = run([{ kind: 'color_jitter', brightness: 0, contrast: 0, saturation: 0.9 }], color);
    // Saturation keeps grey, 0.299 R + 0.587 G + 0.114 B = 124.2, within the rounding to whole bytes.
    expect(Math.abs(0.299 * red + 0.587 * green + 0.114 * blue - 124.2)).toBeLessThan(1);
    expect(red).not.toBe(200);
  });

  it('draws anew for each epoch, seed and image, and the same again for the same', () => {
    const transforms: ImageTransform[] = [
      { kind: 'rotate', degrees: 30 },
      { kind: 'elastic', amount: 1, spacing: 2 },
    ];
    const draw = (changes: Partial<AugmentTask>): string => run(transforms, changes).join();
    const images = new Uint8Array([...PIXELS, ...PIXELS]);
    const draws = [{}, { epoch: 2 }, { seed: 2 }, { pixels: images, rows: Int32Array.of(1) }].map(draw);
    expect(new Set(draws).size).toBe(4);
    expect(draw({})).toBe(draws[0]);
  });
});

function imageSet(size: number): ImageSet {
  const pixels = Uint8Array.from({ length: size * 48 }, (_, place) => (place * 31) % 251);
  return {
    size,
    shape: [4, 4, 3],
    pixels,
    labels: Int32Array.from({ length: size }, (_, row) => row % 3),
    classes: ['a', 'b', 'c'],
  };
}

describe('ImageBatches', () => {
  const transforms: ImageTransform[] = [
    { kind: 'flip', horizontal: 0.5, vertical: 0 },
    { kind: 'rotate', degrees: 20 },
    { kind: 'color_jitter', brightness: 0.2, contrast: 0.2, saturation: 0.2 },
  ];

  async function epoch(
    batches: ImageBatches,
    number: number,
    order?: Int32Array,
  ): Promise<{ features: number[]; targets: number[]; sizes: number[] }> {
    const [features, targets, sizes]: number[][] = [[], [], []];
    for await (const batch of batches.epoch(number, order)) {
      features?.push(...batch.features);
      targets?.push(...batch.targets);
      sizes?.push(batch.rows);
    }
    return { features: features ?? [], targets: targets ?? [], sizes: sizes ?? [] };
  }

  it('does not make Node warn of a leak when many batches are made ahead under one signal', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error): void => {
      warnings.push(name);
    };
    process.on('warning', note);
    const batches = new ImageBatches(imageSet(40), { pool, batchSize: 1, ahead: 20 });
    let count = 0;
    for await (const { rows } of batches.epoch(1, undefined, new AbortController().signal)) count += rows;
    expect(count).toBe(40);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('gives every image once, in order, the same with any number of threads and batches ahead', async () => {
    const set = imageSet(23);
    const order = Int32Array.from({ length: 23 }, (_, index) => (index * 5) % 23);
    const one = new WorkerPool(1);
    try {
      const first = await epoch(new ImageBatches(set, { pool, batchSize: 4, transforms, seed: 7 }), 3, order);
      const second = await epoch(new ImageBatches(set, { pool: one, batchSize: 4, transforms, seed: 7, ahead: 1 }), 3, order);
      expect(first.sizes).toEqual([4, 4, 4, 4, 4, 3]);
      expect(first.targets).toEqual([...order].map((row) => row % 3));
      expect(first.features).toHaveLength(23 * 48);
      expect(second).toEqual(first);
      const inline = new Float32Array(23 * 48);
      augment({ ...set, rows: order, out: inline, transforms, seed: 7, epoch: 3, mean: [0, 0, 0], deviation: [1, 1, 1] });
      expect(first.features).toEqual([...inline]);
    } finally {
      await one.close();
    }
  });

  it('takes batches larger than the set, gives a partial pass back cleanly, and can be stopped', async () => {
    const batches = new ImageBatches(imageSet(3), { pool, batchSize: 64, transforms });
    expect(batches.length).toBe(1);
    expect((await epoch(batches, 1)).sizes).toEqual([3]);
    const many = new ImageBatches(imageSet(40), { pool, batchSize: 2, transforms });
    for await (const batch of many.epoch(1)) {
      expect(batch.rows).toBe(2);
      break;
    }
    expect((await epoch(many, 1)).sizes).toHaveLength(20);
    const stopped = many.epoch(1, undefined, AbortSignal.abort());
    await expect(stopped.next()).rejects.toMatchObject({ code: 'E_ABORTED' });
  });

  it.each([{ batchSize: 0 }, { batchSize: 1.5 }, { batchSize: 2, mean: [0] }])('refuses %o', (options) => {
    expect(() => new ImageBatches(imageSet(3), { pool, ...options })).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });

  it('scales validation images without changing them', () => {
    const set = imageSet(2);
    expect([...plainImages(set, Int32Array.of(1))]).toEqual(
      [...set.pixels.subarray(48)].map((value) => Math.fround(value / 255)),
    );
  });
});

describe('image files', () => {
  it('are read from folders, resized, in colour or grey', async () => {
    for (const [label, color] of Object.entries({ red: '#ff0000', blue: '#0000ff' })) {
      mkdirSync(join(folder, 'shapes', label), { recursive: true });
      const image = sharp({ create: { width: 10, height: 6, channels: 3, background: color } });
      await image.png().toFile(join(folder, 'shapes', label, '1.png'));
    }
    const set = await readImageFolder(join(folder, 'shapes'), { height: 2, width: 2 });
    expect(set).toMatchObject({ size: 2, shape: [2, 2, 3], classes: ['blue', 'red'], labels: Int32Array.of(0, 1) });
    expect([...set.pixels.subarray(0, 3)]).toEqual([0, 0, 255]);
    expect([...set.pixels.subarray(12, 15)]).toEqual([255, 0, 0]);
    const grey = await readImageFolder(join(folder, 'shapes'), { height: 2, width: 2, channels: 1 });
    expect(grey).toMatchObject({ shape: [2, 2, 1] });
    expect(grey.pixels).toHaveLength(8);
    writeFileSync(join(folder, 'shapes', 'red', '2.png'), 'no image');
    await expect(readImageFolder(join(folder, 'shapes'), { height: 2, width: 2 })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringContaining('red/2.png cannot be decoded'),
    });
    mkdirSync(join(folder, 'empty'));
    await expect(readImageFolder(join(folder, 'empty'), { height: 2, width: 2 })).rejects.toThrow(
      /no images: expected files such as cats/,
    );
  });

  it('are split in their own order or by class, and refuse labels of another number', async () => {
    const images = Buffer.concat([Buffer.of(0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 2), Buffer.alloc(40, 255)]);
    const labels = Buffer.concat([Buffer.of(0, 0, 8, 1, 0, 0, 0, 10), Buffer.of(3, 7, 3, 7, 3, 7, 3, 7, 3, 7)]);
    const [path, labelPath] = [join(folder, 'i.idx'), join(folder, 'l.idx')];
    writeFileSync(path, images);
    writeFileSync(labelPath, labels);
    const input = { path, labels: labelPath };
    const ordered = await prepareImages({ input, split: { method: 'order', train: 0.7, validation: 0.1, test: 0.2 } });
    expect(ordered.classes).toEqual(['3', '7']);
    expect([...ordered.split.test]).toEqual([8, 9]);
    expect(ordered.test).toMatchObject({ size: 2, featureShape: [2, 2, 1], targets: Int32Array.of(0, 1) });
    expect(new Set(ordered.train.features)).toEqual(new Set([1]));
    const random = await prepareImages({ input, split: { train: 0.6, validation: 0.2, test: 0.2, stratify: true, seed: 0 } });
    expect([...random.test.targets].sort()).toEqual([0, 1]);
    await expect(
      prepareImages({ input, split: { method: 'order', train: 0.97, validation: 0.01, test: 0.02 } }),
    ).rejects.toThrow(/too few images/);
    await expect(readImageArrays(path, path)).rejects.toThrow(/expected 10 labels.*got shape \[10, 2, 2\]/);
    await expect(readImageArrays(labelPath, labelPath)).rejects.toThrow(/expected bytes of shape/);
  });

  it('of the digits are all there', async (context) => {
    const digits = join(import.meta.dirname, '../../../shared/data/mnist-10k');
    if (!existsSync(digits)) context.skip('the digits are not on this machine');
    const set = await readImageArrays(join(digits, 'images-idx3-ubyte.gz'), join(digits, 'labels-idx1-ubyte.gz'));
    expect(set).toMatchObject({ size: 10_000, shape: [28, 28, 1] });
    expect(set.classes).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });
});
