/** Einstein sums of one or two tensors, as sums, orders of axes and one product. Limits and checks are tfjs-core's. */
import { backend_util, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';

/** One tensor of an einsum: what is summed first, then the order of what remains. */
export interface EinsumTerm {
  /** Axes that appear in this tensor only and not in the result. */
  readonly summedAxes: readonly number[];
  /** Of the remaining axes, by their dimensions' numbers. */
  readonly dims: readonly number[];
}

export interface EinsumPlan {
  readonly terms: readonly EinsumTerm[];
  /** Dimensions of the result, in order. */
  readonly output: readonly number[];
  /** Of two tensors: dimensions of both that stay, of both that are summed, and of one alone. */
  readonly batch: readonly number[];
  readonly contracted: readonly number[];
  readonly left: readonly number[];
  readonly right: readonly number[];
  /** Size of each dimension. */
  readonly sizes: readonly number[];
}

/**
 * Reads an equation such as 'bij,bjk->bik'.
 *
 * @throws Error of tfjs-core for an equation it does not take (three tensors or more, an axis twice in one tensor, '...'), and for
 *     sizes that differ
 */
export function planEinsum(equation: string, tensors: readonly TensorInfo[]): EinsumPlan {
  const { allDims, summedDims, idDims } = backend_util.decodeEinsumEquation(equation, tensors.length);
  // It reads nothing but shapes.
  backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors as Tensor[]);
  const sizes: number[] = [];
  idDims.forEach((dims, term) => {
    dims.forEach((dim, axis) => (sizes[dim] = tensors[term]?.shape[axis] as number));
  });
  const [first = [], second] = idDims;
  const isSummed = (dim: number): boolean => summedDims.includes(dim);
  const terms = idDims.map((dims, term): EinsumTerm => {
    const others = idDims.filter((_, index) => index !== term).flat();
    const isAlone = (dim: number): boolean => isSummed(dim) && !others.includes(dim);
    return {
      summedAxes: dims.flatMap((dim, axis) => (isAlone(dim) ? [axis] : [])),
      dims: dims.filter((dim) => !isAlone(dim)),
    };
  });
  const shared = first.filter((dim) => second?.includes(dim) ?? false);
  return {
    terms,
    output: allDims.map((_, dim) => dim).filter((dim) => !isSummed(dim)),
    batch: shared.filter((dim) => !isSummed(dim)),
    contracted: shared.filter(isSummed),
    left: first.filter((dim) => !isSummed(dim) && !shared.includes(dim)),
    right: (second ?? []).filter((dim) => !isSummed(dim) && !shared.includes(dim)),
    sizes,
  };
}
