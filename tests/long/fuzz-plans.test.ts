/** The random steps of tests/plan/fuzz.test.ts, ten thousand further seeds; a thousand signatures. */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { checkGraph } from '../support/graph-fuzz.js';
import { engineUnderTest, useNativeBackend } from '../support/native-backend.js';

describe('10,000 random graphs give the same bits eager, replayed and optimised', () => {
  it.each(Array.from({ length: 20 }, (_, i) => 1000 + 500 * i))('from seed %i', async (first) => {
    await useNativeBackend();
    const before = tf.memory().numTensors;
    for (let seed = first; seed < first + 500; ++seed) await checkGraph(seed);
    expect(tf.memory().numTensors).toBe(before);
  });
});

it('1,000 signatures do not grow what is held', async () => {
  await useNativeBackend();
  const { addon } = engineUnderTest();
  const step = compile((x: tf.Tensor, factor: number) => x.mul(factor).add(tf.scalar(factor)).sum());
  const x = tf.tensor1d([1, 2, 3]);
  const held = (from: number, to: number): number => {
    for (let factor = from; factor < to; ++factor) for (let i = 0; i < 3; ++i) step(x, factor).dispose();
    addon.sync();
    return addon.memory().live + addon.memory().cached;
  };
  const before = held(0, 200);
  expect(held(200, 1200)).toBeLessThanOrEqual(before + 65536);
  expect(step.plans()).toHaveLength(64);
  step.dispose();
  x.dispose();
});
