/** Steps that cannot be recorded and may go on as they stand. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { overwriteVariable } from '../../ts/backend/custom/overwrite.js';
import { compile } from '../../ts/backend/plan.js';
import type { Dataset } from '../../ts/data/dataset.js';
import { Dense, meanSquaredError, Sequential, type Loss } from '../../ts/nn/index.js';
import { SGD } from '../../ts/optim/index.js';
import { Trainer, type TrainingEvent } from '../../ts/train/index.js';
import { engineUnderTest, useNativeBackend } from '../support/native-backend.js';

const values = (tensor: tf.Tensor): number[] => [...tensor.dataSync()];

beforeEach(async () => {
  await useNativeBackend();
});

afterEach(() => {
  expect(engineUnderTest().addon.isRecording()).toBe(false);
  tf.disposeVariables();
});

describe('a step with onFallback', () => {
  it.each([
    ['a read', (v: tf.Variable) => void v.dataSync(), /dataSync/],
    ['an op on the host', (v: tf.Variable) => void tf.unique(v as tf.Tensor as tf.Tensor1D), /the op Unique/],
    [
      'a write',
      (v: tf.Variable) => {
        overwriteVariable(v, Float32Array.of(7, 7));
      },
      /written inside/,
    ],
  ])('goes on after %s, does its work once, and says why once', (_, disturb, message) => {
    const v = tf.variable(tf.tensor1d([1, 1]));
    const count = tf.variable(tf.scalar(0));
    const reasons: string[] = [];
    const step = compile(
      (x: tf.Tensor) => {
        count.assign(count.add(1));
        disturb(v);
        return x.add(v);
      },
      { onFallback: (reason) => void reasons.push(reason.message) },
    );
    for (let i = 1; i <= 4; ++i) {
      const expected = values(v);
      const [first] = values(step(tf.tensor1d([i, i])));
      expect([expected[0]! + i, 7 + i]).toContain(first);
      expect(values(count)).toEqual([i]);
    }
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatch(message);
    expect(step.statistics.replays).toBe(0);
  });

  it('goes on when it does not repeat itself', () => {
    let calls = 0;
    const reasons: string[] = [];
    const step = compile((x: tf.Tensor) => x.mul(tf.scalar(++calls)), {
      onFallback: ({ message }) => void reasons.push(message),
    });
    for (let i = 1; i <= 5; ++i) expect(values(step(tf.scalar(2)))).toEqual([2 * i]);
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatch(/host wrote other values/);
  });

  it('keeps the plans of other signatures', () => {
    const step = compile((x: tf.Tensor, reads: boolean) => (reads ? x.add(x.dataSync()[0]!) : x.add(1)), {
      onFallback: () => undefined,
    });
    for (let i = 0; i < 4; ++i) {
      expect(values(step(tf.scalar(2), true))).toEqual([4]);
      expect(values(step(tf.scalar(2), false))).toEqual([3]);
    }
    expect(step.statistics.replays).toBe(2);
  });
});

it('a trainer tells by an event why a step runs uncompiled', async () => {
  const model = new Sequential({ seed: 1, layers: [new Dense({ units: 1 })] });
  const optimizer = new SGD({ learningRate: 0.01 });
  const reading: Loss = {
    ...meanSquaredError,
    rows: (predictions, targets) => {
      predictions.dataSync();
      return meanSquaredError.rows(predictions, targets);
    },
  };
  const trainer = new Trainer({ model, loss: reading, optimizer });
  const events: TrainingEvent[] = [];
  const data: Dataset = {
    size: 8,
    featureShape: [2],
    features: new Float32Array(16).fill(0.5),
    targets: new Float32Array(8).fill(1),
    targetShape: [1],
  };
  const history = await trainer.fit(data, { epochs: 1, batchSize: 4, onEvent: (event) => void events.push(event) });
  const told = events.filter(({ type }) => type === 'not_compiled');
  expect(told).toMatchObject([{ step: 'train', reason: expect.stringContaining('dataSync') as string }]);
  expect(history.replayedSteps).toBe(0);
  trainer.dispose();
  optimizer.dispose();
  model.dispose();
});
