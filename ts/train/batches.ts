/** From a data set in memory to tensors, batch by batch. */
import * as tf from '@tensorflow/tfjs-core';
import { HostRandom } from '../backend/custom/philox.js';
import type { Dataset } from '../data/dataset.js';

export interface Batch {
  readonly features: tf.Tensor;
  readonly targets: tf.Tensor;
  readonly rows: number;
}

/** Values per row from which a block copy beats a loop, which needs no view object per row. */
const WIDE_ROW = 32;

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** The order in which an epoch visits the rows: the data set's own, or a random one that depends on seed and epoch only. */
export function epochOrder(
  size: number,
  shuffle: { readonly seed: number; readonly epoch: number } | undefined,
): Uint32Array | undefined {
  return shuffle === undefined ? undefined : new HostRandom(shuffle.seed, `shuffle/${shuffle.epoch}`).permutation(size);
}

/**
 * The batches of one pass. Every batch holds `batchSize` rows but the last, which holds the rest.
 *
 * The caller disposes each batch. `order` undefined keeps the data set's order and copies nothing on the JavaScript side.
 */
export function* batches(dataset: Dataset, batchSize: number, order?: Uint32Array): Generator<Batch> {
  const { size, features, targets, featureShape, targetShape } = dataset;
  const [featureSize, targetSize] = [sizeOf(featureShape), sizeOf(targetShape)];
  const dtype = targets instanceof Int32Array ? 'int32' : 'float32';
  for (let start = 0; start < size; start += batchSize) {
    const end = Math.min(start + batchSize, size);
    const rows = end - start;
    const pick = <T extends Float32Array | Int32Array>(source: T, width: number): T => {
      if (order === undefined) return source.subarray(start * width, end * width) as T;
      const picked = source.slice(0, rows * width) as T;
      for (let row = 0; row < rows; ++row) {
        const from = (order[start + row] as number) * width;
        if (width >= WIDE_ROW) {
          picked.set(source.subarray(from, from + width), row * width);
          continue;
        }
        for (let column = 0; column < width; ++column) picked[row * width + column] = source[from + column] as number;
      }
      return picked;
    };
    yield {
      features: tf.tensor(pick(features, featureSize), [rows, ...featureShape], 'float32'),
      targets: tf.tensor(pick(targets, targetSize), [rows, ...targetShape], dtype),
      rows,
    };
  }
}

/** Frees a batch. Op calls already enqueued keep what they need. */
export function disposeBatch({ features, targets }: Batch): void {
  features.dispose();
  targets.dispose();
}
