/** Bookkeeping of ragged tensors. Pure functions: values in, values out; errors carry tfjs's messages. */
import { backend_util, util } from '@tensorflow/tfjs-core';
import { TensorkilnError, type ErrorCode } from '../../errors.js';

const INT32_MAX = 2 ** 31 - 1;
/** Values and rows that one call may make: half a gigabyte of host memory. Beyond its limits JavaScript ends the process. */
const MAX_VALUES = 2 ** 26;
const { RowPartitionType } = backend_util;
type PartitionType = ReturnType<typeof backend_util.getRowPartitionTypesHelper>[number];

function fail(code: ErrorCode, message: string): never {
  throw new TensorkilnError(code, message);
}

/** A tensor's values with its shape. */
export interface HostTensor {
  readonly values: ArrayLike<number>;
  readonly shape: readonly number[];
}

/**
 * Ranges [start, limit) with their steps, one row each; scalars stand for every row.
 *
 * @returns `splits` [rows + 1] and the values of all rows one after the other
 * @throws E_SHAPE for inputs of rank above 1 or different lengths, or a step of 0
 */
export function raggedRange(
  starts: HostTensor,
  limits: HostTensor,
  deltas: HostTensor,
): { splits: Int32Array; values: Float64Array } {
  const inputs = { starts, limits, deltas };
  for (const [name, { shape }] of Object.entries(inputs)) {
    if (shape.length > 1) fail('E_SHAPE', `${name} must be a scalar or vector`);
  }
  const sizes = Object.values(inputs).flatMap(({ shape }) => shape);
  if (new Set(sizes).size > 1) fail('E_SHAPE', 'starts, limits, and deltas must have the same shape');
  const rows = sizes[0] ?? 1;
  const splits = new Int32Array(rows + 1);
  let total = 0;
  const at = ({ values: list, shape }: HostTensor, row: number): number => list[shape.length === 0 ? 0 : row] as number;
  for (let row = 0; row < rows; ++row) {
    const [start, limit, delta] = [at(starts, row), at(limits, row), at(deltas, row)];
    if (delta === 0) fail('E_SHAPE', 'Requires delta != 0');
    const leadsAway = (delta > 0 && limit < start) || (delta < 0 && limit > start);
    const size = leadsAway ? 0 : Math.ceil(Math.abs((limit - start) / delta));
    if (!(size <= INT32_MAX)) fail('E_SHAPE', `Requires ((limit - start) / delta) <= ${String(INT32_MAX)}`);
    total += size;
    checkCount(total, 'raggedRange');
    splits[row + 1] = total;
  }
  const values = new Float64Array(total);
  for (let row = 0; row < rows; ++row) {
    const delta = at(deltas, row);
    let value = at(starts, row);
    for (let i = splits[row] as number; i < (splits[row + 1] as number); ++i, value += delta) values[i] = value;
  }
  return { splits, values };
}

/**
 * Rows of a ragged tensor by index.
 *
 * @param splits  partitions of the ragged dimensions, outermost first
 * @param indices rows to take
 * @param count   number of values the innermost partition divides
 * @returns partitions of the result, outermost first, and which of the values it consists of, in order
 * @throws E_INDEX for an index out of range, E_SHAPE for splits that are no partition
 */
export function raggedGather(
  splits: readonly ArrayLike<number>[],
  indices: HostTensor,
  count: number,
): { splits: Int32Array[]; valueIds: Int32Array } {
  const [outermost] = splits;
  if (outermost === undefined) return fail('E_SHAPE', 'paramsNestedSplits must be non empty');
  checkGatherIndices(indices, outermost.length - 1);
  splits.forEach((list, depth) => checkPartition(list, splits[depth + 1]?.length ?? count));
  const { shape } = indices;
  // Dense dimensions of the indices are partitions into rows of one length.
  const dense = shape.slice(1).map((length, d) => {
    const rows = util.sizeFromShape(shape.slice(0, d + 1));
    return Int32Array.from({ length: rows + 1 }, (_, i) => i * length);
  });
  const ragged = splits.map((): number[] => [0]);
  const valueIds: number[] = [];
  for (const index of Array.from(indices.values)) {
    let [first, last] = [index, index + 1];
    splits.forEach((list, depth) => {
      const result = ragged[depth] as number[];
      const shift = (result[result.length - 1] as number) - (list[first] as number);
      for (let row = first; row < last; ++row) result.push((list[row + 1] as number) + shift);
      [first, last] = [list[first] as number, list[last] as number];
    });
    checkCount(valueIds.length + last - first, 'raggedGather');
    for (let value = first; value < last; ++value) valueIds.push(value);
  }
  // A scalar index takes one row, whose outermost partition goes.
  const kept = shape.length === 0 ? ragged.slice(1) : ragged;
  return { splits: [...dense, ...kept.map((list) => Int32Array.from(list))], valueIds: Int32Array.from(valueIds) };
}

