/** Kernels that rank, search and compare elements. */
import { util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { splitAtAxis } from '../shapes/reduce.js';
import { uniqueStrings } from '../host/strings.js';
import { withTemporaries } from './forms.js';
import { gatherRows } from './gather.js';
import { assertNumeric, commonDtype, fromHost, hostStrings, hostValues, kernel, withDtype, type Kernel } from './kernel.js';

const topKOp = declareOp('top_k');
const searchSortedOp = declareOp('search_sorted');
const uniqueOp = declareOp('unique');

/** The k largest of the last axis, always sorted: tfjs leaves the order open when `sorted` is false. */
function topK(backend: TensorkilnBackend, x: TensorInfo, k: number): TensorInfo[] {
  assertNumeric([x], 'topk');
  const outer = x.shape.slice(0, -1);
  const n = x.shape.at(-1) as number;
  const rows = util.sizeFromShape(outer);
  if (k > n) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[topk] k must not exceed the last axis of [${x.shape.join(', ')}], got ${String(k)}.`,
    );
  }
  const [shape, nativeShape] = [
    [...outer, k],
    [rows, k],
  ];
  return backend.runAll(
    topKOp,
    [backend.operand(x, [rows, n])],
    [
      { shape, dtype: x.dtype, nativeShape },
      { shape, dtype: 'int32', nativeShape },
    ],
  );
}

/** The different slices of x along an axis in the order of their first appearance, and for each slice which one it is. */
function unique(backend: TensorkilnBackend, x: TensorInfo, axisParam: number | number[]): TensorInfo[] {
  const axis = util.parseAxisParam(axisParam, x.shape)[0] as number;
  const [outer, n, inner] = splitAtAxis(x.shape, axis);
  if (x.dtype === 'string') {
    const found = uniqueStrings(hostStrings(backend, x, 'unique'), outer, n, inner);
    const shape = x.shape.map((dim, i) => (i === axis ? found.count : dim));
    return [fromHost(backend, found.values, shape, 'string'), fromHost(backend, found.ids, [n], 'int32')];
  }
  assertNumeric([x], 'unique');
  const places = { shape: [n], dtype: 'int32' } as const;
  const [ids, first, count] = backend.runAll(
    uniqueOp,
    [backend.operand(x, [outer, n, inner])],
    [places, places, { shape: [1], dtype: 'int32' }],
  ) as [TensorInfo, TensorInfo, TensorInfo];
  return withTemporaries(backend, [first, count], () => {
    const found = hostValues(backend, count)[0] as number;
    const picked = backend.alias(first, [found]);
    return withTemporaries(backend, [picked], () => {
      const shape = x.shape.map((dim, i) => (i === axis ? found : dim));
      return [gatherRows(backend, x, picked, { rows: [outer, n, inner], shape }), ids];
    });
  });
}

export const sortKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo }, { k: number; sorted: boolean }>('TopK', ({ inputs, attrs, backend }) =>
    topK(backend, inputs.x, attrs.k),
  ),
  kernel<{ x: TensorInfo }, { axis: number | number[] }>('Unique', ({ inputs, attrs, backend }) =>
    unique(backend, inputs.x, attrs.axis),
  ),
  kernel<{ sortedSequence: TensorInfo; values: TensorInfo }, { side: 'left' | 'right' }>(
    'SearchSorted',
    ({ inputs, attrs, backend }) => {
      const { sortedSequence, values } = inputs;
      assertNumeric([sortedSequence, values], 'searchSorted');
      if (sortedSequence.shape[0] !== values.shape[0]) {
        throw new TensorkilnError(
          'E_SHAPE',
          `[searchSorted] expected as many rows of values as of the sorted sequence, got [${values.shape.join(', ')}] and [${sortedSequence.shape.join(', ')}].`,
        );
      }
      return withDtype(backend, [sortedSequence, values], commonDtype(sortedSequence, values), ([sorted, wanted]) =>
        backend.run(
          searchSortedOp,
          [backend.operand(sorted as TensorInfo), backend.operand(wanted as TensorInfo)],
          { shape: values.shape, dtype: 'int32' },
          [attrs.side === 'right' ? 1 : 0],
        ),
      );
    },
  ),
];
