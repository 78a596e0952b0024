/** tfjs-core's own optimizers outside compiled steps: their updates are replayed, with the bits of plain ones. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { replayedUpdates, setStockUpdates } from '../../ts/backend/stock-updates.js';
import { collectUntil } from '../support/collect.js';
import { bitsOf, engineUnderTest, useNativeBackend } from '../support/native-backend.js';

beforeEach(async () => {
  await useNativeBackend();
});

afterEach(() => {
  setStockUpdates(true);
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

const input = (i: number): tf.Tensor2D => tf.tensor2d([1 + i, 2, 3, 4, 5 - i, 6], [2, 3]);

/** Weights and bias, and a step of a regression; the gradients go in as tfjs-core's own `minimize` hands them over. */
function problem(optimizer: tf.Optimizer): { variables: tf.Variable[]; step: (i: number) => void } {
  const weights = tf.variable(tf.tensor2d([0.1, -0.2, 0.3, 0.4, -0.5, 0.6], [3, 2]));
  const bias = tf.variable(tf.tensor1d([0.05, -0.05]));
  const step = (i: number): void => {
    tf.tidy(() => {
      const x = input(i);
      optimizer.minimize(() =>
        tf.mean<tf.Scalar>(tf.square(tf.sub(tf.add(tf.matMul(x, weights as tf.Tensor as tf.Tensor2D), bias as tf.Tensor), 1))),
      );
    });
  };
  return { variables: [weights, bias], step };
}

/** tfjs-core declares gradients to be variables. */
const named = (gradients: Readonly<Record<string, tf.Tensor | null>>): Record<string, tf.Variable> =>
  gradients as unknown as Record<string, tf.Variable>;

type Gradients = Parameters<tf.Optimizer['applyGradients']>[0];

interface Outcome {
  readonly bits: (readonly number[])[];
  readonly state: number[][];
  readonly tensors: number;
  readonly replays: number;
}

async function train(make: () => tf.Optimizer, isReplayed: boolean): Promise<Outcome> {
  setStockUpdates(isReplayed);
  const before = tf.memory().numTensors;
  const optimizer = make();
  const { variables, step } = problem(optimizer);
  for (let i = 0; i < 14; ++i) {
    if (i === 7) {
      const own = optimizer as unknown as { setLearningRate?: (rate: number) => void; learningRate: number };
      if (own.setLearningRate === undefined) own.learningRate = 0.03;
      else own.setLearningRate(0.03);
    }
    step(i);
  }
  const replays = replayedUpdates(optimizer);
  const bits = await Promise.all(variables.map(async (one) => [...bitsOf(await one.data<'float32'>())]));
  // tfjs-core has no weights of Adamax to give.
  const saved = optimizer.getClassName() === 'Adamax' ? [] : await optimizer.getWeights();
  const state = await Promise.all(saved.map(async ({ tensor }) => [...(await tensor.data())]));
  return { bits, state, tensors: tf.memory().numTensors - before, replays };
}

