/** Kernels that pick, write or add rows where tuples of indices say, and sums by index. */
import { backend_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { fill } from './creation.js';
import { moving, movingOne, withTemporaries } from './forms.js';
import { gatherRows, segmentSum } from './gather.js';
import { assertNumeric, cast, checkMirror, consume, hostValues, kernel, sizeOf, withDtype, type Kernel } from './kernel.js';

const flatIndexOp = declareOp('flat_index');
const scatterUpdateOp = declareOp('scatter_update');
const bincountOp = declareOp('bincount');
const sparseSegmentOp = declareOp('sparse_segment');

interface Tuples {
  /** Steps of the tuple's components, in rows. */
  readonly strides: readonly number[];
  /** Number of rows. */
  readonly limit: number;
  /** The indexed shape, for messages. */
  readonly shape: readonly number[];
}

/** Row numbers of index tuples [..., r]. @throws E_INDEX at once where the host knows the indices */
function flatIndices(backend: TensorkilnBackend, indices: TensorInfo, tuples: Tuples): TensorInfo {
  const { strides, limit, shape } = tuples;
  const { mirror } = backend.record(indices);
  const rank = strides.length;
  const tupleAt = (position: number): number[] => {
    const start = position - (position % rank);
    return Array.from(mirror?.subarray(start, start + rank) ?? []);
  };
  checkMirror(
    backend,
    indices,
    (_, position) => {
      if (position % rank !== 0) return true;
      const row = tupleAt(position).reduce((sum, index, d) => sum + index * (strides[d] as number), 0);
      return row >= 0 && row < limit;
    },
    (_, position) => `Invalid indices: ${tupleAt(position).join(',')} does not index into ${shape.join(',')}`,
  );
  const count = util.sizeFromShape(indices.shape.slice(0, -1));
  return backend.run(flatIndexOp, [backend.operand(indices)], { shape: [count], dtype: 'int32' }, [limit, ...strides]);
}

function gatherNd(backend: TensorkilnBackend, params: TensorInfo, indices: TensorInfo): TensorInfo {
  const [shape, count, sliceSize, strides] = backend_util.prepareAndValidate(params, indices);
  if (count === 0) return movingOne(backend, params, (x) => fill(backend, shape, x.dtype, 0));
  const limit = sizeOf(params) / sliceSize;
  const tuples = { strides, limit, shape: params.shape };
  return withTemporaries(backend, [flatIndices(backend, indices, tuples)], ([ids]) =>
    movingOne(backend, params, (x) => gatherRows(backend, x, ids as TensorInfo, { rows: [1, limit, sliceSize], shape })),
  );
}

/** How the indices address the shape; `allowsOne`: a single update may stand for all. @throws E_SHAPE */
function scatterShapes(
  updates: TensorInfo,
  indices: TensorInfo,
  shape: number[],
  allowsOne = false,
): { tuples: Tuples; rows: number; sliceSize: number } {
  // As asTuples sees them.
  const rank = indices.shape.length > 1 ? (indices.shape.at(-1) as number) : 1;
  if (rank > shape.length || rank === 0) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[scatter] indices [${indices.shape.join(', ')}] are tuples of ${String(rank)} for a shape [${shape.join(', ')}]: expected 1 to ${String(shape.length)}.`,
    );
  }
  const { sliceSize, strides, outputSize } = backend_util.calculateShapes(updates, indices, shape);
  const expected = (sizeOf(indices) / rank) * sliceSize;
  if (sizeOf(updates) !== expected && !(allowsOne && sizeOf(updates) === 1)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[scatter] indices [${indices.shape.join(', ')}] into a shape [${shape.join(', ')}] take ${String(expected)} updates, got [${updates.shape.join(', ')}].`,
    );
  }
  const rows = sliceSize === 0 ? 0 : outputSize / sliceSize;
  return { tuples: { strides, limit: rows, shape }, rows, sliceSize };
}

/** Index tuples of rank 0 or 1 address single elements: [k] counts as [k, 1]. */
function asTuples(backend: TensorkilnBackend, indices: TensorInfo): TensorInfo {
  return backend.alias(indices, indices.shape.length > 1 ? indices.shape : [sizeOf(indices), 1]);
}

function scatterNd(backend: TensorkilnBackend, indices: TensorInfo, updates: TensorInfo, shape: number[]): TensorInfo {
  assertNumeric([indices, updates], 'scatterND');
  const { tuples, rows, sliceSize } = scatterShapes(updates, indices, shape);
  if (util.sizeFromShape(shape) === 0) return fill(backend, shape, updates.dtype, 0);
  const dtype = updates.dtype === 'bool' ? 'int32' : updates.dtype;
  const sum = withTemporaries(backend, [asTuples(backend, indices)], ([list]) =>
    withTemporaries(backend, [flatIndices(backend, list as TensorInfo, tuples)], ([ids]) =>
      withDtype(backend, [updates], dtype, ([values]) =>
        segmentSum(backend, values as TensorInfo, ids as TensorInfo, { segments: rows, inner: sliceSize, shape }),
      ),
    ),
  );
  return dtype === updates.dtype ? sum : consume(backend, sum, (wide) => cast(backend, wide, updates.dtype));
}

