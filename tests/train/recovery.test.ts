/** Training that goes on after something went wrong, or after the model has changed on the way. */
import * as tf from '@tensorflow/tfjs-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TensorkilnError } from '../../ts/errors.js';
import { crossEntropy, Dense, Sequential, type CallOptions, type UnaryLayer } from '../../ts/nn/index.js';
import { AdamW, SGD, type ApplyOptions, type NamedGradients, type Optimizer } from '../../ts/optim/index.js';
import { setTrainable, Trainer } from '../../ts/train/index.js';
import type { FitOptions, ModelTrainerOptions, TrainingEvent, TrainingHistory, WeightedDataset } from '../../ts/train/index.js';
import { randomSource } from '../support/describe-model.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-recovery-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function clouds(size: number, isBroken: (row: number) => boolean = () => false): WeightedDataset {
  const random = randomSource(3);
  const targets = Int32Array.from({ length: size }, (_, row) => row % 3);
  const features = Float32Array.from({ length: 4 * size }, (_, i) => random() + (targets[Math.floor(i / 4)]! - 1) * (i % 3));
  for (let row = 0; row < size; ++row) if (isBroken(row)) features.fill(NaN, 4 * row, 4 * row + 4);
  return { size, featureShape: [4], features, targets, targetShape: [], sampleWeights: new Float32Array(size).fill(1) };
}

const body = (): UnaryLayer[] => [
  new Dense({ units: 8, activation: 'tanh', name: 'body', trainable: false }),
  new Dense({ units: 3, name: 'head' }),
];
const UNFREEZE = [{ epoch: 3, layers: ['body'] }];

interface Outcome {
  readonly history: TrainingHistory | undefined;
  readonly error: unknown;
  readonly events: TrainingEvent[];
  readonly weights: number[];
}

async function train(
  data: WeightedDataset,
  options: Partial<FitOptions>,
  more: Partial<ModelTrainerOptions> & { layers?: UnaryLayer[] } = {},
): Promise<Outcome> {
  const { layers = body(), ...trainerOptions } = more;
  const model = new Sequential({ layers, seed: 5 });
  const optimizer = more.optimizer ?? new AdamW({ learningRate: 0.05 });
  const trainer = new Trainer({ ...trainerOptions, model, loss: crossEntropy, optimizer });
  const events: TrainingEvent[] = [];
  let [history, error]: [TrainingHistory | undefined, unknown] = [undefined, undefined];
  try {
    history = await trainer.fit(data, {
      epochs: 1,
      batchSize: 8,
      shuffle: false,
      ...options,
      onEvent: (event) => void events.push(event),
    });
  } catch (caught) {
    error = caught;
  }
  const weights = model.parameters().flatMap(({ variable }) => [...bitsOf(variable.dataSync<'float32'>())]);
  trainer.dispose();
  optimizer.dispose();
  model.dispose();
  return { history, error, events, weights };
}
const ofType = <T extends TrainingEvent['type']>(events: TrainingEvent[], type: T): Extract<TrainingEvent, { type: T }>[] =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);

describe('a run that is killed about an unfreezing goes on as if it had not been', () => {
  const END = new Error('killed');
  it.each<[string, number, Partial<FitOptions>]>([
    ['after the checkpoint of the epoch before', 3, { checkpoints: { folder: '', every: { epochs: 1 } } }],
    ['one epoch later', 4, { checkpoints: { folder: '', every: { epochs: 1 } } }],
    ['within the epoch', 4, { checkpoints: { folder: '', every: { steps: 3 } } }],
  ])('%s', async (_, epoch, options) => {
    const data = clouds(40);
    const given = { ...options, checkpoints: { ...options.checkpoints!, folder }, epochs: 5, unfreeze: UNFREEZE };
    const whole = await train(data, { epochs: 5, unfreeze: UNFREEZE });
    const killed = await train(data, {
      ...given,
      callbacks: [
        {
          onEpochStart: (context) => {
            if (context.epoch === epoch) throw END;
          },
        },
      ],
    });
    expect(killed.error).toBe(END);
    const resumed = await train(data, { ...given, resume: true });
    expect(resumed.error).toBeUndefined();
    expect(resumed.weights).toEqual(whole.weights);
    expect(resumed.history!.epochs.map(({ trainLoss }) => trainLoss)).toEqual(
      whole.history!.epochs.map(({ trainLoss }) => trainLoss),
    );
  });

  it('when it is ended between the unfreezing and its first step', async () => {
    const data = clouds(40);
    const given: Partial<FitOptions> = {
      checkpoints: { folder, every: { epochs: 1 } },
      epochs: 5,
      unfreeze: UNFREEZE,
      earlyStopping: { monitor: 'train_loss', patience: 9, restoreBest: false },
    };
    const whole = await train(data, { ...given, checkpoints: { ...given.checkpoints!, folder: join(folder, 'whole') } });
    const controller = new AbortController();
    const onEpochStart = ({ epoch }: { epoch: number }): void => {
      if (epoch === 3) controller.abort();
    };
    const ended = await train(data, { ...given, signal: controller.signal, callbacks: [{ onEpochStart }] });
    expect(ended.history!.stopReason).toBe('aborted');
    const resumed = await train(data, { ...given, resume: true });
    expect(resumed.weights).toEqual(whole.weights);
  });
});

