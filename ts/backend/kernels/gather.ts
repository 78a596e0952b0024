/** Kernels driven by indices. */
import { backend_util, util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp } from '../../native/engine.js';
import { concat, slice } from './layout.js';
import { assertNumeric, assertShape, checkMirror, consume, kernel, sizeOf, withDtype, type Kernel } from './kernel.js';
import { movingOne } from './forms.js';

const gatherOp = declareOp('gather');
const segmentSumOp = declareOp('unsorted_segment_sum');
const oneHotOp = declareOp('one_hot');

/** y[o, j, :] = x[o, ids[j], :] for x seen as `rows` = [outer, n, inner]; `shape` is that of the result. */
export function gatherRows(
  backend: TensorkilnBackend,
  x: TensorInfo,
  ids: TensorInfo,
  layout: { rows: readonly [number, number, number]; shape: readonly number[] },
): TensorInfo {
  const [outer, , inner] = layout.rows;
  const count = sizeOf(ids);
  return backend.run(gatherOp, [backend.operand(x, layout.rows), backend.operand(ids, [count])], {
    shape: layout.shape,
    dtype: x.dtype,
    nativeShape: [outer, count, inner],
  });
}

/** y[s, :] = sum of x[i, :] over all i with ids[i] = s, for x of shape [k, inner]; float32 or int32. */
export function segmentSum(
  backend: TensorkilnBackend,
  x: TensorInfo,
  ids: TensorInfo,
  layout: { segments: number; inner: number; shape: readonly number[] },
): TensorInfo {
  const count = sizeOf(ids);
  return backend.run(segmentSumOp, [backend.operand(x, [count, layout.inner]), backend.operand(ids, [count])], {
    shape: layout.shape,
    dtype: x.dtype,
    nativeShape: [layout.segments, layout.inner],
  });
}

function gather(
  backend: TensorkilnBackend,
  { x, indices }: { x: TensorInfo; indices: TensorInfo },
  attrs: { axis: number; batchDims?: number },
): TensorInfo {
  assertNumeric([x, indices], 'gatherV2');
  const axis = util.parseAxisParam(attrs.axis, x.shape)[0] as number;
  const limit = x.shape[axis] as number;
  checkMirror(
    backend,
    indices,
    (index) => index >= 0 && index < limit,
    (index) => `[gather] GatherV2: the index value ${String(index)} is not in [0, ${String(limit - 1)}].`,
  );
  const info = backend_util.segment_util.collectGatherOpShapeInfo(x, indices, axis, attrs.batchDims ?? 0);
  const { batchSize, outerSize, dimSize, sliceSize } = info;
  const perBatch = util.sizeFromShape(indices.shape) / batchSize;
  return withDtype(backend, [indices], 'int32', ([whole]) => {
    if (batchSize === 1) {
      const layout = { rows: [outerSize, dimSize, sliceSize], shape: info.outputShape } as const;
      return gatherRows(backend, x, whole as TensorInfo, layout);
    }
    return gatherBatches(backend, x, whole as TensorInfo, {
      batches: batchSize,
      rows: [outerSize, dimSize, sliceSize],
      perBatch,
      shape: info.outputShape,
    });
  });
}

/** Each batch gathers with its own indices. */
function gatherBatches(
  backend: TensorkilnBackend,
  x: TensorInfo,
  indices: TensorInfo,
  layout: { batches: number; rows: [number, number, number]; perBatch: number; shape: number[] },
): TensorInfo {
  const { batches, rows, perBatch, shape } = layout;
  const [outer, n, inner] = rows;
  const xs = backend.alias(x, [batches, outer * n * inner]);
  const ids = backend.alias(indices, [batches, perBatch]);
  const parts: TensorInfo[] = [];
  for (let batch = 0; batch < batches; ++batch) {
    const part = consume(backend, slice(backend, xs, [batch, 0], [1, outer * n * inner]), (data) =>
      consume(backend, slice(backend, ids, [batch, 0], [1, perBatch]), (list) =>
        gatherRows(backend, data, list, { rows, shape: [1, outer * perBatch * inner] }),
      ),
    );
    parts.push(part);
  }
  const joined = concat(backend, parts, 0);
  for (const temporary of [xs, ids, ...parts]) backend.disposeIntermediate(temporary);
  return consume(backend, joined, (flat) => backend.alias(flat, shape));
}

export const gatherKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo; indices: TensorInfo }, { axis: number; batchDims?: number }>(
    'GatherV2',
    ({ inputs, attrs, backend }) => movingOne(backend, inputs.x, (x) => gather(backend, { x, indices: inputs.indices }, attrs)),
  ),
  kernel<{ x: TensorInfo; segmentIds: TensorInfo }, { numSegments: number }>(
    'UnsortedSegmentSum',
    ({ inputs, attrs, backend }) => {
      const { x, segmentIds } = inputs;
      assertNumeric([x, segmentIds], 'unsortedSegmentSum');
      assertShape('unsortedSegmentSum: segmentIds', segmentIds, [x.shape[0] as number]);
      const dtype = x.dtype === 'bool' ? 'int32' : x.dtype;
      const [segments, inner] = [attrs.numSegments, util.sizeFromShape(x.shape.slice(1))];
      return withDtype(backend, [x], dtype, ([values]) =>
        segmentSum(backend, values as TensorInfo, segmentIds, {
          segments,
          inner,
          shape: [segments, ...x.shape.slice(1)],
        }),
      );
    },
  ),
  kernel<{ indices: TensorInfo }, { depth: number; onValue: number; offValue: number; dtype?: DataType }>(
    'OneHot',
    ({ inputs, attrs, backend }) => {
      const { indices } = inputs;
      assertNumeric([indices], 'oneHot');
      const count = util.sizeFromShape(indices.shape);
      return withDtype(backend, [indices], 'int32', ([ids]) =>
        backend.run(
          oneHotOp,
          [backend.operand(ids as TensorInfo, [count])],
          {
            shape: [...indices.shape, attrs.depth],
            dtype: attrs.dtype ?? 'float32',
            nativeShape: [count, attrs.depth],
          },
          [],
          [attrs.onValue, attrs.offValue],
        ),
      );
    },
  ),
];
