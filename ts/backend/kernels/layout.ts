/** Kernels that move elements: transpose, slices, joins, paddings, repetition. */
import { backend_util, slice_util, util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { MAX_RANK, declareOp } from '../../native/engine.js';
import { sameShape } from '../record.js';
import { concatShape, contiguousOffset, joinedAxes, paddedShape } from '../shapes/layout.js';
import { splitAtAxis } from '../shapes/reduce.js';
import { moving, movingOne } from './forms.js';
import { assertNumeric, consume, kernel, withDtype, type Kernel } from './kernel.js';

const transposeOp = declareOp('transpose');
const sliceOp = declareOp('slice');
const stridedSliceOp = declareOp('strided_slice');
const concatOp = declareOp('concat');
const padOp = declareOp('pad');
const mirrorPadOp = declareOp('mirror_pad');
const tileOp = declareOp('tile');
const reverseOp = declareOp('reverse');
const diagOp = declareOp('diag');
/** Most tensors joined by one call, so that any number fits the argument block. */
const CONCAT_LIMIT = 1024;

/** y.shape[i] = x.shape[perm[i]]; shares storage when only axes of size 1 change places. @throws E_SHAPE for no permutation */
export function transpose(backend: TensorkilnBackend, x: TensorInfo, perm: readonly number[]): TensorInfo {
  if (perm.length !== x.shape.length || !x.shape.every((_, axis) => perm.includes(axis))) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[transpose] perm must name each axis of a tensor of shape [${x.shape.join(', ')}] once, got [${perm.join(', ')}].`,
    );
  }
  const shape = perm.map((axis) => x.shape[axis] as number);
  const moving = perm.filter((axis) => x.shape[axis] !== 1);
  if (moving.every((axis, i) => i === 0 || axis > (moving[i - 1] as number))) return backend.alias(x, shape);
  if (perm.length <= MAX_RANK) return backend.run(transposeOp, [backend.operand(x)], { shape, dtype: x.dtype }, perm);
  return transposeManyAxes(backend, x, perm, shape);
}

/** Tensors of more axes than an op call can hold: joins axes, and where that is not enough moves one axis at a time. */
function transposeManyAxes(backend: TensorkilnBackend, x: TensorInfo, perm: readonly number[], shape: number[]): TensorInfo {
  const joined = joinedAxes(x.shape, perm);
  const total = util.sizeFromShape(shape);
  const finish = (flat: TensorInfo): TensorInfo => consume(backend, flat, (result) => backend.alias(result, [...shape]));
  if (joined.perm.length <= MAX_RANK) {
    return finish(consume(backend, backend.alias(x, joined.shape), (whole) => transpose(backend, whole, joined.perm)));
  }
  // Brings the last axis of the result to the front, then the one before it, and so on.
  const order = joined.perm.map((_, axis) => axis);
  let current = backend.alias(x, joined.shape);
  for (const axis of [...joined.perm].reverse()) {
    const place = order.indexOf(axis);
    const before = order.slice(0, place).reduce((product, other) => product * (joined.shape[other] as number), 1);
    const size = joined.shape[axis] as number;
    const behind = before * size === 0 ? 0 : total / (before * size);
    order.splice(place, 1);
    order.unshift(axis);
    current = consume(backend, current, (whole) =>
      consume(backend, backend.alias(whole, [before, size, behind]), (parts) => transpose(backend, parts, [1, 0, 2])),
    );
  }
  return finish(current);
}

/** The part of x from `begin` with `size` elements per axis; shares storage when it is one run of elements. */
export function slice(
  backend: TensorkilnBackend,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
): TensorInfo {
  const fits = x.shape.every((dim, axis) => {
    const [first, length] = [begin[axis] as number, size[axis] as number];
    return Number.isInteger(first) && Number.isInteger(length) && first >= 0 && length >= 0 && first + length <= dim;
  });
  if (!fits) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[slice] expected integers begin and begin + size inside [${x.shape.join(', ')}], got begin [${begin.join(', ')}] and size [${size.join(', ')}].`,
    );
  }
  const offset = contiguousOffset(x.shape, begin, size);
  const isEmpty = size.includes(0);
  if (offset !== undefined && !isEmpty) return backend.alias(x, size, offset);
  return backend.run(sliceOp, [backend.operand(x)], { shape: size, dtype: x.dtype }, begin);
}

/** x with `[before, after]` elements of a value added per axis. */
export function pad(
  backend: TensorkilnBackend,
  x: TensorInfo,
  paddings: readonly (readonly [number, number])[],
  value: number,
): TensorInfo {
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return backend.alias(x);
  const shape = paddedShape(x.shape, paddings);
  const before = paddings.map(([first]) => first);
  return backend.run(padOp, [backend.operand(x)], { shape, dtype: x.dtype }, before, [value]);
}

/** x repeated until it has `shape`; missing leading axes count as 1. */
export function tileTo(backend: TensorkilnBackend, x: TensorInfo, shape: readonly number[]): TensorInfo {
  const padded = [...shape.slice(0, shape.length - x.shape.length).map(() => 1), ...x.shape];
  if (sameShape(padded, shape)) return backend.alias(x, shape);
  return backend.run(tileOp, [backend.operand(x, padded)], { shape, dtype: x.dtype });
}