describe('roll-backs', () => {
  it('that the last steps of an epoch demand are done', async () => {
    const data = clouds(40, (row) => row >= 24);
    const { history, events, weights } = await train(data, { nonFinite: { skip: 1 } });
    expect(history).toMatchObject({ skippedSteps: 2, rollbacks: 1 });
    expect(ofType(events, 'rollback')).toEqual([
      { type: 'rollback', epoch: 1, step: 5, source: { epoch: 0 }, from: 0.05, to: 0.025 },
    ]);
    // The weights are those of before the epoch, whose figure is not theirs.
    expect(ofType(events, 'epoch').map(({ improved }) => improved)).toEqual([false]);
    const fresh = new Sequential({ layers: body(), seed: 5 });
    fresh.build([4]);
    expect(weights).toEqual(fresh.parameters().flatMap(({ variable }) => [...bitsOf(variable.dataSync<'float32'>())]));
    fresh.dispose();
  });

  it('to a checkpoint from before an unfreezing let what came later begin anew', async () => {
    const data = clouds(40);
    const { history, events, error } = await train(data, {
      epochs: 4,
      checkpoints: { folder, every: { epochs: 2 } },
      unfreeze: UNFREEZE,
      nonFinite: { skip: 0 },
      callbacks: [
        {
          onEpochStart: ({ epoch }) => {
            data.features.fill(epoch === 3 ? NaN : 1, 4 * 20, 4 * 21);
          },
        },
      ],
    });
    expect(error).toBeUndefined();
    const [rollback] = ofType(events, 'rollback');
    expect(rollback).toMatchObject({ epoch: 3, source: { file: expect.stringContaining('step-0000000010') as string } });
    expect(history).toMatchObject({ rollbacks: 1, stopReason: 'epochs' });
    expect(history!.epochs).toHaveLength(4);
  });

  it('are not made while loss scaling looks for its factor, though each epoch is one step', async () => {
    const data = clouds(24);
    data.sampleWeights!.fill(200);
    const { history, events } = await train(
      data,
      { epochs: 6, batchSize: 24 },
      { precision: 'f16', layers: [new Dense({ units: 8, activation: 'tanh' }), new Dense({ units: 3 })] },
    );
    expect(history!.skippedSteps).toBeGreaterThan(3);
    expect(ofType(events, 'rollback')).toEqual([]);
    expect(history).toMatchObject({ rollbacks: 0, stopReason: 'epochs' });
    expect(history!.epochs).toHaveLength(6);
    expect(history!.epochs.at(-1)!.trainLoss).toBeLessThan(history!.epochs[0]!.trainLoss);
  });
});

it('a validation loss that diverges leaves the best average in the model, not the raw weights', async () => {
  const average = { kind: 'exponential', decay: 0.9 } as const;
  const optimizer = (): Optimizer => new SGD({ learningRate: 0.3, average });
  const best = await train(clouds(40), { epochs: 1 }, { optimizer: optimizer() });
  const validation = clouds(8);
  const { error, weights } = await train(
    clouds(40),
    {
      epochs: 3,
      validation,
      callbacks: [
        {
          onEpochStart: ({ epoch }) => {
            if (epoch === 2) validation.features.fill(NaN);
          },
        },
      ],
    },
    { optimizer: optimizer() },
  );
  expect(error).toMatchObject({
    code: 'E_DIVERGED',
    message: expect.stringMatching(/validation loss of epoch 2 is NaN/) as string,
  });
  expect(weights).toEqual(best.weights);
});

