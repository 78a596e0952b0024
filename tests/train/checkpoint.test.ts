import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Dataset } from '../../ts/data/dataset.js';
import { decodeSafetensors, float32Of } from '../../ts/formats/safetensors.js';
import { crossEntropy, Dense, Dropout, Sequential } from '../../ts/nn/index.js';
import { Adam, AdamW, cosineSchedule, SGD, type Optimizer } from '../../ts/optim/index.js';
import {
  Trainer,
  type Callback,
  type CheckpointOptions,
  type FitOptions,
  type TrainingEvent,
  type TrainingHistory,
} from '../../ts/train/index.js';
import { randomSource } from '../support/describe-model.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

let root: string;
let folder: string;
let counter = 0;
beforeAll(async () => {
  await useNativeBackend();
  root = mkdtempSync(join(tmpdir(), 'tensorkiln-checkpoints-'));
});
beforeEach(() => {
  folder = join(root, String(++counter));
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

function clouds(size: number, seed: number): Dataset {
  const random = randomSource(seed);
  const targets = Int32Array.from({ length: size }, (_, row) => row % 3);
  const features = Float32Array.from({ length: 4 * size }, (_, i) => random() + (targets[Math.floor(i / 4)]! - 1) * (i % 3));
  return { size, featureShape: [4], features, targets, targetShape: [] };
}

const TRAIN = clouds(50, 1);
const VALIDATION = clouds(20, 2);
/** 50 rows in batches of 16: four steps an epoch, the last one short. */
const BASE: FitOptions = {
  validation: VALIDATION,
  epochs: 5,
  batchSize: 16,
  earlyStopping: { patience: 5 },
};

interface Outcome {
  readonly history: TrainingHistory;
  readonly weights: unknown;
  readonly events: readonly TrainingEvent[];
}

/** Trains with a fresh model, optimizer and trainer; `stopAt` aborts after so many steps. */
async function train(
  options: Partial<FitOptions> = {},
  parts: { stopAt?: number; optimizer?: () => Optimizer; data?: Dataset; seed?: number; units?: number } = {},
): Promise<Outcome> {
  const model = new Sequential({
    seed: 1,
    layers: [new Dense({ units: parts.units ?? 8, activation: 'tanh' }), new Dropout({ rate: 0.3 }), new Dense({ units: 3 })],
  });
  const optimizer = parts.optimizer?.() ?? new Adam({ learningRate: 0.02 });
  const trainer = new Trainer({ model, loss: crossEntropy, optimizer, seed: parts.seed ?? 3 });
  const controller = new AbortController();
  const events: TrainingEvent[] = [];
  let steps = 0;
  try {
    const history = await trainer.fit(parts.data ?? TRAIN, {
      ...BASE,
      signal: controller.signal,
      onEvent: (event) => {
        events.push(event);
        if (event.type === 'step' && ++steps === parts.stopAt) controller.abort();
      },
      ...options,
    });
    const weights = Object.entries(await model.getWeights()).map(([name, { data }]) => [name, [...bitsOf(data)]]);
    return { history, weights, events };
  } finally {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

/** What an interruption must not change. */
const comparable = ({ history, weights }: Outcome): unknown => ({
  weights,
  bestEpoch: history.bestEpoch,
  stopReason: history.stopReason,
  steps: history.steps,
  epochs: history.epochs.map(({ epoch, trainLoss, validationLoss, validationAccuracy, learningRate }) => ({
    epoch,
    trainLoss,
    validationLoss,
    validationAccuracy,
    learningRate,
  })),
});

const every = (steps: number, keep = 3): CheckpointOptions => ({ folder, every: { steps }, keep });
const files = (): string[] => readdirSync(join(folder)).sort();
const newest = (): string =>
  join(
    folder,
    files()
      .filter((name) => name.startsWith('step-'))
      .at(-1)!,
  );

describe('a resumed run equals one that was not interrupted, bit for bit', () => {
  it.each<[string, number, Partial<FitOptions>, (() => Optimizer) | undefined]>([
    ['in the middle of an epoch', 6, {}, undefined],
    ['at the end of an epoch', 8, {}, undefined],
    ['before the second step', 1, {}, undefined],
    ['with AdamW and a schedule', 7, { schedule: cosineSchedule() }, () => new AdamW({ learningRate: 0.02 })],
    ['with momentum, in order', 9, { shuffle: false }, () => new SGD({ learningRate: 0.05, momentum: 0.9 })],
    [
      'with a rate lowered on plateaus',
      14,
      { reduceOnPlateau: { patience: 1, factor: 0.5, minDelta: 0.2 } },
      () => new SGD({ learningRate: 0.05 }),
    ],
    ['that stops early', 10, { epochs: 40, earlyStopping: { patience: 2, minDelta: 0.05 } }, undefined],
    ['without validation data', 6, { earlyStopping: { patience: 3, monitor: 'train_loss' } }, undefined],
  ])('%s', async (_, stopAt, options, optimizer) => {
    const parts = optimizer === undefined ? {} : { optimizer };
    const reference = await train(options, parts);
    const first = await train({ ...options, checkpoints: every(1) }, { ...parts, stopAt });
    expect(first.history.stopReason).toBe('aborted');
    const second = await train({ ...options, checkpoints: every(1), resume: true }, parts);
    expect(second.events[0]).toMatchObject({ type: 'resumed', damaged: [] });
    expect(comparable(second)).toEqual(comparable(reference));
  });

  it('after several interruptions, with the state of callbacks', async () => {
    const makeCounter = (): Callback & { steps: number } => ({
      name: 'counter',
      steps: 0,
      onStep() {
        this.steps += 1;
      },
      getState() {
        return this.steps;
      },
      setState(state) {
        this.steps = state as number;
      },
    });
    const reference = await train();
    let last: Outcome | undefined;
    const counts: number[] = [];
    for (const stopAt of [3, 2, 5, 100]) {
      const counter = makeCounter();
      last = await train({ checkpoints: every(2), resume: true, callbacks: [counter] }, { stopAt });
      counts.push(counter.steps);
    }
    expect(comparable(last!)).toEqual(comparable(reference));
    expect(counts.at(-1)).toBe(20);
  });
});

describe('damaged checkpoints', () => {
  const flip = (path: string, position: (length: number) => number): void => {
    const bytes = readFileSync(path);
    bytes[position(bytes.length)]! ^= 16;
    writeFileSync(path, bytes);
  };

  it.each<[string, (path: string) => void]>([
    ['cut in half', (path) => truncateSync(path, readFileSync(path).length / 2)],
    ['empty', (path) => truncateSync(path, 0)],
    ['with a bit turned in the weights', (path) => flip(path, (length) => length - 50)],
    ['with a bit turned in the header', (path) => flip(path, () => 300)],
    ['with a bit turned in the length', (path) => flip(path, () => 1)],
    ['with a bit turned in the checksum', (path) => flip(path, () => readFileSync(newest()).indexOf('"sha256":"') + 20)],
    ['with a byte behind the end', (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)]))],
  ])('%s: the previous one is used and the event says so', async (_, spoil) => {
    await train({ checkpoints: every(2) }, { stopAt: 7 });
    const damaged = newest();
    spoil(damaged);
    const resumed = await train({ checkpoints: every(2), resume: true });
    const event = resumed.events[0];
    expect(event).toMatchObject({ type: 'resumed', damaged: [{ file: damaged }] });
    expect(comparable(resumed)).toEqual(comparable(await train()));
  });

  it('all of them: an error that names each, and the model is untouched', async () => {
    await train({ checkpoints: every(2) }, { stopAt: 7 });
    const names = files().filter((name) => name.startsWith('step-'));
    for (const name of names) truncateSync(join(folder, name), 20);
    const error = await train({ checkpoints: every(2), resume: true }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'E_DATA' });
    for (const name of names) expect((error as Error).message).toContain(name);
  });
});

