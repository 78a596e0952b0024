/** Einstein sums: sums over axes of one tensor, then one matrix product. */
import { util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { sameShape } from '../record.js';
import { planEinsum, type EinsumPlan, type EinsumTerm } from '../shapes/einsum.js';
import { multiply } from './binary.js';
import { assertNumeric, commonDtype, consume, kernel, type Kernel } from './kernel.js';
import { transpose } from './layout.js';
import { matMul } from './matmul.js';
import { sum } from './reduce.js';

/** A tensor without the axes that only it has and the result lacks. */
function summed(backend: TensorkilnBackend, x: TensorInfo, { summedAxes }: EinsumTerm): TensorInfo {
  return summedAxes.length === 0 ? backend.alias(x) : sum(backend, x, summedAxes);
}

/** The tensor whose axes are `dims`, with its axes in the order of `wanted`, seen as `shape`. */
function arranged(
  backend: TensorkilnBackend,
  x: TensorInfo,
  order: { dims: readonly number[]; wanted: readonly number[]; shape: readonly number[] },
): TensorInfo {
  const perm = order.wanted.map((dim) => order.dims.indexOf(dim));
  return consume(backend, transpose(backend, x, perm), (moved) => backend.alias(moved, order.shape));
}

/** [B, M, N] of two tensors without lone summed axes. */
function product(backend: TensorkilnBackend, a: TensorInfo, b: TensorInfo, plan: EinsumPlan): TensorInfo {
  const { batch, contracted, left, right, sizes } = plan;
  const count = (dims: readonly number[]): number => util.sizeFromShape(dims.map((dim) => sizes[dim] as number));
  const [n, m, k, columns] = [count(batch), count(left), count(contracted), count(right)];
  const [aDims, bDims] = plan.terms.map(({ dims }) => dims) as [readonly number[], readonly number[]];
  if (contracted.length === 0 || commonDtype(a, b) !== 'float32') {
    // An outer product; and int32, which the matrix product would round to float32.
    const aShape = { dims: aDims, wanted: [...batch, ...left, ...contracted], shape: [n, m, 1, k] };
    const bShape = { dims: bDims, wanted: [...batch, ...right, ...contracted], shape: [n, 1, columns, k] };
    const products = consume(backend, arranged(backend, a, aShape), (x) =>
      consume(backend, arranged(backend, b, bShape), (y) => multiply(backend, x, y)),
    );
    if (contracted.length === 0) return consume(backend, products, (all) => backend.alias(all, [n, m, columns]));
    return consume(backend, products, (all) => sum(backend, all, [3]));
  }
  // What is already ordered [batch, contracted, free] the product reads as it stands.
  const transposeA = sameShape(aDims, [...batch, ...contracted, ...left]);
  const transposeB = sameShape(bDims, [...batch, ...right, ...contracted]);
  const aOrder = transposeA
    ? { dims: aDims, wanted: aDims, shape: [n, k, m] }
    : { dims: aDims, wanted: [...batch, ...left, ...contracted], shape: [n, m, k] };
  const bOrder = transposeB
    ? { dims: bDims, wanted: bDims, shape: [n, columns, k] }
    : { dims: bDims, wanted: [...batch, ...contracted, ...right], shape: [n, k, columns] };
  return consume(backend, arranged(backend, a, aOrder), (x) =>
    consume(backend, arranged(backend, b, bOrder), (y) => matMul(backend, { a: x, b: y }, { transposeA, transposeB })),
  );
}

function einsum(backend: TensorkilnBackend, tensors: readonly TensorInfo[], equation: string): TensorInfo {
  assertNumeric(tensors, 'einsum');
  const plan = planEinsum(equation, tensors);
  const shape = plan.output.map((dim) => plan.sizes[dim] as number);
  const [a, b] = tensors as [TensorInfo, TensorInfo | undefined];
  const [first, second] = plan.terms as [EinsumTerm, EinsumTerm];
  if (b === undefined) {
    return consume(backend, summed(backend, a, first), (x) =>
      arranged(backend, x, { dims: first.dims, wanted: plan.output, shape }),
    );
  }
  const matrices = consume(backend, summed(backend, a, first), (x) =>
    consume(backend, summed(backend, b, second), (y) => product(backend, x, y, plan)),
  );
  const dims = [...plan.batch, ...plan.left, ...plan.right];
  const ordered = consume(backend, matrices, (flat) =>
    backend.alias(
      flat,
      dims.map((dim) => plan.sizes[dim] as number),
    ),
  );
  return consume(backend, ordered, (result) => arranged(backend, result, { dims, wanted: plan.output, shape }));
}

export const einsumKernels: readonly Kernel[] = [
  kernel<Record<string, TensorInfo>, { equation: string }>('Einsum', ({ inputs, attrs, backend }) =>
    einsum(backend, Object.values(inputs), attrs.equation),
  ),
];
