/** Geometry of layout ops: slices that need no copy, paddings, ranges. */
import { TensorkilnError } from '../../errors.js';

/**
 * Where a slice lies in memory when it is one run of elements, so that it can share storage; else undefined.
 *
 * A slice is one run when every axis behind the first shortened one (axes of size 1 in the slice aside) is whole.
 *
 * @param shape shape of x
 * @param begin first index per axis
 * @param size  elements per axis
 * @returns offset in elements
 */
export function contiguousOffset(
  shape: readonly number[],
  begin: readonly number[],
  size: readonly number[],
): number | undefined {
  let axis = 0;
  while (axis < shape.length && size[axis] === 1) ++axis;
  for (let i = axis + 1; i < shape.length; ++i) if (size[i] !== shape[i]) return undefined;
  let offset = 0;
  for (let i = 0; i < shape.length; ++i) offset = offset * (shape[i] as number) + (begin[i] as number);
  return offset;
}

/**
 * A transposition whose axes were joined where they stay neighbours in the same order; axes of size 1 are gone.
 *
 * @returns the same elements' shape before, and the permutation of its axes
 */
export function joinedAxes(shape: readonly number[], perm: readonly number[]): { shape: number[]; perm: number[] } {
  const runs: number[][] = [];
  for (const axis of perm.filter((axis) => shape[axis] !== 1)) {
    const last = runs.at(-1);
    // Between two axes of x that stay neighbours there may have been some of size 1.
    const follows = last !== undefined && shape.slice((last.at(-1) as number) + 1, axis).every((dim) => dim === 1);
    if (follows && axis > (last.at(-1) as number)) last.push(axis);
    else runs.push([axis]);
  }
  const before = [...runs].sort((a, b) => (a[0] as number) - (b[0] as number));
  return {
    shape: before.map((run) => run.reduce((product, axis) => product * (shape[axis] as number), 1)),
    perm: runs.map((run) => before.indexOf(run)),
  };
}

/**
 * Shape after padding.
 *
 * @throws E_SHAPE when a padding is negative or there is not one pair per axis
 */
export function paddedShape(shape: readonly number[], paddings: readonly (readonly [number, number])[]): number[] {
  if (paddings.length !== shape.length) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[pad] expected one pair per axis of [${shape.join(', ')}], got ${String(paddings.length)} pairs.`,
    );
  }
  return shape.map((dim, axis) => {
    const [before, after] = paddings[axis] as readonly [number, number];
    if (before < 0 || after < 0) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[pad] paddings must be >= 0, got [${String(before)}, ${String(after)}] for axis ${String(axis)}.`,
      );
    }
    return dim + before + after;
  });
}

/**
 * Number of elements and step of tf.range, whose rules are tfjs's own: a step of 1 is turned round for a falling range,
 * and a range that leads away from `stop` is empty.
 */
export function rangeExtent(start: number, stop: number, step: number): { count: number; step: number } {
  const leadsAway = (start < stop && step < 0) || (stop < start && step > 1);
  if (start === stop || leadsAway) return { count: 0, step };
  const count = Math.abs(Math.ceil((stop - start) / step));
  return { count, step: stop < start && step === 1 ? -1 : step };
}

/** Shape of tensors joined along an axis. @throws E_SHAPE when they differ elsewhere */
export function concatShape(shapes: readonly (readonly number[])[], axis: number): number[] {
  const first = shapes[0] as readonly number[];
  const result = [...first];
  for (const shape of shapes.slice(1)) {
    const fits = shape.length === first.length && shape.every((dim, i) => i === axis || dim === first[i]);
    if (!fits) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[concat] shapes must agree except along axis ${String(axis)}: got [${first.join(', ')}] and [${shape.join(', ')}].`,
      );
    }
    result[axis] = (result[axis] as number) + (shape[axis] as number);
  }
  return result;
}

/**
 * Fills in the one dimension given as -1 and checks the size.
 *
 * @throws E_SHAPE when more than one dimension is -1 or the sizes differ
 */
export function reshapedShape(shape: readonly number[], wanted: readonly number[]): number[] {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const known = wanted.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  const open = wanted.filter((dim) => dim === -1).length;
  const result = wanted.map((dim) => (dim === -1 ? size / known : dim));
  const fits = open === 0 ? known === size : open === 1 && known > 0 && size % known === 0;
  if (!fits || result.some((dim) => dim < 0)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[reshape] [${shape.join(', ')}] with ${String(size)} elements cannot become [${wanted.join(', ')}]: the sizes must match, with at most one -1.`,
    );
  }
  return result;
}
