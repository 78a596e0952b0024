/** What compiled steps hold: no more than eager ones at their peak, one arena for all signatures, no growth with signatures. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { BACKEND_NAME, engineUnderTest, useNativeBackend } from '../support/native-backend.js';
import { SGD } from '../../ts/optim/index.js';
import { makeZooStep, ZOO_MODELS } from '../support/zoo-models.js';

beforeEach(async () => {
  await useNativeBackend();
});

const memory = (): { live: number; peak: number } => engineUnderTest().addon.memory();

/** Highest number of living bytes above what lives before, while `body` runs. */
function peakOf(body: () => void): number {
  engineUnderTest().sync();
  engineUnderTest().addon.resetPeak();
  const { live } = memory();
  body();
  engineUnderTest().sync();
  return memory().peak - live;
}

describe('memory of a training step', () => {
  it('is at its peak no more than that of an eager one, with 1 and 2 threads', () => {
    const { addon } = engineUnderTest();
    const threads = addon.threads();
    for (const count of [1, 2]) {
      addon.setThreads(count);
      const w1 = tf.variable(tf.randomNormal([64, 256]));
      const w2 = tf.variable(tf.randomNormal([256, 10]));
      const optimizer = new SGD({ learningRate: 0.01, momentum: 0.9 });
      optimizer.bind({ w1, w2 });
      const body = (x: tf.Tensor): tf.Tensor => {
        const { value, grads } = tf.variableGrads(() => {
          const hidden = tf.tanh(
            tf
              .relu(tf.matMul(x as tf.Tensor2D, w1 as tf.Tensor2D))
              .mul(0.5)
              .add(0.1),
          );
          return tf.mean<tf.Scalar>(tf.square(tf.matMul(hidden, w2 as tf.Tensor2D)));
        }, [w1, w2]);
        optimizer.apply({ w1: grads[w1.name] as tf.Tensor, w2: grads[w2.name] as tf.Tensor });
        return value;
      };
      const x = tf.randomNormal([512, 64]);
      const eager = peakOf(() => tf.tidy(() => body(x)).dispose());
      const step = compile(body);
      for (let i = 0; i < 3; ++i) step(x).dispose();
      const replayed = peakOf(() => step(x).dispose());
      expect(step.statistics.replays).toBe(2);
      expect(replayed).toBeLessThanOrEqual(eager);
      // A replay holds nothing once it is done.
      engineUnderTest().sync();
      const { live } = memory();
      step(x).dispose();
      engineUnderTest().sync();
      expect(memory().live).toBeLessThanOrEqual(live);
      step.dispose();
      optimizer.dispose();
      tf.dispose([w1, w2, x]);
    }
    addon.setThreads(threads);
  });

  it.for(ZOO_MODELS)('of $architecture is at its peak no more than that of an eager one', (description, context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu') context.skip('a device takes memory by segments, not by what a step needs');
    const { body, batch, dispose } = makeZooStep(description);
    const [x, labels] = batch(16, 1);
    // The first step makes the optimizer's state.
    tf.tidy(() => body(x, labels));
    const eager = peakOf(() => tf.tidy(() => body(x, labels)).dispose());
    const step = compile(body);
    for (let i = 0; i < 2; ++i) step(x, labels).dispose();
    // What the plan keeps for good counts too.
    engineUnderTest().sync();
    const { live } = memory();
    const replayed = peakOf(() => step(x, labels).dispose());
    expect(step.statistics.replays).toBe(1);
    step.dispose();
    engineUnderTest().sync();
    const kept = live - memory().live;
    expect(replayed + kept).toBeLessThanOrEqual(eager);
    tf.dispose([x, labels]);
    dispose();
  });

  // A thousand more in tests/long.
  it('does not grow with the number of signatures', () => {
    const { addon } = engineUnderTest();
    const step = compile((x: tf.Tensor, factor: number) => x.mul(factor).add(tf.scalar(factor)).sum());
    const x = tf.tensor1d([1, 2, 3]);
    const call = (factor: number): void => {
      for (let i = 0; i < 3; ++i) step(x, factor).dispose();
    };
    for (let factor = 0; factor < 80; ++factor) call(factor + 0.5);
    addon.sync();
    const before = addon.memory();
    for (let factor = 80; factor < 280; ++factor) call(factor + 0.5);
    addon.sync();
    const after = addon.memory();
    expect(step.plans()).toHaveLength(64);
    expect(after.handles).toBeLessThanOrEqual(before.handles);
    expect(after.live).toBeLessThanOrEqual(before.live);
    expect(after.live + after.cached).toBeLessThanOrEqual(before.live + before.cached + 65536);
    step.dispose();
    x.dispose();
  });

  it('takes one arena for batches of alternating sizes, with the bits of eager runs', async () => {
    const { addon } = engineUnderTest();
    const body = (x: tf.Tensor): tf.Tensor => tf.softmax(tf.exp(x.mul(0.25)).sub(1).square()).sum(0);
    const step = compile(body);
    const batches = [tf.randomNormal([128, 32]), tf.randomNormal([37, 32])];
    for (let i = 0; i < 6; ++i) step(batches[i % 2] as tf.Tensor).dispose();
    addon.sync();
    const { live, cached } = addon.memory();
    for (let i = 0; i < 20; ++i) {
      const batch = batches[i % 2] as tf.Tensor;
      const [replayed, eager] = [step(batch), tf.tidy(() => body(batch))];
      expect(await replayed.data()).toEqual(await eager.data());
      tf.dispose([replayed, eager]);
    }
    addon.sync();
    // Less when garbage of other tests has been collected meanwhile.
    expect(addon.memory().live).toBeLessThanOrEqual(live);
    expect(addon.memory().cached).toBeLessThanOrEqual(cached + live + 128 * 32 * 4 * 8);
    expect(step.statistics.replays).toBe(22);
    step.dispose();
    tf.dispose(batches);
  });

  it('is given back when a replay finds none left, and the step stays usable', (context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu')
      context.skip('a device gives memory back by segments: its limit cannot be set so close');
    const { addon } = engineUnderTest();
    const step = compile((x: tf.Tensor) => [x.mul(2), x.add(1)]);
    const x = tf.zeros([1 << 20]);
    for (let i = 0; i < 3; ++i) tf.dispose(step(x));
    addon.sync();
    addon.trim();
    const { budget } = addon.memory();
    const handles = addon.memory().handles;
    addon.setBudget(addon.memory().live + (5 << 20));
    try {
      expect(() => step(x)).toThrow(expect.objectContaining({ code: 'E_OUT_OF_MEMORY' }) as Error);
      expect(addon.memory().handles).toBe(handles);
    } finally {
      addon.setBudget(budget);
    }
    tf.dispose(step(x));
    step.dispose();
    x.dispose();
  });
});