function checkCount(count: number, place: string): void {
  if (count > MAX_VALUES) {
    fail(
      'E_OUT_OF_MEMORY',
      `[${place}] the result has ${String(count)} values or rows; up to ${String(MAX_VALUES)} are possible.`,
    );
  }
}

function checkGatherIndices({ values, shape }: HostTensor, rows: number): void {
  Array.from(values).forEach((index, i) => {
    if (index >= 0 && index < rows) return;
    const place = util.indexToLoc(i, shape.length, util.computeStrides([...shape])).join(',');
    fail('E_INDEX', `indices[${place}] = ${String(index)} is not in [0, ${String(rows)})`);
  });
}

function checkPartition(splits: ArrayLike<number>, size: number): void {
  if (splits.length === 0) fail('E_SHAPE', 'Ragged splits may not be empty');
  if ((splits[0] as number) < 0) fail('E_SHAPE', 'Ragged splits must be non-negative');
  if ((splits[splits.length - 1] as number) > size) fail('E_SHAPE', 'Ragged splits must not point past values');
  for (let i = 1; i < splits.length; ++i) {
    if ((splits[i - 1] as number) > (splits[i] as number)) {
      fail('E_SHAPE', 'Ragged splits must be sorted in ascending order');
    }
  }
}

/** How a ragged tensor is divided: one partition per ragged dimension, perhaps after the number of rows. */
export interface Partitions {
  readonly tensors: readonly HostTensor[];
  readonly types: readonly string[];
}

/**
 * Where the values of a ragged tensor go in a dense one.
 *
 * @param shape       shape wanted, -1 for dimensions as large as needed; as a scalar -1 for all
 * @param valueShape  shape of the values
 * @param defaultShape shape of the value that fills the gaps
 * @returns the dense shape, and for each value its place in units of one value, or -1 where it is cut off
 * @throws E_SHAPE for partitions that do not fit the shapes
 */
export function raggedPlaces(
  shape: HostTensor,
  valueShape: readonly number[],
  defaultShape: readonly number[],
  partitions: Partitions,
): { shape: number[]; raggedRank: number; places: number[] } {
  const types = backend_util.getRowPartitionTypesHelper([...partitions.types]);
  const raggedRank = backend_util.getRaggedRank(types);
  const [head] = partitions.tensors;
  if (head === undefined || types.length === 0) return fail('E_SHAPE', 'No row_partition_types given.');
  if (head.values.length === 0) {
    fail('E_SHAPE', 'Invalid first partition input. Tensor requires at least one element.');
  }
  const rows = numRows(head, types[0] as PartitionType);
  if (rows < 0) fail('E_SHAPE', `Expected a number of rows of at least 0, got ${String(rows)}.`);
  checkCount(rows, 'raggedTensorToTensor');
  // The partition of each ragged dimension; a leading number of rows is none.
  const skipped = types[0] === RowPartitionType.FIRST_DIM_SIZE ? 1 : 0;
  const levels = types.slice(skipped).map((type, i) => ({
    type,
    values: Array.from(partitions.tensors[i + skipped]?.values ?? []),
  }));
  backend_util.validateDefaultValueShape([...defaultShape], [...valueShape]);
  const dense = backend_util.combineRaggedTensorToTensorShapes(raggedRank, wantedShape(shape), [...valueShape]);
  if ((dense[0] as number) < 0) dense[0] = rows;
  levels.forEach(({ type, values }, i) => {
    if ((dense[i + 1] as number) < 0) dense[i + 1] = widest(type, values);
  });
  valueShape.slice(1).forEach((dim, i) => {
    if ((dense[raggedRank + 1 + i] as number) < 0) dense[raggedRank + 1 + i] = dim;
  });
  const steps = dense.slice(0, raggedRank + 1).map((_, d) => util.sizeFromShape(dense.slice(d + 1, raggedRank + 1)));
  let places = Array.from({ length: rows }, (_, row) => (row < (dense[0] as number) ? row * (steps[0] as number) : -1));
  levels.forEach(({ type, values }, i) => {
    const room = { size: dense[i + 1] as number, step: steps[i + 1] as number };
    places = type === RowPartitionType.VALUE_ROWIDS ? placesByRow(values, places, room) : placesBySplit(values, places, room);
  });
  return { shape: dense, raggedRank, places };
}

