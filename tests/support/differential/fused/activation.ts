/** Activations, and dense layers that end in one. */
import type * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import {
  channelPrelu,
  FUSED_ACTIVATIONS,
  gelu,
  linear,
  mish,
  silu,
  type FusedActivation,
} from '../../../../ts/backend/custom/index.js';
import { at, build, sizeOf, type Dense } from '../../reference64/dense.js';
import { erf } from '../../reference64/elementwise.js';
import { dim, float, seed, shapes, shapesWithLarge } from '../arbitraries.js';
import { refill, type Fill } from '../cases.js';
import { fusedSpec, given, inputOf, type Bound, type FusedSpec } from './spec.js';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const FUNCTIONS: Readonly<Record<FusedActivation, (x: number) => number>> = {
  none: (x) => x,
  relu: (x) => Math.max(0, x),
  sigmoid,
  tanh: Math.tanh,
  gelu: (x) => (x === -Infinity ? 0 : (x * (1 + erf(x / Math.SQRT2))) / 2),
  geluTanh: (x) => (x === -Infinity ? 0 : (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  silu: (x) => (x === -Infinity ? 0 : x * sigmoid(x)),
  mish: (x) => (x === -Infinity ? 0 : x * Math.tanh(Math.log1p(Math.exp(Math.min(x, 40))))),
};

/** The contract in native/ops/activation/activation.h. */
const FUNCTION: Bound = { relative: 2e-6, absolute: 2e-7 };

const DOORS: Partial<Record<FusedActivation, (x: tf.Tensor) => tf.Tensor>> = {
  gelu: (x) => gelu(x),
  geluTanh: (x) => gelu(x, true),
  silu,
  mish,
};

const doorSpecs: readonly FusedSpec[] = Object.entries(DOORS).map(([name, door]) =>
  fusedSpec<'x'>({
    name,
    cases: fc
      .record({ shape: shapesWithLarge, fill: fc.constantFrom<Fill>('plain', 'special', { low: -12, high: 12 }), seed })
      .map(({ shape, fill, seed: valueSeed }) => ({ inputs: { x: float(shape, valueSeed, fill) }, attrs: {} })),
    run: ({ x }) => [door(x)],
    judge: ({ x }) => [build(x.shape, 'float32', (_, i) => FUNCTIONS[name as FusedActivation](x.values[i]!))],
    bound: () => FUNCTION,
    of: ['x'],
    smooth: (kernelCase) => refill(kernelCase, { x: { low: -7, high: 7 } }),
  }),
);

const preluSpec = fusedSpec<'x' | 'alpha'>({
  name: 'channelPrelu',
  cases: fc.record({ shape: shapes({ minRank: 1 }), isOne: fc.boolean(), seed }).map(({ shape, isOne, seed: valueSeed }) => ({
    inputs: {
      // Away from the kink by 0.1.
      x: float(shape, valueSeed, 'offZero'),
      alpha: float([isOne ? 1 : shape.at(-1)!], valueSeed + 1),
    },
    attrs: {},
  })),
  run: ({ x, alpha }) => [channelPrelu(x, alpha)],
  judge: ({ x, alpha }) => [
    build(x.shape, 'float32', (coords, i) => {
      const value = x.values[i]!;
      return value > 0 ? value : alpha.values[alpha.values.length === 1 ? 0 : coords.at(-1)!]! * value;
    }),
  ],
  // One product.
  bound: () => ({ relative: 2 ** -24 }),
  of: ['x', 'alpha'],
});

function affine(x: Dense, w: Dense, bias: Dense | undefined, f: (z: number) => number): Dense {
  const [depth, units] = w.shape as [number, number];
  return build([...x.shape.slice(0, -1), units], 'float32', (coords, flat) => {
    const row = Math.floor(flat / units);
    const column = coords.at(-1)!;
    let sum = bias?.values[column] ?? 0;
    for (let k = 0; k < depth; ++k) sum += x.values[row * depth + k]! * at(w, k, column);
    return f(sum);
  });
}

const outer: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([]),
  fc.tuple(fc.oneof(dim, fc.constant(0))),
  fc.tuple(fc.constantFrom(1, 2, 3), fc.constantFrom(1, 5, 7)),
);

const linearSpec = fusedSpec<'x' | 'w', 'bias', { activation: FusedActivation }>({
  name: 'linear',
  cases: fc
    .record({
      outer,
      depth: fc.oneof({ weight: 20, arbitrary: dim }, { weight: 1, arbitrary: fc.constant(0) }),
      units: dim,
      hasBias: fc.boolean(),
      activation: fc.constantFrom(...FUSED_ACTIVATIONS),
      seed,
    })
    .map(({ outer: rows, depth, units, hasBias, activation, seed: valueSeed }) => ({
      inputs: given({
        x: float([...rows, depth], valueSeed, 'unit'),
        w: float([depth, units], valueSeed + 1, 'unit'),
        bias: hasBias ? float([units], valueSeed + 2, 'unit') : undefined,
      }),
      attrs: { activation },
    })),
  run: ({ x, w, bias }, { activation }) => [linear(x, w, { bias, activation })],
  judge: ({ x, w, bias }, { activation }) => [affine(x, w, bias, FUNCTIONS[activation])],
  // A sum of `depth` products and a bias, all below 1 (Higham 2002, section 3.1); slopes of the functions are at most 1.13, and
  // so are the derivatives' of the functions that are smooth. Then the function.
  bound: (kernelCase) => {
    const depth = sizeOf(inputOf(kernelCase, 'w')!.shape.slice(0, 1));
    return { ...FUNCTION, absolute: 2e-7 + 1.13 * (depth + 2) * 2 ** -24 * (depth + 1) };
  },
  of: ['x', 'w', 'bias'],
});

export const activationSpecs: readonly FusedSpec[] = [...doorSpecs, preluSpec, linearSpec];
