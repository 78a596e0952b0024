/**
 * Training by the trainer with all that may change from step to step: a rate of its own for each, batches of two sizes, dropout,
 * batch norms, clipping, an average of the weights, batches in parts. For comparing compiled steps with eager ones bit for bit.
 */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { Precision } from '../../ts/backend/custom/autocast.js';
import { getEngine } from '../../ts/native/engine.js';
import { createModel, crossEntropyLoss, type ZooDescription } from '../../ts/nn/index.js';
import { AdamW, type OptimizerState } from '../../ts/optim/index.js';
import { Trainer, type MultiDataset } from '../../ts/train/index.js';
import { productOf, randomSource, randomValues } from './describe-model.js';
import { bitsOf } from './native-backend.js';

export interface TrainingWay {
  readonly isCompiled: boolean;
  readonly threads: number;
  readonly precision: Precision;
  /** Rows computed at a time; default all. */
  readonly microBatch?: number;
}

export interface TrainingOutcome {
  /** Loss of each epoch. */
  readonly losses: readonly number[];
  /** Bits of what the model ends with: the average of its weights, and statistics. */
  readonly weights: readonly Uint32Array[];
  /** Moments, average and step count. */
  readonly state: OptimizerState;
  readonly replays: number;
  /** Why steps were not compiled. */
  readonly fallbacks: readonly string[];
}

const ROWS = 8;
const BATCH = 5; // and 3

function dataFor(
  { inputShape, vocabulary }: { inputShape: readonly number[]; vocabulary?: number },
  output: readonly number[],
): MultiDataset {
  const random = randomSource(11);
  const values = randomValues(random, ROWS * productOf(inputShape), 2);
  const classes = output.at(-1) as number;
  const targetShape = output.slice(0, -1);
  return {
    size: ROWS,
    inputs: [
      {
        values: vocabulary === undefined ? values : Int32Array.from(values, (value) => Math.floor(Math.abs(value) * 5)),
        shape: inputShape,
      },
    ],
    outputs: [
      {
        values: Int32Array.from({ length: ROWS * productOf(targetShape) }, (_, i) => (i * 3 + 1) % classes),
        shape: targetShape,
      },
    ],
  };
}

/** Trains a model of the zoo for `epochs` epochs of two steps. */
export async function trainZooModel(description: ZooDescription, way: TrainingWay, epochs: number): Promise<TrainingOutcome> {
  const { addon } = getEngine();
  const threads = addon.threads();
  addon.setThreads(way.threads);
  const model = createModel({ ...description, seed: 4 });
  model.build(description.inputShape);
  const optimizer = new AdamW({
    learningRate: 0.01,
    clip: { globalNorm: 1 },
    average: { kind: 'exponential', decay: 0.9 },
  });
  const trainer = new Trainer({
    model,
    loss: crossEntropyLoss({ smoothing: 0.1 }),
    optimizer,
    seed: 2,
    compile: way.isCompiled,
    precision: way.precision,
  });
  const fallbacks: string[] = [];
  try {
    const data = dataFor(description, model.outputShape);
    const history = await trainer.fit(data, {
      epochs,
      batchSize: BATCH,
      schedule: ({ step }) => 1 / (1 + 0.1 * step),
      ...(way.microBatch === undefined ? {} : { microBatch: way.microBatch }),
      onEvent: (event) => {
        if (event.type === 'not_compiled') fallbacks.push(event.reason);
      },
    });
    const read = async (): Promise<Uint32Array[]> =>
      Promise.all(model.parameters().map(async ({ variable }) => bitsOf(await variable.data<'float32'>())));
    return {
      losses: history.epochs.map(({ trainLoss }) => trainLoss),
      weights: await read(),
      state: await optimizer.getState(),
      replays: history.replayedSteps,
      fallbacks,
    };
  } finally {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
    addon.setThreads(threads);
  }
}

/** Checks that compiled training of a model on each number of threads gives the bits of eager training on one. */
export async function expectSameTraining(
  description: ZooDescription,
  { precision, microBatch }: Pick<TrainingWay, 'precision' | 'microBatch'>,
  epochs: number,
  threadCounts: readonly number[],
): Promise<void> {
  const shared = { precision, ...(microBatch === undefined ? {} : { microBatch }) };
  const before = tf.memory().numTensors;
  const eager = await trainZooModel(description, { ...shared, isCompiled: false, threads: 1 }, epochs);
  expect(eager.losses.every(Number.isFinite)).toBe(true);
  expect(eager.state.step).toBe(2 * epochs);
  for (const threads of threadCounts) {
    const compiled = await trainZooModel(description, { ...shared, isCompiled: true, threads }, epochs);
    expect(compiled.fallbacks).toEqual([]);
    expect(compiled.replays).toBeGreaterThan(0);
    expect(compiled.losses).toEqual(eager.losses);
    expect(compiled.weights).toEqual(eager.weights);
    expect(compiled.state).toEqual(eager.state);
  }
  expect(tf.memory().numTensors).toBe(before);
}
