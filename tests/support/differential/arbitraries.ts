/** What random kernel calls are made of. */
import fc from 'fast-check';
import { productOf } from '../describe-model.js';
import type { Fill, NumericDType, TensorSpec } from './cases.js';

/** Elements of a tensor at most, but for the few large ones. */
const MOST_ELEMENTS = 2000;

/** Sizes of an axis: one, primes, and just round the vector widths 4, 8, 16, 32. */
export const dim: fc.Arbitrary<number> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(1, 2, 3) },
  { weight: 3, arbitrary: fc.constantFrom(5, 7, 11, 13) },
  { weight: 2, arbitrary: fc.constantFrom(4, 8, 9, 15, 16, 17, 31, 32, 33) },
);
const dimOrZero: fc.Arbitrary<number> = fc.oneof({ weight: 20, arbitrary: dim }, { weight: 1, arbitrary: fc.constant(0) });

/** The shape with axes made smaller from the end until it has few enough elements. */
function capped(shape: readonly number[], most: number): number[] {
  const result = [...shape];
  for (let axis = result.length - 1; axis >= 0 && productOf(result) > most; --axis) {
    const others = productOf(result) / result[axis]!;
    result[axis] = Math.max(1, Math.min(result[axis]!, Math.floor(most / others)));
  }
  return result;
}

export interface ShapeOptions {
  readonly minRank?: number;
  readonly maxRank?: number;
  /** Whether an axis may be empty; default true. */
  readonly empty?: boolean;
  readonly most?: number;
}

/** Shapes of rank 0 to 6. */
export function shapes({ minRank = 0, maxRank = 6, empty = true, most = MOST_ELEMENTS }: ShapeOptions = {}): fc.Arbitrary<
  number[]
> {
  return fc.array(empty ? dimOrZero : dim, { minLength: minRank, maxLength: maxRank }).map((shape) => capped(shape, most));
}

/** Sizes that are split over threads or over blocks of a cache, by rank. */
const LARGE: readonly number[][] = [[65537], [3, 20011], [257, 131], [31, 8, 257], [5, 7, 31, 33]];

/** As `shapes` with these options, now and then a large one. */
export function shapesOrLarge(options: ShapeOptions = {}): fc.Arbitrary<number[]> {
  const { minRank = 0, maxRank = 6 } = options;
  const large = LARGE.filter(({ length }) => length >= minRank && length <= maxRank);
  return fc.oneof(
    { weight: 24, arbitrary: shapes(options) },
    ...(large.length === 0 ? [] : [{ weight: 1, arbitrary: fc.constantFrom(...large) }]),
  );
}

/** A number of images in a batch: one or two, now and then none. */
export const numImages: fc.Arbitrary<number> = fc.oneof(
  { weight: 24, arbitrary: fc.integer({ min: 1, max: 2 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);

/** As `shapes`, now and then one that is split over threads or over blocks of a cache. */
export const shapesWithLarge: fc.Arbitrary<number[]> = fc.oneof(
  { weight: 40, arbitrary: shapes({ most: 600 }) },
  { weight: 1, arbitrary: fc.constantFrom<number[]>([65537], [3, 20011], [257, 8, 17]) },
);

export const seed: fc.Arbitrary<number> = fc.nat(1_000_000);

export function tensor(shape: readonly number[], dtype: NumericDType, fill: Fill, valueSeed: number): TensorSpec {
  return { shape, dtype, fill, seed: valueSeed };
}

export const float = (shape: readonly number[], valueSeed: number, fill: Fill = 'plain'): TensorSpec =>
  tensor(shape, 'float32', fill, valueSeed);
export const int = (shape: readonly number[], valueSeed: number, fill: Fill = 'small'): TensorSpec =>
  tensor(shape, 'int32', fill, valueSeed);
export const bool = (shape: readonly number[], valueSeed: number): TensorSpec => tensor(shape, 'bool', 'bits', valueSeed);

/** A dtype with a fill that suits it. */
export interface Content {
  readonly dtype: NumericDType;
  readonly fill: Fill;
}
export const contents = {
  float: fc.constantFrom<Content>({ dtype: 'float32', fill: 'plain' }, { dtype: 'float32', fill: 'special' }),
  int: fc.constantFrom<Content>({ dtype: 'int32', fill: 'small' }, { dtype: 'int32', fill: 'extreme' }),
  bool: fc.constant<Content>({ dtype: 'bool', fill: 'bits' }),
};
/** Any numeric dtype, special values included: for kernels that move elements. */
export const anyContent: fc.Arbitrary<Content> = fc.oneof(contents.float, contents.int, contents.bool);

/** Which axes of a tensor an operation runs over, by one bit per axis. */
export const axisBits: fc.Arbitrary<number> = fc.nat(63);
export function axesOf(bits: number, rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => (bits >> axis) & 1);
}

/** Two shapes that broadcast: each axis of the result is missing or 1 in one of them now and then. */
export interface ShapePair {
  readonly a: number[];
  readonly b: number[];
}
export const broadcastShapes: fc.Arbitrary<ShapePair> = fc
  .record({
    shape: shapesWithLarge,
    kind: fc.constantFrom('same', 'same', 'scalar', 'row', 'any'),
    onesA: axisBits,
    onesB: axisBits,
    dropA: fc.nat(6),
    dropB: fc.nat(6),
    swap: fc.boolean(),
  })
  .map(({ shape, kind, onesA, onesB, dropA, dropB, swap }) => {
    const ones = (bits: number): number[] => shape.map((size, axis) => ((bits >> axis) & 1 ? 1 : size));
    const drop = (other: number[], count: number): number[] => other.slice(Math.min(count, other.length));
    const pairs = {
      same: [shape, shape],
      scalar: [shape, []],
      row: [shape, shape.slice(-1)],
      any: swap ? [drop(ones(onesA & ~onesB), dropA), ones(onesB)] : [ones(onesA), drop(ones(onesB & ~onesA), dropB)],
    }[kind];
    return swap ? { a: pairs[1]!, b: pairs[0]! } : { a: pairs[0]!, b: pairs[1]! };
  });