/** Tensors of one dtype joined along an axis, each seen as [outer, n, inner]. */
export function concat(backend: TensorkilnBackend, tensors: readonly TensorInfo[], axis: number): TensorInfo {
  const shape = concatShape(
    tensors.map((tensor) => tensor.shape),
    axis,
  );
  const [first] = tensors as [TensorInfo];
  const filled = tensors.filter((tensor) => !tensor.shape.includes(0));
  if (filled.length === 1) return backend.alias(filled[0] as TensorInfo, shape);
  if (filled.length > CONCAT_LIMIT) {
    const parts: TensorInfo[] = [];
    for (let i = 0; i < filled.length; i += CONCAT_LIMIT) {
      parts.push(concat(backend, filled.slice(i, i + CONCAT_LIMIT), axis));
    }
    const whole = concat(backend, parts, axis);
    for (const part of parts) backend.disposeIntermediate(part);
    return whole;
  }
  const members = filled.length === 0 ? tensors.slice(0, 1) : filled;
  return backend.run(
    concatOp,
    members.map((tensor) => backend.operand(tensor, splitAtAxis(tensor.shape, axis))),
    { shape, dtype: first.dtype, nativeShape: splitAtAxis(filled.length === 0 ? first.shape : shape, axis) },
  );
}

/** Joins tensors of one shape along a new axis. */
function pack(backend: TensorkilnBackend, tensors: readonly TensorInfo[], axis: number): TensorInfo {
  const [first] = tensors as [TensorInfo];
  for (const tensor of tensors) {
    if (tensor.dtype !== first.dtype || !sameShape(tensor.shape, first.shape)) {
      throw new TensorkilnError(
        tensor.dtype === first.dtype ? 'E_SHAPE' : 'E_DTYPE',
        `[stack] tensors must agree in shape and dtype: got ${first.dtype} [${first.shape.join(', ')}] and ${tensor.dtype} [${tensor.shape.join(', ')}].`,
      );
    }
  }
  const at = axis < 0 ? axis + first.shape.length + 1 : axis;
  if (at < 0 || at > first.shape.length) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[stack] axis must be in [${String(-(first.shape.length + 1))}, ${String(first.shape.length)}], got ${String(axis)}.`,
    );
  }
  const expanded = [...first.shape.slice(0, at), 1, ...first.shape.slice(at)];
  const views = tensors.map((tensor) => backend.alias(tensor, expanded));
  const result = concat(backend, views, at);
  for (const view of views) backend.disposeIntermediate(view);
  return result;
}

/** The pieces of x along an axis, `sizes` elements each; all seen as [outer, n, inner]. */
function split(backend: TensorkilnBackend, x: TensorInfo, axis: number, sizes: readonly number[]): TensorInfo[] {
  const [outer, n, inner] = splitAtAxis(x.shape, axis);
  return consume(backend, backend.alias(x, [outer, n, inner]), (whole) => {
    let start = 0;
    return sizes.map((size) => {
      const shape = x.shape.map((dim, i) => (i === axis ? size : dim));
      const piece = slice(backend, whole, [0, start, 0], [outer, size, inner]);
      start += size;
      return consume(backend, piece, (flat) => backend.alias(flat, shape));
    });
  });
}

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

function stridedSlice(backend: TensorkilnBackend, x: TensorInfo, attrs: StridedSliceAttrs): TensorInfo {
  const info = slice_util.sliceInfo(
    x.shape,
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  );
  const shape = info.finalShape;
  if (info.isIdentity) return backend.alias(x, shape);
  // One size per axis of x, also for those the result drops; an end before its begin leaves nothing.
  const size = slice_util.computeOutShape(info.begin, info.end, info.strides).map((dim) => Math.max(dim, 0));
  if (info.sliceDim0 || info.isSimpleSlice) {
    return consume(backend, slice(backend, x, info.begin, size), (piece) => backend.alias(piece, shape));
  }
  return backend.run(stridedSliceOp, [backend.operand(x)], { shape, dtype: x.dtype, nativeShape: size }, [
    ...info.begin,
    ...info.strides,
  ]);
}

function mirrorPad(
  backend: TensorkilnBackend,
  x: TensorInfo,
  paddings: [number, number][],
  mode: 'reflect' | 'symmetric',
): TensorInfo {
  const shape = paddedShape(x.shape, paddings);
  const reach = mode === 'symmetric' ? 0 : 1;
  x.shape.forEach((dim, axis) => {
    const [before, after] = paddings[axis] as [number, number];
    if (Math.max(before, after) > dim - reach) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[mirrorPad] ${mode} padding of axis ${String(axis)} must not exceed ${String(dim - reach)}, got [${String(before)}, ${String(after)}].`,
      );
    }
  });
  const before = paddings.map(([first]) => first);
  return backend.run(mirrorPadOp, [backend.operand(x)], { shape, dtype: x.dtype }, [mode === 'symmetric' ? 1 : 0, ...before]);
}

interface OneInput {
  x: TensorInfo;
}

