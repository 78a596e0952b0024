import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../ts/data/dataset.js';
import {
  crossEntropy,
  crossEntropyLoss,
  Dense,
  focalLoss,
  Layer,
  meanSquaredError,
  Sequential,
  type Loss,
  type Shape,
} from '../../ts/nn/index.js';
import { Adam, SGD, stepSchedule, cosineSchedule, exponentialSchedule, withWarmup } from '../../ts/optim/index.js';
import {
  Trainer,
  type BatchSource,
  type Callback,
  type Evaluation,
  type FitOptions,
  type HostBatch,
  type Metric,
  type TrainingEvent,
  type WeightedDataset,
} from '../../ts/train/index.js';
import { toSource } from '../../ts/train/training-data.js';
import { softmaxCrossEntropy } from '../../ts/backend/custom/softmax-cross-entropy.js';
import { randomSource } from '../support/describe-model.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

/** Rows of three numbers; the class says whether their sum is above 0. */
function rows(size: number, seed: number): Dataset {
  const random = randomSource(seed);
  const features = Float32Array.from({ length: 3 * size }, () => 2 * random() - 1);
  const targets = Int32Array.from({ length: size }, (_, row) =>
    features[3 * row]! + features[3 * row + 1]! + features[3 * row + 2]! > 0 ? 1 : 0,
  );
  return { size, featureShape: [3], features, targets, targetShape: [] };
}

const DATA = rows(64, 1);

