/** Ops over lists of tensors. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import {
  clipByGlobalNorm,
  clipByValue,
  clipEachByNorm,
  globalNorm,
  scaleTensors,
  type DeviceNumber,
} from '../../../../ts/backend/custom/index.js';
import { build, type Dense } from '../../reference64/dense.js';
import { float, seed, shapesWithLarge } from '../arbitraries.js';
import type { Fill, KernelCase } from '../cases.js';
import { fusedSpec, type FusedSpec } from './spec.js';

interface ListAttrs {
  readonly value: number;
  readonly onDevice: boolean;
}

type List<Tensor> = Readonly<Record<string, Tensor>>;

/** float32 numbers as factor and limit. */
const cases = (...fills: Fill[]): fc.Arbitrary<KernelCase> =>
  fc
    .record({
      shapes: fc.array(shapesWithLarge, { minLength: 1, maxLength: 5 }),
      fill: fc.constantFrom(...fills),
      value: fc.constantFrom(0, 0.5, 1, 3.25, 1000),
      onDevice: fc.boolean(),
      seed,
    })
    .map(({ shapes, fill, seed: valueSeed, ...attrs }) => ({
      inputs: Object.fromEntries(shapes.map((shape, i) => [`tensor${i}`, float(shape, valueSeed + i, fill)])),
      attrs,
    }));

const numberOf = ({ value, onDevice }: ListAttrs): DeviceNumber => (onDevice ? tf.scalar(value) : value);
const mapAll = (list: List<Dense>, f: (x: number) => number): Dense[] =>
  Object.values(list).map(({ shape, values }) => build(shape, 'float32', (_, i) => f(values[i]!)));

function normOf(list: List<Dense>): number {
  return Math.sqrt(Object.values(list).reduce((all, { values }) => Array.from(values).reduce((sum, x) => sum + x * x, all), 0));
}

const row = fusedSpec<never, string, ListAttrs>;

export const multiSpecs: readonly FusedSpec[] = [
  row({
    name: 'globalNorm',
    cases: cases('plain', 'wide', 'special'),
    run: (list) => {
      const { norm, isFinite } = globalNorm(Object.values(list) as tf.Tensor[]);
      return [norm, isFinite];
    },
    judge: (list) => {
      const all = list as List<Dense>;
      const isFinite = Object.values(all).every(({ values }) => values.every((x) => Number.isFinite(x)));
      return [build([], 'float32', () => normOf(all)), build([], 'bool', () => Number(isFinite))];
    },
    // Summed in double and rounded once; a sum in another order may round to the other side.
    bound: () => ({ relative: 2 ** -23 }),
  }),
  row({
    name: 'scaleTensors',
    cases: cases('plain', 'special'),
    run: (list, attrs) => scaleTensors(Object.values(list) as tf.Tensor[], numberOf(attrs)),
    judge: (list, { value }) => mapAll(list as List<Dense>, (x) => x * value),
    bound: () => ({}),
  }),
  row({
    name: 'clipByGlobalNorm',
    cases: cases('plain', 'wide'),
    run: (list, attrs) => {
      const tensors = Object.values(list) as tf.Tensor[];
      return clipByGlobalNorm(tensors, numberOf(attrs), globalNorm(tensors).norm);
    },
    judge: (list, { value }) => {
      const factor = Math.min(1, value / (normOf(list as List<Dense>) + 1e-6));
      return mapAll(list as List<Dense>, (x) => x * factor);
    },
    // The norm, its sum, the quotient and the product are rounded; below 1e-38 numbers are spaced evenly.
    bound: () => ({ relative: 5 * 2 ** -24, absolute: 1e-44 }),
  }),
  row({
    name: 'clipEachByNorm',
    cases: cases('plain', 'wide'),
    run: (list, attrs) => clipEachByNorm(Object.values(list) as tf.Tensor[], numberOf(attrs)),
    judge: (list, { value }) =>
      Object.values(list as List<Dense>).map((tensor) => {
        const factor = Math.min(1, value / (normOf({ tensor }) + 1e-6));
        return build(tensor.shape, 'float32', (_, i) => tensor.values[i]! * factor);
      }),
    // As clipByGlobalNorm.
    bound: () => ({ relative: 5 * 2 ** -24, absolute: 1e-44 }),
  }),
  row({
    name: 'clipByValue of a list',
    cases: cases('plain', 'special'),
    run: (list, attrs) => clipByValue(Object.values(list) as tf.Tensor[], numberOf(attrs)),
    judge: (list, { value }) => mapAll(list as List<Dense>, (x) => Math.max(-value, Math.min(value, x))),
    // A limit of 0 leaves the sign of the zero open.
    bound: () => ({ absolute: 1e-45 }),
  }),
];
