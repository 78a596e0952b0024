/** Kernels that address elements by indices held in another tensor. */
import { util, type DataType } from '@tensorflow/tfjs-core';
import { build, eachIndex, flatIndex, reference, type Dense, type ReferenceKernel } from './dense.js';

export const indexingKernels: readonly ReferenceKernel[] = [
  // y[outer, batch dims of indices..., inner] = x[outer, indices[...], inner]; the first batchDims axes are walked together.
  reference<{ x: Dense; indices: Dense }, { axis: number; batchDims: number }>(
    'GatherV2',
    ({ x, indices }, { axis, batchDims }) => {
      const place = util.parseAxisParam(axis, [...x.shape])[0]!;
      const indexAxes = indices.shape.length - batchDims;
      const shape = [...x.shape.slice(0, place), ...indices.shape.slice(batchDims), ...x.shape.slice(place + 1)];
      return build(shape, x.dtype, (coords) => {
        const batch = coords.slice(0, batchDims);
        const index = indices.values[flatIndex(indices.shape, [...batch, ...coords.slice(place, place + indexAxes)])]!;
        return x.values[flatIndex(x.shape, [...coords.slice(0, place), index, ...coords.slice(place + indexAxes)])]!;
      });
    },
  ),
  reference<{ indices: Dense }, { depth: number; onValue: number; offValue: number; dtype: DataType }>(
    'OneHot',
    ({ indices }, { depth, onValue, offValue, dtype }) =>
      build([...indices.shape, depth], dtype, (coords) =>
        indices.values[flatIndex(indices.shape, coords.slice(0, -1))] === coords.at(-1) ? onValue : offValue,
      ),
  ),
  // Segment ids run over the leading axes of x; a negative id drops its element.
  reference<{ x: Dense; segmentIds: Dense }, { numSegments: number }>(
    'UnsortedSegmentSum',
    ({ x, segmentIds }, { numSegments }) => {
      const depth = segmentIds.shape.length;
      const result = build([numSegments, ...x.shape.slice(depth)], x.dtype, () => 0);
      eachIndex(x.shape, (coords, flat) => {
        const segment = segmentIds.values[flatIndex(segmentIds.shape, coords.slice(0, depth))]!;
        if (segment < 0 || segment >= numSegments) return;
        result.values[flatIndex(result.shape, [segment, ...coords.slice(depth)])]! += x.values[flat]!;
      });
      return result;
    },
  ),
];