describe('what is kept', () => {
  it('the newest few, and the best epoch as weights that any reader of safetensors takes', async () => {
    const { history } = await train({ checkpoints: every(3, 2) });
    expect(files()).toEqual(['best.safetensors', 'step-0000000018.safetensors', 'step-0000000020.safetensors']);
    const { tensors } = decodeSafetensors(readFileSync(join(folder, 'best.safetensors')), 'best');
    const weights = Object.fromEntries(Object.keys(tensors).map((name) => [name, float32Of(name, tensors[name]!)]));
    expect(Object.keys(weights).sort()).toEqual(['dense/bias', 'dense/kernel', 'dense_1/bias', 'dense_1/kernel']);
    // restoreBest: the model ends with the very weights.
    const model = await train({}, {});
    expect(history.bestEpoch).toBe(model.history.bestEpoch);
    const kernel = (model.weights as [string, number[]][]).find(([name]) => name === 'dense/kernel')![1];
    expect([...bitsOf(weights['dense/kernel']!)]).toEqual(kernel);
  });

  it('checkpoints after epochs, after seconds, and always at the end', async () => {
    const saved = async (interval: { epochs: number } | { seconds: number }): Promise<number[]> => {
      folder = join(root, String(++counter));
      const { events } = await train({ checkpoints: { folder, every: interval } });
      return events.flatMap((event, index) =>
        event.type === 'checkpoint' ? [events.slice(0, index).filter(({ type }) => type === 'step').length] : [],
      );
    };
    expect(await saved({ epochs: 2 })).toEqual([8, 16, 20]);
    expect(await saved({ seconds: 1e6 })).toEqual([20]);
    expect((await saved({ seconds: 0 })).length).toBeGreaterThan(10);
  });

  it('nothing of a run that has not ended is overwritten; what a finished run left is replaced', async () => {
    await train({ checkpoints: every(2) }, { stopAt: 3 });
    await expect(train({ checkpoints: every(2) })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(/has not ended: .*Resume/) as string,
    });
    await train({ checkpoints: every(2), resume: true });
    await train({ checkpoints: every(3), epochs: 1 });
    expect(files().filter((name) => name.startsWith('step-'))).toEqual([
      'step-0000000003.safetensors',
      'step-0000000004.safetensors',
    ]);
  });

  it('a finished run that is resumed ends at once with the same result', async () => {
    const first = await train({ checkpoints: every(2) });
    const again = await train({ checkpoints: every(2), resume: true });
    expect(again.weights).toEqual(first.weights);
    expect(again.events.filter(({ type }) => type === 'step')).toEqual([]);
  });

  it('resuming where there is nothing starts at the beginning; fastDevRun writes nothing', async () => {
    const reference = await train();
    expect(comparable(await train({ checkpoints: every(5), resume: true }))).toEqual(comparable(reference));
    folder = join(root, String(++counter));
    expect((await train({ checkpoints: every(1), fastDevRun: true })).history.steps).toBe(1);
    expect(() => files()).toThrow('ENOENT');
  });
});

