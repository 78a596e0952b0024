/** Shapes without the batch dimension, and how errors print them. */
import { TensorkilnError } from '../errors.js';
import { show } from '../arguments.js';

/** Dimensions of one row, without the batch dimension: [] for a single value, [28, 28, 1] for an image. */
export type Shape = readonly number[];

/** Number of elements; 1 for []. */
export function sizeOfShape(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** `[N, 28, 28, 1]`: a shape as errors and summaries print it, with the batch dimension. */
export function formatBatchShape(shape: Shape): string {
  return `[${['N', ...shape].join(', ')}]`;
}

/** `[3, 4]`: a full shape as errors print it. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

export function isSameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Checks that `shape` is a list of positive integers. @throws E_SHAPE naming place and value */
export function checkShape(place: string, shape: unknown): Shape {
  if (!Array.isArray(shape) || !shape.every((dim) => Number.isSafeInteger(dim) && (dim as number) > 0)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong shape: expected a list of positive integers without the batch dimension, got ${show(shape)}.`,
    );
  }
  return shape as Shape;
}
