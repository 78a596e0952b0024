/** tfjs-core's own optimizers inside compiled steps: the bits of eager steps, under rates that change, with the same state. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeEach(async () => {
  await useNativeBackend();
});

afterEach(() => {
  tf.disposeVariables();
});

const OPTIMIZERS: readonly (readonly [string, () => tf.Optimizer])[] = [
  ['sgd', () => tf.train.sgd(0.1)],
  ['momentum', () => tf.train.momentum(0.1, 0.9, true)],
  ['adam', () => tf.train.adam(0.1)],
  ['adamax', () => tf.train.adamax(0.1, 0.9, 0.999, 1e-8, 0.01)],
  ['adagrad', () => tf.train.adagrad(0.1)],
  ['adadelta', () => tf.train.adadelta(0.1)],
  ['rmsprop', () => tf.train.rmsprop(0.1, 0.9, 0.5, undefined, true)],
];

interface Run {
  readonly losses: number[];
  readonly weights: Uint32Array;
  /** What getWeights() saves: the count of steps first. */
  readonly state: number[][];
  readonly replays: number;
}

async function train(make: () => tf.Optimizer, isCompiled: boolean): Promise<Run> {
  const weights = tf.variable(tf.tensor2d([0.1, -0.2, 0.3, 0.4, -0.5, 0.6], [3, 2]));
  const optimizer = make();
  const body = (x: tf.Tensor): tf.Tensor =>
    optimizer.minimize(
      () => tf.mean<tf.Scalar>(tf.square(tf.matMul(x as tf.Tensor2D, weights as tf.Tensor as tf.Tensor2D).sub(1))),
      true,
    ) as tf.Scalar;
  const step = isCompiled ? compile(body) : body;
  const losses: number[] = [];
  for (let i = 0; i < 12; ++i) {
    if (i === 6) {
      const own = optimizer as unknown as { setLearningRate?: (rate: number) => void; learningRate: number };
      if (own.setLearningRate === undefined) own.learningRate = 0.03;
      else own.setLearningRate(0.03);
    }
    const x = tf.tensor2d([1 + i, 2, 3, 4, 5 - i, 6], [2, 3]);
    const loss = step(x);
    losses.push((await loss.data())[0] as number);
    tf.dispose([x, loss]);
  }
  // tfjs-core has no weights of Adamax to give.
  const saved = optimizer.getClassName() === 'Adamax' ? [] : await optimizer.getWeights();
  const state = await Promise.all(saved.map(async ({ tensor }) => [...(await tensor.data())]));
  const replays = isCompiled ? (step as unknown as { statistics: { replays: number } }).statistics.replays : 0;
  return { losses, weights: bitsOf(await weights.data<'float32'>()), state, replays };
}

describe('a stock optimizer', () => {
  it.each(OPTIMIZERS)('%s: compiled steps give the bits of eager ones', async (_, make) => {
    const eager = await train(make, false);
    const compiled = await train(make, true);
    expect(compiled.losses).toEqual(eager.losses);
    expect(compiled.weights).toEqual(eager.weights);
    expect(compiled.state).toEqual(eager.state);
    expect(compiled.replays).toBeGreaterThanOrEqual(8);
  });

  it("may end a step with minimize's own result, and is told why one without the loss is refused", () => {
    const optimizer = tf.train.sgd(0.5);
    const w = tf.variable(tf.scalar(1));
    const loss = (x: tf.Tensor): tf.Scalar => tf.mul<tf.Scalar>(w, x);
    const step = compile((x: tf.Tensor) => optimizer.minimize(() => loss(x), true));
    const found: tf.Scalar = step(tf.scalar(2));
    expect(found.shape).toEqual([]);
    const silent = compile((x: tf.Tensor) => optimizer.minimize(() => loss(x)));
    expect(() => silent(tf.scalar(2))).toThrow(
      "got null: an optimizer's minimize returns the loss when its second argument is true.",
    );
    step.dispose();
    silent.dispose();
  });

  it('stays as it was when a step fails half-way', () => {
    const optimizer = tf.train.adam(0.5);
    const w = tf.variable(tf.scalar(1));
    const methodOf = (): unknown => Reflect.get(tf.AdamOptimizer.prototype, 'applyGradients');
    const original = methodOf();
    const step = compile((x: tf.Tensor) => {
      optimizer.minimize(() => tf.mul<tf.Scalar>(w, x));
      throw new RangeError('mine');
    });
    expect(() => step(tf.scalar(2))).toThrow(RangeError);
    expect(methodOf()).toBe(original);
    const { learningRate } = optimizer as unknown as { learningRate: number };
    expect(learningRate).toBe(0.5);
  });
});
