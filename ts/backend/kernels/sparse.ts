/** Kernels that keep the books of sparse tensors. The shape of their results depends on values, so they read their inputs. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { fillEmptyRows, reshapeSparse, type FilledRows } from '../host/sparse.js';
import { fromHost, hostStrings, hostValues, kernel, sizeOf, type Kernel } from './kernel.js';

/** Rows of a sparse tensor whose empty ones are filled in: JavaScript makes a few entries for each. */
const MAX_ROWS = 2 ** 24;

/** @throws E_SHAPE with a message that names the input */
function checkRank(place: string, name: string, x: TensorInfo, rank: number): void {
  if (x.shape.length === rank) return;
  const kind = ['a scalar', 'a vector', 'a matrix'][rank] as string;
  throw new TensorkilnError('E_SHAPE', `[${place}] ${name} must be ${kind}, got shape [${x.shape.join(', ')}].`);
}

interface FillInputs {
  indices: TensorInfo;
  values: TensorInfo;
  denseShape: TensorInfo;
  defaultValue: TensorInfo;
}

function fillRows(backend: TensorkilnBackend, inputs: FillInputs): TensorInfo[] {
  const { indices, values, denseShape, defaultValue } = inputs;
  const place = 'sparseFillEmptyRows';
  checkRank(place, 'denseShape', denseShape, 1);
  checkRank(place, 'indices', indices, 2);
  checkRank(place, 'values', values, 1);
  checkRank(place, 'defaultValue', defaultValue, 0);
  const rank = indices.shape[1] as number;
  const denseRows = hostValues(backend, denseShape)[0] as number;
  if (!(Number.isInteger(denseRows) && denseRows >= 0 && denseRows <= MAX_ROWS)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] expected the first of denseShape to be a number of rows from 0 to ${String(MAX_ROWS)}, got ${String(denseRows)}.`,
    );
  }
  const coordinates = hostValues(backend, indices);
  const shared = { rank, denseRows };
  let filled: FilledRows<number | Uint8Array>;
  if (values.dtype === 'string') {
    const [fallback] = hostStrings(backend, defaultValue, place) as [Uint8Array];
    filled = fillEmptyRows(coordinates, hostStrings(backend, values, place), { ...shared, fallback });
  } else {
    const fallback = hostValues(backend, defaultValue)[0] as number;
    filled = fillEmptyRows(coordinates, hostValues(backend, values), { ...shared, fallback });
  }
  return [
    fromHost(backend, filled.indices, [filled.count, rank], indices.dtype),
    fromHost(backend, filled.values as number[] | Uint8Array[], [filled.count], values.dtype),
    fromHost(backend, filled.emptyRows, [denseRows], 'bool'),
    fromHost(backend, filled.places, [filled.places.length], indices.dtype),
  ];
}

export const sparseKernels: readonly Kernel[] = [
  kernel<FillInputs>('SparseFillEmptyRows', ({ inputs, backend }) => fillRows(backend, inputs)),
  kernel<{ inputIndices: TensorInfo; inputShape: TensorInfo; newShape: TensorInfo }>('SparseReshape', ({ inputs, backend }) => {
    const { inputIndices, inputShape, newShape } = inputs;
    checkRank('sparseReshape', 'inputIndices', inputIndices, 2);
    checkRank('sparseReshape', 'inputShape', inputShape, 1);
    checkRank('sparseReshape', 'newShape', newShape, 1);
    const count = inputIndices.shape[0] as number;
    const { indices, shape } = reshapeSparse(
      hostValues(backend, inputIndices),
      count,
      Array.from(hostValues(backend, inputShape)),
      Array.from(hostValues(backend, newShape)),
    );
    return [
      fromHost(backend, indices, [count, sizeOf(newShape)], inputIndices.dtype),
      fromHost(backend, Int32Array.from(shape), [shape.length], newShape.dtype),
    ];
  }),
];
