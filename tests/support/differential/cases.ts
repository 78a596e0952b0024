/** A randomised kernel call as plain data: small, printable, shrinkable; values follow from a seed. */
import * as tf from '@tensorflow/tfjs-core';
import { productOf, randomSource } from '../describe-model.js';

export type NumericDType = 'float32' | 'int32' | 'bool' | 'complex64';

/**
 * Where values come from. float32: `plain` [-2, 2), `positive` [0.25, 2.25), `unit` (-0.95, 0.95), `aboveOne` [1.25, 3.25),
 * `offZero` 0.1 to 2.1 of either sign, `offGrid` away from whole and half numbers, `halves` multiples of 0.5, `ties` few whole
 * numbers, `distinct` all different and 4 / n apart, `wide` 1e-30 to 1e30 of either sign, `special` NaN, infinities, zeros of
 * both signs, subnormal and largest numbers among plain ones, `nonFinite` few NaN and infinities among plain ones, `infinite`
 * many infinities and zeros of both signs among few whole numbers. int32: `small` [-9, 9], `extreme` the ends of the range, -1, 0, 1
 * and powers of two. bool: `bits`. A range [low, high) serves float32 and int32.
 */
export type Fill =
  | 'plain'
  | 'positive'
  | 'unit'
  | 'aboveOne'
  | 'offZero'
  | 'offGrid'
  | 'halves'
  | 'ties'
  | 'distinct'
  | 'wide'
  | 'special'
  | 'nonFinite'
  | 'infinite'
  | 'small'
  | 'extreme'
  | 'bits'
  | { readonly low: number; readonly high: number }
  | { readonly values: readonly number[] };

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: NumericDType;
  readonly fill: Fill;
  readonly seed: number;
}

export type KernelInputs = Readonly<Record<string, TensorSpec>> | readonly TensorSpec[];

export interface KernelCase {
  readonly inputs: KernelInputs;
  readonly attrs: Readonly<Record<string, unknown>>;
}

const SPECIAL = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1e-40,
  -1e-40,
  2 ** -149,
  3.4028234663852886e38,
  -3.4028234663852886e38,
  1,
  -1,
];
const NON_FINITE = [NaN, Infinity, -Infinity];
const EXTREME = [-(2 ** 31), 2 ** 31 - 1, -(2 ** 31) + 1, -1, 0, 1, 2, 65536, -65536, 46341, 2 ** 30];

type Draw = (random: () => number, index: number, count: number) => number;

const DRAWS: Readonly<Record<Extract<Fill, string>, Draw>> = {
  plain: (random) => 4 * random() - 2,
  positive: (random) => 0.25 + 2 * random(),
  unit: (random) => 1.9 * random() - 0.95,
  aboveOne: (random) => 1.25 + 2 * random(),
  offZero: (random) => (random() < 0.5 ? -1 : 1) * (0.1 + 2 * random()),
  offGrid: (random) => Math.floor(9 * random()) - 4 + 0.15 + 0.2 * random(),
  halves: (random) => (Math.floor(21 * random()) - 10) / 2,
  ties: (random) => Math.floor(5 * random()) - 2,
  // Shuffled below.
  distinct: (_, index, count) => (4 * (index + 0.5)) / count - 2,
  wide: (random) => (random() < 0.5 ? -1 : 1) * 10 ** (60 * random() - 30),
  special: (random) => (random() < 0.5 ? SPECIAL[Math.floor(random() * SPECIAL.length)]! : 4 * random() - 2),
  nonFinite: (random) => (random() < 0.04 ? NON_FINITE[Math.floor(random() * NON_FINITE.length)]! : 4 * random() - 2),
  infinite: (random) => [Infinity, -Infinity, 0, -0, 1, -1][Math.floor(random() * 6)]!,
  small: (random) => Math.floor(19 * random()) - 9,
  extreme: (random) =>
    random() < 0.7 ? EXTREME[Math.floor(random() * EXTREME.length)]! : Math.floor((random() - 0.5) * 2 ** 32),
  bits: (random) => Number(random() < 0.5),
};

function drawOf(fill: Fill): Draw {
  if (typeof fill === 'string') return DRAWS[fill];
  if ('values' in fill) return (_, index) => fill.values[index]!;
  return (random) => fill.low + random() * (fill.high - fill.low);
}

/** Values of one part of a tensor, each one a float32, a 32-bit integer, or 0 or 1. */
function drawValues(spec: TensorSpec, seed: number): number[] {
  const random = randomSource(seed);
  const count = productOf(spec.shape);
  const draw = drawOf(spec.fill);
  const raw = Array.from({ length: count }, (_, index) => draw(random, index, count));
  if (spec.fill === 'distinct') shuffle(raw, random);
  return raw.map((value) => (spec.dtype === 'int32' ? Math.floor(value) : Math.fround(value)));
}

function shuffle(values: number[], random: () => number): void {
  for (let i = values.length - 1; i > 0; --i) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
}

/** One real array of a case: a tensor, or the real or imaginary part of a complex one. */
export interface Leaf {
  readonly input: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
  readonly values: Float64Array;
}

/** The arrays behind the inputs of a case, in order. */
export function leavesOf(inputs: KernelInputs): Leaf[] {
  return Object.entries(inputs).flatMap(([input, spec]: [string, TensorSpec]): Leaf[] => {
    const { shape, dtype, seed } = spec;
    if (dtype !== 'complex64') return [{ input, shape, dtype, values: Float64Array.from(drawValues(spec, seed)) }];
    return [seed, seed + 1].map((partSeed) => ({
      input,
      shape,
      dtype: 'float32',
      values: Float64Array.from(drawValues(spec, partSeed)),
    }));
  });
}

/** Puts tensors of the leaves together to what the kernel takes. */
export function assemble(inputs: KernelInputs, leaves: readonly tf.Tensor[]): tf.Tensor[] | Record<string, tf.Tensor> {
  let next = 0;
  const tensors = Object.entries(inputs).map(([name, spec]: [string, TensorSpec]): [string, tf.Tensor] => {
    if (spec.dtype !== 'complex64') return [name, leaves[next++]!];
    next += 2;
    return [name, tf.complex(leaves[next - 2]!, leaves[next - 1]!)];
  });
  return Array.isArray(inputs) ? tensors.map(([, tensor]) => tensor) : Object.fromEntries(tensors);
}

/** The case with every float32 input filled otherwise. */
export function refill(kernelCase: KernelCase, fills: Readonly<Record<string, Fill>>): KernelCase {
  const change = ([name, spec]: [string, TensorSpec]): [string, TensorSpec] => {
    const fill = fills[name] ?? fills['*'];
    return [name, spec.dtype === 'int32' || spec.dtype === 'bool' || fill === undefined ? spec : { ...spec, fill }];
  };
  const { inputs } = kernelCase;
  const entries = Object.entries(inputs).map(change);
  return { ...kernelCase, inputs: Array.isArray(inputs) ? entries.map(([, spec]) => spec) : Object.fromEntries(entries) };
}
