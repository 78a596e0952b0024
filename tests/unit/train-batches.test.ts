import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../ts/data/dataset.js';
import { batches, disposeBatch, epochOrder } from '../../ts/train/batches.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Feature c of row r is 1000 r + c, its target r or [r, -r]. */
function numbered(size: number, featureShape: readonly number[], targetShape: readonly number[]): Dataset {
  const width = featureShape.reduce((product, dim) => product * dim, 1);
  const features = Float32Array.from({ length: size * width }, (_, i) => 1000 * Math.floor(i / width) + (i % width));
  const targets =
    targetShape.length === 0
      ? Int32Array.from({ length: size }, (_, row) => row)
      : Float32Array.from({ length: 2 * size }, (_, i) => (i % 2 === 0 ? i / 2 : -(i - 1) / 2));
  return { size, featureShape, features, targets, targetShape };
}

describe('batches', () => {
  // Widths on both sides of the border between copying by loop and by block.
  it.each([
    [[3], []],
    [[31], [2]],
    [[4, 4, 2], []],
    [[10, 7], [2]],
  ])('features %s, targets %s: every row once, in order, the rest last', (featureShape, targetShape) => {
    const data = numbered(11, featureShape, targetShape);
    const width = data.features.length / 11;
    for (const order of [undefined, epochOrder(11, { seed: 5, epoch: 2 })]) {
      const rows = [...(order ?? Array.from({ length: 11 }, (_, row) => row))];
      const sizes: number[] = [];
      for (const batch of batches(data, 4, order)) {
        const expected = rows.splice(0, batch.rows);
        sizes.push(batch.rows);
        expect(batch.features.shape).toEqual([batch.rows, ...featureShape]);
        expect(batch.targets.shape).toEqual([batch.rows, ...targetShape]);
        expect(batch.targets.dtype).toBe(targetShape.length === 0 ? 'int32' : 'float32');
        expect([...batch.features.dataSync()]).toEqual(
          expected.flatMap((row) => Array.from({ length: width }, (_, c) => 1000 * row + c)),
        );
        expect([...batch.targets.dataSync()].map((value) => value + 0)).toEqual(
          expected.flatMap((row) => (targetShape.length === 0 ? [row] : [row, 0 - row])),
        );
        disposeBatch(batch);
      }
      expect(sizes).toEqual([4, 4, 3]);
    }
    expect(tf.memory().numTensors).toBe(0);
  });

  it('orders depend on seed and epoch only', () => {
    const order = (seed: number, epoch: number): number[] => [...epochOrder(100, { seed, epoch })!];
    expect(order(1, 1)).toEqual(order(1, 1));
    expect(order(1, 2)).not.toEqual(order(1, 1));
    expect(order(2, 1)).not.toEqual(order(1, 1));
    expect(order(1, 1).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, row) => row));
    expect(epochOrder(100, undefined)).toBeUndefined();
  });
});