describe('memory that runs out', () => {
  /** Runs out when it is asked for many rows while it is trained, or when `when` says so. */
  class Hungry extends Dense {
    constructor(private readonly when: () => boolean) {
      super({ units: 8, name: 'body', trainable: false });
    }
    protected override forward(inputs: readonly tf.Tensor[], options: CallOptions): readonly tf.Tensor[] {
      const rows = inputs[0]?.shape[0] ?? 0;
      if (options.training === true && rows > 4 && this.when())
        throw new TensorkilnError('E_OUT_OF_MEMORY', '[hungry] out of memory');
      return super.forward(inputs, options);
    }
  }

  it('after layers have been unfrozen is met by smaller parts, though the whole batch had been fitting', async () => {
    const hungry: Hungry = new Hungry(() => hungry.trainable);
    const { history, events, error } = await train(
      clouds(40),
      { epochs: 4, unfreeze: UNFREEZE },
      { layers: [hungry, new Dense({ units: 3, name: 'head' })] },
    );
    expect(error).toBeUndefined();
    expect(ofType(events, 'micro_batch')).toMatchObject([{ epoch: 3, rows: 4 }]);
    expect(history).toMatchObject({ microBatch: 4, steps: 20 });
  });

  it('after an update has begun ends training: the update is not made twice', async () => {
    let calls = 0;
    class Short extends SGD {
      override apply(gradients: NamedGradients, options: ApplyOptions = {}): void {
        ++calls;
        super.apply(gradients, options);
        throw new TensorkilnError('E_OUT_OF_MEMORY', '[short] out of memory.');
      }
    }
    const { error } = await train(clouds(8), {}, { optimizer: new Short({ learningRate: 0.1 }) });
    expect(error).toMatchObject({
      code: 'E_OUT_OF_MEMORY',
      message: expect.stringMatching(/after parameters had begun to change: go on from a checkpoint/) as string,
    });
    expect(calls).toBe(1);
  });

  it('leaves nothing behind the update that could run out', async () => {
    const model = new Sequential({ layers: [new Dense({ units: 3 })], seed: 1 });
    let after = 0;
    class Counting extends SGD {
      override apply(gradients: NamedGradients, options: ApplyOptions = {}): void {
        super.apply(gradients, options);
        after = tf.memory().numTensors;
      }
    }
    const trainer = new Trainer({
      model,
      loss: crossEntropy,
      optimizer: new Counting({ learningRate: 0.1 }),
      precision: 'f16',
      compile: false,
    });
    let atEnd = 0;
    const original = tf.engine().endScope.bind(tf.engine());
    tf.engine().endScope = (result) => {
      if (after > 0 && atEnd === 0) atEnd = tf.memory().numTensors;
      original(result);
    };
    try {
      await trainer.fit(clouds(8), { epochs: 1, batchSize: 8 });
    } finally {
      tf.engine().endScope = original;
    }
    // The step's scope ends with the tensors there were right after the update.
    expect(after).toBeGreaterThan(0);
    expect(atEnd).toBe(after);
    trainer.dispose();
    model.dispose();
  });
});

it('a constraint that moves weights part of the way moves none at a step that is left out', async () => {
  const layers = (): UnaryLayer[] => [
    new Dense({ units: 3, kernelConstraint: { type: 'min_max_norm', min: 0.1, max: 0.2, rate: 0.25 } }),
  ];
  const clean = await train(clouds(8), {}, { layers: layers() });
  const broken = await train(
    clouds(24, (row) => row >= 8),
    {},
    { layers: layers() },
  );
  expect(broken.history!.skippedSteps).toBe(2);
  expect(broken.weights).toEqual(clean.weights);
});

it('layers that are thawed between two calls of fit are trained by the same trainer', async () => {
  const model = new Sequential({ layers: body(), seed: 5 });
  const optimizer = new AdamW({ learningRate: 0.05, groups: [{ parameters: ['body'], rateFactor: 0.1 }] });
  const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
  await trainer.fit(clouds(40), { epochs: 2, batchSize: 8 });
  const kernel = model.parameters().find(({ name }) => name === 'body/kernel')!.variable;
  const before = [...kernel.dataSync()];
  setTrainable(model, ['body'], true);
  await trainer.fit(clouds(40), { epochs: 1, batchSize: 8 });
  expect([...kernel.dataSync()].every((value, i) => value !== before[i])).toBe(true);
  const state = await optimizer.getState();
  expect(state.step).toBe(15);
  expect(state.late).toEqual({ 'body/kernel': { step: 5, products: {} }, 'body/bias': { step: 5, products: {} } });
  trainer.dispose();
  optimizer.dispose();
  model.dispose();
});

it('says why steps over parts of a batch are not compiled, and records it', async () => {
  /** Draws on the host, which a recording refuses. */
  class Noisy extends Dense {
    protected override transform(x: tf.Tensor): tf.Tensor {
      const y = super.transform(x);
      return tf.add(y, tf.tensor(y.dataSync(), y.shape).mul(0));
    }
  }
  const { events, history } = await train(clouds(8), { microBatch: 4 }, { layers: [new Noisy({ units: 3 })] });
  const told = ofType(events, 'not_compiled').filter(({ step }) => step === 'train');
  expect(told.length).toBeGreaterThan(0);
  expect(history!.notCompiled).toEqual(expect.arrayContaining(told.map(({ reason }) => reason)));
});
