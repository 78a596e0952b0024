import * as tf from '@tensorflow/tfjs-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setMemoryLimit } from '../../ts/backend/memory.js';
import { currentBackend } from '../../ts/backend/tensors.js';
import { BatchNorm, crossEntropy, Dense, Dropout, Sequential, type Loss, type UnaryLayer } from '../../ts/nn/index.js';
import { Adam, GradScaler, SGD, type AveragingOptions, type Optimizer } from '../../ts/optim/index.js';
import {
  Trainer,
  type Callback,
  type FitOptions,
  type ModelTrainerOptions,
  type TrainingEvent,
  type TrainingHistory,
  type WeightedDataset,
} from '../../ts/train/index.js';
import { makePartSteps } from '../../ts/train/part-steps.js';
import { randomSource } from '../support/describe-model.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

/** Leaves every parameter as it is. */
function standingStill(): SGD {
  const optimizer = new SGD();
  optimizer.learningRate = 0;
  return optimizer;
}

/** Three clouds of points; `broken` rows hold NaN. */
function clouds(size: number, broken: (row: number) => boolean = () => false): WeightedDataset {
  const random = randomSource(3);
  const targets = Int32Array.from({ length: size }, (_, row) => row % 3);
  const features = Float32Array.from({ length: 4 * size }, (_, i) => random() + (targets[Math.floor(i / 4)]! - 1) * (i % 3));
  for (let row = 0; row < size; ++row) if (broken(row)) features.fill(NaN, 4 * row, 4 * row + 4);
  return { size, featureShape: [4], features, targets, targetShape: [] };
}
interface Outcome {
  readonly history: TrainingHistory | undefined;
  readonly error: unknown;
  readonly events: TrainingEvent[];
  readonly weights: number[];
  readonly optimizer: Optimizer;
}

async function train(
  data: WeightedDataset,
  options: Partial<FitOptions> = {},
  more: Partial<ModelTrainerOptions> & { layers?: UnaryLayer[]; optimizer?: Optimizer } = {},
): Promise<Outcome> {
  const layers = more.layers ?? [new Dense({ units: 8, activation: 'tanh' }), new Dense({ units: 3 })];
  const model = new Sequential({ layers, seed: 5 });
  const optimizer = more.optimizer ?? new SGD({ learningRate: 0.1, momentum: 0.9 });
  const { precision, compile } = more;
  const trainer = new Trainer({
    model,
    loss: more.loss ?? crossEntropy,
    optimizer,
    ...(precision === undefined ? {} : { precision }),
    ...(compile === undefined ? {} : { compile }),
  });
  const events: TrainingEvent[] = [];
  let history: TrainingHistory | undefined;
  let error: unknown;
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
  const weights = model.parameters().flatMap(({ variable }) => [...variable.dataSync()]);
  trainer.dispose();
  model.dispose();
  return { history, error, events, weights, optimizer };
}
const ofType = <T extends TrainingEvent['type']>(events: TrainingEvent[], type: T): Extract<TrainingEvent, { type: T }>[] =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);