/** Fits a linear classifier; what the callback makes of it comes back, and everything is freed. */
async function fit(
  options: Partial<FitOptions>,
  trainer: {
    classWeights?: readonly number[];
    data?: WeightedDataset | BatchSource;
    rate?: number;
    seed?: number;
    loss?: Loss;
    metrics?: readonly Metric[];
  } = {},
): Promise<{ weights: number[]; events: TrainingEvent[]; history: Awaited<ReturnType<Trainer['fit']>> }> {
  const model = new Sequential({ seed: trainer.seed ?? 1, layers: [new Dense({ units: 2 })] });
  const optimizer = new SGD({ learningRate: trainer.rate ?? 0.1 });
  const made = new Trainer({
    model,
    loss: trainer.loss ?? crossEntropy,
    optimizer,
    ...(trainer.classWeights === undefined ? {} : { classWeights: trainer.classWeights }),
    ...(trainer.metrics === undefined ? {} : { metrics: trainer.metrics }),
  });
  const events: TrainingEvent[] = [];
  try {
    const history = await made.fit(trainer.data ?? DATA, {
      epochs: 2,
      batchSize: 16,
      onEvent: (event) => void events.push(event),
      ...options,
    });
    const weights = [...bitsOf((await model.getWeights())['dense/kernel']!.data)];
    return { weights, events, history };
  } finally {
    made.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

describe('weights of rows', () => {
  it('class weights equal sample weights of the same value', async () => {
    const byClass = await fit({}, { classWeights: [1, 3] });
    const sampleWeights = Float32Array.from(DATA.targets, (target) => (target === 1 ? 3 : 1));
    expect((await fit({}, { data: { ...DATA, sampleWeights } })).weights).toEqual(byClass.weights);
    expect((await fit({})).weights).not.toEqual(byClass.weights);
  });

  it.each([
    ['arrays', (data: Dataset): BatchSource | Dataset => data],
    [
      'a source',
      (data: Dataset): BatchSource | Dataset => {
        const source = toSource('test', data);
        return {
          size: source.size,
          inputShapes: source.inputShapes,
          targetShapes: source.targetShapes,
          fingerprint: () => source.fingerprint(),
          batches: (options) => source.batches(options),
        };
      },
    ],
  ])('class weights leave ignored rows of %s out', async (_, wrap) => {
    const targets = DATA.targets.map((target, row) => (row % 4 === 0 ? -1 : target)) as Int32Array;
    const sampleWeights = Float32Array.from(targets, (target) => (target === 1 ? 3 : 1));
    const loss = crossEntropyLoss({ ignore: -1 });
    const byClass = await fit({}, { loss, classWeights: [1, 3], data: wrap({ ...DATA, targets }) });
    expect(byClass.history.skippedSteps).toBe(0);
    expect(byClass.weights).toEqual((await fit({}, { loss, data: { ...DATA, targets, sampleWeights } })).weights);
  });

  it.each([
    ['one class per row', [], Int32Array.of(1, 0, -1, -1), 1 / 2],
    ['a class at every place', [2], Int32Array.of(1, -1, 1, 0, -1, -1, 0, 0), (1 + 1 / 2 + 0) / 3],
  ])('accuracy leaves ignored targets out: %s', async (_, places, targets, expected) => {
    // Class 1 has the larger score everywhere.
    const model = new Sequential({
      layers: [new Dense({ units: 2 })],
    });
    model.build([...places, 3]);
    model.setWeights({
      'dense/kernel': { shape: [3, 2], data: new Float32Array(6) },
      'dense/bias': { shape: [2], data: Float32Array.of(0, 1) },
    });
    const trainer = new Trainer({ model, loss: crossEntropyLoss({ ignore: -1 }), optimizer: new SGD({ learningRate: 0.1 }) });
    const features = new Float32Array(3 * targets.length);
    const data = { size: 4, featureShape: [...places, 3], features, targets, targetShape: places };
    expect((await trainer.evaluate(data, { batchSize: 3 })).accuracy).toBeCloseTo(expected, 6);
    trainer.dispose();
    model.dispose();
  });

  it('class weights for a class at every place belong to the loss', async () => {
    const model = new Sequential({ layers: [new Dense({ units: 2 })] });
    const trainer = new Trainer({
      model,
      loss: crossEntropyLoss(),
      optimizer: new SGD({ learningRate: 0.1 }),
      classWeights: [1, 3],
    });
    const places = { ...DATA, size: 32, featureShape: [2, 3], targetShape: [2] };
    await expect(trainer.fit(places, { epochs: 1, batchSize: 16 })).rejects.toThrow(
      /wrong classWeights: expected one class per row, got targets \[N, 2\]. Give the weights to the loss/,
    );
    trainer.dispose();
    model.dispose();
  });

  it('a row of weight 2 counts as the row twice', async () => {
    const half: Dataset = { ...DATA, size: 8, features: DATA.features.slice(0, 24), targets: DATA.targets.slice(0, 8) };
    const twice: Dataset = {
      ...half,
      size: 16,
      features: Float32Array.of(...half.features, ...half.features),
      targets: Int32Array.of(...half.targets, ...half.targets),
    };
    // The mean over 8 rows of weight 2 is twice the mean over 16 rows of weight 1, so half the rate gives the same step.
    const weighted = await fit(
      { epochs: 1, shuffle: false },
      { data: { ...half, sampleWeights: new Float32Array(8).fill(2) }, rate: 0.05 },
    );
    const doubled = await fit({ epochs: 1, shuffle: false }, { data: twice, rate: 0.1 });
    const values = ({ weights }: { weights: number[] }): Float32Array => new Float32Array(Uint32Array.from(weights).buffer);
    // Sums of 8 and of 16 float32 values are rounded differently.
    values(weighted).forEach((value, i) => expect(Math.abs(value - values(doubled)[i]!)).toBeLessThan(1e-6));
  });

  it.each<[string, Parameters<typeof fit>[1], RegExp]>([
    [
      'too few class weights',
      { classWeights: [1] },
      /wrong classWeights: expected one for each of the classes of \[N, 2\], got 1/,
    ],
    ['a negative class weight', { classWeights: [1, -1] }, /got -1 for class 1/],
    [
      'NaN among sample weights',
      { data: { ...DATA, sampleWeights: new Float32Array(64).fill(NaN) } },
      /wrong sample weight of row 0/,
    ],
    [
      'too few sample weights',
      { data: { ...DATA, sampleWeights: new Float32Array(3) } },
      /wrong number of sample weights: expected 64/,
    ],
  ])('%s', async (_, parts, message) => {
    await expect(fit({}, parts)).rejects.toThrow(message);
  });

  it('focal loss with gamma 0 is the cross-entropy, and its gradient for gamma 2 that of its formula', () => {
    const logits = tf.tensor2d([2, -1, 0.5, 0.5, -3, 4], [3, 2]);
    const targets = tf.tensor1d([0, 1, 0], 'int32');
    const plain = softmaxCrossEntropy(logits, targets).dataSync();
    const zero = focalLoss({ gamma: 0 }).rows(logits, targets).dataSync();
    zero.forEach((value, i) => expect(value).toBeCloseTo(plain[i]!, 6));
    const focal = focalLoss().rows(logits, targets).dataSync();
    // -(1 - p)^2 log p in float64; float32 exp and log are good to a few units in the last place.
    plain.forEach((loss, i) => expect(Math.abs(focal[i]! - (1 - Math.exp(-loss)) ** 2 * loss)).toBeLessThan(2e-6));
    const gradient = tf
      .grad((x) => tf.sum(focalLoss().rows(x, targets)))(logits)
      .dataSync();
    const h = 1e-3;
    [...logits.dataSync()].forEach((value, i) => {
      const at = (x: number): number => {
        const values = [...logits.dataSync()];
        values[i] = x;
        return values.reduce((sum, _, row) => {
          if (row >= 3) return sum;
          const [a, b] = [values[2 * row]!, values[2 * row + 1]!];
          const p = 1 / (1 + Math.exp([b - a, a - b][[0, 1, 0][row]!]!));
          return sum - (1 - p) ** 2 * Math.log(p);
        }, 0);
      };
      // Central difference in float64: error h^2, plus float32 rounding of ours.
      expect(Math.abs(gradient[i]! - (at(value + h) - at(value - h)) / (2 * h))).toBeLessThan(1e-5);
    });
  });
});

describe('several inputs and outputs', () => {
  /** Two inputs [3] and [2], outputs: class logits [2] from both, and one value from the second. */
  class Forked extends Layer {
    readonly type = 'forked';
    readonly #classes = new Dense({ units: 2 });
    readonly #value = new Dense({ units: 1 });

    constructor() {
      super({});
      this.addSublayer(this.#classes, 'classes');
      this.addSublayer(this.#value, 'value');
    }

    protected override computeOutputShapes(): readonly Shape[] {
      return [[2], [1]];
    }

    protected override createParameters([first, second]: readonly Shape[]): void {
      this.nameSublayers();
      this.buildSublayer(this.#classes, [[first![0]! + second![0]!]]);
      this.buildSublayer(this.#value, [second!]);
    }

    protected override forward([a, b]: readonly tf.Tensor[]): readonly tf.Tensor[] {
      return [this.#classes.call(tf.concat([a!, b!], 1)), this.#value.call(b!)];
    }

    override getConfig(): Readonly<Record<string, unknown>> {
      return {};
    }
  }

  it('learns both, replayed as eager, weighs the losses and predicts all outputs', async () => {
    const random = randomSource(3);
    const second = Float32Array.from({ length: 2 * 64 }, () => random());
    const data = {
      size: 64,
      inputs: [
        { values: DATA.features, shape: [3] },
        { values: second, shape: [2] },
      ],
      outputs: [
        { values: DATA.targets, shape: [] },
        { values: Float32Array.from({ length: 64 }, (_, row) => 2 * second[2 * row]! - second[2 * row + 1]!), shape: [] },
      ],
    };
    const results: { loss: number; accuracy: number | undefined; metric: number; outputs: readonly Float32Array[] }[] = [];
    for (const compile of [true, false]) {
      const model = new Forked();
      const optimizer = new Adam({ learningRate: 0.1 });
      const trainer = new Trainer({
        model,
        loss: [crossEntropy, meanSquaredError],
        lossWeights: [1, 2],
        metrics: [{ name: 'confidence', rows: (predictions) => tf.max(tf.softmax(predictions as tf.Tensor2D), 1) }],
        optimizer,
        compile,
      });
      const history = await trainer.fit(data, { validation: data, epochs: 60, batchSize: 16 });
      const { loss, accuracy, metrics } = await trainer.evaluate(data);
      expect(history.epochs.at(-1)?.validationMetrics).toEqual(metrics);
      results.push({
        loss,
        accuracy,
        metric: metrics!['confidence']!,
        outputs: await trainer.predictAll([DATA.features, second], { batchSize: 10 }),
      });
      await expect(trainer.predictAll([DATA.features])).rejects.toThrow(/wrong number of inputs: expected 2, got 1/);
      await expect(trainer.predictAll([DATA.features, second.subarray(2)])).rejects.toThrow(/inputs differ in rows/);
      trainer.dispose();
      optimizer.dispose();
      model.dispose();
    }
    expect(results[1]).toEqual(results[0]);
    const { loss, accuracy, metric, outputs } = results[0]!;
    expect(loss).toBeLessThan(0.2);
    expect(accuracy).toBeGreaterThan(0.95);
    expect(metric).toBeGreaterThan(0.5);
    expect(outputs.map(({ length }) => length)).toEqual([128, 64]);
    outputs[1]!.forEach((value, row) => expect(Math.abs(value - data.outputs[1]!.values[row]!)).toBeLessThan(0.2));
  });

  it('refuses losses and targets that do not belong together', async () => {
    const model = new Forked();
    const optimizer = new Adam();
    const trainer = new Trainer({ model, loss: [crossEntropy], optimizer });
    const inputs = [
      { values: DATA.features, shape: [3] },
      { values: new Float32Array(128), shape: [2] },
    ];
    const outputs = [{ values: DATA.targets, shape: [] }];
    await expect(trainer.fit({ size: 64, inputs, outputs }, { epochs: 1, batchSize: 8 })).rejects.toThrow(
      /outputs, losses and targets differ in number/,
    );
    expect(() => new Trainer({ model, loss: [crossEntropy], lossWeights: [1, 2], optimizer })).toThrow(/wrong lossWeights/);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe("losses and metrics of one's own", () => {
  /** Fits and judges a model of one number, and gives everything back. */
  async function judgeOwn(own: { loss?: Loss; metrics?: readonly Metric[] }): Promise<Evaluation> {
    const data = { ...DATA, targets: Float32Array.from(DATA.targets) };
    const model = new Sequential({ layers: [new Dense({ units: 1 })] });
    const optimizer = new SGD({ learningRate: 0.1 });
    try {
      const trainer = new Trainer({ model, loss: meanSquaredError, optimizer, ...own });
      try {
        await trainer.fit(data, { epochs: 1, batchSize: 16 });
        return await trainer.evaluate(data);
      } finally {
        trainer.dispose();
      }
    } finally {
      model.dispose();
      optimizer.dispose();
    }
  }
  const errors = (predictions: tf.Tensor, targets: tf.Tensor): tf.Tensor =>
    tf.sub(predictions, tf.reshape(targets, predictions.shape));

  it('are refused when they give anything but a number for each row, which would make a wrong figure', async () => {
    const before = tf.memory().numTensors;
    const wrong = [
      ['[]', (p: tf.Tensor, t: tf.Tensor) => tf.mean(tf.abs(errors(p, t)))],
      ['[16, 1]', (p: tf.Tensor, t: tf.Tensor) => tf.abs(errors(p, t))],
      ['[256]', (p: tf.Tensor, t: tf.Tensor) => tf.reshape(tf.abs(tf.sub(p, t)), [-1])],
      ['undefined', () => undefined],
      ['3', () => 3],
    ] as const;
    for (const [got, rows] of wrong) {
      const message = `expected a tensor [16], one number for each row of the batch, got ${got}.`;
      const loss = { ...meanSquaredError, name: 'own', rows: rows as unknown as Loss['rows'] };
      await expect(judgeOwn({ loss }), got).rejects.toMatchObject({
        code: 'E_SHAPE',
        message: expect.stringContaining(`[trainer] wrong result of the loss own: ${message}`) as string,
      });
      const metrics = [{ name: 'own', rows: rows as unknown as Metric['rows'] }];
      await expect(judgeOwn({ metrics }), got).rejects.toMatchObject({
        code: 'E_SHAPE',
        message: expect.stringContaining(
          `[trainer] wrong result of the metric own: ${message.replaceAll('16', '64').replace('256', '4096')}`,
        ) as string,
      });
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('may be yes or no for each row: the share of rows is reported', async () => {
    const near: Metric = { name: 'near', rows: (p, t) => tf.reshape(tf.less(tf.abs(errors(p, t)), 0.5), [-1]) };
    const { metrics } = await judgeOwn({ metrics: [near] });
    expect(metrics!['near']! * 64).toBeCloseTo(Math.round(metrics!['near']! * 64), 4);
    expect(metrics!['near']).toBeGreaterThan(0);
  });

  it('have names of their own', async () => {
    const rows: Metric['rows'] = (p) => tf.reshape(p, [-1]);
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [
        [
          { name: 'm', rows },
          { name: 'm', rows },
        ],
        /wrong metrics\[1\]\.name: expected another name than loss, accuracy, m/,
      ],
      [[{ name: 'loss', rows }], /wrong metrics\[0\]\.name: expected another name than loss, accuracy/],
      [[{ name: '', rows }], /wrong metrics\[0\]\.name: expected a text that is not empty/],
      [[{ rows }], /wrong metrics\[0\]: expected a metric with name and rows/],
      [[{ name: 'm', rows: 1 }], /wrong metrics\[0\]\.rows: expected a function/],
      [rows, /wrong metrics: expected a list of metrics/],
    ];
    for (const [metrics, message] of wrong)
      await expect(judgeOwn({ metrics: metrics as readonly Metric[] })).rejects.toMatchObject({
        code: 'E_CONFIG',
        message: expect.stringMatching(message) as string,
      });
  });
});

describe('a tf.LayersModel', () => {
  it('is trained in place, with batch normalisation, weight penalties and two outputs, and best weights restored', async () => {
    const input = tfl.input({ shape: [3] });
    // Seeds: tfjs draws initial weights from Math.random otherwise.
    const seeded = (seed: number): object => ({ kernelInitializer: tfl.initializers.glorotUniform({ seed }) });
    const hidden = tfl.layers
      .dense({ units: 8, activation: 'relu', kernelRegularizer: tfl.regularizers.l2({ l2: 1e-3 }), ...seeded(1) })
      .apply(input) as tfl.SymbolicTensor;
    const normal = tfl.layers.batchNormalization().apply(hidden) as tfl.SymbolicTensor;
    const classes = tfl.layers.dense({ units: 2, ...seeded(2) }).apply(normal) as tfl.SymbolicTensor;
    const value = tfl.layers.dense({ units: 1, ...seeded(3) }).apply(normal) as tfl.SymbolicTensor;
    const model = tfl.model({ inputs: input, outputs: [classes, value] });
    const optimizer = new Adam({ learningRate: 0.03 });
    const trainer = new Trainer({ model, loss: [crossEntropy, meanSquaredError], optimizer });
    const sums = Float32Array.from({ length: 64 }, (_, row) =>
      DATA.features.subarray(3 * row, 3 * row + 3).reduce((a, b) => a + b),
    );
    const data = {
      size: 64,
      inputs: [{ values: DATA.features, shape: [3] }],
      outputs: [
        { values: DATA.targets, shape: [] },
        { values: sums, shape: [] },
      ],
    };
    const moving = model.weights.find(({ name }) => name.includes('moving_mean'))!;
    const before = [...moving.read().dataSync()];
    const history = await trainer.fit(data, { validation: data, epochs: 40, batchSize: 16, earlyStopping: { patience: 40 } });
    expect([...moving.read().dataSync()]).not.toEqual(before);
    const judged = await trainer.evaluate(data);
    expect(judged.loss).toBe(history.epochs[history.bestEpoch - 1]!.validationLoss);
    // Guessing is right for half of the rows.
    expect(judged.accuracy).toBeGreaterThan(0.9);
    const [ours] = await trainer.predictAll([DATA.features]);
    const theirs = (model.predict(tf.tensor2d(DATA.features, [64, 3])) as tf.Tensor[])[0]!.dataSync();
    // The model's own predict runs the same kernels in batches of 32.
    ours!.forEach((got, i) => expect(Math.abs(got - theirs[i]!)).toBeLessThan(1e-5));
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });
});

describe('a step function', () => {
  it('trains, is judged, saved in best weights and refuses to predict', async () => {
    const w = tf.variable(tf.zeros([3, 2]), true, 'own_w');
    const optimizer = new SGD({ learningRate: 0.3 });
    const trainer = new Trainer({
      optimizer,
      step: {
        variables: { w },
        train: ([x], [y]) => {
          const { value, grads } = tf.variableGrads(
            () => tf.mean(softmaxCrossEntropy(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), y!)),
            [w],
          );
          optimizer.apply({ w: grads[w.name]! });
          return value;
        },
        evaluate: ([x], [y]) => softmaxCrossEntropy(tf.matMul(x as tf.Tensor2D, w), y!),
      },
    });
    const history = await trainer.fit(DATA, { validation: DATA, epochs: 20, batchSize: 16, earlyStopping: { patience: 20 } });
    expect(history.replayedSteps).toBeGreaterThan(70);
    expect((await trainer.evaluate(DATA)).loss).toBeLessThan(0.35);
    expect((await trainer.evaluate(DATA)).loss).toBe(history.epochs[history.bestEpoch - 1]!.validationLoss);
    await expect(trainer.predict(DATA.features)).rejects.toThrow(/a trainer of a step function has no model/);
    trainer.dispose();
    optimizer.dispose();
    w.dispose();
  });

  it('without evaluate takes no validation data', async () => {
    const trainer = new Trainer({ step: { variables: {}, train: () => tf.scalar(1) }, compile: false });
    await expect(trainer.fit(DATA, { validation: DATA, epochs: 1, batchSize: 16 })).rejects.toThrow(/no function evaluate/);
    expect((await trainer.fit(DATA, { epochs: 1, batchSize: 16 })).epochs[0]?.trainLoss).toBe(1);
    trainer.dispose();
  });
});

describe('limits', () => {
  it('fastDevRun, limits, overfitting and time end where they say', async () => {
    const steps = async (options: Partial<FitOptions>): Promise<[number, string]> => {
      const { history } = await fit({ validation: DATA, ...options });
      return [history.steps, history.stopReason];
    };
    expect(await steps({})).toEqual([8, 'epochs']);
    expect(await steps({ fastDevRun: true })).toEqual([1, 'epochs']);
    expect(await steps({ limitTrainBatches: 3 })).toEqual([6, 'epochs']);
    expect(await steps({ limitTrainBatches: 0.5 })).toEqual([4, 'epochs']);
    expect(await steps({ overfitBatches: 1 })).toEqual([2, 'epochs']);
    expect(await steps({ maxTimeSeconds: 1e-9 })).toEqual([0, 'max_time']);
    await expect(steps({ overfitBatches: 1, fastDevRun: true })).rejects.toThrow(/only one of overfitBatches, fastDevRun/);
    await expect(steps({ limitTrainBatches: 1.5 })).rejects.toThrow(/limitTrainBatches/);
  });

  it('overfitBatches repeats the same rows; limitValidationBatches judges the first ones', async () => {
    const first: Dataset = { ...DATA, size: 16, features: DATA.features.slice(0, 48), targets: DATA.targets.slice(0, 16) };
    const overfit = await fit({ overfitBatches: 1, epochs: 3 });
    const small = await fit({ shuffle: false, epochs: 3 }, { data: first });
    expect(overfit.weights).toEqual(small.weights);
    const big = rows(600, 5);
    const part: Dataset = { ...big, size: 256, features: big.features.slice(0, 768), targets: big.targets.slice(0, 256) };
    const limited = await fit({ validation: big, limitValidationBatches: 1 });
    const whole = await fit({ validation: part });
    expect(limited.history.epochs.map(({ validationLoss }) => validationLoss)).toEqual(
      whole.history.epochs.map(({ validationLoss }) => validationLoss),
    );
  });

  it('validation batches are judged before the first step, so that what is wrong there costs no epoch', async () => {
    const source: BatchSource = {
      size: 64,
      inputShapes: [[3]],
      targetShapes: [[]],
      fingerprint: () => '',
      batches: (): Iterable<HostBatch> => {
        throw new Error('broken validation');
      },
    };
    const events: TrainingEvent[] = [];
    const options = { validation: source, onEvent: (event: TrainingEvent) => void events.push(event) };
    await expect(fit(options)).rejects.toThrow('broken validation');
    expect(events).toEqual([]);
    await expect(fit({ ...options, sanityValidationBatches: 0 })).rejects.toThrow('broken validation');
    expect(events.filter(({ type }) => type === 'step')).toHaveLength(4);
  });
});

describe('sources of batches', () => {
  it('an asynchronous source gives the weights of the same arrays', async () => {
    const source: BatchSource = {
      size: 64,
      inputShapes: [[3]],
      targetShapes: [[]],
      fingerprint: () => 'async',
      async *batches({ batchSize, skip }): AsyncGenerator<HostBatch> {
        for (let start = skip * batchSize; start < 64; start += batchSize) {
          await new Promise((resolve) => setImmediate(resolve));
          yield {
            rows: batchSize,
            inputs: [DATA.features.subarray(3 * start, 3 * (start + batchSize))],
            targets: [DATA.targets.subarray(start, start + batchSize)],
          };
        }
      },
    };
    expect((await fit({}, { data: source })).weights).toEqual((await fit({ shuffle: false })).weights);
  });
});

describe('learning rates', () => {
  const PROGRESS = { stepsPerEpoch: 4, epochs: 10 };

  it('schedules are those of their formulas', () => {
    const at = (step: number): { step: number; stepsPerEpoch: number; epochs: number } => ({ step, ...PROGRESS });
    expect([0, 7, 8, 16].map((step) => stepSchedule({ every: 2, factor: 0.5 })(at(step)))).toEqual([1, 1, 0.5, 0.25]);
    expect([3, 4, 8].map((step) => exponentialSchedule({ factor: 0.5 })(at(step)))).toEqual([1, 0.5, 0.25]);
    const cosine = cosineSchedule({ floor: 0.2 });
    expect(cosine(at(0))).toBe(1);
    expect(cosine(at(20))).toBeCloseTo(0.6, 12);
    expect(cosine(at(40))).toBeCloseTo(0.2, 12);
    const warm = withWarmup(cosineSchedule(), { epochs: 2 });
    expect([0, 3, 7].map((step) => warm(at(step)))).toEqual(
      [1 / 8, 4 / 8, 1].map((share, i) => share * cosineSchedule()(at([0, 3, 7][i]!))),
    );
    expect(() => stepSchedule({ every: 0, factor: 0.5 })).toThrow(/every/);
    expect(() => cosineSchedule({ floor: 2 })).toThrow(/floor/);
  });

  it('a schedule sets the rate of every step, replayed or not', async () => {
    const rates: number[] = [];
    const schedule: FitOptions['schedule'] = ({ step }) => 1 / (step + 1);
    const callback: Callback = { onEpochEnd: (context) => void rates.push(context.learningRate) };
    const { history } = await fit({ epochs: 3, schedule, callbacks: [callback] });
    expect(rates).toEqual([4, 8, 12].map((step) => 0.1 * (1 / step)));
    expect(history.epochs.map(({ learningRate }) => learningRate)).toEqual(rates);
  });

  it('is lowered on a plateau, not below the floor, and said so', async () => {
    const { events, history } = await fit({
      validation: DATA,
      epochs: 8,
      // Nothing counts as better after the first epoch.
      reduceOnPlateau: { patience: 2, factor: 0.5, minDelta: 10, minLearningRate: 0.03 },
    });
    expect(history.epochs.map(({ learningRate }) => learningRate)).toEqual([0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03]);
    expect(events.flatMap((event) => (event.type === 'learning_rate' ? [[event.epoch, event.from, event.to]] : []))).toEqual([
      [3, 0.1, 0.05],
      [5, 0.05, 0.03],
    ]);
  });
});

describe('monitors', () => {
  it('a metric of your own needs to say whether less or more is better', async () => {
    const metrics: readonly Metric[] = [{ name: 'confidence', rows: (out) => tf.max(tf.softmax(out as tf.Tensor2D), 1) }];
    const stopping = { patience: 1, monitor: 'validation_confidence' };
    const options = { validation: rows(40, 9), epochs: 3 };
    await expect(fit({ ...options, earlyStopping: stopping }, { metrics })).rejects.toMatchObject({
      code: 'E_CONFIG',
      message:
        '[fit] earlyStopping.mode is missing: expected min or max, since only you know whether less or more validation_confidence is better, got nothing.',
    });
    await expect(
      fit({ ...options, reduceOnPlateau: { patience: 1, monitor: 'validation_confidence' } }, { metrics }),
    ).rejects.toThrow(/reduceOnPlateau\.mode is missing/);
    const { history } = await fit({ ...options, earlyStopping: { ...stopping, mode: 'max' } }, { metrics });
    expect(history.epochs.length).toBeGreaterThan(0);
  });

  it('accuracy is better when it is more; the best epoch follows the monitor', async () => {
    const { history } = await fit({
      validation: rows(40, 9),
      epochs: 12,
      earlyStopping: { patience: 4, monitor: 'validation_accuracy' },
    });
    const accuracies = history.epochs.map(({ validationAccuracy }) => validationAccuracy!);
    expect(history.bestEpoch).toBe(accuracies.indexOf(Math.max(...accuracies)) + 1);
    await expect(fit({ validation: DATA, earlyStopping: { patience: 1, monitor: 'accuracy' } })).rejects.toThrow(
      /earlyStopping\.monitor: expected one of train_loss, validation_loss, validation_accuracy/,
    );
  });
});

describe('callbacks', () => {
  it('are called in order, see where training is, and can stop it', async () => {
    const calls: string[] = [];
    const callback: Callback = {
      onStart: (context) => void calls.push(`start ${context.epoch}`),
      onEpochStart: async (context) => {
        await Promise.resolve();
        calls.push(`epoch ${context.epoch}`);
      },
      onStep: (context, { step }) => {
        calls.push(`step ${context.step} ${step}`);
        if (context.step === 6) context.stop();
      },
      onEpochEnd: (_, record) => void calls.push(`end ${record.epoch}`),
      onEnd: (_, history) => void calls.push(history.stopReason),
    };
    const { history } = await fit({ epochs: 5, callbacks: [callback] });
    expect(history.stopReason).toBe('stopped');
    expect(history.steps).toBeGreaterThanOrEqual(6);
    expect(history.steps).toBeLessThan(12);
    expect(calls.slice(0, 9)).toEqual([
      'start 1',
      'epoch 1',
      'step 1 1',
      'step 2 2',
      'step 3 3',
      'step 4 4',
      'end 1',
      'epoch 2',
      'step 5 1',
    ]);
    expect(calls.at(-1)).toBe('stopped');
  });

  it('an error of a callback ends training', async () => {
    const callback: Callback = {
      onEpochStart: () => {
        throw new Error('callback');
      },
    };
    await expect(fit({ callbacks: [callback] })).rejects.toThrow('callback');
  });
});
