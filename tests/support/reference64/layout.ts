/** Kernels that move elements without computing. */
import { slice_util, util } from '@tensorflow/tfjs-core';
import { build, flatIndex, reference, sizeOf, type Dense, type ReferenceKernel } from './dense.js';

interface Input {
  x: Dense;
}

function reshape(x: Dense, shape: readonly number[]): Dense {
  return { shape: util.inferFromImplicitShape([...shape], sizeOf(x.shape)), dtype: x.dtype, values: x.values.slice() };
}

/** A tensor of x's dtype whose elements are elements of x; undefined takes `otherwise`. */
function pick(
  x: Dense,
  shape: readonly number[],
  source: (coords: readonly number[]) => readonly number[] | undefined,
  otherwise = 0,
): Dense {
  return build(shape, x.dtype, (coords) => {
    const from = source(coords);
    return from === undefined ? otherwise : x.values[flatIndex(x.shape, from)]!;
  });
}

function transpose(x: Dense, perm: readonly number[]): Dense {
  return pick(
    x,
    perm.map((axis) => x.shape[axis]!),
    (coords) => x.shape.map((_, axis) => coords[perm.indexOf(axis)]!),
  );
}

function slice(x: Dense, begin: readonly number[], size: readonly number[]): Dense {
  return pick(x, size, (coords) => coords.map((coordinate, axis) => coordinate + begin[axis]!));
}

function pad(x: Dense, paddings: readonly (readonly number[])[], value: number): Dense {
  return pick(
    x,
    x.shape.map((dim, axis) => dim + paddings[axis]![0]! + paddings[axis]![1]!),
    (coords) => {
      const from = coords.map((coordinate, axis) => coordinate - paddings[axis]![0]!);
      return from.every((coordinate, axis) => coordinate >= 0 && coordinate < x.shape[axis]!) ? from : undefined;
    },
    value,
  );
}

/** Position that a mirrored coordinate shows; `skipped` elements at each edge are not repeated. */
function mirrored(coordinate: number, dim: number, skipped: 0 | 1): number {
  if (coordinate < 0) return -coordinate - 1 + skipped;
  if (coordinate >= dim) return 2 * dim - coordinate - 1 - skipped;
  return coordinate;
}

function concat(tensors: readonly Dense[], axis: number): Dense {
  const first = tensors[0]!;
  const shape = [...first.shape];
  shape[axis] = tensors.reduce((total, x) => total + x.shape[axis]!, 0);
  return build(shape, first.dtype, (coords) => {
    const from = [...coords];
    for (const x of tensors) {
      if (from[axis]! < x.shape[axis]!) return x.values[flatIndex(x.shape, from)]!;
      from[axis]! -= x.shape[axis]!;
    }
    throw new Error('a coordinate lies beyond the last tensor');
  });
}

/** All of x but the `size` elements from `start` along the axis are left out. */
function sliceAxis(x: Dense, axis: number, start: number, size: number): Dense {
  return slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((dim, i) => (i === axis ? size : dim)),
  );
}

function split(x: Dense, sizes: readonly number[], axis: number): Dense[] {
  let start = 0;
  return sizes.map((size) => {
    const part = sliceAxis(x, axis, start, size);
    start += size;
    return part;
  });
}

/** The sizes tfjs splits an axis into: a count, or a list in which one entry may be -1. */
function splitSizes(dim: number, sizes: number | readonly number[]): number[] {
  if (typeof sizes === 'number') return Array.from({ length: sizes }, () => dim / sizes);
  const known = sizes.filter((size) => size >= 0).reduce((total, size) => total + size, 0);
  return sizes.map((size) => (size < 0 ? dim - known : size));
}

const blockSpread = (x: Dense, blocks: readonly number[]): Dense => {
  // [B / blocks, S...] -> the block coordinates move from the batch into the axes after it.
  const product = sizeOf(blocks);
  const batch = x.shape[0]! / product;
  const shape = x.shape.map((dim, axis) => (axis === 0 ? batch : dim * (blocks[axis - 1] ?? 1)));
  return pick(x, shape, (coords) => {
    const inBlock = blocks.map((block, i) => coords[i + 1]! % block);
    const from = coords.map((coordinate, axis) => Math.floor(coordinate / (axis === 0 ? 1 : (blocks[axis - 1] ?? 1))));
    from[0] = flatIndex(blocks, inBlock) * batch + coords[0]!;
    return from;
  });
};

const blockGather = (x: Dense, blocks: readonly number[]): Dense => {
  const batch = x.shape[0]!;
  const shape = x.shape.map((dim, axis) => (axis === 0 ? dim * sizeOf(blocks) : dim / (blocks[axis - 1] ?? 1)));
  return pick(x, shape, (coords) => {
    let rest = Math.floor(coords[0]! / batch);
    const inBlock = blocks.map(() => 0);
    for (let i = blocks.length - 1; i >= 0; --i) {
      inBlock[i] = rest % blocks[i]!;
      rest = Math.floor(rest / blocks[i]!);
    }
    return coords.map((coordinate, axis) =>
      axis === 0 ? coordinate % batch : coordinate * (blocks[axis - 1] ?? 1) + (inBlock[axis - 1] ?? 0),
    );
  });
};

