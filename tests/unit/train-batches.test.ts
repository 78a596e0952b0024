import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../ts/data/dataset.js';
import { disposeBatch, epochOrder, toTensors } from '../../ts/train/batches.js';
import { toSource } from '../../ts/train/training-data.js';

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
  ])('features %s, targets %s: every row once, in order, the rest last', async (featureShape, targetShape) => {
    const { numTensors } = tf.memory();
    const data = numbered(11, featureShape, targetShape);
    const width = data.features.length / 11;
    const weights = Float32Array.from({ length: 11 }, (_, row) => row / 2);
    const source = toSource('test', { ...data, sampleWeights: weights });
    for (const [shuffle, skip] of [
      [false, 0],
      [true, 0],
      [true, 2],
    ] as const) {
      const order = epochOrder(11, shuffle ? { seed: 5, epoch: 2 } : undefined);
      const rows = [...(order ?? Array.from({ length: 11 }, (_, row) => row))].slice(4 * skip);
      const sizes: number[] = [];
      for await (const host of source.batches({ batchSize: 4, pass: 2, seed: 5, shuffle, skip })) {
        const batch = toTensors(source, host);
        const [features, targets] = [batch.inputs[0]!, batch.targets[0]!];
        const expected = rows.splice(0, batch.rows);
        sizes.push(batch.rows);
        expect(features.shape).toEqual([batch.rows, ...featureShape]);
        expect(targets.shape).toEqual([batch.rows, ...targetShape]);
        expect(targets.dtype).toBe(targetShape.length === 0 ? 'int32' : 'float32');
        expect([...batch.weights!.dataSync()]).toEqual(expected.map((row) => row / 2));
        expect([...features.dataSync()]).toEqual(
          expected.flatMap((row) => Array.from({ length: width }, (_, c) => 1000 * row + c)),
        );
        expect([...targets.dataSync()].map((value) => value + 0)).toEqual(
          expected.flatMap((row) => (targetShape.length === 0 ? [row] : [row, 0 - row])),
        );
        disposeBatch(batch);
      }
      expect(sizes).toEqual([4, 4, 3].slice(skip));
    }
    expect(tf.memory().numTensors).toBe(numTensors);
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