/** `base`, [rows, inner] or one element for every place, with row ids[i] replaced by updates[i]; negative ids are left out. */
export function scatterRows(
  backend: TensorkilnBackend,
  base: TensorInfo,
  ids: TensorInfo,
  updates: TensorInfo,
  layout: { rows: number; inner: number; shape: readonly number[] },
): TensorInfo {
  return backend.run(scatterUpdateOp, [backend.operand(base), backend.operand(ids), backend.operand(updates)], {
    shape: layout.shape,
    dtype: base.dtype,
    nativeShape: [layout.rows, layout.inner],
  });
}

/** `base`, a whole tensor or one element for every place, with the updates written over it in their order. */
function scatterOver(
  backend: TensorkilnBackend,
  base: TensorInfo,
  scatter: { indices: TensorInfo; updates: TensorInfo; shape: number[] },
): TensorInfo {
  const { indices, updates, shape } = scatter;
  const { tuples, rows, sliceSize } = scatterShapes(updates, indices, shape, true);
  if (sizeOf(base) !== 1 && sizeOf(base) !== util.sizeFromShape(shape)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[scatter] expected one value, or one for each place of [${shape.join(', ')}], to write over, got [${base.shape.join(', ')}].`,
    );
  }
  return moving(backend, [base, updates], ([old, values]) => {
    const [x, changes] = [old as TensorInfo, values as TensorInfo];
    if (util.sizeFromShape(shape) === 0) return fill(backend, shape, x.dtype, 0);
    return withTemporaries(backend, [asTuples(backend, indices)], ([list]) =>
      withTemporaries(backend, [flatIndices(backend, list as TensorInfo, tuples)], ([ids]) =>
        scatterRows(backend, x, ids as TensorInfo, changes, { rows, inner: sliceSize, shape }),
      ),
    );
  });
}

/** Like `scatterOver`, for a base whose dtype may differ from the updates'. */
function scatterCast(
  backend: TensorkilnBackend,
  base: TensorInfo,
  scatter: { indices: TensorInfo; updates: TensorInfo; shape: number[] },
): TensorInfo {
  const { dtype } = scatter.updates;
  if (base.dtype === dtype) return scatterOver(backend, base, scatter);
  return withDtype(backend, [base], dtype, ([converted]) => scatterOver(backend, converted as TensorInfo, scatter));
}

/** Counts, or sums of weights, of the values of x as a whole or of each of its rows. */
function bincount(
  backend: TensorkilnBackend,
  x: TensorInfo,
  weights: TensorInfo,
  options: { size: number; binary: boolean; byRow: boolean },
): TensorInfo {
  assertNumeric([x, weights], 'bincount');
  checkMirror(
    backend,
    x,
    (value) => value >= 0,
    (value) => `[bincount] Input x must be non-negative! Got ${String(value)}.`,
  );
  const { size, byRow } = options;
  if (sizeOf(weights) !== 0 && sizeOf(weights) !== sizeOf(x)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[bincount] expected no weights or one for each of the values [${x.shape.join(', ')}], got [${weights.shape.join(', ')}].`,
    );
  }
  const [rows, n] = byRow ? (x.shape as [number, number]) : [1, sizeOf(x)];
  const shape = byRow ? [rows, size] : [size];
  const dtype = weights.dtype === 'bool' ? 'int32' : weights.dtype;
  const counts = withDtype(backend, [x], 'int32', ([values]) =>
    withDtype(backend, [weights], dtype, ([amounts]) =>
      backend.run(
        bincountOp,
        [backend.operand(values as TensorInfo, [rows, n]), backend.operand(amounts as TensorInfo)],
        { shape, dtype, nativeShape: [rows, size] },
        [options.binary ? 1 : 0],
      ),
    ),
  );
  return dtype === weights.dtype ? counts : consume(backend, counts, (wide) => cast(backend, wide, weights.dtype));
}

interface SegmentInputs {
  data: TensorInfo;
  indices: TensorInfo;
  segmentIds: TensorInfo;
}

/**
 * Sum or mean of rows of `data` per segment. The last id decides how many segments there are, so the ids are read.
 *
 * @throws E_SHAPE, E_INDEX with tfjs's messages; E_RECORDING inside a recorded step
 */
