/** Random steps: eager, replayed as recorded and replayed optimised, bit for bit. Ten thousand more run in tests/long. */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { checkGraph } from '../support/graph-fuzz.js';
import { BACKEND_NAME, engineUnderTest, useNativeBackend } from '../support/native-backend.js';

const seen = {
  chains: 0,
  'of them behind products': 0,
  dead: 0,
  repeated: 0,
  constant: 0,
  transpositions: 0,
  copies: 0,
  results: 0,
};

describe('300 random graphs give the same bits eager, replayed and optimised', () => {
  it.each([0, 75, 150, 225])('from seed %i', async (first) => {
    await useNativeBackend();
    const before = tf.memory().numTensors;
    for (let seed = first; seed < first + 75; ++seed) {
      const text = await checkGraph(seed);
      for (const name of Object.keys(seen) as (keyof typeof seen)[]) {
        seen[name] += Number(new RegExp(`(\\d+) ${name}`).exec(text)?.[1] ?? 0);
      }
    }
    expect(tf.memory().numTensors).toBe(before);
    expect(engineUnderTest().addon.isRecording()).toBe(false);
  });

  // A comparison of plans that are alike would prove nothing.
  it('and every pass had something to do', (context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu') context.skip('calls are chained on the CPU only');
    for (const [name, count] of Object.entries(seen)) expect(count, name).toBeGreaterThan(10);
  });
});
