// Layers and models beside PyTorch: output, loss, gradients, and ten steps of AdamW. Fixtures: tests/fixtures/make_parity.py.
import * as tf from '@tensorflow/tfjs-core';
import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import {
  BatchNorm,
  Bidirectional,
  createModel,
  crossEntropy,
  GRU,
  LSTM,
  MultiHeadAttention,
  TransformerEncoder,
  type Layer,
} from '../../ts/nn/index.js';
import { AdamW } from '../../ts/optim/index.js';
import { productOf } from '../support/describe-model.js';
import { useNativeBackend } from '../support/native-backend.js';

/** Values, or for large tensors their norm and four projections. */
type Stored = readonly number[] | { readonly size: number; readonly norm: number; readonly projections: readonly number[] };

interface Case {
  /** Name, shape, spread and mean of the initial values. */
  readonly parameters: readonly (readonly [string, readonly number[], number, number])[];
  readonly output: Stored;
  readonly losses: readonly number[];
  readonly gradients: Readonly<Record<string, Stored>>;
  readonly after: Readonly<Record<string, Stored>>;
  readonly state: Readonly<Record<string, Stored>>;
}

const { cases } = JSON.parse(readFileSync(new URL('../fixtures/parity.json', import.meta.url), 'utf8')) as {
  cases: Readonly<Record<string, Case>>;
};

beforeAll(() => useNativeBackend());

/** The numbers of make_parity.py: a hash of the place. */
function mixed(count: number, seed: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    let h = (Math.imul(i, 2654435761) + seed * 40503 + 12345) >>> 0;
    h = Math.imul(h ^ (h >>> 15), 2246822519) >>> 0;
    h = (h ^ (h >>> 13)) >>> 0;
    return (h / 2 ** 32 - 0.5) * scale;
  });
}

const input = (shape: number[], seed: number, scale = 2): tf.Tensor => tf.tensor(mixed(productOf(shape), seed, scale), shape);

/** The largest difference over the largest value; of projections, over what the values' norm allows. */
function errorOf(actual: Float32Array, expected: Stored, floor = 0): number {
  if (Array.isArray(expected)) {
    const values = expected as readonly number[];
    const largest = Math.max(floor, ...values.map(Math.abs));
    return Math.max(...values.map((value, i) => Math.abs(value - actual[i]!))) / largest;
  }
  const { size, norm, projections } = expected as Exclude<Stored, readonly number[]>;
  expect(actual.length).toBe(size);
  const found = projections.map((_, k) => {
    const direction = mixed(size, 900 + k);
    return actual.reduce((sum, value, i) => sum + value * direction[i]!, 0);
  });
  const length = Math.sqrt(actual.reduce((sum, value) => sum + value * value, 0));
  // The directions' components have a root mean square of 1 / sqrt(12).
  const errors = projections.map((value, k) => Math.abs(value - found[k]!) * Math.sqrt(12));
  return Math.max(Math.abs(length - norm), ...errors) / Math.max(norm, floor);
}

interface Setup {
  readonly layer: Layer;
  readonly inputs: readonly tf.Tensor[];
  readonly lossOf: (y: tf.Tensor) => tf.Scalar;
  readonly learningRate?: number;
}

const squared =
  (target: tf.Tensor) =>
  (y: tf.Tensor): tf.Scalar =>
    tf.mean(tf.squaredDifference(y, target));

const block = { heads: 2, hidden: 12 };

const SETUPS: Readonly<Record<string, () => Setup>> = {
  lstm: () => ({
    layer: new Bidirectional({ layer: new LSTM({ units: 6, returnSequences: true }) }),
    inputs: [input([3, 5, 4], 1), tf.less(tf.range(0, 5).reshape([1, 5]), tf.tensor2d([[5], [2], [4]]))],
    lossOf: squared(input([3, 5, 12], 2, 1)),
  }),
  gru: () => ({
    layer: new GRU({ units: 6, returnSequences: true }),
    inputs: [input([3, 5, 4], 1)],
    lossOf: squared(input([3, 5, 6], 2, 1)),
  }),
  attention: () => ({
    layer: new MultiHeadAttention({ heads: 2, causal: true }),
    inputs: [input([2, 5, 8], 1), tf.tensor2d([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], [2, 5], 'bool')],
    lossOf: squared(input([2, 5, 8], 2, 1)),
  }),
  block: () => ({
    layer: new TransformerEncoder(block),
    inputs: [input([2, 5, 8], 1)],
    lossOf: squared(input([2, 5, 8], 2, 1)),
  }),
  batch_norm: () => ({
    layer: new BatchNorm({ momentum: 0.9, epsilon: 1e-5 }),
    inputs: [input([4, 5, 3, 3], 1, 4)],
    lossOf: squared(input([4, 5, 3, 3], 2, 1)),
  }),
  resnet18: () => ({
    layer: createModel({ architecture: 'resnet18', inputShape: [16, 16, 3], numClasses: 5, width: 4 }),
    inputs: [input([6, 16, 16, 3], 1)],
    lossOf: (y) => tf.mean(crossEntropy.rows(y, tf.tensor1d([0, 1, 2, 3, 4, 1], 'int32'))),
    learningRate: 0.001,
  }),
};

