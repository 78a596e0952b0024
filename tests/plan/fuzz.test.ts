/** Random steps: eager, replayed as recorded and replayed optimised, bit for bit. Ten thousand more run in tests/long. */
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { checkGraph } from '../support/graph-fuzz.js';
import { BACKEND_NAME, engineUnderTest, useNativeBackend } from '../support/native-backend.js';

it('300 random graphs give the same bits eager, replayed and optimised', async (context) => {
  if (BACKEND_NAME !== 'tensorkiln-cpu') context.skip('some of the fused ops in the graphs have CPU kernels only');
  await useNativeBackend();
  const before = tf.memory().numTensors;
  const seen = { chains: 0, dead: 0, repeated: 0, constant: 0, transpositions: 0, copies: 0, results: 0 };
  for (let seed = 0; seed < 300; ++seed) {
    const text = await checkGraph(seed);
    for (const name of Object.keys(seen) as (keyof typeof seen)[]) {
      seen[name] += Number(new RegExp(`(\\d+) ${name}`).exec(text)?.[1] ?? 0);
    }
  }
  // Every pass had something to do: a comparison of plans that are alike would prove nothing.
  for (const [name, count] of Object.entries(seen)) expect(count, name).toBeGreaterThan(10);
  expect(tf.memory().numTensors).toBe(before);
  expect(engineUnderTest().addon.isRecording()).toBe(false);
});
