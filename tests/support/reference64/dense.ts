/** What a kernel of the reference works on: a whole tensor in plain arrays, and the index arithmetic all families share. */
import type { DataType } from '@tensorflow/tfjs-core';

export type Values = Float64Array | Int32Array | Uint8Array;

/** A tensor. float32 is held in double precision; complex64 as pairs of doubles, real part first. */
export interface Dense {
  readonly shape: readonly number[];
  readonly dtype: DataType;
  readonly values: Values;
}

/** One kernel: a pure function of its inputs. */
export interface ReferenceKernel {
  readonly name: string;
  readonly run: (inputs: never, attrs: never) => Dense | Dense[];
}

type Body<Inputs, Attrs> = (inputs: Inputs, attrs: Attrs) => Dense | Dense[];

/** Makes a row of the table; inputs and attributes are those tfjs-core documents for the kernel of that name. */
export function reference<Inputs, Attrs = object>(name: string, run: Body<Inputs, Attrs>): ReferenceKernel {
  return { name, run };
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** An array for `size` elements of a dtype. */
export function zeros(dtype: DataType, size: number): Values {
  if (dtype === 'int32') return new Int32Array(size);
  if (dtype === 'bool') return new Uint8Array(size);
  return new Float64Array(dtype === 'complex64' ? 2 * size : size);
}

/** A tensor computed element by element from the coordinates. */
export function build(
  shape: readonly number[],
  dtype: DataType,
  element: (coords: readonly number[], flat: number) => number,
): Dense {
  const values = zeros(dtype, sizeOf(shape));
  eachIndex(shape, (coords, flat) => {
    values[flat] = element(coords, flat);
  });
  return { shape, dtype, values };
}

/** Calls `visit` for every element in row-major order. The coordinates are one array that is changed between calls. */
export function eachIndex(shape: readonly number[], visit: (coords: readonly number[], flat: number) => void): void {
  const size = sizeOf(shape);
  const coords = shape.map(() => 0);
  for (let flat = 0; flat < size; ++flat) {
    visit(coords, flat);
    for (let axis = shape.length - 1; axis >= 0; --axis) {
      coords[axis]! += 1;
      if (coords[axis]! < shape[axis]!) break;
      coords[axis] = 0;
    }
  }
}

/** Row-major position of coordinates. */
export function flatIndex(shape: readonly number[], coords: readonly number[]): number {
  return coords.reduce((flat, coordinate, axis) => flat * shape[axis]! + coordinate, 0);
}

/** The element at the coordinates. */
export function at(x: Dense, ...coords: readonly number[]): number {
  return x.values[flatIndex(x.shape, coords)]!;
}

/** Adds to the element at the coordinates. */
export function addAt(x: Dense, value: number, ...coords: readonly number[]): void {
  x.values[flatIndex(x.shape, coords)]! += value;
}

/** Position in a tensor that is broadcast: its axes are the last ones of `coords`, an axis of size 1 repeats. */
export function broadcastIndex(shape: readonly number[], coords: readonly number[]): number {
  const offset = coords.length - shape.length;
  return shape.reduce((flat, dim, axis) => flat * dim + (dim === 1 ? 0 : coords[axis + offset]!), 0);
}
