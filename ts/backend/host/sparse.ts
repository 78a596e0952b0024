/** Bookkeeping of sparse tensors in coordinate form. Pure functions: values in, values out; errors carry tfjs's messages. */
import { backend_util } from '@tensorflow/tfjs-core';
import { TensorkilnError, type ErrorCode } from '../../errors.js';

/** An element per value: numbers or strings. */
type Values<T> = ArrayLike<T>;

function fail(code: ErrorCode, message: string): never {
  throw new TensorkilnError(code, message);
}

export interface FilledRows<T> {
  /** [count, rank], rows in ascending order. */
  readonly indices: Int32Array;
  readonly values: T[];
  readonly count: number;
  /** 1 for each row that had no value. */
  readonly emptyRows: Uint8Array;
  /** Where each of the given values went. */
  readonly places: Int32Array;
}

/**
 * Gives every empty row of a sparse tensor one value, `fallback` at column 0. Values within a row keep their order.
 *
 * @param indices  [values, rank]
 * @param denseRows number of rows of the dense tensor
 * @throws E_INDEX for a row outside it
 */
export function fillEmptyRows<T>(
  indices: ArrayLike<number>,
  values: Values<T>,
  options: { rank: number; denseRows: number; fallback: T },
): FilledRows<T> {
  const { rank, denseRows, fallback } = options;
  const given = values.length;
  if (denseRows === 0 && given > 0) {
    fail('E_SHAPE', backend_util.getSparseFillEmptyRowsIndicesDenseShapeMismatch(given));
  }
  const rowOf = (i: number): number => indices[i * rank] as number;
  const counts = new Int32Array(denseRows);
  for (let i = 0; i < given; ++i) {
    const row = rowOf(i);
    if (row < 0) fail('E_INDEX', backend_util.getSparseFillEmptyRowsNegativeIndexErrorMessage(i, row));
    if (row >= denseRows) {
      fail('E_INDEX', backend_util.getSparseFillEmptyRowsOutOfRangeIndexErrorMessage(i, row, denseRows));
    }
    counts[row] = (counts[row] as number) + 1;
  }
  const emptyRows = Uint8Array.from(counts, (n) => (n === 0 ? 1 : 0));
  const next = new Int32Array(denseRows);
  let count = 0;
  counts.forEach((n, row) => {
    next[row] = count;
    count += Math.max(n, 1);
  });
  const result = new Int32Array(count * rank);
  const filled = new Array<T>(count).fill(fallback);
  emptyRows.forEach((isEmpty, row) => {
    if (isEmpty === 1) result[(next[row] as number) * rank] = row;
  });
  const places = new Int32Array(given);
  for (let i = 0; i < given; ++i) {
    const row = rowOf(i);
    const place = next[row] as number;
    next[row] = place + 1;
    places[i] = place;
    filled[place] = values[i] as T;
    for (let d = 0; d < rank; ++d) result[place * rank + d] = indices[i * rank + d] as number;
  }
  return { indices: result, values: filled, count, emptyRows, places };
}

/**
 * Coordinates of a sparse tensor after a reshape of the dense tensor it stands for.
 *
 * @param indices [values, shape.length]
 * @param target  new shape; one dimension may be -1
 * @returns       indices [values, target.length] and the shape in full
 * @throws E_SHAPE when the sizes do not match
 */
export function reshapeSparse(
  indices: ArrayLike<number>,
  count: number,
  shape: readonly number[],
  target: readonly number[],
): { indices: Int32Array; shape: number[] } {
  const full = completeShape(shape, target);
  const [from, to] = [stridesOf(shape), stridesOf(full)];
  const result = new Int32Array(count * full.length);
  for (let i = 0; i < count; ++i) {
    let position = 0;
    from.forEach((stride, d) => (position += (indices[i * shape.length + d] as number) * stride));
    to.forEach((stride, d) => {
      result[i * full.length + d] = Math.trunc(position / stride);
      position %= stride;
    });
  }
  return { indices: result, shape: full };
}

function productOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, d) => productOf(shape.slice(d + 1)));
}

function completeShape(shape: readonly number[], target: readonly number[]): number[] {
  const size = productOf(shape);
  const open = target.indexOf(-1);
  target.forEach((dim, d) => {
    if (dim === -1 && d !== open) {
      fail('E_SHAPE', backend_util.getSparseReshapeMultipleNegativeOneOutputDimErrorMessage(open, d));
    }
    if (dim < -1) fail('E_SHAPE', backend_util.getSparseReshapeNegativeOutputDimErrorMessage(d, dim));
  });
  const known = target.map((dim) => (dim === -1 ? 1 : dim));
  const product = productOf(known);
  if (open >= 0) {
    if (product <= 0) fail('E_SHAPE', backend_util.getSparseReshapeEmptyTensorZeroOutputDimErrorMessage());
    if (size % product !== 0) {
      fail('E_SHAPE', backend_util.getSparseReshapeInputOutputMultipleErrorMessage([...shape], known));
    }
    known[open] = size / product;
  }
  if (productOf(known) !== size) {
    fail('E_SHAPE', backend_util.getSparseReshapeInputOutputMismatchErrorMessage([...shape], known));
  }
  return known;
}