/** The pieces of x along an axis with that axis removed. */
function unpack(backend: TensorkilnBackend, x: TensorInfo, axis: number): TensorInfo[] {
  const shape = x.shape.filter((_, i) => i !== axis);
  const sizes = new Array<number>(x.shape[axis] as number).fill(1);
  return split(backend, x, axis, sizes).map((piece) => consume(backend, piece, (flat) => backend.alias(flat, shape)));
}

function reverse(backend: TensorkilnBackend, x: TensorInfo, axes: readonly number[]): TensorInfo {
  const mask = axes.reduce((bits, axis) => bits | (1 << axis), 0);
  if (mask === 0) return backend.alias(x);
  return backend.run(reverseOp, [backend.operand(x)], { shape: x.shape, dtype: x.dtype }, [mask]);
}

export const layoutKernels: readonly Kernel[] = [
  kernel<OneInput, { perm: number[] }>('Transpose', ({ inputs, attrs, backend }) =>
    movingOne(backend, inputs.x, (x) => transpose(backend, x, attrs.perm)),
  ),
  kernel<OneInput, { begin: number | number[]; size?: number | number[] }>('Slice', ({ inputs, attrs, backend }) => {
    const rank = inputs.x.shape.length;
    if ([attrs.begin, attrs.size ?? []].some((list) => (Array.isArray(list) ? list.length : 1) > rank)) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[slice] begin and size have more entries than [${inputs.x.shape.join(', ')}] has axes: got [${String(attrs.begin)}] and [${String(attrs.size)}].`,
      );
    }
    const [begin, size] = slice_util.parseSliceParams(inputs.x, attrs.begin, attrs.size) as [number[], number[]];
    slice_util.assertParamsValid(inputs.x, begin, size);
    return movingOne(backend, inputs.x, (x) => slice(backend, x, begin, size));
  }),
  kernel<OneInput, StridedSliceAttrs>('StridedSlice', ({ inputs, attrs, backend }) =>
    movingOne(backend, inputs.x, (x) => stridedSlice(backend, x, attrs)),
  ),
  kernel<TensorInfo[], { axis: number }>('Concat', ({ inputs, attrs, backend }) => {
    const [first] = inputs as [TensorInfo];
    const axis = util.parseAxisParam(attrs.axis, first.shape)[0] as number;
    // As in tfjs the first tensor's dtype is the result's.
    const isMixed = inputs.some(({ dtype }) => dtype !== first.dtype);
    if (!isMixed) return moving(backend, inputs, (tensors) => concat(backend, tensors, axis));
    assertNumeric(inputs, 'concat');
    return withDtype(backend, inputs, first.dtype, (tensors) => concat(backend, tensors, axis));
  }),
  kernel<TensorInfo[], { axis: number }>('Pack', ({ inputs, attrs, backend }) =>
    moving(backend, inputs, (tensors) => pack(backend, tensors, attrs.axis)),
  ),
  kernel<{ value: TensorInfo }, { axis: number }>('Unpack', ({ inputs, attrs, backend }) => {
    const axis = util.parseAxisParam(attrs.axis, inputs.value.shape)[0] as number;
    return movingOne(backend, inputs.value, (value) => unpack(backend, value, axis));
  }),
  kernel<OneInput, { numOrSizeSplits: number | number[]; axis: number }>('SplitV', ({ inputs, attrs, backend }) => {
    const axis = util.parseAxisParam(attrs.axis, inputs.x.shape)[0] as number;
    const sizes = backend_util.prepareSplitSize(inputs.x, attrs.numOrSizeSplits, axis);
    return movingOne(backend, inputs.x, (x) => split(backend, x, axis, sizes));
  }),
  kernel<OneInput, { paddings: [number, number][]; constantValue: number }>('PadV2', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.x], 'pad');
    return pad(backend, inputs.x, attrs.paddings, attrs.constantValue);
  }),
  kernel<OneInput, { paddings: [number, number][]; mode: 'reflect' | 'symmetric' }>('MirrorPad', ({ inputs, attrs, backend }) =>
    movingOne(backend, inputs.x, (x) => mirrorPad(backend, x, attrs.paddings, attrs.mode)),
  ),
  kernel<OneInput, { reps: number[] }>('Tile', ({ inputs, attrs, backend }) => {
    const shape = inputs.x.shape.map((dim, axis) => dim * (attrs.reps[axis] as number));
    return movingOne(backend, inputs.x, (x) => tileTo(backend, x, shape));
  }),
  kernel<OneInput, { dims: number | number[] }>('Reverse', ({ inputs, attrs, backend }) => {
    const axes = util.parseAxisParam(attrs.dims, inputs.x.shape);
    return movingOne(backend, inputs.x, (x) => reverse(backend, x, axes));
  }),
  kernel<OneInput>('Diag', ({ inputs, backend }) => {
    const { x } = inputs;
    assertNumeric([x], 'diag');
    const size = util.sizeFromShape(x.shape);
    return backend.run(diagOp, [backend.operand(x, [size])], {
      shape: [...x.shape, ...x.shape],
      dtype: x.dtype,
      nativeShape: [size, size],
    });
  }),
];