function sparseSegment(backend: TensorkilnBackend, inputs: SegmentInputs, mean: boolean): TensorInfo {
  const { data, indices, segmentIds } = inputs;
  const place = mean ? 'sparseSegmentMean' : 'sparseSegmentSum';
  assertNumeric([data, indices, segmentIds], place);
  const fits = data.shape.length >= 1 && indices.shape.length === 1 && segmentIds.shape.length === 1;
  if (!fits || indices.shape[0] !== segmentIds.shape[0]) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] expected data of rank >= 1 and two vectors of one length, got [${data.shape.join(', ')}], [${indices.shape.join(', ')}] and [${segmentIds.shape.join(', ')}].`,
    );
  }
  const n = data.shape[0] as number;
  const ids = hostValues(backend, segmentIds);
  checkSegmentIds(ids);
  hostValues(backend, indices).forEach((index, i) => {
    if (index >= 0 && index < n) return;
    throw new TensorkilnError('E_INDEX', backend_util.getSparseSegmentReductionIndicesOutOfRangeErrorMessage(i, index, n));
  });
  const segments = ids.length === 0 ? 0 : (ids[ids.length - 1] as number) + 1;
  const inner = util.sizeFromShape(data.shape.slice(1));
  const dtype = data.dtype === 'bool' ? 'int32' : data.dtype;
  return withDtype(backend, [indices, segmentIds], 'int32', ([rows, numbers]) =>
    withDtype(backend, [data], dtype, ([x]) =>
      backend.run(
        sparseSegmentOp,
        [
          backend.operand(x as TensorInfo, [n, inner]),
          backend.operand(rows as TensorInfo),
          backend.operand(numbers as TensorInfo),
        ],
        { shape: [segments, ...data.shape.slice(1)], dtype, nativeShape: [segments, inner] },
        [mean ? 1 : 0],
      ),
    ),
  );
}

function checkSegmentIds(ids: ArrayLike<number>): void {
  const fail = (message: string): never => {
    throw new TensorkilnError('E_INDEX', message);
  };
  const rows = ids.length === 0 ? 0 : (ids[ids.length - 1] as number) + 1;
  if (ids.length > 0 && rows <= 0) fail(backend_util.getSparseSegmentReductionNegativeSegmentIdsErrorMessage());
  for (let i = 0; i < ids.length; ++i) {
    const id = ids[i] as number;
    if (i > 0 && (ids[i - 1] as number) > id) {
      fail(backend_util.getSparseSegmentReductionNonIncreasingSegmentIdsErrorMessage());
    }
    if (id < 0 || id >= rows) fail(backend_util.getSparseSegmentReductionSegmentIdOutOfRangeErrorMessage(id, rows));
  }
}

export const scatterKernels: readonly Kernel[] = [
  kernel<{ params: TensorInfo; indices: TensorInfo }>('GatherNd', ({ inputs, backend }) =>
    gatherNd(backend, inputs.params, inputs.indices),
  ),
  kernel<{ indices: TensorInfo; updates: TensorInfo }, { shape: number[] }>('ScatterNd', ({ inputs, attrs, backend }) =>
    scatterNd(backend, inputs.indices, inputs.updates, attrs.shape),
  ),
  kernel<{ tensor: TensorInfo; indices: TensorInfo; updates: TensorInfo }>('TensorScatterUpdate', ({ inputs, backend }) => {
    const { tensor, indices, updates } = inputs;
    return scatterCast(backend, tensor, { indices, updates, shape: tensor.shape });
  }),
  kernel<{ sparseIndices: TensorInfo; sparseValues: TensorInfo; defaultValue: TensorInfo }, { outputShape: number[] }>(
    'SparseToDense',
    ({ inputs, attrs, backend }) => {
      const { sparseIndices, sparseValues, defaultValue } = inputs;
      return scatterCast(backend, defaultValue, {
        indices: sparseIndices,
        updates: sparseValues,
        shape: attrs.outputShape,
      });
    },
  ),
  kernel<{ x: TensorInfo; weights: TensorInfo }, { size: number }>('Bincount', ({ inputs, attrs, backend }) =>
    bincount(backend, inputs.x, inputs.weights, { size: attrs.size, binary: false, byRow: false }),
  ),
  kernel<{ x: TensorInfo; weights: TensorInfo }, { size: number; binaryOutput?: boolean }>(
    'DenseBincount',
    ({ inputs, attrs, backend }) => {
      const rank = inputs.x.shape.length;
      if (rank > 2) {
        throw new TensorkilnError(
          'E_SHAPE',
          `Error in denseBincount: input must be at most rank 2, but got rank${String(rank)}.`,
        );
      }
      const options = { size: attrs.size, binary: attrs.binaryOutput ?? false, byRow: rank === 2 };
      return bincount(backend, inputs.x, inputs.weights, options);
    },
  ),
  kernel<SegmentInputs>('SparseSegmentMean', ({ inputs, backend }) => sparseSegment(backend, inputs, true)),
  kernel<SegmentInputs>('SparseSegmentSum', ({ inputs, backend }) => sparseSegment(backend, inputs, false)),
];