it('has a setup of every case', () => {
  expect(Object.keys(SETUPS)).toEqual(Object.keys(cases));
});

it.each(Object.keys(cases))('%s', (name) => {
  const { parameters, output, losses, gradients, after, state } = cases[name]!;
  const { layer, inputs, lossOf, learningRate = 0.01 } = SETUPS[name]!();
  layer.buildAll(
    inputs.map(({ shape }) => shape.slice(1)),
    { path: '' },
  );
  const nameOf = (path: string): string => path.replace(/^\//, '');
  const own = new Map(layer.parameters().map((parameter) => [nameOf(parameter.name), parameter]));
  const trainable = [...own].filter(([, one]) => one.trainable).map(([path]) => path);
  // PyTorch has the two rows of a GRU's bias as two parameters.
  const partsOf = (path: string): string[] => (name === 'gru' && path === 'bias' ? ['bias0', 'bias1'] : [path]);
  expect(trainable.flatMap(partsOf).sort()).toEqual(parameters.map(([path]) => path).sort());
  const initial = new Map(
    parameters.map(([path, shape, scale, offset], i) => [
      path,
      mixed(productOf(shape), 100 + i, scale).map((value) => value + offset),
    ]),
  );
  for (const path of trainable) {
    const { variable } = own.get(path)!;
    const values = partsOf(path).flatMap((part) => [...initial.get(part)!]);
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
  }
  const compare = (what: string, path: string, values: Float32Array, expected: Readonly<Record<string, Stored>>): void => {
    // Gradients that are 0 but for rounding are judged by the largest of all.
    const floor = what === 'gradient' ? largest * 1e-2 : 0;
    const parts = partsOf(path);
    parts.forEach((part, i) => {
      const size = values.length / parts.length;
      const error = errorOf(values.subarray(i * size, (i + 1) * size), expected[part]!, floor);
      expect(error, `${what} ${part}`).toBeLessThan(1e-5);
    });
  };
  const largest = Math.max(
    ...Object.values(gradients).map((stored) => (Array.isArray(stored) ? Math.max(...stored.map(Math.abs)) : 0)),
  );
  const optimizer = new AdamW({ learningRate, epsilon: 1e-3, weightDecay: 0.01 });
  const variables = layer.trainableVariables();
  optimizer.bind(variables);
  const names = Object.entries(variables);
  losses.forEach((expected, step) => {
    tf.tidy(() => {
      let y: tf.Tensor | undefined;
      const { value, grads } = tf.variableGrads(() => {
        y = layer.apply(inputs, { training: true })[0]!;
        if (step === 0) tf.keep(y);
        return lossOf(y);
      }, Object.values(variables));
      expect(Math.abs(value.dataSync()[0]! - expected) / expected, `loss of step ${step}`).toBeLessThan(1e-5);
      if (step === 0) {
        expect(errorOf(y!.dataSync<'float32'>(), output), 'output').toBeLessThan(1e-5);
        y!.dispose();
        for (const [path, variable] of names)
          compare('gradient', nameOf(path), grads[variable.name]!.dataSync<'float32'>(), gradients);
      }
      optimizer.apply(Object.fromEntries(names.map(([path, variable]) => [path, grads[variable.name]!])));
    });
  });
  for (const path of trainable) compare('value after ten steps', path, own.get(path)!.variable.dataSync<'float32'>(), after);
  for (const path of Object.keys(state)) compare('state', path, own.get(path)!.variable.dataSync<'float32'>(), state);
  optimizer.dispose();
  layer.dispose();
});
