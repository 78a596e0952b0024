import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TensorSpec } from '../support/differential/cases.js';
import { OURS } from '../support/differential/check.js';
import { allSpecs, FINITE_ONLY, WITHOUT_CASES, WITHOUT_GRADIENT } from '../support/differential/specs/index.js';
import { REFERENCE64 } from '../support/reference64/backend.js';

const kernelsOf = (backend: string): string[] => tf.getKernelsForBackend(backend).map(({ kernelName }) => kernelName);
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
const isDifferentiable = (name: string): boolean => (tf.getGradient(name) as unknown) !== undefined;

/** What the generators of one kernel have drawn in 100 cases each. */
interface Drawn {
  readonly ranks: Set<number>;
  readonly dtypes: Set<string>;
  isNonFinite: boolean;
  hasTies: boolean;
  isEmpty: boolean;
  largest: number;
}
const drawn = new Map<string, Drawn>();
for (const { kernel, cases } of allSpecs) {
  const row: Drawn = drawn.get(kernel) ?? {
    ranks: new Set(),
    dtypes: new Set(),
    isNonFinite: false,
    hasTies: false,
    isEmpty: false,
    largest: 0,
  };
  drawn.set(kernel, row);
  for (const { inputs } of fc.sample(cases, { numRuns: 100, seed: 1 })) {
    for (const { shape, dtype, fill } of Object.values(inputs as Readonly<Record<string, TensorSpec>>)) {
      row.ranks.add(shape.length);
      row.dtypes.add(dtype);
      row.isNonFinite ||= fill === 'special' || fill === 'nonFinite' || fill === 'infinite';
      row.hasTies ||= fill === 'ties' || fill === 'bits' || fill === 'small';
      row.isEmpty ||= shape.includes(0);
      row.largest = Math.max(row.largest, ...shape);
    }
  }
}

/** Kernels whose inputs have a rank of their own: what tfjs-core allows. All others take tensors of any rank up to 6. */
const RANKS: Readonly<Record<string, string>> = {
  Fill: '',
  LinSpace: '',
  Range: '',
  // One axis is named or made.
  ...Object.fromEntries(
    ['ArgMax', 'ArgMin', 'Cumsum', 'Cumprod', 'Softmax', 'LogSoftmax', 'SplitV', 'Unpack', 'Concat', 'Unique', 'TopK'].map(
      (kernel) => [kernel, '123456'],
    ),
  ),
  ExpandDims: '012345',
  Pack: '012345',
  OneHot: '012345',
  // The indices have a last axis for coordinates.
  GatherNd: '123456',
  ScatterNd: '123456',
  TensorScatterUpdate: '123456',
  UnsortedSegmentSum: '123456',
  BatchToSpaceND: '23456',
  SpaceToBatchND: '23456',
  Einsum: '123456',
  // The result has twice the rank.
  Diag: '123',
  BatchMatMul: '234',
  _FusedMatMul: '1234',
  ...Object.fromEntries(
    Object.entries({
      1: ['BroadcastArgs', 'RaggedRange', 'RaggedGather', 'Bincount'],
      2: ['FFT', 'IFFT', 'SearchSorted', 'Multinomial'],
      4: [
        ...['', 'Grad'].flatMap((end) => [`MaxPool${end}`, `AvgPool${end}`, `ResizeBilinear${end}`, `LRN${end}`]),
        ...['ResizeNearestNeighbor', 'ResizeNearestNeighborGrad', 'MaxPoolWithArgmax', 'DepthToSpace'],
        ...['', 'BackpropInput', 'BackpropFilter'].flatMap((end) => [`Conv2D${end}`, `DepthwiseConv2dNative${end}`]),
        ...['FlipLeftRight', 'RotateWithOffset'],
      ],
      5: [
        ...['', 'Grad'].flatMap((end) => [`MaxPool3D${end}`, `AvgPool3D${end}`]),
        ...['', 'BackpropInputV2', 'BackpropFilterV2'].map((end) => `Conv3D${end}`),
      ],
      // Boxes and scores, rows and their counts, images and vectors over channels, and the like.
      12: [
        ...[3, 4, 5].map((version) => `NonMaxSuppressionV${version}`),
        ...['DenseBincount', 'SparseSegmentSum', 'SparseSegmentMean', 'SparseReshape'],
      ],
      '012': ['SparseToDense', 'SparseFillEmptyRows'],
      '01': ['RaggedTensorToTensor'],
      14: ['FusedConv2D', 'FusedDepthwiseConv2D', 'FusedBatchNorm'],
      24: ['Transform'],
      34: ['Dilation2D', 'Dilation2DBackpropInput', 'Dilation2DBackpropFilter'],
      124: ['CropAndResize'],
    }).flatMap(([ranks, kernels]) => kernels.map((kernel) => [kernel, ranks])),
  ),
};

describe('random calls cover', () => {
  it('every kernel of our backend, or say why not', () => {
    const named = [...allSpecs.map(({ kernel }) => kernel), ...Object.keys(WITHOUT_CASES)];
    expect(sorted(named)).toEqual(sorted(kernelsOf(OURS)));
  });

  it('every gradient, or say why not', () => {
    const judged = allSpecs.filter(({ gradient }) => gradient !== undefined).map(({ kernel }) => kernel);
    const differentiable = kernelsOf(OURS).filter(isDifferentiable);
    expect(differentiable.length).toBeGreaterThanOrEqual(95);
    expect(differentiable.filter((name) => !judged.includes(name) && !(name in WITHOUT_GRADIENT))).toEqual([]);
  });

  it('every differentiable kernel with a reference', () => {
    const reference = new Set(kernelsOf(REFERENCE64));
    expect(kernelsOf(OURS).filter((name) => isDifferentiable(name) && !reference.has(name))).toEqual([]);
  });

  it('no kernel with a reason that has cases after all', () => {
    const named = new Set(allSpecs.map(({ kernel }) => kernel));
    expect(Object.keys(WITHOUT_CASES).filter((name) => named.has(name))).toEqual([]);
  });

  it('every rank that a kernel takes', () => {
    const found = [...drawn].map(([kernel, { ranks }]) => [kernel, [...ranks].sort().join('')]);
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries([...drawn.keys()].map((kernel) => [kernel, RANKS[kernel] ?? '0123456'])),
    );
  });

  it('NaN and infinities in every kernel that takes float32, or say why not', () => {
    const without = [...drawn].filter(([, { dtypes, isNonFinite }]) => dtypes.has('float32') && !isNonFinite);
    expect(without.map(([kernel]) => kernel).sort()).toEqual(
      Object.keys(FINITE_ONLY)
        .filter((kernel) => drawn.get(kernel)!.dtypes.has('float32'))
        .sort(),
    );
  });

  it('equal values in every kernel that orders or selects', () => {
    const ordering = [
      'ArgMax',
      'ArgMin',
      'Max',
      'MaxPool',
      'MaxPool3D',
      'MaxPoolWithArgmax',
      'Min',
      'TopK',
      'Unique',
      'Maximum',
      'Minimum',
    ];
    expect(ordering.filter((kernel) => !drawn.get(kernel)!.hasTies)).toEqual([]);
  });

  it('axes of more elements than any vector has, and of none', () => {
    const small = [...drawn].filter(([, { largest, ranks }]) => ranks.size > 0 && largest < 8).map(([kernel]) => kernel);
    // It takes shapes as values.
    expect(small).toEqual(['BroadcastArgs']);
    expect([...drawn.values()].filter(({ isEmpty }) => isEmpty).length).toBeGreaterThan(100);
  });
});
