/** The same training run eager and replayed, with dropout and a changing learning rate, for bit-for-bit comparison. */
import * as tf from '@tensorflow/tfjs-core';
import { getEngine } from '../../ts/native/engine.js';
import { Conv2D, crossEntropy, Dense, Dropout, Flatten, MaxPooling2D, Sequential } from '../../ts/nn/index.js';
import { Adam, SGD, type Optimizer } from '../../ts/optim/index.js';
import { makeSteps } from '../../ts/train/steps.js';
import { toTrainable } from '../../ts/train/trainable.js';
import { productOf, randomSource, randomValues } from './describe-model.js';

export interface StepCase {
  readonly name: string;
  readonly makeModel: () => Sequential;
  readonly makeOptimizer: () => Optimizer;
  readonly inputShape: readonly number[];
  readonly classes: number;
  readonly rows: number;
}

export const MLP: StepCase = {
  name: 'MLP',
  makeModel: () =>
    new Sequential({
      seed: 1,
      layers: [
        new Dense({ units: 33, activation: 'relu' }),
        new Dropout({ rate: 0.3 }),
        new Dense({ units: 17, activation: 'gelu' }),
        new Dropout({ rate: 0.1 }),
        new Dense({ units: 5 }),
      ],
    }),
  makeOptimizer: () => new Adam({ weightDecay: 1e-3 }),
  inputShape: [13],
  classes: 5,
  rows: 21,
};

/** conv 5x5, pool, conv 5x5, pool, dense with dropout, after LeCun, Bottou, Bengio, Haffner 1998 with today's widths. */
export function lenet(size: number, [first, second, hidden]: readonly [number, number, number], rows: number): StepCase {
  return {
    name: `LeNet ${size}x${size}, ${first}-${second}-${hidden}`,
    makeModel: () =>
      new Sequential({
        seed: 2,
        layers: [
          new Conv2D({ filters: first, kernelSize: 5, padding: 'same', activation: 'relu' }),
          new MaxPooling2D(),
          new Conv2D({ filters: second, kernelSize: 5, padding: 'same', activation: 'relu' }),
          new MaxPooling2D(),
          new Flatten(),
          new Dense({ units: hidden, activation: 'relu' }),
          new Dropout({ rate: 0.4 }),
          new Dense({ units: 10 }),
        ],
      }),
    makeOptimizer: () => new SGD({ momentum: 0.9, nesterov: true }),
    inputShape: [size, size, 1],
    classes: 10,
    rows,
  };
}

export interface StepRun {
  /** Loss of every step. */
  readonly losses: Float32Array;
  /** All weights after the last step, in order of parameters. */
  readonly weights: Float32Array[];
  readonly replays: number;
}

/** Runs `count` steps on four batches in turn, with a learning rate that changes at every step. */
export async function runSteps(
  stepCase: StepCase,
  count: number,
  mode: { readonly isCompiled: boolean; readonly threads: number },
): Promise<StepRun> {
  getEngine().addon.setThreads(mode.threads);
  const { inputShape, rows, classes } = stepCase;
  const model = stepCase.makeModel();
  const optimizer = stepCase.makeOptimizer();
  model.build(inputShape);
  optimizer.bind(model.trainableVariables());
  const steps = makeSteps(
    {
      model: toTrainable(model),
      losses: [crossEntropy],
      lossWeights: [1],
      metrics: [],
      optimizer,
      precision: 'float32',
      scaler: undefined,
    },
    mode.isCompiled,
  );
  const random = randomSource(7);
  const data = Array.from({ length: 4 }, (): [tf.Tensor, tf.Tensor] => [
    tf.tensor(randomValues(random, rows * productOf(inputShape)), [rows, ...inputShape]),
    tf.tensor1d(
      Int32Array.from({ length: rows }, () => Math.floor(random() * classes)),
      'int32',
    ),
  ]);
  const losses = new Float32Array(count);
  const window: Promise<void>[] = [];
  for (let step = 0; step < count; ++step) {
    optimizer.learningRate = 0.01 / (1 + 0.01 * step);
    const loss = steps.train(...data[step % data.length]!);
    window.push(loss.data<'float32'>().then(([value]) => void (losses[step] = value!)));
    loss.dispose();
    if (window.length > 2) await window.shift();
  }
  await Promise.all(window);
  const weights = await Promise.all(model.parameters().map(({ variable }) => variable.data<'float32'>()));
  const { replays } = steps.train;
  steps.train.dispose();
  steps.evaluate.dispose();
  steps.predict.dispose();
  optimizer.dispose();
  model.dispose();
  tf.dispose(data);
  return { losses, weights, replays };
}
