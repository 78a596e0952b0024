// Small proofs that training learns, each from a fixed seed to a stated score.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import {
  connect,
  createModel,
  crossEntropy,
  Dense,
  Embedding,
  Graph,
  input,
  LayerNorm,
  LearnedPositions,
  LSTM,
  meanSquaredError,
  Sequential,
  TransformerEncoder,
  type Layer,
} from '../../ts/nn/index.js';
import { AdamW, type Optimizer } from '../../ts/optim/index.js';
import { randomSource } from '../support/describe-model.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

type Batch = readonly [x: tf.Tensor, target: tf.Tensor];

/** Trains on batches in turn, the steps compiled. */
function train(
  model: Layer,
  optimizer: Optimizer,
  lossOf: (y: tf.Tensor, target: tf.Tensor) => tf.Scalar,
  steps: number,
  batchOf: (step: number) => Batch,
): void {
  const variables = model.trainableVariables();
  const names = Object.entries(variables);
  optimizer.bind(variables);
  const step = compile((x: tf.Tensor, target: tf.Tensor) => {
    const { value, grads } = tf.variableGrads(
      () => lossOf(model.apply([x], { training: true })[0]!, target),
      Object.values(variables),
    );
    optimizer.apply(Object.fromEntries(names.map(([name, variable]) => [name, grads[variable.name]!])));
    return value;
  });
  for (let i = 0; i < steps; ++i) tf.tidy(() => void step(...(batchOf(i) as [tf.Tensor, tf.Tensor])));
  expect(step.statistics.replays).toBe(steps - 2);
  step.dispose();
  optimizer.dispose();
}

/** Cross-entropy over all places of a row. */
const scored = (y: tf.Tensor, target: tf.Tensor): tf.Scalar =>
  tf.mean(crossEntropy.rows(tf.reshape(y, [-1, y.shape.at(-1)!]), tf.reshape(target, [-1])));

/** Share of places whose largest score is the target's. */
function accuracy(model: Layer, [x, target]: Batch): number {
  return tf.tidy(() => tf.mean(tf.equal(tf.argMax(model.apply([x])[0]!, -1), target)).dataSync()[0]!);
}

it('tells two spirals apart', () => {
  const random = randomSource(11);
  const make = (rows: number): Batch => {
    const targets = Int32Array.from({ length: rows }, (_, i) => i % 2);
    const points = [...targets].flatMap((arm) => {
      const turn = Math.sqrt(random()) * 3 * Math.PI;
      const [x, y] = [Math.cos(turn) * turn, Math.sin(turn) * turn].map((value) => (arm === 0 ? value : -value) / 5);
      return [x! + 0.02 * random(), y! + 0.02 * random()];
    });
    return [tf.tensor2d(points, [rows, 2]), tf.tensor1d(targets, 'int32')];
  };
  const [training, test] = [make(400), make(200)];
  const model = createModel({
    architecture: 'mlp',
    inputShape: [2],
    numClasses: 2,
    hiddenUnits: [32, 32],
    activation: 'tanh',
    seed: 1,
  });
  model.build([2]);
  expect(accuracy(model, test)).toBeLessThan(0.7);
  train(model, new AdamW({ learningRate: 0.02 }), scored, 400, () => training);
  expect(accuracy(model, test)).toBeGreaterThan(0.97);
  model.dispose();
  tf.dispose([...training, ...test]);
});

it('follows a sine', () => {
  const make = (rows: number): Batch => {
    const x = Float32Array.from({ length: rows }, (_, i) => (i / (rows - 1)) * 4 - 2);
    return [
      tf.tensor2d(x, [rows, 1]),
      tf.tensor2d(
        x.map((value) => Math.sin(3 * value)),
        [rows, 1],
      ),
    ];
  };
  const [training, test] = [make(64), make(151)];
  const model = new Sequential({
    layers: [
      new Dense({ units: 32, activation: 'gelu' }),
      new Dense({ units: 32, activation: 'gelu' }),
      new Dense({ units: 1 }),
    ],
    seed: 2,
  });
  model.build([1]);
  const lossOf = (y: tf.Tensor, target: tf.Tensor): tf.Scalar => tf.mean(meanSquaredError.rows(y, target));
  train(model, new AdamW({ learningRate: 0.01, weightDecay: 0 }), lossOf, 500, () => training);
  const error = tf.tidy(() => lossOf(model.call(test[0]), test[1]).dataSync()[0]!);
  // The variance of the targets is about 0.5.
  expect(error).toBeLessThan(1e-3);
  model.dispose();
  tf.dispose([...training, ...test]);
});

it('copies a sequence after a pause: LSTM', () => {
  const [symbols, length] = [5, 4];
  const random = randomSource(5);
  // Symbols, then blanks; from the last symbol on the symbols are wanted again, before that blanks.
  const make = (rows: number): Batch => {
    const lists = Array.from({ length: rows }, () => Array.from({ length }, () => 1 + Math.floor(random() * symbols)));
    const blanks = Array.from({ length }, () => 0);
    return [
      tf.tensor2d(
        lists.map((list) => [...list, ...blanks]),
        undefined,
        'int32',
      ),
      tf.tensor2d(
        lists.map((list) => [...blanks, ...list]),
        undefined,
        'int32',
      ),
    ];
  };
  const tokens = input([2 * length], { dtype: 'int32' });
  const vectors = connect(new Embedding({ tokens: symbols + 1, units: 16 }), tokens);
  const states = connect(new LSTM({ units: 48, returnSequences: true }), vectors);
  const model = new Graph({ inputs: [tokens], outputs: [connect(new Dense({ units: symbols + 1 }), states)], seed: 3 });
  model.build();
  const batches = Array.from({ length: 32 }, () => make(64));
  const test = make(256);
  expect(accuracy(model, test)).toBeLessThan(0.6);
  train(model, new AdamW({ learningRate: 0.01 }), scored, 500, (i) => batches[i % batches.length]!);
  expect(accuracy(model, test)).toBeGreaterThan(0.98);
  model.dispose();
  tf.dispose([...batches.flat(), ...test]);
});

it('sorts numbers: transformer', () => {
  const [numbers, length] = [10, 6];
  const random = randomSource(7);
  const make = (rows: number): Batch => {
    const lists = Array.from({ length: rows }, () => Array.from({ length }, () => Math.floor(random() * numbers)));
    const sorted = lists.map((list) => [...list].sort((a, b) => a - b));
    return [tf.tensor2d(lists, undefined, 'int32'), tf.tensor2d(sorted, undefined, 'int32')];
  };
  const tokens = input([length], { dtype: 'int32' });
  const vectors = connect(new Embedding({ tokens: numbers, units: 32 }), tokens);
  const block = (): TransformerEncoder => new TransformerEncoder({ heads: 4, hidden: 64 });
  const encoded = connect(block(), connect(block(), connect(new LearnedPositions(), vectors)));
  const scores = connect(new Dense({ units: numbers }), connect(new LayerNorm(), encoded));
  const encoder = new Graph({ inputs: [tokens], outputs: [scores], seed: 4 });
  encoder.build();
  const batches = Array.from({ length: 64 }, () => make(64));
  const test = make(256);
  expect(accuracy(encoder, test)).toBeLessThan(0.3);
  train(encoder, new AdamW({ learningRate: 0.005 }), scored, 400, (i) => batches[i % batches.length]!);
  expect(accuracy(encoder, test)).toBeGreaterThan(0.95);
  encoder.dispose();
  tf.dispose([...batches.flat(), ...test]);
});
