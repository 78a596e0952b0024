/** Kernels that move elements, and those that address them by indices. */
import fc from 'fast-check';
import { productOf, randomSource } from '../../describe-model.js';
import { REFERENCE64 } from '../../reference64/backend.js';
import {
  anyContent,
  axesOf,
  axisBits,
  dim,
  float,
  int,
  seed,
  shapes,
  shapesOrLarge,
  tensor,
  type Content,
} from '../arbitraries.js';
import type { KernelCase, TensorSpec } from '../cases.js';
import { STOCK, type GradientRule, type KernelSpec, type Rule } from '../check.js';

const EXACT: Rule = {};

const isFloat = ({ inputs }: KernelCase): boolean => Object.values(inputs).every(({ dtype }) => dtype === 'float32');
const hasElements = ({ inputs }: KernelCase): boolean => Object.values(inputs).every(({ shape }) => productOf(shape) > 0);
/** Axes that are cut into blocks at most: each becomes two, and tensors have up to 8. */
const maxBlocks = (rank: number): number => Math.min(rank - 1, 8 - rank);
const hasAxes = ({ inputs }: KernelCase): boolean => Object.values(inputs).every(({ shape }) => shape.length > 0);
const gradientOf = (...of: string[]): GradientRule => ({
  of,
  fills: { '*': 'plain' },
  where: (kernelCase) => isFloat(kernelCase) && hasElements(kernelCase),
});

/** tfjs-core's gradients of these refuse scalars. */
const ofAxes = (...of: string[]): GradientRule => ({
  ...gradientOf(...of),
  where: (kernelCase) => isFloat(kernelCase) && hasElements(kernelCase) && hasAxes(kernelCase),
});

interface Base {
  readonly shape: number[];
  readonly content: Content;
  readonly seed: number;
  /** Numbers in [0, 1) for attributes that depend on the shape. */
  readonly random: () => number;
}

interface BaseOptions {
  readonly minRank?: number;
  readonly maxRank?: number;
  readonly empty?: boolean;
  readonly most?: number;
}

/** Cases of one input whose attributes are drawn from its shape. */
function cases(options: BaseOptions, make: (base: Base, x: TensorSpec) => KernelCase): fc.Arbitrary<KernelCase> {
  return fc
    .record({ shape: (options.most ?? Infinity) < 100 ? shapes(options) : shapesOrLarge(options), content: anyContent, seed })
    .map(({ shape, content, seed: valueSeed }) =>
      make(
        { shape, content, seed: valueSeed, random: randomSource(valueSeed + 3) },
        tensor(shape, content.dtype, content.fill, valueSeed),
      ),
    );
}

const below = (random: () => number, limit: number): number => Math.floor(random() * limit);