describe('updates of a stock optimizer', () => {
  it.each(OPTIMIZERS)('%s: are replayed with the bits of plain ones, under a rate that changes', async (_, make) => {
    const plain = await train(make, false);
    const replayed = await train(make, true);
    expect(replayed.bits).toEqual(plain.bits);
    expect(replayed.state).toEqual(plain.state);
    expect(replayed.tensors).toBe(plain.tensors);
    expect(plain.replays).toBe(0);
    expect(replayed.replays).toBeGreaterThanOrEqual(8);
  });

  it('go on rightly from weights that were set, as plain ones do', async () => {
    const run = async (isReplayed: boolean): Promise<number[][]> => {
      setStockUpdates(isReplayed);
      const optimizer = tf.train.adam(0.1);
      const { variables, step } = problem(optimizer);
      for (let i = 0; i < 6; ++i) step(i);
      const saved = (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
      for (let i = 0; i < 3; ++i) step(i);
      await optimizer.setWeights(saved);
      for (let i = 0; i < 6; ++i) step(i);
      expect(replayedUpdates(optimizer) > 0).toBe(isReplayed);
      return Promise.all(variables.map(async (one) => [...(await one.data())]));
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('follow a variable that takes the place of another of its name', async () => {
    const optimizer = tf.train.momentum(0.1, 0.9);
    const gradients = named({ replaced: tf.tensor1d([1, 2]) });
    const make = (): tf.Variable => tf.variable(tf.tensor1d([0, 0]), true, 'replaced');
    let variable = make();
    for (let i = 0; i < 6; ++i) optimizer.applyGradients(gradients);
    expect(replayedUpdates(optimizer)).toBeGreaterThan(0);
    variable.dispose();
    variable = make();
    optimizer.applyGradients(gradients);
    const [first = NaN] = await variable.data();
    // The velocity goes on: 1 + 0.9 + ... + 0.9^6, times the rate.
    expect(first).toBeCloseTo(-0.1 * ((1 - 0.9 ** 7) / 0.1), 5);
  });

  it('are plain where a gradient is missing, under tf.profile and inside a compiled step', async () => {
    const optimizer = tf.train.adam(0.1);
    const { variables, step } = problem(optimizer);
    for (let i = 0; i < 6; ++i) step(i);
    const replays = replayedUpdates(optimizer);
    const profile = await tf.profile(() => {
      step(6);
      return tf.scalar(0);
    });
    expect(profile.kernelNames).toContain('Sqrt');
    const [weights] = variables as [tf.Variable];
    optimizer.applyGradients(named({ [weights.name]: tf.zerosLike(weights), missing: null }));
    expect(replayedUpdates(optimizer)).toBe(replays);
    const compiled = compile(() => {
      step(0);
      return [];
    });
    for (let i = 0; i < 4; ++i) compiled();
    expect(compiled.statistics.replays).toBeGreaterThan(0);
    expect(replayedUpdates(optimizer)).toBe(replays);
  });

  it('go on after an update on another backend, and take gradients from there', async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    const run = async (isReplayed: boolean): Promise<number[]> => {
      setStockUpdates(isReplayed);
      const optimizer = tf.train.adam(0.1);
      const variable = tf.variable(tf.tensor1d([1, 2]));
      const update = (values: number[]): void => {
        const gradient = tf.tensor1d(values);
        optimizer.applyGradients(named({ [variable.name]: gradient }));
        gradient.dispose();
      };
      for (let i = 0; i < 6; ++i) update([i, 1]);
      const replays = replayedUpdates(optimizer);
      await tf.setBackend('cpu');
      update([2, 3]);
      const foreign = tf.tensor1d([5, -5]);
      await useNativeBackend();
      optimizer.applyGradients(named({ [variable.name]: foreign }));
      for (let i = 0; i < 6; ++i) update([1, i]);
      expect(replays > 0 && replayedUpdates(optimizer) > 0).toBe(isReplayed);
      return [...(await variable.data())];
    };
    const plain = await run(false);
    (await run(true)).forEach((value, i) => expect(value).toBe(plain[i]));
  });

  it('see numbers that a program changes although tfjs-core has no method for it', async () => {
    const run = async (isReplayed: boolean): Promise<number[]> => {
      setStockUpdates(isReplayed);
      const optimizer = tf.train.adam(0.1);
      const { variables, step } = problem(optimizer);
      for (let i = 0; i < 6; ++i) step(i);
      Object.assign(optimizer, { beta1: 0.5 });
      for (let i = 0; i < 6; ++i) step(i);
      expect(replayedUpdates(optimizer) > 0).toBe(isReplayed);
      return [...(await (variables[0] as tf.Variable).data())];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('let go of what they hold with the optimizer', () => {
    const optimizer = tf.train.adam(0.1);
    const { step } = problem(optimizer);
    for (let i = 0; i < 6; ++i) step(i);
    expect(replayedUpdates(optimizer)).toBeGreaterThan(0);
    optimizer.dispose();
    expect(replayedUpdates(optimizer)).toBe(0);
  });

  it('are forgotten with an optimizer that is not disposed', async () => {
    // Of the SGD class: the accumulators of the others live on in tfjs-core.
    let isGone = false;
    const registry = new FinalizationRegistry(() => (isGone = true));
    const use = (): void => {
      const optimizer = tf.train.sgd(0.1);
      const { step } = problem(optimizer);
      for (let i = 0; i < 6; ++i) step(i);
      expect(replayedUpdates(optimizer)).toBeGreaterThan(0);
      registry.register(optimizer, undefined);
    };
    use();
    tf.disposeVariables();
    await collectUntil(() => isGone);
    expect(isGone).toBe(true);
  });

  // Each runs 12 updates of two variables of one shape, whose names are numbers as tfjs-core gives them.
  const unusual: readonly (readonly [string, boolean, (a: tf.Variable, b: tf.Variable) => () => void])[] = [
    [
      'a list of variables that is not in the order of their names',
      true,
      (a, b) => {
        const optimizer = tf.train.adam(0.1);
        return () => void optimizer.minimize(() => loss(a, b), false, [b, a]);
      },
    ],
    [
      'a variable that comes twice',
      false,
      (a) => {
        const optimizer = tf.train.momentum(0.1, 0.9);
        const gradient = { name: a.name, tensor: tf.tensor1d([1, 2]) };
        return () => {
          optimizer.applyGradients([gradient, gradient]);
        };
      },
    ],
    [
      'a subclass that scales gradients',
      true,
      (a, b) => {
        class Scaled extends tf.AdamOptimizer {
          override applyGradients(gradients: Gradients): void {
            super.applyGradients(halved(gradients));
          }
        }
        const optimizer = new Scaled(0.1, 0.9, 0.999, 1);
        return () => void optimizer.minimize(() => loss(a, b));
      },
    ],
    [
      'an optimizer whose method a program has wrapped',
      true,
      (a, b) => {
        const optimizer = tf.train.sgd(0.1);
        const original = optimizer.applyGradients.bind(optimizer);
        Object.assign(optimizer, {
          applyGradients: (gradients: Gradients) => {
            original(halved(gradients));
          },
        });
        return () => void optimizer.minimize(() => loss(a, b));
      },
    ],
    [
      'a subclass of RMSProp with a name of its own, under a rate that changes',
      true,
      (a, b) => {
        class Own extends tf.RMSPropOptimizer {
          static override get className(): string {
            return 'Own';
          }
        }
        const optimizer = new Own(0.1, 0.9, 0, 1e-7);
        let count = 0;
        return () => {
          if (++count === 8) Object.assign(optimizer, { learningRate: 0.01 });
          optimizer.minimize(() => loss(a, b));
        };
      },
    ],
    [
      'a rate that is a getter',
      false,
      (a, b) => {
        const optimizer = tf.train.adam(0.1);
        let count = 0;
        Object.defineProperty(optimizer, 'learningRate', { get: () => 0.1 / count });
        return () => {
          ++count;
          optimizer.minimize(() => loss(a, b));
        };
      },
    ],
    [
      'accumulators that a program replaces',
      true,
      (a, b) => {
        const optimizer = tf.train.adam(0.1);
        let count = 0;
        return () => {
          if (++count === 7) Object.assign(optimizer, { accumulatedFirstMoment: [], accumulatedSecondMoment: [] });
          optimizer.minimize(() => loss(a, b));
        };
      },
    ],
  ];

  const loss = (a: tf.Variable, b: tf.Variable): tf.Scalar => tf.add(tf.sum(tf.square(a)), tf.sum(tf.mul(10, tf.square(b))));
  const halved = (gradients: Gradients): Record<string, tf.Variable> =>
    named(Object.fromEntries(Object.entries(gradients as tf.NamedTensorMap).map(([name, one]) => [name, tf.mul(one, 0.5)])));

  it.each(unusual)('keep the bits of plain ones with %s', async (_, isCompiled, make) => {
    const run = async (isReplayed: boolean): Promise<number[][]> => {
      setStockUpdates(isReplayed);
      const variables = [tf.variable(tf.tensor1d([1, 2])), tf.variable(tf.tensor1d([3, 4]))] as const;
      const update = make(...variables);
      const engine = engineUnderTest();
      let replays = 0;
      engine.onCall = (call) => void (replays += call === 'replay' ? 1 : 0);
      try {
        for (let i = 0; i < 12; ++i) update();
      } finally {
        engine.onCall = undefined;
      }
      expect(replays > 0).toBe(isReplayed && isCompiled);
      return Promise.all(variables.map(async (one) => [...bitsOf(await one.data<'float32'>())]));
    };
    expect(await run(true)).toEqual(await run(false));
  });
});