describe('steps that are not finite', () => {
  it.each([
    ['the weights', []],
    ['the running statistics too', [new BatchNorm(), new BatchNorm()]],
  ] as const)('are left out: %s are those of the other batches, bit for bit', async (_, norms) => {
    const data = clouds(40, (row) => row >= 16 && row < 24);
    const layers = (norm: UnaryLayer | undefined): UnaryLayer[] => [
      new Dense({ units: 8, activation: 'tanh' }),
      ...(norm === undefined ? [] : [norm]),
      new Dense({ units: 3 }),
    ];
    const broken = await train(data, {}, { layers: layers(norms[0]) });
    const whole = clouds(40);
    const rest: WeightedDataset = {
      ...whole,
      size: 32,
      features: Float32Array.from([...whole.features.subarray(0, 64), ...whole.features.subarray(96)]),
      targets: Int32Array.from([
        ...(whole.targets as Int32Array).subarray(0, 16),
        ...(whole.targets as Int32Array).subarray(24),
      ]),
    };
    const clean = await train(rest, {}, { layers: layers(norms[1]) });
    expect(clean.weights.every(Number.isFinite)).toBe(true);
    expect(broken.history).toMatchObject({ skippedSteps: 1, rollbacks: 0, steps: 5 });
    expect(ofType(broken.events, 'skipped')).toEqual([{ type: 'skipped', epoch: 1, step: 3, loss: NaN, inARow: 1 }]);
    expect(broken.weights).toEqual(clean.weights);
    expect(broken.history!.epochs[0]!.trainLoss).toBeCloseTo(clean.history!.epochs[0]!.trainLoss, 6);
  });

  it('that follow each other take the weights back to the best epoch, at a lower rate', async () => {
    // Batches 6 to 10 of each epoch are broken, so the second epoch's skips begin after five clean steps.
    const data = clouds(80, (row) => row >= 40);
    const { history, events } = await train(data, { epochs: 2, nonFinite: { skip: 2, rateFactor: 0.25 } });
    expect(ofType(events, 'rollback')[0]).toMatchObject({ epoch: 1, source: { epoch: 0 }, from: 0.1, to: 0.025 });
    expect(history!.rollbacks).toBeGreaterThanOrEqual(2);
    expect(history!.skippedSteps).toBe(10);
    expect(history!.epochs[1]!.learningRate).toBeLessThanOrEqual(0.1 * 0.25 ** 2);
  });

  it('go back to the last checkpoint where there is one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-rollback-'));
    try {
      const data = clouds(64, (row) => row >= 32);
      const checkpoints = { folder, every: { steps: 2 } };
      const { events, history } = await train(data, { checkpoints, nonFinite: { skip: 1, rollbacks: 5 } });
      const [first] = ofType(events, 'rollback');
      expect(first!.source).toEqual({ file: expect.stringContaining(folder) as string });
      // Step 6 is where the weights have just come back.
      expect(
        ofType(events, 'checkpoint')
          .map(({ step }) => step)
          .filter((step) => step > 0 && step < 8),
      ).toEqual([2, 4, 6]);
      expect(history!.skippedSteps).toBe(4);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  describe('after the best epoch, with an older checkpoint', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'tensorkiln-rollback-'));
    });
    afterEach(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    /** One checkpoint, within epoch 2, which becomes the best; eight of the ten batches of epoch 3 are broken, the others heavy. */
    const trainOn = (epochs: number): Promise<Outcome> => {
      const data = { ...clouds(80), sampleWeights: new Float32Array(80).fill(1) };
      return train(data, {
        epochs,
        checkpoints: { folder, every: { steps: 17 } },
        earlyStopping: { monitor: 'train_loss', patience: 9 },
        nonFinite: { skip: 1, rollbacks: 3 },
        callbacks: [
          {
            onEpochStart: ({ epoch }) => {
              if (epoch !== 3) return;
              data.features.fill(NaN, 0, 4 * 64);
              data.sampleWeights.fill(9);
            },
          },
        ],
      });
    };

    it('the best weights stay', async () => {
      const best = await trainOn(2);
      rmSync(folder, { recursive: true });
      const { history, weights } = await trainOn(3);
      expect(history).toMatchObject({ rollbacks: 2, bestEpoch: 2 });
      expect(weights).toEqual(best.weights);
    });

    it('each roll-back to it lowers the rate further', async () => {
      const { events } = await trainOn(3);
      const rollbacks = ofType(events, 'rollback');
      expect(rollbacks.map(({ from, to }) => [from, to])).toEqual([
        [0.1, 0.05],
        [0.05, 0.025],
      ]);
      expect(rollbacks[1]!.source).toEqual(rollbacks[0]!.source);
      expect(ofType(events, 'epoch').at(-1)!.record.learningRate).toBe(0.025);
    });
  });

  it('at the end of an epoch keep its figure from being the best, as its weights are not kept', async () => {
    // Without features and rate the loss of a row is its weight times ln 3.
    const data = { ...clouds(40), features: new Float32Array(160), sampleWeights: new Float32Array(40).fill(1) };
    const { history, events } = await train(
      data,
      {
        epochs: 3,
        earlyStopping: { monitor: 'train_loss', patience: 1 },
        callbacks: [
          {
            onEpochStart: ({ epoch }) => {
              data.sampleWeights.fill([1, 0.1, 0.5][epoch - 1]!);
              data.features.fill(epoch === 2 ? NaN : 0, 4 * 32);
            },
          },
        ],
      },
      { optimizer: standingStill() },
    );
    expect(ofType(events, 'epoch').map(({ improved }) => improved)).toEqual([true, false, true]);
    expect(history).toMatchObject({ skippedSteps: 1, bestEpoch: 3, stopReason: 'epochs' });
  });

  it('end training when nothing helps, with the best weights', async () => {
    const { error, weights, events } = await train(
      clouds(40, () => true),
      { epochs: 9, nonFinite: { skip: 1, rollbacks: 2 } },
    );
    expect(error).toEqual(failure('E_DIVERGED', /training loss of epoch 1, step \d is NaN.*taken back 2 times/));
    expect(ofType(events, 'rollback').map(({ to }) => to)).toEqual([0.05, 0.025]);
    const untrained = new Sequential({
      layers: [new Dense({ units: 8, activation: 'tanh' }), new Dense({ units: 3 })],
      seed: 5,
    });
    untrained.build([4]);
    expect(weights).toEqual(untrained.parameters().flatMap(({ variable }) => [...variable.dataSync()]));
    untrained.dispose();
  });

  it('wrong options are refused', async () => {
    for (const [options, message] of [
      [{ nonFinite: { skip: -1 } }, /nonFinite.skip/],
      [{ nonFinite: { rateFactor: 2 } }, /nonFinite.rateFactor/],
      [{ divergence: { factor: 1 } }, /divergence.factor/],
      [{ divergence: {} }, /divergence.factor/],
      [{ microBatch: 0 }, /microBatch/],
      [{ debug: 1 }, /debug/],
      [{ unfreeze: [{ epoch: 0, layers: ['a'] }] }, /unfreeze\[0\] *\] wrong epoch/],
      [{ unfreeze: [{ epoch: 1, layers: [] }] }, /unfreeze\[0\]\] wrong layers/],
      [{ unfreeze: [{ epoch: 1, layers: ['nothing'] }] }, /no layer matches 'nothing': expected one of dense, dense_1/],
    ] as const)
      expect((await train(clouds(8), options as never)).error).toEqual(failure('E_CONFIG', message));
  });
});

