/** Norms over rows, groups of channels and batches. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import {
  batchNormFixed,
  batchNormTrain,
  groupNorm,
  instanceNorm,
  layerNorm,
  residualLayerNorm,
  residualRmsNorm,
  rmsNorm,
} from '../../../../ts/backend/custom/index.js';
import { build, eachIndex, flatIndex, sizeOf, type Dense } from '../../reference64/dense.js';
import { dim, float, seed } from '../arbitraries.js';
import type { KernelCase, TensorSpec } from '../cases.js';
import { fusedSpec, given, inputOf, type Bound, type FusedSpec } from './spec.js';

/** Large enough that rows of two equal values do not make the gradient steep: the factor of a row is at most 4.5. */
const epsilon: fc.Arbitrary<number> = fc.constantFrom(0.05, 0.5);

type GroupOf = (coords: readonly number[]) => number;

interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Biased. */
  readonly variance: number;
}

/** Count, mean and variance of each group of elements. */
function momentsOf(x: Dense, groupOf: GroupOf): Moments[] {
  const groups: number[][] = [];
  eachIndex(x.shape, (coords, i) => (groups[groupOf(coords)] ??= []).push(x.values[i]!));
  return groups.map((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      count: values.length,
      mean,
      variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length,
    };
  });
}

/** (x - mean) / sqrt(variance + epsilon) * scale + offset, scale and offset along the last axis. */
function standardize(
  x: Dense,
  groupOf: GroupOf,
  moments: readonly Pick<Moments, 'mean' | 'variance'>[],
  { scale, offset, epsilon: added }: { scale?: Dense | undefined; offset?: Dense | undefined; epsilon: number },
): Dense {
  return build(x.shape, 'float32', (coords, i) => {
    const { mean, variance } = moments[groupOf(coords)]!;
    const channel = coords.at(-1)!;
    const h = (x.values[i]! - mean) / Math.sqrt(variance + added);
    return h * (scale?.values[channel] ?? 1) + (offset?.values[channel] ?? 0);
  });
}

/** Norms take means and squares of `count` numbers of up to 2.25 to be multiplied by up to 4.5 * 2.25. */
const statistics = (count: number): Bound => ({ roundings: 23 * (count / 8 + 16) });

const parameters = (channels: number, bits: number, valueSeed: number): Record<string, TensorSpec | undefined> => ({
  scale: bits & 1 ? float([channels], valueSeed + 2, 'positive') : undefined,
  offset: bits & 2 ? float([channels], valueSeed + 3, 'positive') : undefined,
});

const rowShape: fc.Arbitrary<number[]> = fc
  .tuple(fc.array(fc.constantFrom(1, 2, 3, 5, 7), { maxLength: 2 }), dim, fc.nat(20))
  .map(([outer, columns, empty]) => [...(empty === 0 ? [0] : outer), columns]);

const rowCases = (isResidual: boolean): fc.Arbitrary<KernelCase> =>
  fc.record({ shape: rowShape, bits: fc.nat(3), epsilon, seed }).map(({ shape, bits, epsilon: added, seed: valueSeed }) => ({
    inputs: given({
      x: float(shape, valueSeed, 'positive'),
      // With a mean of the sum of 1.25 as well.
      residual: isResidual ? float(shape, valueSeed + 1, 'unit') : undefined,
      ...parameters(shape.at(-1)!, bits, valueSeed),
    }),
    attrs: { epsilon: added },
  }));

function rowNorm(x: Dense, options: { scale?: Dense; offset?: Dense; epsilon: number }, isCentered: boolean): Dense {
  const rowOf: GroupOf = (coords) => flatIndex(x.shape.slice(0, -1), coords.slice(0, -1));
  const moments = momentsOf(x, rowOf).map(({ mean, variance }) =>
    isCentered ? { mean, variance } : { mean: 0, variance: variance + mean ** 2 },
  );
  return standardize(x, rowOf, moments, options);
}

const columnsOf = (kernelCase: KernelCase): number => inputOf(kernelCase, 'x')!.shape.at(-1)!;

const rowSpecs: readonly FusedSpec[] = [true, false].flatMap((isCentered) => [
  fusedSpec<'x', 'scale' | 'offset', { epsilon: number }>({
    name: isCentered ? 'layerNorm' : 'rmsNorm',
    cases: rowCases(false),
    run: ({ x, ...options }, attrs) => [(isCentered ? layerNorm : rmsNorm)(x, { ...options, ...attrs })],
    judge: ({ x, ...options }, attrs) => [rowNorm(x, { ...options, ...attrs }, isCentered)],
    bound: (kernelCase) => statistics(columnsOf(kernelCase)),
    of: ['x', 'scale', 'offset'],
  }),
  fusedSpec<'x' | 'residual', 'scale' | 'offset', { epsilon: number }>({
    name: isCentered ? 'residualLayerNorm' : 'residualRmsNorm',
    cases: rowCases(true),
    run: ({ x, residual, ...options }, attrs) => {
      const { sum, y } = (isCentered ? residualLayerNorm : residualRmsNorm)(x, residual, { ...options, ...attrs });
      return [sum, y];
    },
    judge: ({ x, residual, ...options }, attrs) => {
      const sum = build(x.shape, 'float32', (_, i) => x.values[i]! + residual.values[i]!);
      return [sum, rowNorm(sum, { ...options, ...attrs }, isCentered)];
    },
    bound: (kernelCase) => statistics(columnsOf(kernelCase)),
    of: ['x', 'residual', 'scale', 'offset'],
  }),
]);