describe('a run of other data or options is refused with the difference', () => {
  const changed = { ...TRAIN, features: TRAIN.features.map((value, index) => (index === 17 ? value + 1e-3 : value)) };

  it.each<[string, Partial<FitOptions>, Parameters<typeof train>[1], RegExp]>([
    ['data', {}, { data: changed }, /data\.train\.sha256: was "?sha256 [0-9a-f]{12}\.\.\., is now sha256/],
    ['rows', {}, { data: clouds(51, 1) }, /data\.train\.rows: was 50, is now 51/],
    ['validation', { validation: clouds(20, 9) }, {}, /data\.validation\.sha256/],
    ['batch size', { batchSize: 8 }, {}, /fit\.batch_size: was 16, is now 8/],
    ['epochs', { epochs: 6 }, {}, /fit\.epochs: was 5, is now 6/],
    ['seed', {}, { seed: 4 }, /trainer\.seed: was 3, is now 4/],
    ['optimizer', {}, { optimizer: () => new SGD() }, /optimizer\.type: was "adam", is now "sgd"/],
    [
      'learning rate',
      {},
      { optimizer: () => new Adam({ learningRate: 0.1 }) },
      /optimizer\.learningRate: was 0\.02, is now 0\.1/,
    ],
    ['model', {}, { units: 9 }, /model\.config\.layers\.0\.config\.units: was 8, is now 9/],
    ['facts', { checkpoints: { folder: '', facts: { note: 'b' } } }, {}, /note: was "a", is now "b"/],
  ])('%s', async (_, options, parts, expected) => {
    const facts = { note: 'a' };
    await train({ checkpoints: { folder, every: { steps: 2 }, facts } }, { stopAt: 5 });
    const before = files().map((name) => readFileSync(join(folder, name)));
    const error = await train(
      { ...options, checkpoints: { facts, ...options.checkpoints, folder, every: { steps: 2 } }, resume: true },
      parts,
    ).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringMatching(expected) as string });
    expect(files().map((name) => readFileSync(join(folder, name)))).toEqual(before);
  });
});
