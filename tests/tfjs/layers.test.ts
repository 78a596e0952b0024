/** tfjs-layers, unchanged, on our backend: create, fit, evaluate, predict, save and load, beside the stock cpu backend. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { ARCHITECTURES, type Architecture, type Input, type Target } from '../support/layer-architectures.js';
import { expectClose, numbers, onBoth } from '../support/stock-comparison.js';

/** Not a multiple of the batch: the last batch is a smaller one. */
const ROWS = 10;
const BATCH = 4;
const EPOCHS = 2;

interface Run {
  /** Losses and metrics of each epoch, by name. */
  readonly history: Record<string, number[]>;
  readonly evaluation: number[];
  readonly predictions: Float32Array[];
  /** Predictions of the model that was saved and loaded again. */
  readonly reloaded: Float32Array[];
  readonly weights: Float32Array[];
  readonly topology: string;
  /** Tensors that the program left behind. */
  readonly leaked: number;
}

function inputTensor({ shape, count }: Input, seed: number): tf.Tensor {
  const size = ROWS * shape.reduce((a, b) => a * b, 1);
  const values = numbers(size, seed);
  return tf.tensor(count === undefined ? values : values.map((x) => Math.floor(((x + 1) / 2) * count)), [ROWS, ...shape]);
}

function targetTensor(target: Target, shape: number[], seed: number): tf.Tensor {
  const values = numbers(ROWS * shape.reduce((a, b) => a * b, 1), seed);
  const classes = shape.at(-1)!;
  switch (target) {
    case 'real':
      return tf.tensor(values, [ROWS, ...shape]);
    case 'unit':
      return tf.tensor(
        values.map((x) => (x + 1) / 2),
        [ROWS, ...shape],
      );
    case 'sign':
      return tf.tensor(
        values.map((x) => (x < 0 ? -1 : 1)),
        [ROWS, ...shape],
      );
    case 'class':
      return tf.tensor(
        Array.from({ length: ROWS }, (_, row) => row % classes),
        [ROWS, 1],
      );
    case 'one-hot':
      return tf.cast(
        tf.oneHot(
          tf.tensor1d(
            Array.from({ length: ROWS }, (_, row) => row % classes),
            'int32',
          ),
          classes,
        ),
        'float32',
      );
    case 'distribution':
      return tf.softmax(tf.tensor(values, [ROWS, ...shape]));
  }
}

/** Fixed weights for every backend: initializers draw numbers that tfjs does not seed. Variances stay positive. */
function fixWeights(model: tfl.LayersModel): void {
  const values = model.weights.map((weight, index) => {
    const drawn = numbers(
      weight.shape.reduce<number>((a, b) => a * (b ?? 1), 1),
      100 + index,
    );
    const isVariance = weight.name.includes('variance');
    return tf.tensor(
      drawn.map((x) => (isVariance ? 1 + 0.5 * x : 0.5 * x)),
      weight.shape as number[],
    );
  });
  model.setWeights(values);
  tf.dispose(values);
}

async function read(tensors: tf.Tensor | tf.Tensor[]): Promise<Float32Array[]> {
  const list = Array.isArray(tensors) ? tensors : [tensors];
  const values = await Promise.all(list.map(async (tensor) => Float32Array.from(await tensor.data())));
  tf.dispose(list);
  return values;
}

function one<T>(list: T[]): T | T[] {
  return list.length === 1 ? list[0]! : list;
}

async function run(architecture: Architecture): Promise<Run> {
  const before = tf.memory().numTensors;
  const model = architecture.build();
  fixWeights(model);
  const inputs = architecture.inputs.map((input, index) => inputTensor(input, 1 + index));
  const shapes = model.outputs.map(({ shape }) => shape.slice(1) as number[]);
  const targets = architecture.targets.map((target, index) => tf.tidy(() => targetTensor(target, shapes[index]!, 11 + index)));
  const args = architecture.compile();
  model.compile(args);
  let history: Record<string, number[]> = {};
  if (architecture.isTrained !== false) {
    const result = await model.fit(one(inputs), one(targets), {
      epochs: EPOCHS,
      batchSize: BATCH,
      shuffle: false,
      validationSplit: 0.2,
    });
    history = Object.fromEntries(
      Object.entries(result.history).map(([name, values]) => [name.replace(/\d+(?=_)/, ''), values as number[]]),
    );
  }
  const scores = model.evaluate(one(inputs), one(targets), { batchSize: BATCH });
  const evaluation = (await read(scores)).map((values) => values[0]!);
  const predictions = await read(model.predict(one(inputs), { batchSize: BATCH }));
  const weights = await Promise.all(model.weights.map(async (weight) => Float32Array.from(await weight.read().data())));

  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      saved = artifacts;
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    }),
  );
  // What is written to disk is text, so the model must survive that too.
  const topology = JSON.stringify(saved!.modelTopology);
  const loaded = await tfl.loadLayersModel(tf.io.fromMemory({ ...saved!, modelTopology: JSON.parse(topology) as object }));
  const reloaded = await read(loaded.predict(one(inputs), { batchSize: BATCH }));
  loaded.dispose();
  (args.optimizer as tf.Optimizer).dispose();
  model.dispose();
  tf.dispose([inputs, targets]);
  return { history, evaluation, predictions, reloaded, weights, topology, leaked: tf.memory().numTensors - before };
}

