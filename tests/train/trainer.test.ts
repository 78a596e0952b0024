import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../ts/data/dataset.js';
import { crossEntropy, Dense, Dropout, meanSquaredError, Sequential } from '../../ts/nn/index.js';
import { Adam, SGD } from '../../ts/optim/index.js';
import { Trainer, type FitOptions, type ModelTrainerOptions, type TrainingEvent } from '../../ts/train/index.js';
import { randomSource } from '../support/describe-model.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

/** Two interleaved spirals of one and a half turns with a little noise: [x, y] and the arm. */
function spirals(size: number, seed: number): Dataset {
  const random = randomSource(seed);
  const features = new Float32Array(2 * size);
  const targets = new Int32Array(size);
  for (let row = 0; row < size; ++row) {
    const t = random();
    const angle = 3 * Math.PI * t + (row % 2) * Math.PI;
    const radius = 0.2 + t;
    targets[row] = row % 2;
    features[2 * row] = radius * Math.cos(angle) + 0.03 * (random() - 0.5);
    features[2 * row + 1] = radius * Math.sin(angle) + 0.03 * (random() - 0.5);
  }
  return { size, featureShape: [2], features, targets, targetShape: [] };
}

const XOR: Dataset = {
  size: 4,
  featureShape: [2],
  features: Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1),
  targets: Int32Array.of(0, 1, 1, 0),
  targetShape: [],
};

const makeModel = (options: { seed?: number; dropout?: number; units?: number; outputs?: number } = {}): Sequential =>
  new Sequential({
    seed: options.seed ?? 1,
    layers: [
      new Dense({ units: options.units ?? 16, activation: 'tanh' }),
      new Dropout({ rate: options.dropout ?? 0 }),
      new Dense({ units: options.outputs ?? 2 }),
    ],
  });

const setUp = (options: Partial<ModelTrainerOptions> = {}): { trainer: Trainer; model: Sequential; optimizer: Adam } => {
  const model = (options.model as Sequential | undefined) ?? makeModel();
  const optimizer = (options.optimizer as Adam | undefined) ?? new Adam({ learningRate: 0.01 });
  return { model, optimizer, trainer: new Trainer({ loss: crossEntropy, ...options, model, optimizer }) };
};

const weightsOf = async (model: Sequential): Promise<number[][]> =>
  Object.values(await model.getWeights()).map(({ data }) => [...bitsOf(data)]);

