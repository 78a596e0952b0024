/** The random steps of tests/plan/fuzz.test.ts, ten thousand further seeds. */
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { checkGraph } from '../support/graph-fuzz.js';
import { useNativeBackend } from '../support/native-backend.js';

it('10,000 random graphs give the same bits eager, replayed and optimised', async () => {
  await useNativeBackend();
  const before = tf.memory().numTensors;
  for (let seed = 1000; seed < 11_000; ++seed) await checkGraph(seed);
  expect(tf.memory().numTensors).toBe(before);
});