/** Layer names count up over all models of a process; the names do not matter here. */
function withoutCounters(topology: string): string {
  return topology.replace(/\d+"/g, '"');
}

describe('tfjs-layers beside the stock cpu backend', () => {
  it.each(ARCHITECTURES.map((architecture) => [architecture.name, architecture] as const))('%s', async (_, architecture) => {
    const { stock, ours } = await onBoth(() => run(architecture));
    expect(Object.keys(ours.history)).toEqual(Object.keys(stock.history));
    for (const [name, values] of Object.entries(stock.history)) expectClose(ours.history[name]!, values, `history ${name}`);
    expectClose(ours.evaluation, stock.evaluation, 'evaluation');
    expect(ours.predictions.length).toBe(architecture.targets.length);
    stock.predictions.forEach((values, index) => expectClose(ours.predictions[index]!, values, `prediction ${String(index)}`));
    stock.weights.forEach((values, index) => expectClose(ours.weights[index]!, values, `weight ${String(index)}`));
    // tfjs-layers applies constraints when weights are set or loaded, not after a training step: loading then moves the weights.
    if (!ours.topology.includes('_constraint":{')) expect(ours.reloaded).toEqual(ours.predictions);
    stock.reloaded.forEach((values, index) => expectClose(ours.reloaded[index]!, values, `reloaded ${String(index)}`));
    expect(withoutCounters(ours.topology)).toBe(withoutCounters(stock.topology));
    expect(ours.leaked).toBe(stock.leaked);
    // A run that trains nothing or predicts a constant would compare nothing.
    expect(ours.evaluation.every(Number.isFinite)).toBe(true);
    expect(ours.predictions.every((values) => values.every(Number.isFinite) && new Set(values).size > 1)).toBe(true);
    if (architecture.isTrained !== false) {
      const losses = ours.history['loss']!;
      expect(losses[1]).not.toBe(losses[0]);
    }
  });

  it('resizing, called directly', async () => {
    const { stock, ours } = await onBoth(async () => {
      const image = tf.tensor(numbers(2 * 6 * 5 * 3, 1), [2, 6, 5, 3]);
      const list = (['bilinear', 'nearest'] as const).map((interpolation) =>
        tfl.layers.resizing({ height: 4, width: 7, interpolation }).apply(image),
      );
      image.dispose();
      return read(list as tf.Tensor[]);
    });
    stock.forEach((values, index) => expectClose(ours[index]!, values, `resizing ${String(index)}`));
  });

  it('covers every layer that tfjs-layers has', () => {
    const aliases = /^(avgPool|avgPooling|globalMaxPool\dd|maxPool\dd)/;
    // Base classes; `input` is tf.input; randomWidth changes shapes at random, and resizing says a wrong output shape, so
    // that no model can be built on either; a ConvLSTM2D cell and stacked cells are made inside convLstm2d and rnn.
    const elsewhere = ['Layer', 'RNN', 'RNNCell', 'input', 'randomWidth', 'resizing', 'convLstm2dCell', 'stackedRNNCells'];
    const wanted = Object.keys(tfl.layers).filter((name) => !aliases.test(name) && !elsewhere.includes(name));
    const classes = new Set<string>();
    for (const { build } of ARCHITECTURES) {
      for (const [, name] of JSON.stringify(build().toJSON(undefined, false)).matchAll(/"class_?[nN]ame":"(\w+)"/g)) {
        classes.add(name!.toLowerCase());
      }
    }
    expect(wanted.length).toBeGreaterThan(50);
    expect(wanted.filter((name) => !classes.has(name.toLowerCase()))).toEqual([]);
  });
});
