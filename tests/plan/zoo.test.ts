/** Every model of the zoo trains compiled, with the bits of eager steps, under changing rates and batches of two sizes. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { ARCHITECTURES, type ZooDescription } from '../../ts/nn/index.js';
import { BACKEND_NAME, bitsOf, useNativeBackend } from '../support/native-backend.js';
import { makeZooStep, ZOO_MODELS } from '../support/zoo-models.js';

beforeAll(() => useNativeBackend());

const STEPS = 8;
const BATCHES = [5, 3] as const;

interface Outcome {
  readonly losses: readonly number[];
  readonly weights: readonly Uint32Array[];
  readonly replays: number;
}

async function train(description: ZooDescription, isCompiled: boolean): Promise<Outcome> {
  const { model, optimizer, body, batch, dispose } = makeZooStep(description);
  const compiled = isCompiled ? compile(body) : undefined;
  const losses: number[] = [];
  for (let step = 0; step < STEPS; ++step) {
    optimizer.learningRate = 0.01 / (1 + step);
    const [x, labels] = batch(BATCHES[step % 2] as number, step);
    const loss = compiled === undefined ? tf.tidy(() => body(x, labels)) : compiled(x, labels);
    losses.push((await loss.data<'float32'>())[0] as number);
    tf.dispose([loss, x, labels]);
  }
  const weights = await Promise.all(model.parameters().map(async ({ variable }) => bitsOf(await variable.data<'float32'>())));
  const replays = compiled?.statistics.replays ?? 0;
  compiled?.dispose();
  dispose();
  return { losses, weights, replays };
}

describe('a compiled step', () => {
  it.for(ZOO_MODELS)('of $architecture', async (description, context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu')
      context.skip('whole models are left to the CPU: emulation runs every thread of a kernel');
    const eager = await train(description, false);
    const compiled = await train(description, true);
    expect(eager.losses.every(Number.isFinite)).toBe(true);
    expect(compiled.losses).toEqual(eager.losses);
    expect(compiled.weights).toEqual(eager.weights);
    expect(compiled.replays).toBe(STEPS - 2 * BATCHES.length);
  });

  it('is tried with every architecture', () => {
    expect(new Set(ZOO_MODELS.map(({ architecture }) => architecture))).toEqual(new Set(ARCHITECTURES));
  });
});