function wantedShape({ values, shape }: HostTensor): number[] {
  if (shape.length === 0) {
    if (values[0] !== -1) {
      fail('E_SHAPE', 'The only valid scalar shape tensor is the fully unknown shape specified as -1.');
    }
    return [];
  }
  return Array.from(values, (dim) => {
    if (dim < -1) fail('E_SHAPE', `Dimension ${String(dim)} must be >= -1`);
    return dim;
  });
}

function numRows({ values, shape }: HostTensor, type: PartitionType): number {
  if (type === RowPartitionType.FIRST_DIM_SIZE) return values[0] as number;
  if (type === RowPartitionType.ROW_SPLITS) return (shape[0] as number) - 1;
  if (type === RowPartitionType.VALUE_ROWIDS) return fail('E_SHAPE', 'Cannot handle VALUE_ROWIDS in first dimension.');
  return fail('E_SHAPE', `Cannot handle type ${RowPartitionType[type] ?? String(type)}`);
}

/** Length of the longest row. */
function widest(type: PartitionType, values: readonly number[]): number {
  if (type === RowPartitionType.ROW_SPLITS) {
    return values.reduce((most, split, i) => (i === 0 ? 0 : Math.max(most, split - (values[i - 1] as number))), 0);
  }
  if (type !== RowPartitionType.VALUE_ROWIDS) {
    fail('E_SHAPE', `Cannot handle partition type ${RowPartitionType[type] ?? String(type)}`);
  }
  let [most, run] = [0, 0];
  values.forEach((row, i) => {
    run = i > 0 && row === values[i - 1] ? run + 1 : 1;
    most = Math.max(most, run);
  });
  return most;
}

/** Room of a row in the dense tensor: how many entries, and how far apart. */
interface Room {
  readonly size: number;
  readonly step: number;
}

/** The place of entry `column` of the row that begins at `parent`; -1 for what does not fit. */
function placeOf(parent: number, column: number, { size, step }: Room): number {
  return parent === -1 || column >= size ? -1 : parent + column * step;
}

function placesBySplit(splits: readonly number[], parents: readonly number[], room: Room): number[] {
  if (splits.length - 1 > parents.length) {
    fail('E_SHAPE', `Row partition size is greater than output size: ${String(splits.length - 1)} > ${String(parents.length)}`);
  }
  const places: number[] = [];
  for (let row = 0; row + 1 < splits.length; ++row) {
    const length = (splits[row + 1] as number) - (splits[row] as number);
    checkCount(places.length + length, 'raggedTensorToTensor');
    for (let column = 0; column < length; ++column) places.push(placeOf(parents[row] as number, column, room));
  }
  if (splits.length > 0 && places.length !== splits[splits.length - 1]) fail('E_SHAPE', 'Invalid row split size.');
  return places;
}

function placesByRow(rowIds: readonly number[], parents: readonly number[], room: Room): number[] {
  let column = 0;
  return rowIds.map((row, i) => {
    column = i > 0 && row === rowIds[i - 1] ? column + 1 : 0;
    if (row < 0 || row >= parents.length) {
      fail('E_INDEX', `Got row id ${String(row)}, which is not in [0, ${String(parents.length)})`);
    }
    return placeOf(parents[row] as number, column, room);
  });
}
