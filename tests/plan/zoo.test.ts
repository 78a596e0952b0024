/** Every model of the zoo trains compiled, with the bits of eager steps, under changing rates and batches of two sizes. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { ARCHITECTURES, createModel, crossEntropy, type ZooDescription } from '../../ts/nn/index.js';
import { Adam } from '../../ts/optim/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { BACKEND_NAME, bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const image = { inputShape: [16, 13, 3], numClasses: 4 } as const;
const tokens = { inputShape: [6], vocabulary: 11 } as const;
const block = { layers: 1, size: 8, heads: 2, hidden: 12 } as const;

const MODELS: readonly ZooDescription[] = [
  { architecture: 'dnn', inputShape: [5], numClasses: 3, hiddenUnits: [4, 4] },
  { architecture: 'mlp', inputShape: [5], numClasses: 3 },
  { architecture: 'cnn', ...image, filters: [4, 5] },
  { architecture: 'lenet', inputShape: [16, 16, 1], numClasses: 4 },
  { architecture: 'resnet18', ...image, width: 2 },
  { architecture: 'resnet34', ...image, width: 2 },
  { architecture: 'resnet50', ...image, width: 2 },
  { architecture: 'bilstm-classifier', ...tokens, numClasses: 2, units: 3, embeddingSize: 4 },
  { architecture: 'transformer-encoder', ...tokens, ...block, numClasses: 4 },
  { architecture: 'gpt', ...tokens, ...block },
];

const STEPS = 8;
const BATCHES = [5, 3] as const;

interface Outcome {
  readonly losses: readonly number[];
  readonly weights: readonly Uint32Array[];
  readonly replays: number;
}

async function train(description: ZooDescription, isCompiled: boolean): Promise<Outcome> {
  const model = createModel({ ...description, seed: 4 });
  model.build(description.inputShape);
  const variables = model.trainableVariables();
  const optimizer = new Adam({ learningRate: 0.01 });
  optimizer.bind(variables);
  const body = (x: tf.Tensor, labels: tf.Tensor): tf.Tensor => {
    const { value, grads } = tf.variableGrads(() => {
      const logits = model.call(x, { training: true });
      const classes = logits.shape.at(-1) as number;
      return tf.mean<tf.Scalar>(crossEntropy.rows(logits.reshape([-1, classes]), labels.reshape([-1])));
    }, Object.values(variables));
    optimizer.apply(
      Object.fromEntries(Object.entries(variables).map(([name, variable]) => [name, grads[variable.name] as tf.Tensor])),
    );
    return value;
  };
  const compiled = isCompiled ? compile(body) : undefined;
  const random = randomSource(3);
  const classes = model.outputShape.at(-1) as number;
  const losses: number[] = [];
  for (let step = 0; step < STEPS; ++step) {
    optimizer.learningRate = 0.01 / (1 + step);
    const rows = BATCHES[step % 2] as number;
    const values = randomValues(random, rows * productOf(description.inputShape), 2);
    const shape = [rows, ...description.inputShape];
    const x =
      description.vocabulary === undefined
        ? tf.tensor(values, shape)
        : tf.tensor(
            values.map((value) => Math.floor(Math.abs(value) * 5)),
            shape,
            'int32',
          );
    const count = rows * productOf(model.outputShape.slice(0, -1));
    const labels = tf.tensor1d(
      Int32Array.from({ length: count }, (_, i) => (i * 3 + step) % classes),
      'int32',
    );
    const loss = compiled === undefined ? tf.tidy(() => body(x, labels)) : compiled(x, labels);
    losses.push((await loss.data<'float32'>())[0] as number);
    tf.dispose([loss, x, labels]);
  }
  const weights = await Promise.all(model.parameters().map(async ({ variable }) => bitsOf(await variable.data<'float32'>())));
  const replays = compiled?.statistics.replays ?? 0;
  compiled?.dispose();
  optimizer.dispose();
  model.dispose();
  return { losses, weights, replays };
}

describe('a compiled step', () => {
  it.for(MODELS)('of $architecture', async (description, context) => {
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
    expect(new Set(MODELS.map(({ architecture }) => architecture))).toEqual(new Set(ARCHITECTURES));
  });
});