describe('learning', () => {
  it('learns XOR and predicts it', async () => {
    const { trainer, model, optimizer } = setUp({
      optimizer: new Adam({ learningRate: 0.05 }),
      model: makeModel({ units: 8 }),
    });
    const history = await trainer.fit(XOR, { epochs: 150, batchSize: 4 });
    expect(history).toMatchObject({ stopReason: 'epochs', bestEpoch: 150, steps: 150, replayedSteps: 148 });
    expect(history.epochs.at(-1)!.trainLoss).toBeLessThan(0.05);
    expect(await trainer.evaluate(XOR)).toMatchObject({ accuracy: 1 });
    const logits = await trainer.predict(XOR.features, { batchSize: 3 });
    expect(Array.from({ length: 4 }, (_, row) => (logits[2 * row + 1]! > logits[2 * row]! ? 1 : 0))).toEqual([...XOR.targets]);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('learns two spirals from a seed, judged on rows it has not seen', async () => {
    const model = new Sequential({
      seed: 3,
      layers: [
        new Dense({ units: 32, activation: 'relu', kernelInitializer: 'he_normal' }),
        new Dense({ units: 32, activation: 'relu', kernelInitializer: 'he_normal' }),
        new Dense({ units: 2 }),
      ],
    });
    const { trainer, optimizer } = setUp({ model });
    const history = await trainer.fit(spirals(400, 1), {
      validation: spirals(100, 2),
      epochs: 80,
      batchSize: 48,
      earlyStopping: { patience: 20 },
    });
    const { accuracy, loss } = await trainer.evaluate(spirals(300, 3));
    expect(accuracy).toBeGreaterThan(0.97);
    expect(loss).toBeLessThan(0.1);
    const best = history.epochs[history.bestEpoch - 1]!;
    expect(best.validationLoss).toBe(Math.min(...history.epochs.map(({ validationLoss }) => validationLoss!)));
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('fits a line with the mean squared error', async () => {
    const random = randomSource(4);
    const size = 64;
    const features = Float32Array.from({ length: 2 * size }, () => 2 * random() - 1);
    const targets = Float32Array.from({ length: size }, (_, row) => 3 * features[2 * row]! - features[2 * row + 1]! + 0.5);
    const data: Dataset = { size, featureShape: [2], features, targets, targetShape: [] };
    const model = new Sequential({ layers: [new Dense({ units: 1 })] });
    const { trainer, optimizer } = setUp({ model, loss: meanSquaredError, optimizer: new SGD({ learningRate: 0.2 }) });
    await trainer.fit(data, { epochs: 60, batchSize: 16 });
    const judged = await trainer.evaluate(data);
    expect(judged.loss).toBeLessThan(1e-6);
    expect(judged).not.toHaveProperty('accuracy');
    const weights = await model.getWeights();
    [3, -1].forEach((value, i) => expect(weights['dense/kernel']!.data[i]).toBeCloseTo(value, 3));
    expect(weights['dense/bias']!.data[0]).toBeCloseTo(0.5, 3);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe('determinism', () => {
  const run = async (options: {
    seed: number;
    modelSeed?: number;
    compile?: boolean;
    shuffle?: boolean;
  }): Promise<{ weights: number[][]; losses: number[] }> => {
    const { trainer, model, optimizer } = setUp({
      model: makeModel({ seed: options.modelSeed ?? 1, dropout: 0.2 }),
      seed: options.seed,
      compile: options.compile ?? true,
    });
    const history = await trainer.fit(spirals(50, 1), { epochs: 4, batchSize: 16, shuffle: options.shuffle ?? true });
    const result = { weights: await weightsOf(model), losses: history.epochs.map(({ trainLoss }) => trainLoss) };
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
    return result;
  };

  it('equal seeds give equal bits, replayed or eager; other seeds others', async () => {
    const reference = await run({ seed: 1 });
    expect(await run({ seed: 1 })).toEqual(reference);
    expect(await run({ seed: 1, compile: false })).toEqual(reference);
    expect(await run({ seed: 2 })).not.toEqual(reference);
    expect(await run({ seed: 1, modelSeed: 2 })).not.toEqual(reference);
    const plain = await run({ seed: 1, shuffle: false });
    expect(plain).not.toEqual(reference);
    expect(await run({ seed: 2, shuffle: false })).toEqual(plain);
  });

  it('the mean training loss weighs the short last batch by its rows', async () => {
    // Rate 0: the loss of every epoch is the loss of the unchanged model.
    const { trainer, model, optimizer } = setUp({ optimizer: new Adam() });
    optimizer.learningRate = 0;
    const data = spirals(50, 1);
    const history = await trainer.fit(data, { epochs: 2, batchSize: 16 });
    expect(history.steps).toBe(8);
    const { loss } = await trainer.evaluate(data, { batchSize: 7 });
    // Means of float32 sums in different groupings.
    for (const { trainLoss } of history.epochs) expect(Math.abs(trainLoss - loss)).toBeLessThan(1e-6);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe('stopping', () => {
  it('stops early, restores the best weights and tells so', async () => {
    const train = spirals(60, 1);
    // Labels of the validation rows are turned round: learning makes the loss worse from some epoch on.
    const turned = spirals(60, 2);
    const validation = { ...turned, targets: (turned.targets as Int32Array).map((target) => 1 - target) };
    const { trainer, model, optimizer } = setUp();
    const events: TrainingEvent[] = [];
    const history = await trainer.fit(train, {
      validation,
      epochs: 200,
      batchSize: 20,
      earlyStopping: { patience: 3 },
      onEvent: (event) => void events.push(event),
    });
    expect(history.stopReason).toBe('early_stopping');
    expect(history.epochs).toHaveLength(history.bestEpoch + 3);
    const best = history.epochs[history.bestEpoch - 1]!;
    expect((await trainer.evaluate(validation)).loss).toBe(best.validationLoss);
    expect(best.validationLoss).toBe(Math.min(...history.epochs.map(({ validationLoss }) => validationLoss!)));
    expect(events[0]).toEqual({ type: 'start', epochs: 200, stepsPerEpoch: 3, parameters: 82, rows: 60 });
    expect(events.at(-1)).toEqual({ type: 'end', history });
    const steps = events.filter((event) => event.type === 'step');
    expect(steps.map(({ epoch, step }) => [epoch, step])).toEqual(
      history.epochs.flatMap(({ epoch }) => [1, 2, 3].map((step) => [epoch, step])),
    );
    const epochs = events.filter((event) => event.type === 'epoch');
    expect(epochs.map(({ record }) => record)).toEqual(history.epochs);
    expect(epochs.filter(({ improved }) => improved).at(-1)!.record.epoch).toBe(history.bestEpoch);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('minDelta counts small gains as none; restoreBest false keeps the last weights', async () => {
    const { trainer, model, optimizer } = setUp();
    const data = spirals(60, 1);
    const history = await trainer.fit(data, {
      validation: data,
      epochs: 50,
      batchSize: 20,
      earlyStopping: { patience: 2, minDelta: 10, restoreBest: false },
    });
    expect(history).toMatchObject({ stopReason: 'early_stopping', bestEpoch: 3 });
    expect((await trainer.evaluate(data)).loss).toBe(history.epochs[2]!.validationLoss);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('abort finishes the running step and keeps the best weights so far', async () => {
    const { trainer, model, optimizer } = setUp();
    const controller = new AbortController();
    const data = spirals(60, 1);
    let weightsAfterTwo: number[][] = [];
    const history = await trainer.fit(data, {
      validation: data,
      epochs: 100,
      batchSize: 20,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step' && event.epoch === 3 && event.step === 2) controller.abort();
        if (event.type === 'epoch' && event.record.epoch === 2)
          weightsAfterTwo = model.parameters().map(({ variable }) => [...bitsOf(variable.dataSync<'float32'>())]);
      },
    });
    expect(history).toMatchObject({ stopReason: 'aborted', bestEpoch: 2 });
    expect(history.epochs).toHaveLength(2);
    expect(history.steps).toBeLessThanOrEqual(9);
    expect(await weightsOf(model)).toEqual(weightsAfterTwo);
    const again = await trainer.fit(data, { epochs: 5, batchSize: 20, signal: AbortSignal.abort() });
    expect(again).toMatchObject({ stopReason: 'aborted', steps: 0, bestEpoch: 0, epochs: [] });
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('a loss that is not finite ends training with the best weights restored', async () => {
    const data = spirals(60, 1);
    const model = makeModel();
    const optimizer = new SGD({ learningRate: 0.1 });
    const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
    let best: number[][] = [];
    const numTensors: number[] = [];
    const fit = trainer.fit(data, {
      epochs: 20,
      batchSize: 20,
      nonFinite: { skip: 0, rollbacks: 0 },
      onEvent: (event) => {
        if (event.type !== 'epoch' || event.record.epoch !== 2) return;
        best = model.parameters().map(({ variable }) => [...bitsOf(variable.dataSync<'float32'>())]);
        numTensors.push(tf.memory().numTensors);
        optimizer.learningRate = 1e38;
      },
    });
    await expect(fit).rejects.toThrow(
      failure('E_DIVERGED', /training loss of epoch [34], step \d+ is NaN: expected a finite number/),
    );
    expect(await weightsOf(model)).toEqual(best);
    // The kept best weights are gone, one tensor per parameter.
    expect(tf.memory().numTensors).toBe(numTensors[0]! - 4);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe('resources', () => {
  it('holds as many tensors after an epoch as before, and none after dispose', async () => {
    const start = tf.memory().numTensors;
    const { trainer, model, optimizer } = setUp({ model: makeModel({ dropout: 0.3 }) });
    const data = spirals(50, 1);
    const counts: number[] = [];
    const options: FitOptions = {
      validation: data,
      epochs: 8,
      batchSize: 16,
      onEvent: (event) => {
        if (event.type === 'epoch') counts.push(tf.memory().numTensors);
      },
    };
    await trainer.fit(data, options);
    expect(new Set(counts).size).toBe(1);
    const after = tf.memory().numTensors;
    await trainer.fit(data, options);
    await trainer.predict(data.features);
    expect(tf.memory().numTensors).toBe(after);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(start);
  });

  it('lets the event loop run between steps', async () => {
    const { trainer, model, optimizer } = setUp();
    let turns = 0;
    const timer = setInterval(() => {
      ++turns;
    }, 0);
    const start = performance.now();
    const { steps } = await trainer.fit(spirals(400, 1), { epochs: 40, batchSize: 16 });
    const elapsedMs = performance.now() - start;
    clearInterval(timer);
    expect(steps).toBe(1000);
    // The trainer yields every 4 ms of wall-clock time. A busy machine pushes it aside for longer; one that does not yield has 0.
    expect(turns).toBeGreaterThan(Math.floor(elapsedMs / 60));
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('a timer can abort steps so small that nothing has to be waited for', async () => {
    const { trainer, model, optimizer } = setUp();
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort();
    }, 30);
    const { stopReason } = await trainer.fit(XOR, { epochs: 100_000, batchSize: 4, signal: controller.signal });
    clearTimeout(timer);
    expect(stopReason).toBe('aborted');
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('an error thrown by a listener rejects fit and leaves the trainer usable', async () => {
    const { trainer, model, optimizer } = setUp();
    const data = spirals(40, 1);
    const onEvent = (event: TrainingEvent): void => {
      if (event.type === 'step' && event.step === 2) throw new Error('listener');
    };
    await expect(trainer.fit(data, { epochs: 3, batchSize: 8, onEvent })).rejects.toThrow('listener');
    const before = tf.memory().numTensors;
    expect(await trainer.fit(data, { epochs: 1, batchSize: 8 })).toMatchObject({ stopReason: 'epochs' });
    expect(tf.memory().numTensors).toBe(before);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe('wrong use is refused before work starts', () => {
  const data = spirals(20, 1);
  const empty: Dataset = {
    size: 0,
    featureShape: [2],
    features: new Float32Array(0),
    targets: new Int32Array(0),
    targetShape: [],
  };
  const good: FitOptions = { epochs: 1, batchSize: 4 };

  it.each([
    ['no rows', empty, good, 'E_DATA', /\[fit\] there are no rows/],
    ['batch 0', data, { ...good, batchSize: 0 }, 'E_CONFIG', /batchSize: expected an integer >= 1, got 0/],
    ['half a row', data, { ...good, batchSize: 1.5 }, 'E_CONFIG', /batchSize: .* got 1.5/],
    ['no epochs', data, { ...good, epochs: 0 }, 'E_CONFIG', /epochs: expected an integer >= 1, got 0/],
    ['unknown option', data, { ...good, epoch: 3 } as never, 'E_CONFIG', /unknown option 'epoch'/],
    ['no data', undefined as never, good, 'E_DATA', /\[fit\] wrong data: expected rows in memory .*, got undefined/],
    ['schedule by name', data, { ...good, schedule: 'cosine' as never }, 'E_CONFIG', /wrong schedule: .* got 'cosine'/],
    ['one callback', data, { ...good, callbacks: {} as never }, 'E_CONFIG', /wrong callbacks: expected a list/],
    ['no callback', data, { ...good, callbacks: [3 as never] }, 'E_CONFIG', /wrong callbacks\[0\]: .* got 3/],
    [
      'a hook that is none',
      data,
      { ...good, callbacks: [{ onEpochFinish: () => undefined } as never] },
      'E_CONFIG',
      /unknown hook 'onEpochFinish' of callbacks\[0\]: expected some of onStart,/,
    ],
    ['events to a text', data, { ...good, onEvent: 'log' as never }, 'E_CONFIG', /wrong onEvent: expected a function/],
    ['float classes', { ...data, targets: new Float32Array(20) }, good, 'E_DTYPE', /expected class indices in an Int32Array/],
    [
      'class out of range',
      { ...data, targets: new Int32Array(20).fill(2) },
      good,
      'E_DATA',
      /row 0 is no class of the model: expected 0 to 1, got 2/,
    ],
    [
      'no features',
      { ...data, features: undefined as never },
      good,
      'E_DTYPE',
      /wrong features: expected a Float32Array.*undefined/,
    ],
    ['doubles', { ...data, features: new Float64Array(40) as never }, good, 'E_DTYPE', /wrong features: .* got a Float64Array/],
    ['no target shape', { ...data, targetShape: undefined as never }, good, 'E_SHAPE', /wrong shape of targets: .* undefined/],
    ['too few targets', { ...data, targets: new Int32Array(19) }, good, 'E_SHAPE', /expected 20 values/],
    ['too few features', { ...data, features: new Float32Array(39) }, good, 'E_SHAPE', /expected 40 values .* got 39/],
    [
      'early stopping without validation',
      data,
      { ...good, earlyStopping: { patience: 1 } },
      'E_CONFIG',
      /needs validation data/,
    ],
    ['patience 0', data, { ...good, validation: data, earlyStopping: { patience: 0 } }, 'E_CONFIG', /earlyStopping.patience/],
    ['empty validation', data, { ...good, validation: empty }, 'E_DATA', /\[fit validation\] there are no rows/],
    [
      'other validation features',
      data,
      { ...good, validation: { ...XOR, featureShape: [1, 2] } },
      'E_SHAPE',
      /validation features differ/,
    ],
  ] as const)('%s', async (_, dataset, options, code, message) => {
    const { trainer, model, optimizer } = setUp();
    const before = tf.memory().numTensors;
    await expect(trainer.fit(dataset, options)).rejects.toThrow(failure(code, message));
    expect(model.isBuilt).toBe(false);
    expect(tf.memory().numTensors).toBe(before);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it.each([
    ['model', {}, /\[trainer\] wrong model: expected a model of layers, .* got an object/],
    ['loss', undefined, /\[trainer\] wrong loss: expected a loss, such as crossEntropy, got undefined/],
    ['loss', [crossEntropy, 'mse'], /\[trainer\] wrong loss\[1\]: .* got 'mse'/],
    ['optimizer', 'adam', /\[trainer\] wrong optimizer: expected an optimizer, .* got 'adam'/],
    ['optimizer', undefined, /wrong optimizer/],
  ] as const)('a trainer of another %s: %s', (key, value, message) => {
    const model = new Sequential({ layers: [new Dense({ units: 2 })] });
    const options = { model, loss: crossEntropy, optimizer: undefined as never, [key]: value };
    if (key !== 'optimizer') options.optimizer = new SGD() as never;
    expect(() => new Trainer(options)).toThrow(failure('E_CONFIG', message));
  });

  it('a trainer of nothing', () => {
    for (const options of [undefined, null, []])
      expect(() => new Trainer(options as never)).toThrow(
        failure('E_CONFIG', /\[trainer\] wrong options: expected an object, got/),
      );
  });

  it('other features than the model was built for, unbuilt models, two calls at once, a disposed trainer', async () => {
    const { trainer, model, optimizer } = setUp();
    await expect(trainer.evaluate(data)).rejects.toThrow(failure('E_USAGE', /not built/));
    model.build([3]);
    await expect(trainer.fit(data, good)).rejects.toThrow(failure('E_SHAPE', /expected \[3\], got \[2\]/));
    await expect(trainer.predict(new Float32Array(4))).rejects.toThrow(failure('E_SHAPE', /multiple of 3/));
    expect(await trainer.predict(new Float32Array(0))).toHaveLength(0);
    for (const wrong of [undefined, 'x', [1, 2, 3]])
      await expect(trainer.predict(wrong as never)).rejects.toThrow(
        failure('E_CONFIG', /wrong inputs: expected a Float32Array/),
      );
    for (const wrong of [null, { batchsize: 1 }]) {
      await expect(trainer.predict(new Float32Array(6), wrong as never)).rejects.toThrow(failure('E_CONFIG', /\[predict\]/));
      await expect(trainer.evaluate(data, wrong as never)).rejects.toThrow(failure('E_CONFIG', /\[evaluate\]/));
    }
    const busy = trainer.predict(new Float32Array(6));
    await expect(trainer.predict(new Float32Array(6))).rejects.toThrow(failure('E_USAGE', /busy/));
    expect(await busy).toHaveLength(4);
    expect(() => new Trainer({ model, loss: crossEntropy, optimizer, seed: -1 })).toThrow(failure('E_CONFIG', /seed/));
    expect(model.isDisposed).toBe(false);
    model.dispose();
    for (const call of [
      () => trainer.evaluate(data),
      () => trainer.predict(new Float32Array(6)),
      () => trainer.fit(data, good),
    ])
      await expect(call()).rejects.toThrow(failure('E_DISPOSED', /the model has been disposed/));
    trainer.dispose();
    await expect(trainer.predict(new Float32Array(6))).rejects.toThrow(failure('E_DISPOSED', /trainer has been disposed/));
    optimizer.dispose();
  });

  it('another backend than ours, a model built there', async () => {
    const { trainer, model, optimizer } = setUp();
    await tf.setBackend('cpu');
    model.build([2]);
    try {
      await expect(trainer.fit(data, good)).rejects.toThrow(failure('E_DEVICE', /the current one is 'cpu'/));
    } finally {
      await useNativeBackend();
    }
    await expect(trainer.fit(data, good)).rejects.toThrow(
      failure('E_DEVICE', /'dense\/kernel' lives on backend 'cpu', but the current one is 'tensorkiln-cpu'/),
    );
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});