it('a loss that grows without end stops training with the best weights', async () => {
  const { history } = await train(
    clouds(40),
    {
      epochs: 30,
      divergence: { factor: 1.5 },
      earlyStopping: { monitor: 'train_loss', patience: 30 },
      schedule: ({ step }) => (step < 15 ? 1 : 1000),
    },
    { optimizer: new SGD({ learningRate: 0.1 }) },
  );
  expect(history!.stopReason).toBe('diverged');
  expect(history!.epochs.length).toBeLessThan(10);
  const losses = history!.epochs.map(({ trainLoss }) => trainLoss);
  expect(losses[history!.bestEpoch - 1]).toBe(Math.min(...losses));
});

describe('batches in parts', () => {
  const close = (found: number[], expected: number[]): void =>
    found.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5));

  it('give the same weights within 1e-5, with odd parts, weights and replays', async () => {
    const data = { ...clouds(44), sampleWeights: Float32Array.from({ length: 44 }, (_, row) => 0.5 + (row % 4)) };
    const whole = await train(data, { epochs: 3, batchSize: 16 });
    for (const microBatch of [5, 1]) {
      const parts = await train(data, { epochs: 3, batchSize: 16, microBatch });
      close(parts.weights, whole.weights);
      expect(parts.history).toMatchObject({ microBatch, steps: 9 });
      expect(parts.history!.replayedSteps).toBeGreaterThan(4);
      parts.history!.epochs.forEach(({ trainLoss }, i) =>
        expect(trainLoss).toBeCloseTo(whole.history!.epochs[i]!.trainLoss, 5),
      );
    }
  });

  it('leave out a broken part with its whole batch', async () => {
    const data = clouds(16, (row) => row === 13);
    const { history, weights } = await train(data, { microBatch: 4 });
    expect(history).toMatchObject({ skippedSteps: 1 });
    expect(weights.every(Number.isFinite)).toBe(true);
  });

  it('are refused where rows of a batch depend on each other', async () => {
    const layers = (): UnaryLayer[] => [new Dense({ units: 4 }), new BatchNorm(), new Dense({ units: 3 })];
    const { error } = await train(clouds(16), { microBatch: 4 }, { layers: layers() });
    expect(error).toEqual(failure('E_CONFIG', /wrong microBatch: the model normalises over the batch \(BatchNorm\)/));
  });

  describe('when memory runs out', () => {
    const wide = (norm: boolean): UnaryLayer[] => [
      new Dense({ units: 512, activation: 'tanh' }),
      ...(norm ? [new BatchNorm()] : []),
      new Dropout({ rate: 0.25 }),
      new Dense({ units: 512, activation: 'tanh' }),
      new Dense({ units: 3 }),
    ];
    /** Trains with room for `megabytes` more than is held now. */
    async function within(megabytes: number, run: () => Promise<Outcome>): Promise<Outcome> {
      const { addon } = currentBackend().engine;
      const { live, budget } = addon.memory();
      setMemoryLimit(live + megabytes * 2 ** 20);
      try {
        return await run();
      } finally {
        setMemoryLimit(budget);
      }
    }
    const options: Partial<FitOptions> = { batchSize: 1024, epochs: 2, debug: true };
    const optimizer = (): Optimizer => new Adam({ learningRate: 1e-3 });

    it('sums of gradients that do not all fit are freed', () => {
      const variables = tf.tidy(() => ({ small: tf.variable(tf.zeros([2 ** 18])), large: tf.variable(tf.zeros([2 ** 21])) }));
      const parts = makePartSteps(
        { differentiate: () => ({ value: tf.scalar(0), gradients: {} }), update: (loss) => loss, variables: () => variables },
        false,
      );
      const { addon } = currentBackend().engine;
      const [tensors, { live, budget }] = [tf.memory().numTensors, addon.memory()];
      setMemoryLimit(live + 4 * 2 ** 20);
      try {
        expect(() => parts.add([], { isFirst: true, weight: 1 })).toThrow(failure('E_OUT_OF_MEMORY', /./));
      } finally {
        setMemoryLimit(budget);
      }
      expect(tf.memory().numTensors).toBe(tensors);
      parts.apply.dispose();
      tf.dispose(variables);
    });

    it('training goes on in parts, says so and records it', async () => {
      const data = clouds(1024);
      const parts = await within(16, () => train(data, options, { layers: wide(false), optimizer: optimizer() }));
      expect(parts.error).toBeUndefined();
      const announced = ofType(parts.events, 'micro_batch');
      expect(announced[0]).toMatchObject({ epoch: 1, rows: 512, reason: expect.stringMatching(/out of memory/) as string });
      expect(parts.history!.microBatch).toBe(announced.at(-1)!.rows);
      expect(parts.history!.steps).toBe(2);
      expect(ofType(parts.events, 'advice').map(({ topic }) => topic)).toContain('memory');
      // Dropout masks follow the cuts, so the reference is the same cut asked for.
      const asked = await train(
        data,
        { ...options, microBatch: parts.history!.microBatch! },
        { layers: wide(false), optimizer: optimizer() },
      );
      close(parts.weights, asked.weights);
    });

    it('it is an error for batch statistics, and where it is not wanted', async () => {
      const data = clouds(1024);
      const refused = await within(12, () => train(data, options, { layers: wide(true), optimizer: optimizer() }));
      expect(refused.error).toEqual(failure('E_OUT_OF_MEMORY', /not computed in parts: the model normalises over the batch/));
      const plain = await within(12, () =>
        train(data, { ...options, microBatchAuto: false }, { layers: wide(false), optimizer: optimizer() }),
      );
      expect(plain.error).toMatchObject({ code: 'E_OUT_OF_MEMORY' });
      expect(ofType(plain.events, 'micro_batch')).toEqual([]);
    });
  });
});

