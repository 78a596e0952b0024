/** Kernels that combine the elements along axes: sums, extremes, running sums, softmax. */
import { util, type DataType } from '@tensorflow/tfjs-core';
import { build, eachIndex, flatIndex, reference, sizeOf, type Dense, type ReferenceKernel } from './dense.js';

interface Input {
  x: Dense;
}
interface AxisAttrs {
  axis?: number | number[] | null;
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

/** Applies `combine` to the elements that share all coordinates but those of the axes, in row-major order. */
function reduce(
  x: Dense,
  axis: number | number[],
  keepDims: boolean,
  dtype: DataType,
  combine: (group: number[]) => number,
): Dense {
  const axes = util.parseAxisParam(axis, [...x.shape]);
  const kept = x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
  const groups: number[][] = Array.from({ length: sizeOf(kept) }, () => []);
  eachIndex(x.shape, (coords, flat) => {
    const target = flatIndex(
      kept,
      coords.map((coordinate, i) => (axes.includes(i) ? 0 : coordinate)),
    );
    groups[target]!.push(x.values[flat]!);
  });
  const { values } = build(kept, dtype, (_, flat) => combine(groups[flat]!));
  return { shape: keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i)), dtype, values };
}

const sum = (group: readonly number[]): number => group.reduce((total, value) => total + value, 0);
const intProduct = (group: readonly number[]): number => group.reduce((total, value) => Math.imul(total, value), 1);
const product = (group: readonly number[]): number => group.reduce((total, value) => total * value, 1);

/** Position of the first element that no other one beats. A NaN at the start stays, later ones are passed over. */
function firstBest(group: readonly number[], beats: (a: number, b: number) => boolean): number {
  return group.reduce((best, value, i) => (beats(value, group[best]!) ? i : best), 0);
}

interface Reduction {
  readonly combine: (group: number[], dtype: DataType) => number;
  readonly dtype: (dtype: DataType) => DataType;
}

const numeric = (dtype: DataType): DataType => (dtype === 'bool' ? 'int32' : dtype);
const same = (dtype: DataType): DataType => dtype;

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  Sum: { combine: sum, dtype: numeric },
  Mean: { combine: (group) => sum(group) / group.length, dtype: () => 'float32' },
  Prod: { combine: (group, dtype) => (dtype === 'float32' ? product(group) : intProduct(group)), dtype: numeric },
  Max: { combine: (group) => group.reduce((a, b) => Math.max(a, b)), dtype: same },
  Min: { combine: (group) => group.reduce((a, b) => Math.min(a, b)), dtype: same },
  All: { combine: (group) => Number(group.every((value) => value !== 0)), dtype: () => 'bool' },
  Any: { combine: (group) => Number(group.some((value) => value !== 0)), dtype: () => 'bool' },
  ArgMax: { combine: (group) => firstBest(group, (a, b) => a > b), dtype: () => 'int32' },
  ArgMin: { combine: (group) => firstBest(group, (a, b) => a < b), dtype: () => 'int32' },
};

/** Applies `f` to each line along the axis and puts the results where the elements were. */
export function alongAxis(x: Dense, axis: number, f: (line: number[]) => number[]): Dense {
  const place = util.parseAxisParam(axis, [...x.shape])[0]!;
  const lines = new Map<number, { values: number[]; places: number[] }>();
  eachIndex(x.shape, (coords, flat) => {
    const start = flatIndex(
      x.shape,
      coords.map((coordinate, i) => (i === place ? 0 : coordinate)),
    );
    const line = lines.get(start) ?? { values: [], places: [] };
    lines.set(start, line);
    line.values.push(x.values[flat]!);
    line.places.push(flat);
  });
  const result = build(x.shape, x.dtype, () => 0);
  for (const { values, places } of lines.values()) {
    f(values).forEach((value, i) => (result.values[places[i]!] = value));
  }
  return result;
}

function running(
  line: readonly number[],
  exclusive: boolean,
  reverse: boolean,
  start: number,
  f: (a: number, b: number) => number,
): number[] {
  const ordered = reverse ? [...line].reverse() : line;
  let total = start;
  const results = ordered.map((value) => {
    const before = total;
    total = f(total, value);
    return exclusive ? before : total;
  });
  return reverse ? results.reverse() : results;
}

interface ScanAttrs {
  axis: number;
  exclusive: boolean;
  reverse: boolean;
}

function softmax(line: readonly number[]): number[] {
  const largest = Math.max(...line);
  const powers = line.map((value) => Math.exp(value - largest));
  const total = sum(powers);
  return powers.map((power) => power / total);
}

function logSoftmax(line: readonly number[]): number[] {
  const largest = Math.max(...line);
  const logTotal = Math.log(sum(line.map((value) => Math.exp(value - largest))));
  return line.map((value) => value - largest - logTotal);
}

export const reductionKernels: readonly ReferenceKernel[] = [
  ...Object.entries(REDUCTIONS).map(([name, { combine, dtype }]) =>
    reference<Input, AxisAttrs>(name, ({ x }, { axis, reductionIndices, keepDims }) =>
      // A missing axis means all of them, for argmax and argmin the first.
      reduce(
        x,
        axis ?? reductionIndices ?? (name.startsWith('Arg') ? 0 : x.shape.map((_, i) => i)),
        keepDims === true,
        dtype(x.dtype),
        (group) => combine(group, x.dtype),
      ),
    ),
  ),
  reference<Input, ScanAttrs>('Cumsum', ({ x }, { axis, exclusive, reverse }) =>
    alongAxis(x, axis, (line) => running(line, exclusive, reverse, 0, (a, b) => a + b)),
  ),
  reference<Input, ScanAttrs>('Cumprod', ({ x }, { axis, exclusive, reverse }) =>
    alongAxis(x, axis, (line) => running(line, exclusive, reverse, 1, x.dtype === 'float32' ? (a, b) => a * b : Math.imul)),
  ),
  reference<{ logits: Dense }, { dim: number }>('Softmax', ({ logits }, { dim }) => alongAxis(logits, dim, softmax)),
  reference<{ logits: Dense }, { axis: number }>('LogSoftmax', ({ logits }, { axis }) => alongAxis(logits, axis, logSoftmax)),
];
