/** Rows of the other files once more with NaN and infinities among the values. */
import type { KernelCase } from '../cases.js';
import { STOCK, withNonFinite, type KernelSpec } from '../check.js';

/** By kernel: the inputs that get them. Left out are inputs that say where things are: positions, boxes, sorted sequences. */
const INPUTS: Readonly<Record<string, readonly string[]>> = {
  EluGrad: ['*'],
  AddN: ['*'],
  ...Object.fromEntries(
    ['', '3D'].flatMap((suffix) => [
      [`AvgPool${suffix}`, ['x']],
      [`MaxPool${suffix}Grad`, ['dy']],
      [`AvgPool${suffix}Grad`, ['dy']],
    ]),
  ),
  MaxPoolWithArgmax: ['x'],
  ResizeBilinear: ['images'],
  ResizeBilinearGrad: ['dy'],
  ResizeNearestNeighborGrad: ['dy'],
  Dilation2D: ['*'],
  Dilation2DBackpropInput: ['dy'],
  Dilation2DBackpropFilter: ['dy'],
  LRN: ['x'],
  LRNGrad: ['*'],
  FusedBatchNorm: ['*'],
  CropAndResize: ['image'],
  RotateWithOffset: ['image'],
  Transform: ['image'],
  ComplexAbs: ['x'],
  SearchSorted: ['values'],
  Unique: ['x'],
  NonMaxSuppressionV3: ['scores'],
  NonMaxSuppressionV4: ['scores'],
  NonMaxSuppressionV5: ['scores'],
  Bincount: ['weights'],
  DenseBincount: ['weights'],
  SparseToDense: ['sparseValues', 'defaultValue'],
  SparseSegmentSum: ['data'],
  SparseSegmentMean: ['data'],
  SparseFillEmptyRows: ['values', 'defaultValue'],
  RaggedTensorToTensor: ['values', 'defaultValue'],
  RaggedGather: ['paramsDenseValues'],
  Einsum: ['*'],
  UnsortedSegmentSum: ['x'],
  ScatterNd: ['updates'],
};

/** Where another judge is needed. */
const CHANGES: Readonly<Record<string, Partial<KernelSpec>>> = {
  // The reference adds weighted neighbours. Here, as in tfjs, their difference counts: NaN beside an infinity also right on a pixel.
  ResizeBilinear: { judge: STOCK },
};

/** Cases that can be judged, where not all can. */
const JUDGED: Readonly<Record<string, (kernelCase: KernelCase) => boolean>> = {
  // An axis of one operand alone is summed before products are taken, which changes which of them are 0 times infinity;
  // tests/ops/einsum.test.ts has the case.
  Einsum: ({ attrs }) => attrs['equation'] !== 'ijk,jl->il',
};

/** Kernels that take float32 and see numbers only. */
export const FINITE_ONLY: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['FFT', 'IFFT'].map((kernel) => [
      kernel,
      'which results become NaN and which infinite depends on the algorithm; tests/ops/spectral.test.ts checks that none stays finite',
    ]),
  ),
  Multinomial: 'takes probabilities; tests/ops/image.test.ts has the others',
  TopK: 'the stock backend misplaces infinities; tests/ops/sort.test.ts has them and NaN',
};

export function nonFiniteSpecs(specs: readonly KernelSpec[]): KernelSpec[] {
  return specs
    .filter(({ kernel, variant }) => kernel in INPUTS && variant === undefined)
    .map((spec) => {
      const isJudged = JUDGED[spec.kernel];
      const judged = isJudged === undefined ? spec : { ...spec, cases: spec.cases.filter(isJudged) };
      return withNonFinite(judged, INPUTS[spec.kernel], CHANGES[spec.kernel]);
    });
}