describe('precision', () => {
  it.each([true, false])(
    'a disposed trainer leaves no tensors behind: parts and loss scaling (compiled: %s)',
    async (compile) => {
      const before = tf.memory().numTensors;
      // The optimizer stays the caller's, so it is disposed here.
      const optimizer = new SGD({ learningRate: 0.1 });
      const { history } = await train(clouds(16), { microBatch: 3 }, { precision: 'f16', compile, optimizer });
      optimizer.dispose();
      expect(history!.microBatch).toBe(3);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it.each(['bf16', 'f16'] as const)('%s learns, and keeps parameters in float32', async (precision) => {
    const plain = await train(clouds(90), { epochs: 15 });
    const { history, weights, events } = await train(clouds(90), { epochs: 15 }, { precision });
    expect(history!.epochs.at(-1)!.trainLoss).toBeLessThan(1.2 * plain.history!.epochs.at(-1)!.trainLoss + 0.02);
    // Not the same, but float32: values that 16 bits cannot hold.
    expect(weights).not.toEqual(plain.weights);
    expect(
      weights.some((value) => Math.fround(value) !== 0 && (new Uint32Array(Float32Array.of(value).buffer)[0]! & 0x1fff) !== 0),
    ).toBe(true);
    expect(ofType(events, 'rollback')).toEqual([]);
    expect(history!.replayedSteps).toBeGreaterThan(100);
  });

  it('tells how products are computed on this machine', async () => {
    const { bf16Products } = currentBackend().engine.addon.buildInfo();
    const products = bf16Products === 'avx512_bf16' ? 'avx512_bf16' : 'float32';
    for (const [precision, expected] of [
      ['bf16', [{ type: 'precision', precision: 'bf16', products }]],
      ['f16', [{ type: 'precision', precision: 'f16', products: 'float32' }]],
      ['float32', []],
    ] as const)
      expect(ofType((await train(clouds(8), {}, { precision })).events, 'precision')).toEqual(expected);
  });

  it('is refused by name when unknown', () => {
    expect(
      () =>
        new Trainer({
          model: new Sequential({ layers: [new Dense({ units: 1 })] }),
          loss: crossEntropy,
          optimizer: new SGD(),
          precision: 'fp8' as never,
        }),
    ).toThrow(failure('E_CONFIG', /precision/));
  });

  it('the loss scale falls at once and rises after clean steps, without the host', async () => {
    const scaler = new GradScaler({ initialScale: 8, growthInterval: 3 });
    const found: number[] = [];
    for (const fine of [true, true, true, true, false, true, true, false, true, true, true]) {
      scaler.update(tf.scalar(fine, 'bool'));
      found.push((await scaler.getState()).scale);
    }
    expect(found).toEqual([8, 8, 16, 16, 8, 8, 8, 4, 4, 4, 8]);
    const { gradients, isFinite, norm } = scaler.unscale([tf.tensor1d([8, 16]), tf.scalar(-16)]);
    expect([...gradients[0]!.dataSync()]).toEqual([1, 2]);
    expect([isFinite.dataSync()[0], norm.dataSync()[0]]).toEqual([1, 3]);
    expect(scaler.unscale([tf.scalar(Infinity)]).isFinite.dataSync()[0]).toBe(0);
    scaler.setState({ scale: 3.4e38, cleanSteps: 2 });
    scaler.update(tf.scalar(true, 'bool'));
    // A factor that would be infinite is not taken.
    expect((await scaler.getState()).scale).toBe(Math.fround(3.4e38));
    expect(() => scaler.setState({ scale: 0, cleanSteps: 0 })).toThrow(failure('E_DATA', /wrong state/));
    expect(() => new GradScaler({ backoff: 1 })).toThrow(failure('E_CONFIG', /backoff/));
    scaler.dispose();
  });
});

describe('debug', () => {
  it('names the first op that is not finite, its layer, and the step', async () => {
    const { events } = await train(
      clouds(24, (row) => row === 9),
      { debug: true },
    );
    expect(ofType(events, 'non_finite')).toEqual([
      {
        type: 'non_finite',
        epoch: 1,
        step: 2,
        op: expect.any(String) as string,
        layer: 'dense',
        shape: [8, 8],
        isBackward: false,
      },
    ]);
    const advice = ofType(events, 'advice').filter(({ topic }) => topic === 'non_finite');
    expect(advice.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^\w+ of dense gave the first values that are not finite: step 2 of epoch 1 was left out\. 4 values of the batch's inputs are not finite themselves\. Fill or drop them\.$/,
      ),
    ]);
  });

  it('tells finite batches whose values grow too large from broken ones, forwards and backwards', async () => {
    const advice = async (rows: Loss['rows']): Promise<string> => {
      const loss = { ...crossEntropy, rows };
      const { events } = await train(clouds(16), { debug: true, nonFinite: { skip: 99 } }, { loss });
      return ofType(events, 'advice').find(({ topic }) => topic === 'non_finite')!.message;
    };
    const large: Loss['rows'] = (outputs) => tf.mean<tf.Tensor1D>(tf.exp(tf.mul(1e5, tf.abs(outputs))), -1);
    expect(await advice(large)).toMatch(/^\w+ of the loss gave .* Its batch is finite: values or weights have grown too large/);
    // The root of 0 has an infinite slope.
    const root: Loss['rows'] = (outputs) => tf.mean<tf.Tensor1D>(tf.sqrt(tf.mul(0, outputs)), -1);
    expect(await advice(root)).toMatch(/ on the way back: .* Its batch is finite\. Try clip/);
  });

  it('advises on averages of the weights that have hardly begun, without being asked', async () => {
    const advice = async (average: AveragingOptions, epochs = 1): Promise<string[]> => {
      const optimizer = new SGD({ learningRate: 0.1, average });
      const { events } = await train(clouds(24), { epochs }, { optimizer });
      return ofType(events, 'advice').map(({ topic, message }) => `${topic}: ${message}`);
    };
    // 0.999 ** 3 and 0.5 ** 3; 0.01 ** (1 / 3).
    expect(await advice({ kind: 'exponential' })).toEqual([
      'averaging: The average of the weights (decay 0.999) is slow for 3 steps: 100 % of what is judged and kept at the end are the weights training began with. Use ramp: true or a decay of 0.215, or train longer.',
    ]);
    expect(await advice({ kind: 'exponential', decay: 0.5 })).toEqual([expect.stringMatching(/: 13 % of what/)]);
    expect(await advice({ kind: 'exponential', decay: 0.4 })).toEqual([]);
    // 2 / 11 * 3 / 12 * 4 / 13.
    expect(await advice({ kind: 'exponential', ramp: true })).toEqual([]);
    expect(await advice({ kind: 'equal', from: 3 })).toEqual([
      expect.stringMatching(/begins after step 3, but training ends at step 3: it is never formed. .* after step 2\.$/),
    ]);
    expect(await advice({ kind: 'equal', from: 3 }, 2)).toEqual([]);
    // A second call goes on with the average of the first.
    const optimizer = new SGD({ learningRate: 0.1, average: { kind: 'equal', from: 3 } });
    const model = new Sequential({ layers: [new Dense({ units: 3 })] });
    const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
    const topics: string[] = [];
    for (let call = 0; call < 2; ++call)
      await trainer.fit(clouds(24), {
        epochs: 1,
        batchSize: 8,
        onEvent: (event) => {
          if (event.type === 'advice') topics.push(event.topic);
        },
      });
    expect(topics).toEqual(['averaging']);
    for (const one of [trainer, model, optimizer]) one.dispose();
  });

  it('holds nothing when training ends before the statistics are told', async () => {
    const held = async (debug: boolean): Promise<number> => {
      const before = tf.memory().numTensors;
      const optimizer = new SGD({ learningRate: 0.1 });
      const ending: Callback = {
        onStep() {
          throw new Error('the end');
        },
      };
      const { events, error } = await train(clouds(8), { debug, callbacks: [ending] }, { optimizer });
      expect(error).toEqual(expect.objectContaining({ message: 'the end' }));
      expect(ofType(events, 'gradients')).toEqual([]);
      optimizer.dispose();
      return tf.memory().numTensors - before;
    };
    expect(await held(true)).toBe(await held(false));
  });

  it('tells norms of gradients and steps, and changes nothing', async () => {
    const data = clouds(24);
    const [plain, debugged] = [
      await train(
        data,
        { epochs: 2 },
        { layers: [new Dense({ units: 8 }), new Dropout({ rate: 0.5 }), new Dense({ units: 3 })] },
      ),
      await train(
        data,
        { epochs: 2, debug: true },
        { layers: [new Dense({ units: 8 }), new Dropout({ rate: 0.5 }), new Dense({ units: 3 })] },
      ),
    ];
    expect(debugged.weights).toEqual(plain.weights);
    const statistics = ofType(debugged.events, 'gradients');
    expect(statistics.map(({ epoch }) => epoch)).toEqual([1, 2]);
    const [{ parameters, norm }] = statistics as [(typeof statistics)[0]];
    expect(parameters.map(({ name }) => name)).toEqual(['dense/kernel', 'dense/bias', 'dense_1/kernel', 'dense_1/bias']);
    expect(norm).toBeCloseTo(Math.hypot(...parameters.map(({ gradientNorm }) => gradientNorm)), 8);
    // The first step of momentum is the rate times the gradient.
    const kernel = parameters[0]!;
    expect(kernel.updateRatio).toBeCloseTo((0.1 * kernel.gradientNorm) / kernel.weightNorm, 4);
  });

  it('advises on data and on losses', async () => {
    const data = clouds(60);
    const features = data.features.map((value, i) => (i % 4 === 0 ? 7 : i % 4 === 1 ? 1000 * value : value));
    const { events } = await train({ ...data, features: features }, { epochs: 9, debug: true }, { optimizer: standingStill() });
    const advice = ofType(events, 'advice');
    expect(advice.map(({ topic }) => topic)).toEqual(expect.arrayContaining(['data', 'gradients', 'underfitting']));
    expect(advice.map(({ message }) => message).join('\n')).toMatch(/1 of 4 columns never change[\s\S]*Scale them/);
    expect(new Set(advice.map(({ message }) => message)).size).toBe(advice.length);
  });
});

