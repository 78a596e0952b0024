/**
 * The numbers that operands are filled with, equal in every leg (bench/native/leg.h, bench/peers/leg.py): u<seed> values in [-1, 1),
 * p<seed> in (0, 1], i<seed>m<n> whole numbers below n, c<value> that value, l<a>/<b>/... those values, z zeros, none for 0 elements.
 */
export type Fill = string;

/** Wellons 2018, "Prospecting for Hash Functions", lowbias32. */
export function hash32(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Element `index` of a tensor filled so. */
export function filled(fill: Fill): (index: number) => number {
  const kind = fill[0];
  const [seedText = '', limitText = '1'] = fill.slice(1).split('m');
  const offset = Math.imul(Number(seedText), 0x9e3779b9);
  const hash = (index: number): number => hash32((index + offset) | 0);
  switch (kind) {
    case 'u':
      return (index) => (hash(index) >>> 8) / 8388608 - 1;
    case 'p':
      return (index) => ((hash(index) >>> 8) + 1) / 16777216;
    case 'i':
      return (index) => hash(index) % Number(limitText);
    case 'c':
      return () => Math.fround(Number(fill.slice(1)));
    case 'l': {
      const values = fill.slice(1).split('/').map(Number).map(Math.fround);
      return (index) => values[index]!;
    }
    default:
      return () => 0;
  }
}

/** All elements as an array of the dtype. */
export function filledArray(fill: Fill, size: number, dtype: 'f' | 'i'): Float32Array | Int32Array {
  const value = filled(fill);
  const array = dtype === 'f' ? new Float32Array(size) : new Int32Array(size);
  for (let i = 0; i < size; ++i) array[i] = value(i);
  return array;
}