interface StridedSliceAttrs {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

interface DepthToSpaceAttrs {
  blockSize: number;
  dataFormat: 'NHWC' | 'NCHW';
}

/** Channel (row in block * blockSize + column in block) * depth + c goes to that place of its block, as channel c. */
function depthToSpace(x: Dense, { blockSize, dataFormat }: DepthToSpaceAttrs): Dense {
  if (dataFormat === 'NCHW') {
    const last = depthToSpace(transpose(x, [0, 2, 3, 1]), { blockSize, dataFormat: 'NHWC' });
    return transpose(last, [0, 3, 1, 2]);
  }
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const depth = channels / blockSize ** 2;
  return pick(x, [batch, height * blockSize, width * blockSize, depth], ([n, row, col, c]) => {
    const inBlock = (row! % blockSize) * blockSize + (col! % blockSize);
    return [n!, Math.floor(row! / blockSize), Math.floor(col! / blockSize), inBlock * depth + c!];
  });
}

export const layoutKernels: readonly ReferenceKernel[] = [
  reference<Input, DepthToSpaceAttrs>('DepthToSpace', ({ x }, attrs) => depthToSpace(x, attrs)),
  reference<Input, { shape: number[] }>('Reshape', ({ x }, { shape }) => reshape(x, shape)),
  reference<{ input: Dense }, { dim: number }>('ExpandDims', ({ input }, { dim }) => {
    const shape = [...input.shape];
    shape.splice(dim < 0 ? dim + shape.length + 1 : dim, 0, 1);
    return reshape(input, shape);
  }),
  reference<Input, { perm: number[] }>('Transpose', ({ x }, { perm }) => transpose(x, perm)),
  reference<Input, { begin: number[]; size: number[] }>('Slice', ({ x }, { begin, size }) => {
    const full = slice_util.parseSliceParams({ shape: [...x.shape], rank: x.shape.length } as never, begin, size);
    return slice(x, full[0]!, full[1]!);
  }),
  reference<Input, StridedSliceAttrs>('StridedSlice', ({ x }, attrs) => {
    const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attrs;
    const info = slice_util.sliceInfo(
      [...x.shape],
      begin,
      end,
      strides,
      beginMask,
      endMask,
      ellipsisMask,
      newAxisMask,
      shrinkAxisMask,
    );
    const sparse = slice_util.computeOutShape(info.begin, info.end, info.strides).map((dim) => Math.max(dim, 0));
    const picked = pick(x, sparse, (coords) => coords.map((i, axis) => info.begin[axis]! + i * info.strides[axis]!));
    return reshape(picked, info.finalShape);
  }),
  reference<Input, { paddings: number[][]; constantValue: number }>('PadV2', ({ x }, { paddings, constantValue }) =>
    pad(x, paddings, constantValue),
  ),
  reference<Input, { paddings: number[][]; mode: 'reflect' | 'symmetric' }>('MirrorPad', ({ x }, { paddings, mode }) =>
    pick(
      x,
      x.shape.map((dim, axis) => dim + paddings[axis]![0]! + paddings[axis]![1]!),
      (coords) => coords.map((i, axis) => mirrored(i - paddings[axis]![0]!, x.shape[axis]!, mode === 'reflect' ? 1 : 0)),
    ),
  ),
  reference<Input, { reps: number[] }>('Tile', ({ x }, { reps }) =>
    pick(
      x,
      x.shape.map((dim, axis) => dim * reps[axis]!),
      (coords) => coords.map((coordinate, axis) => coordinate % x.shape[axis]!),
    ),
  ),
  reference<Input, { dims: number | number[] }>('Reverse', ({ x }, { dims }) => {
    const axes = util.parseAxisParam(dims, [...x.shape]);
    return pick(x, x.shape, (coords) => coords.map((i, axis) => (axes.includes(axis) ? x.shape[axis]! - 1 - i : i)));
  }),
  reference<readonly Dense[], { axis: number }>('Concat', (tensors, { axis }) =>
    concat(tensors, util.parseAxisParam(axis, [...tensors[0]!.shape])[0]!),
  ),
  reference<readonly Dense[], { axis: number }>('Pack', (tensors, { axis }) => {
    const shape = [...tensors[0]!.shape];
    const place = axis < 0 ? axis + shape.length + 1 : axis;
    shape.splice(place, 0, 1);
    return concat(
      tensors.map((x) => reshape(x, shape)),
      place,
    );
  }),
  reference<{ value: Dense }, { axis: number }>('Unpack', ({ value }, { axis }) => {
    const place = util.parseAxisParam(axis, [...value.shape])[0]!;
    const ones = Array.from({ length: value.shape[place]! }, () => 1);
    const shape = value.shape.filter((_, i) => i !== place);
    return split(value, ones, place).map((part) => reshape(part, shape));
  }),
  reference<Input, { numOrSizeSplits: number | number[]; axis: number }>('SplitV', ({ x }, { numOrSizeSplits, axis }) => {
    const place = util.parseAxisParam(axis, [...x.shape])[0]!;
    return split(x, splitSizes(x.shape[place]!, numOrSizeSplits), place);
  }),
  reference<Input, { blockShape: number[]; crops: number[][] }>('BatchToSpaceND', ({ x }, { blockShape, crops }) => {
    const spread = blockSpread(x, blockShape);
    const begin = spread.shape.map((_, axis) => crops[axis - 1]?.[0] ?? 0);
    return slice(
      spread,
      begin,
      spread.shape.map((dim, axis) => dim - begin[axis]! - (crops[axis - 1]?.[1] ?? 0)),
    );
  }),
  reference<Input, { blockShape: number[]; paddings: number[][] }>('SpaceToBatchND', ({ x }, { blockShape, paddings }) =>
    blockGather(
      pad(
        x,
        x.shape.map((_, axis) => paddings[axis - 1] ?? [0, 0]),
        0,
      ),
      blockShape,
    ),
  ),
];