describe('unfreezing', () => {
  it('trains layers from their epoch on, and keeps what the optimizer knows of the others', async () => {
    const layers = (): UnaryLayer[] => [
      new Dense({ units: 8, name: 'body', trainable: false }),
      new Dense({ units: 3, name: 'head' }),
    ];
    const frozen = await train(clouds(40), { epochs: 2 }, { layers: layers() });
    const { events, weights, history, optimizer } = await train(
      clouds(40),
      { epochs: 4, unfreeze: [{ epoch: 3, layers: ['body'] }] },
      { layers: layers() },
    );
    expect(ofType(events, 'unfrozen')).toEqual([{ type: 'unfrozen', epoch: 3, layers: ['body'] }]);
    expect(history!.replayedSteps).toBeGreaterThan(10);
    const start = new Sequential({ layers: layers(), seed: 5 });
    start.build([4]);
    const initial = start.parameters().flatMap(({ variable }) => [...variable.dataSync()]);
    const body = 4 * 8 + 8;
    expect(frozen.weights.slice(0, body)).toEqual(initial.slice(0, body));
    weights.slice(0, 32).forEach((value, i) => expect(value).not.toBe(initial[i]));
    const { slots } = await optimizer.getState();
    expect(Object.keys(slots.velocities!)).toEqual(['body/kernel', 'body/bias', 'head/kernel', 'head/bias']);
    start.dispose();
  });
});
