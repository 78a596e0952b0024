/** Kernels of ragged tensors: the partitions are worked out on the host, the values moved by native ops. */
import { util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { raggedGather, raggedPlaces, raggedRange, type HostTensor } from '../host/ragged.js';
import { fill } from './creation.js';
import { moving, movingOne, withTemporaries } from './forms.js';
import { gatherRows } from './gather.js';
import { cast, fromHost, hostValues, kernel, sizeOf, type Kernel } from './kernel.js';
import { slice, tileTo } from './layout.js';
import { scatterRows } from './scatter.js';

function onHost(backend: TensorkilnBackend, x: TensorInfo): HostTensor {
  return { values: hostValues(backend, x), shape: x.shape };
}

interface GatherInputs {
  paramsNestedSplits: TensorInfo[];
  paramsDenseValues: TensorInfo;
  indices: TensorInfo;
}

function gather(backend: TensorkilnBackend, inputs: GatherInputs): TensorInfo[] {
  const { paramsNestedSplits, paramsDenseValues, indices } = inputs;
  if (paramsNestedSplits[0]?.shape.length === 0) {
    throw new TensorkilnError('E_SHAPE', 'Split tensors must not be scalars');
  }
  if (paramsDenseValues.shape.length === 0) throw new TensorkilnError('E_SHAPE', 'params.rank must be nonzero');
  const count = paramsDenseValues.shape[0] as number;
  const { splits, valueIds } = raggedGather(
    paramsNestedSplits.map((tensor) => hostValues(backend, tensor)),
    onHost(backend, indices),
    count,
  );
  const inner = util.sizeFromShape(paramsDenseValues.shape.slice(1));
  const shape = [valueIds.length, ...paramsDenseValues.shape.slice(1)];
  const values = withTemporaries(backend, [fromHost(backend, valueIds, [valueIds.length], 'int32')], ([ids]) =>
    movingOne(backend, paramsDenseValues, (x) => gatherRows(backend, x, ids as TensorInfo, { rows: [1, count, inner], shape })),
  );
  return [...splits.map((list) => fromHost(backend, list, [list.length], 'int32')), values];
}

interface DenseInputs {
  shape: TensorInfo;
  values: TensorInfo;
  defaultValue: TensorInfo;
  rowPartitionTensors: TensorInfo[];
}

function toDense(backend: TensorkilnBackend, inputs: DenseInputs, types: readonly string[]): TensorInfo {
  const { values, defaultValue, rowPartitionTensors } = inputs;
  const { shape, raggedRank, places } = raggedPlaces(onHost(backend, inputs.shape), values.shape, defaultValue.shape, {
    tensors: rowPartitionTensors.map((tensor) => onHost(backend, tensor)),
    types,
  });
  const elementShape = shape.slice(raggedRank + 1);
  const inner = util.sizeFromShape(elementShape);
  const given = values.shape[0] as number;
  if (places.length > given || inner !== util.sizeFromShape(values.shape.slice(1))) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[raggedTensorToTensor] ${String(places.length)} values of shape [${elementShape.join(', ')}] are needed, got values of shape [${values.shape.join(', ')}].`,
    );
  }
  const rows = util.sizeFromShape(shape.slice(0, raggedRank + 1));
  return moving(backend, [defaultValue, values], ([fallback, all]) => {
    const [gap, list] = [fallback as TensorInfo, all as TensorInfo];
    const { dtype } = list;
    if (rows * inner === 0) return fill(backend, shape, dtype, 0);
    const size = [places.length, ...list.shape.slice(1)];
    const used = slice(
      backend,
      list,
      list.shape.map(() => 0),
      size,
    );
    const ids = fromHost(backend, Int32Array.from(places), [places.length], 'int32');
    return withTemporaries(backend, [used, ids, baseOf(backend, gap, shape, dtype)], ([updates, at, base]) =>
      scatterRows(backend, base as TensorInfo, at as TensorInfo, updates as TensorInfo, { rows, inner, shape }),
    );
  });
}

/** What stands in the gaps: one element for all, or a value per place. */
function baseOf(backend: TensorkilnBackend, gap: TensorInfo, shape: readonly number[], dtype: DataType): TensorInfo {
  const converted = cast(backend, gap, dtype);
  if (sizeOf(converted) === 1) return converted;
  return withTemporaries(backend, [converted], () => tileTo(backend, converted, shape));
}

export const raggedKernels: readonly Kernel[] = [
  kernel<GatherInputs>('RaggedGather', ({ inputs, backend }) => gather(backend, inputs)),
  kernel<{ starts: TensorInfo; limits: TensorInfo; deltas: TensorInfo }>('RaggedRange', ({ inputs, backend }) => {
    const { starts, limits, deltas } = inputs;
    const { splits, values } = raggedRange(onHost(backend, starts), onHost(backend, limits), onHost(backend, deltas));
    return [fromHost(backend, splits, [splits.length], 'int32'), fromHost(backend, values, [values.length], starts.dtype)];
  }),
  kernel<DenseInputs, { rowPartitionTypes: string[] }>('RaggedTensorToTensor', ({ inputs, attrs, backend }) =>
    toDense(backend, inputs, attrs.rowPartitionTypes),
  ),
];
