/** From training data to tensors, batch by batch. */
import * as tf from '@tensorflow/tfjs-core';
import { HostRandom } from '../backend/custom/philox.js';
import type { LayerDType } from '../nn/layer.js';
import type { BatchSource, HostBatch, TypedValues } from './training-data.js';

export interface Batch {
  readonly inputs: readonly tf.Tensor[];
  readonly targets: readonly tf.Tensor[];
  /** [rows] float32; absent where every row counts 1. */
  readonly weights: tf.Tensor | undefined;
  readonly rows: number;
}

/** Values per row from which a block copy beats a loop, which needs no view object per row. */
const WIDE_ROW = 32;

/** The order in which an epoch visits the rows: the data set's own, or a random one that depends on seed and epoch only. */
export function epochOrder(
  size: number,
  shuffle: { readonly seed: number; readonly epoch: number } | undefined,
): Uint32Array | undefined {
  return shuffle === undefined ? undefined : new HostRandom(shuffle.seed, `shuffle/${shuffle.epoch}`).permutation(size);
}

/** Rows `start` to `end` of an order, or of the array itself; copies nothing in the latter case. */
export function pickRows<T extends TypedValues>(
  source: T,
  width: number,
  { start, end, order }: { readonly start: number; readonly end: number; readonly order: Uint32Array | undefined },
): T {
  if (order === undefined) return source.subarray(start * width, end * width) as T;
  const rows = end - start;
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
}

/**
 * Puts a batch on the device. The caller disposes it.
 *
 * @param inputDTypes what the model takes, input by input; whole numbers that come as floats are converted for one that takes int32
 */
export function toTensors(source: BatchSource, batch: HostBatch, inputDTypes?: readonly LayerDType[]): Batch {
  const { rows } = batch;
  const tensor = (values: TypedValues, shape: readonly number[]): tf.Tensor =>
    tf.tensor(values, [rows, ...shape], values instanceof Int32Array ? 'int32' : 'float32');
  return {
    inputs: batch.inputs.map((values, index) =>
      tensor(ofDType(values, inputDTypes?.[index]), source.inputShapes[index] as readonly number[]),
    ),
    targets: batch.targets.map((values, index) => tensor(values, source.targetShapes[index] as readonly number[])),
    weights: batch.weights === undefined ? undefined : tensor(batch.weights, []),
    rows,
  };
}

/** Values as an array of the dtype that an input takes: token numbers, which tables hold as floats, for an embedding. */
export function ofDType(values: TypedValues, dtype: LayerDType | undefined): TypedValues {
  return dtype === 'int32' && !(values instanceof Int32Array) ? Int32Array.from(values) : values;
}

/** Frees a batch. Op calls already enqueued keep what they need. */
export function disposeBatch({ inputs, targets, weights }: Batch): void {
  tf.dispose([...inputs, ...targets]);
  weights?.dispose();
}