/** [N, ..., C] of rank 2 to 4. */
const imageShape: fc.Arbitrary<number[]> = fc
  .tuple(
    fc.oneof({ weight: 15, arbitrary: fc.constantFrom(1, 2, 3) }, { weight: 1, arbitrary: fc.constant(0) }),
    fc.array(fc.constantFrom(1, 2, 3, 5), { maxLength: 2 }),
    fc.constantFrom(1, 2, 3, 4, 6, 8, 9, 17),
  )
  .map(([images, places, channels]) => [images, ...places, channels]);

const imageCases = (
  extra: (shape: readonly number[], valueSeed: number) => Record<string, TensorSpec>,
): fc.Arbitrary<KernelCase> =>
  fc
    .record({
      shape: imageShape,
      bits: fc.nat(3),
      epsilon,
      isUnbiased: fc.boolean(),
      updateRate: fc.constantFrom(0, 0.1, 1),
      pick: fc.nat(9),
      seed,
    })
    .map(({ shape, bits, pick, seed: valueSeed, ...attrs }) => {
      const channels = shape.at(-1)!;
      const divisors = Array.from({ length: channels }, (_, i) => i + 1).filter((count) => channels % count === 0);
      return {
        inputs: given({
          x: float(shape, valueSeed, 'positive'),
          ...parameters(channels, bits, valueSeed),
          ...extra(shape, valueSeed),
        }),
        attrs: { ...attrs, groups: divisors[pick % divisors.length] },
      };
    });

interface ImageAttrs {
  readonly epsilon: number;
  readonly groups: number;
  readonly isUnbiased: boolean;
  readonly updateRate: number;
}

function groups(x: Dense, options: { scale?: Dense; offset?: Dense; epsilon: number }, count: number): Dense {
  const perGroup = x.shape.at(-1)! / count;
  const groupOf: GroupOf = (coords) => coords[0]! * count + Math.floor(coords.at(-1)! / perGroup);
  return standardize(x, groupOf, momentsOf(x, groupOf), options);
}

const channelOf: GroupOf = (coords) => coords.at(-1)!;
const placesOf = (kernelCase: KernelCase): number => sizeOf(inputOf(kernelCase, 'x')!.shape);
const running = (shape: readonly number[], valueSeed: number): Record<string, TensorSpec> => ({
  mean: float(shape.slice(-1), valueSeed + 4, 'positive'),
  variance: float(shape.slice(-1), valueSeed + 5, 'positive'),
});

const channelSpecs: readonly FusedSpec[] = [
  fusedSpec<'x', 'scale' | 'offset', ImageAttrs>({
    name: 'groupNorm',
    cases: imageCases(() => ({})),
    run: ({ x, ...options }, { groups: count, epsilon: added }) => [groupNorm(x, count, { ...options, epsilon: added })],
    judge: ({ x, ...options }, { groups: count, epsilon: added }) => [groups(x, { ...options, epsilon: added }, count)],
    bound: (kernelCase) => statistics(placesOf(kernelCase)),
    of: ['x', 'scale', 'offset'],
  }),
  fusedSpec<'x', 'scale' | 'offset', ImageAttrs>({
    name: 'instanceNorm',
    cases: imageCases(() => ({})),
    run: ({ x, ...options }, { epsilon: added }) => [instanceNorm(x, { ...options, epsilon: added })],
    judge: ({ x, ...options }, { epsilon: added }) => [groups(x, { ...options, epsilon: added }, x.shape.at(-1)!)],
    bound: (kernelCase) => statistics(placesOf(kernelCase)),
    of: ['x', 'scale', 'offset'],
  }),
  fusedSpec<'x' | 'mean' | 'variance', 'scale' | 'offset', ImageAttrs>({
    name: 'batchNormTrain',
    cases: imageCases(running),
    run: ({ x, mean, variance, ...options }, { epsilon: added, updateRate, isUnbiased }) => {
      const variables = [mean, variance].map((tensor) => tf.variable(tensor, false)) as [tf.Variable, tf.Variable];
      const [runningMean, runningVariance] = variables;
      const y = batchNormTrain(x, { ...options, runningMean, runningVariance, epsilon: added, updateRate, isUnbiased });
      const results = [y, ...variables.map((variable) => tf.tensor1d(variable.dataSync()))];
      tf.dispose(variables);
      return results;
    },
    judge: ({ x, mean, variance, ...options }, { epsilon: added, updateRate, isUnbiased }) => {
      const moments = momentsOf(x, channelOf);
      const moved = (old: Dense, of: (moment: Moments) => number): Dense =>
        build(old.shape, 'float32', ([channel]) => {
          const value = old.values[channel!]!;
          const moment = moments[channel!];
          return moment === undefined ? value : value + updateRate * (of(moment) - value);
        });
      return [
        standardize(x, channelOf, moments, { ...options, epsilon: added }),
        moved(mean, (moment) => moment.mean),
        moved(variance, ({ variance: biased, count }) => (isUnbiased && count > 1 ? (biased * count) / (count - 1) : biased)),
      ];
    },
    bound: (kernelCase) => statistics(placesOf(kernelCase)),
    of: ['x', 'scale', 'offset'],
    differentiable: 1,
    noReplay: 'makes its variables itself and reads them',
  }),
  fusedSpec<'x' | 'mean' | 'variance', 'scale' | 'offset', ImageAttrs>({
    name: 'batchNormFixed',
    cases: imageCases(running),
    run: ({ x, ...options }, { epsilon: added }) => [batchNormFixed(x, { ...options, epsilon: added })],
    judge: ({ x, mean, variance, ...options }, { epsilon: added }) => {
      const moments = Array.from(mean.values, (value, channel) => ({ mean: value, variance: variance.values[channel]! }));
      return [standardize(x, channelOf, moments, { ...options, epsilon: added })];
    },
    bound: () => statistics(0),
    of: ['x', 'scale', 'offset'],
  }),
];

export const normSpecs: readonly FusedSpec[] = [...rowSpecs, ...channelSpecs];