function permutation(random: () => number, rank: number): number[] {
  const order = Array.from({ length: rank }, (_, axis) => axis);
  for (let i = rank - 1; i > 0; --i) {
    const j = below(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** A split of a size into up to four parts. */
function parts(random: () => number, size: number): number[] {
  const cuts = [0, size, ...Array.from({ length: below(random, 4) }, () => below(random, size + 1))].sort((a, b) => a - b);
  return cuts.slice(1).map((cut, i) => cut - cuts[i]!);
}

const moves: readonly KernelSpec[] = [
  {
    kernel: 'Reshape',
    cases: cases({ empty: false }, ({ shape, random }, x) => {
      const order = permutation(random, shape.length).map((axis) => shape[axis]!);
      const merged = random() < 0.5 ? [productOf(order.slice(0, 2)), ...order.slice(2)] : order;
      const withHole = merged.map((size, axis) => (axis === 0 && random() < 0.5 ? -1 : size));
      return { inputs: { x }, attrs: { shape: withHole } };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('x'),
  },
  {
    kernel: 'ExpandDims',
    cases: cases({ maxRank: 5 }, ({ shape, random }, x) => ({
      inputs: { input: x },
      attrs: { dim: below(random, 2 * shape.length + 2) - shape.length - 1 },
    })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('input'),
  },
  {
    kernel: 'Transpose',
    cases: cases({}, ({ shape, random }, x) => ({ inputs: { x }, attrs: { perm: permutation(random, shape.length) } })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('x'),
  },
  {
    kernel: 'Slice',
    cases: cases({}, ({ shape, random }, x) => {
      const begin = shape.map((size) => below(random, size + 1));
      const size = shape.map((dimension, axis) => (random() < 0.2 ? -1 : below(random, dimension - begin[axis]! + 1)));
      return { inputs: { x }, attrs: { begin, size } };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: ofAxes('x'),
  },
  {
    kernel: 'StridedSlice',
    cases: cases({ empty: false }, ({ shape, random }, x) => {
      const mask = (likelihood: number): number =>
        shape.reduce((bits, _, axis) => bits | (random() < likelihood ? 1 << axis : 0), 0);
      const strides = shape.map(() => (random() < 0.3 ? -1 - below(random, 2) : 1 + below(random, 3)));
      const shrinkAxisMask = mask(0.15);
      const begin = shape.map((size, axis) =>
        (shrinkAxisMask >> axis) & 1 ? below(random, size) : below(random, 2 * size + 1) - size,
      );
      return {
        inputs: { x },
        attrs: {
          begin,
          end: shape.map((size) => below(random, 2 * size + 1) - size),
          // A single element is taken forwards.
          strides: strides.map((stride, axis) => ((shrinkAxisMask >> axis) & 1 ? 1 : stride)),
          beginMask: mask(0.2) & ~shrinkAxisMask,
          endMask: mask(0.4) & ~shrinkAxisMask,
          ellipsisMask: 0,
          newAxisMask: 0,
          shrinkAxisMask,
        },
      };
    }),
    judge: REFERENCE64,
    rule: EXACT,
  },
  {
    kernel: 'PadV2',
    cases: cases({ most: 300 }, ({ shape, content, random }, x) => ({
      inputs: { x },
      attrs: {
        paddings: shape.map(() => [below(random, 4), below(random, 4)]),
        constantValue: content.dtype === 'bool' ? 1 : content.dtype === 'int32' ? -3 : 0.5,
      },
    })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: ofAxes('x'),
  },
  {
    kernel: 'MirrorPad',
    cases: cases({ empty: false, most: 300 }, ({ shape, random }, x) => {
      const mode = random() < 0.5 ? 'reflect' : 'symmetric';
      const limit = (size: number): number => Math.min(3, mode === 'reflect' ? size - 1 : size);
      return {
        inputs: { x },
        attrs: { mode, paddings: shape.map((size) => [below(random, limit(size) + 1), below(random, limit(size) + 1)]) },
      };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: { ...ofAxes('x'), tape: 'tfjs-core cuts out the middle and drops what the mirrored parts contribute' },
  },
  {
    kernel: 'Tile',
    cases: cases({ most: 300 }, ({ shape, random }, x) => ({
      inputs: { x },
      attrs: { reps: shape.map(() => 1 + below(random, 3)) },
    })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      ...gradientOf('x'),
      // tfjs-core's gradient knows ranks 1 to 4.
      where: (kernelCase) => {
        const { length } = Object.values(kernelCase.inputs)[0]!.shape;
        return isFloat(kernelCase) && hasElements(kernelCase) && length >= 1 && length <= 4;
      },
    },
  },
  {
    kernel: 'Reverse',
    cases: cases({}, ({ shape, random }, x) => ({
      inputs: { x },
      attrs: { dims: axesOf(below(random, 64), shape.length) },
    })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('x'),
  },
  {
    kernel: 'SplitV',
    cases: cases({ minRank: 1, empty: false }, ({ shape, random }, x) => {
      const axis = below(random, shape.length);
      const sizes = parts(random, shape[axis]!);
      // tfjs-core counts a -1 in the first place among the sizes.
      const open = random() < 0.3 && sizes.length > 1 ? 1 + below(random, sizes.length - 1) : -1;
      return { inputs: { x }, attrs: { axis, numOrSizeSplits: sizes.map((size, i) => (i === open ? -1 : size)) } };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      ...gradientOf('x'),
      // With one result tfjs-core's tape hands the gradient over bare, not as a list.
      where: (kernelCase) => isFloat(kernelCase) && (kernelCase.attrs['numOrSizeSplits'] as number[]).length > 1,
    },
  },
  {
    kernel: 'Unpack',
    cases: cases({ minRank: 1, empty: false, most: 200 }, ({ shape, random }, x) => ({
      inputs: { value: { ...x, shape: shape.map((size) => Math.min(size, 9)) } },
      attrs: { axis: below(random, shape.length) },
    })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      ...gradientOf('value'),
      // With one result tfjs-core's tape hands the gradient over bare, not as a list.
      where: (kernelCase) =>
        isFloat(kernelCase) && Object.values(kernelCase.inputs)[0]!.shape[kernelCase.attrs['axis'] as number]! > 1,
    },
  },
  {
    kernel: 'Concat',
    cases: cases({ minRank: 1 }, ({ shape, content: { dtype, fill }, seed: valueSeed, random }) => {
      const axis = below(random, shape.length);
      const inputs = Array.from({ length: 1 + below(random, 4) }, (_, i) =>
        tensor(
          shape.map((size, other) => (other === axis ? below(random, 10) : size)),
          dtype,
          fill,
          valueSeed + i,
        ),
      );
      return { inputs, attrs: { axis } };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('*'),
  },
  {
    kernel: 'Pack',
    cases: cases({ maxRank: 5 }, ({ shape, content: { dtype, fill }, seed: valueSeed, random }) => ({
      inputs: Array.from({ length: 1 + below(random, 4) }, (_, i) => tensor(shape, dtype, fill, valueSeed + i)),
      attrs: { axis: below(random, shape.length + 1) },
    })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('*'),
  },
  {
    kernel: 'BatchToSpaceND',
    cases: cases({ minRank: 2, empty: false, most: 200 }, ({ shape, random }, x) => {
      const blockShape = Array.from({ length: 1 + below(random, maxBlocks(shape.length)) }, () => 1 + below(random, 3));
      const full = shape.map((size, axis) => (axis === 0 ? Math.min(size, 3) * productOf(blockShape) : size));
      const crops = blockShape.map((block, i) => {
        const cut = Math.min(2, Math.floor((shape[i + 1]! * block - 1) / 2));
        return [below(random, cut + 1), below(random, cut + 1)];
      });
      return { inputs: { x: { ...x, shape: full } }, attrs: { blockShape, crops } };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('x'),
  },
  {
    kernel: 'SpaceToBatchND',
    cases: cases({ minRank: 2, empty: false, most: 200 }, ({ shape, random }, x) => {
      const blockShape = Array.from({ length: 1 + below(random, maxBlocks(shape.length)) }, () => 1 + below(random, 3));
      const paddings = blockShape.map((block, i) => {
        const before = below(random, 3);
        return [before, (block - ((shape[i + 1]! + before) % block)) % block];
      });
      return { inputs: { x }, attrs: { blockShape, paddings } };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: gradientOf('x'),
  },
  {
    kernel: 'DepthToSpace',
    cases: fc
      .record({
        n: fc.integer({ min: 1, max: 3 }),
        h: fc.integer({ min: 1, max: 5 }),
        w: dim,
        c: fc.integer({ min: 1, max: 5 }),
        blockSize: fc.integer({ min: 2, max: 3 }),
        dataFormat: fc.constantFrom('NHWC', 'NCHW'),
        content: anyContent,
        seed,
      })
      .map(({ n, h, w, c, blockSize, dataFormat, content: { dtype, fill }, seed: valueSeed }) => {
        const depth = c * blockSize ** 2;
        const shape = dataFormat === 'NHWC' ? [n, h, w, depth] : [n, depth, h, w];
        return { inputs: { x: tensor(shape, dtype, fill, valueSeed) }, attrs: { blockSize, dataFormat } };
      }),
    judge: REFERENCE64,
    rule: EXACT,
  },
  {
    kernel: 'Diag',
    cases: cases({ minRank: 1, maxRank: 3, most: 40 }, (_, x) => ({ inputs: { x }, attrs: {} })),
    judge: STOCK,
    rule: EXACT,
  },
  {
    kernel: 'BroadcastArgs',
    cases: fc
      .record({ shape: shapes({ minRank: 1, empty: false }), ones: axisBits, drop: fc.nat(5) })
      .map(({ shape, ones, drop }) => {
        const other = shape.map((size, axis) => ((ones >> axis) & 1 ? 1 : size)).slice(Math.min(drop, shape.length - 1));
        return {
          inputs: { s0: int([shape.length], 0, { values: shape }), s1: int([other.length], 0, { values: other }) },
          attrs: {},
        };
      }),
    judge: STOCK,
    rule: EXACT,
    noReplay: 'the result is computed on the host from values',
  },
];

const ID_FILL = (limit: number) => ({ low: 0, high: limit });

const indexing: readonly KernelSpec[] = [
  {
    kernel: 'GatherV2',
    cases: cases({ minRank: 1, empty: false, most: 600 }, ({ shape, seed: valueSeed, random }, x) => {
      const batchDims = shape.length > 1 && random() < 0.3 ? 1 : 0;
      const axis = Math.max(batchDims, below(random, shape.length));
      const indexShape = Array.from({ length: below(random, 3) + (batchDims === 1 ? 1 : 0) }, () => 1 + below(random, 9));
      if (batchDims === 1) indexShape[0] = shape[0]!;
      return {
        inputs: { x, indices: int(indexShape, valueSeed + 9, ID_FILL(shape[axis]!)) },
        attrs: { axis, batchDims },
      };
    }),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      of: ['x'],
      fills: { x: 'plain' },
      // With batch dimensions tfjs-core's gradient handles the axis after them only.
      where: ({ inputs, attrs }) => Object.values(inputs)[0]!.dtype === 'float32' && attrs['batchDims'] === 0,
    },
  },
  {
    kernel: 'GatherNd',
    cases: cases({ minRank: 1, empty: false, most: 600 }, ({ shape, random }, x) => {
      const depth = 1 + below(random, shape.length);
      const outer = Array.from({ length: below(random, 3) }, () => 1 + below(random, 5));
      const values = Array.from({ length: productOf(outer) * depth }, (_, i) => below(random, shape[i % depth]!));
      return { inputs: { params: x, indices: int([...outer, depth], 0, { values }) }, attrs: {} };
    }),
    judge: STOCK,
    rule: EXACT,
  },
  {
    kernel: 'OneHot',
    cases: fc
      .record({
        shape: shapes({ maxRank: 5, most: 200 }),
        depth: fc.integer({ min: 1, max: 33 }),
        dtype: fc.constantFrom('float32', 'int32', 'bool'),
        seed,
      })
      .map(({ shape, depth, dtype, seed: valueSeed }) => ({
        inputs: { indices: int(shape, valueSeed, { low: -2, high: depth + 2 }) },
        attrs: { depth, onValue: 1, offValue: 0, dtype },
      })),
    judge: REFERENCE64,
    rule: EXACT,
    gradient: {
      of: ['indices'],
      fills: {},
      where: ({ attrs }) => attrs['dtype'] === 'float32',
      tape: 'indices are whole numbers; tfjs-core gives them a gradient of zeros',
    },
  },
  {
    kernel: 'UnsortedSegmentSum',
    cases: cases({ minRank: 1, empty: false, most: 900 }, ({ shape, seed: valueSeed, random }, x) => {
      const numSegments = 1 + below(random, 9);
      const dtype = x.dtype === 'bool' ? 'int32' : x.dtype;
      return {
        inputs: {
          x: { ...x, dtype, fill: dtype === 'int32' ? 'extreme' : 'plain' },
          segmentIds: int(shape.slice(0, 1), valueSeed + 1, { low: -1, high: numSegments }),
        },
        attrs: { numSegments },
      };
    }),
    judge: REFERENCE64,
    rule: { terms: ({ inputs }) => Object.values(inputs)[0]!.shape[0]! },
    gradient: { of: ['x'], fills: { x: 'plain' }, where: ({ inputs }) => Object.values(inputs)[0]!.dtype === 'float32' },
  },
  {
    kernel: 'ScatterNd',
    cases: cases({ minRank: 1, empty: false, most: 400 }, ({ shape, seed: valueSeed, random }, x) => {
      const depth = 1 + below(random, shape.length);
      const count = 1 + below(random, 20);
      const values = Array.from({ length: count * depth }, (_, i) => below(random, shape[i % depth]!));
      const updates = [count, ...shape.slice(depth)];
      const isInt = x.dtype === 'int32';
      return {
        inputs: {
          indices: int([count, depth], 0, { values }),
          updates: isInt ? int(updates, valueSeed) : float(updates, valueSeed),
        },
        attrs: { shape },
      };
    }),
    judge: STOCK,
    // Up to 20 numbers below 2 in another order.
    rule: { absolute: 40 * 20 * 2 ** -24 },
  },
  {
    kernel: 'TensorScatterUpdate',
    cases: cases({ minRank: 1, empty: false, most: 400 }, ({ shape, seed: valueSeed, random }, x) => {
      const depth = 1 + below(random, shape.length);
      const count = 1 + below(random, 20);
      const values = Array.from({ length: count * depth }, (_, i) => below(random, shape[i % depth]!));
      return {
        inputs: {
          tensor: x,
          indices: int([count, depth], 0, { values }),
          updates: tensor([count, ...shape.slice(depth)], x.dtype, x.fill, valueSeed + 5),
        },
        attrs: {},
      };
    }),
    judge: STOCK,
    rule: EXACT,
  },
];

export const layoutSpecs: readonly KernelSpec[] = [...moves, ...indexing];
