import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { currentBackend } from '../../ts/backend/tensors.js';
import { BatchNorm, Checkpoint, Dense, Dropout, modelFromJSON, Sequential, type UnaryLayer } from '../../ts/nn/index.js';
import { AdamW } from '../../ts/optim/index.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const block = (units: number): Sequential =>
  new Sequential({
    layers: [
      new Dense({ units, activation: 'gelu' }),
      new Dropout({ rate: 0.3 }),
      new BatchNorm(),
      new Dense({ units, activation: 'tanh' }),
    ],
  });
const model = (isMarked: boolean, units = 24, blocks = 3): Sequential => {
  const mark = (layer: Sequential): UnaryLayer => (isMarked ? new Checkpoint({ layer, name: 'mark' }) : layer);
  return new Sequential({
    seed: 3,
    layers: Array.from({ length: blocks }, (_, i) => {
      const marked = mark(block(units));
      // Equal paths give equal initial values and masks.
      return new Sequential({ name: `part${i}`, layers: [marked] });
    }),
  });
};

/** Weights, statistics, random states and losses after five steps of AdamW. */
async function train(
  isMarked: boolean,
  isCompiled: boolean,
): Promise<{ losses: number[]; values: unknown[]; random: unknown[] }> {
  const net = model(isMarked);
  net.build([10]);
  // The layers' paths differ by the mark: the same start all the same.
  for (const [index, { variable }] of net.parameters().entries())
    tf.tidy(() => variable.assign(tf.mul(tf.randomNormal(variable.shape, 0, 1, 'float32', index + 1), 0.3)));
  await Promise.all(
    Object.values(net.randomStates()).map((state, i) => Promise.resolve(state.setState({ key: [i, 7], counter: [0, 0] }))),
  );
  const variables = net.trainableVariables();
  const optimizer = new AdamW({ learningRate: 0.01 });
  optimizer.bind(variables);
  const step = (x: tf.Tensor): tf.Tensor => {
    const { value, grads } = tf.variableGrads(
      () => tf.mean<tf.Scalar>(tf.square(net.call(x, { training: true }))),
      Object.values(variables),
    );
    optimizer.apply(
      Object.fromEntries(Object.entries(variables).map(([name, variable]) => [name, grads[variable.name] as tf.Tensor])),
    );
    return value;
  };
  const compiled = compile((x: tf.Tensor) => step(x));
  const losses: number[] = [];
  for (let i = 0; i < 5; ++i) {
    const x = tf.randomNormal([12, 10], 0, 1, 'float32', 50 + i);
    const loss = isCompiled ? compiled(x) : tf.tidy(() => step(x));
    losses.push(loss.dataSync()[0]!);
    tf.dispose([x, loss]);
  }
  if (isCompiled) expect(compiled.statistics.replays).toBe(3);
  const values = net.parameters().map(({ variable }) => [...bitsOf(variable.dataSync<'float32'>())]);
  const random = await Promise.all(Object.values(net.randomStates()).map((state) => state.getState()));
  compiled.dispose();
  optimizer.dispose();
  net.dispose();
  return { losses, values, random };
}

describe('checkpointed blocks', () => {
  it('train to the same bits, eager and replayed, with dropout and running statistics', async () => {
    const plain = await train(false, false);
    expect(await train(true, false)).toEqual(plain);
    expect(await train(true, true)).toEqual(plain);
    expect(new Set(plain.losses).size).toBe(5);
  });

  it('keep far less memory', () => {
    const { addon } = currentBackend().engine;
    const [plain, marked] = [false, true].map((isMarked) => {
      const net = model(isMarked, 128, 4);
      net.build([128]);
      let kept = 0;
      tf.tidy(() => {
        const x = tf.ones([256, 128]);
        const before = addon.memory().live;
        tf.variableGrads(() => {
          const y = net.call(x, { training: true });
          kept = addon.memory().live - before;
          return tf.mean<tf.Scalar>(y);
        });
      });
      net.dispose();
      return kept;
    }) as [number, number];
    // Four blocks keep their inputs and states in place of a dozen tensors each.
    expect(marked).toBeLessThan(plain / 3);
    expect(marked).toBeGreaterThan(0);
  });

  it('leave no tensors behind, and compute without a tape as the block does', () => {
    const net = model(true);
    net.build([10]);
    const run = (): void =>
      tf.tidy(() => {
        const x = tf.ones([2, 10]);
        tf.variableGrads(() => tf.mean<tf.Scalar>(net.call(x, { training: true })));
      });
    run();
    const before = tf.memory().numTensors;
    run();
    expect(tf.memory().numTensors).toBe(before);
    const [y, again] = tf.tidy<[tf.Tensor, tf.Tensor]>(() => [net.call(tf.ones([2, 10])), net.call(tf.ones([2, 10]))]);
    expect([...y.dataSync()]).toEqual([...again.dataSync()]);
    tf.dispose([y, again]);
    net.dispose();
  });

  it('survive JSON and refuse what is no block', () => {
    const net = model(true);
    net.build([10]);
    const copy = modelFromJSON(JSON.parse(JSON.stringify(net.toJSON())));
    expect(copy.parameters().map(({ name }) => name)).toEqual(net.parameters().map(({ name }) => name));
    expect(copy.toJSON()).toEqual(net.toJSON());
    expect(() => new Checkpoint({ layer: 3 as never })).toThrow(/\[checkpoint\] wrong layer: .*got 3/);
    net.dispose();
    copy.dispose();
  });
});
