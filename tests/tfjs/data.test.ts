/** tf.data pipelines feed training: fitDataset and a loop of one's own, on our backend beside the stock cpu backend. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, describe, expect, it } from 'vitest';
import { expectClose, numbers, onBoth } from '../support/stock-comparison.js';

const folder = mkdtempSync(path.join(tmpdir(), 'tensorkiln-tfdata-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ROWS = 12;
type Pair = { xs: tf.Tensor; ys: tf.Tensor };

const features = Array.from({ length: ROWS }, (_, row) => [...numbers(3, row + 1)]);
const labels = features.map(([a = 0, b = 0, c = 0]) => [a - 2 * b + 0.5 * c]);

function csvFile(): string {
  const file = path.join(folder, 'rows.csv');
  const rows = features.map((row, index) => [...row, ...labels[index]!].join(','));
  writeFileSync(file, `a,b,c,y\n${rows.join('\n')}\n`);
  return `file://${file}`;
}

function* rowsOfPairs(): Generator<Pair> {
  for (let row = 0; row < ROWS; row++) yield { xs: tf.tensor1d(features[row]!), ys: tf.tensor1d(labels[row]!) };
}

/** Each gives batches of four rows. */
const PIPELINES: Readonly<Record<string, () => tfd.Dataset<tf.TensorContainer>>> = {
  'array, zipped and batched': () => tfd.zip({ xs: tfd.array(features), ys: tfd.array(labels) }).batch(4),
  'generator, shuffled by a seed, prefetched': () => tfd.generator(rowsOfPairs).shuffle(6, 'seed', false).batch(4).prefetch(2),
  'CSV file, mapped': () =>
    tfd
      .csv(csvFile(), { columnConfigs: { y: { isLabel: true } } })
      .map((row) => {
        const { xs, ys } = row as { xs: Record<string, number>; ys: Record<string, number> };
        return { xs: Object.values(xs), ys: Object.values(ys) };
      })
      .batch(4),
  'filter, skip, take and repeat': () =>
    tfd
      .zip({ xs: tfd.array(features), ys: tfd.array(labels) })
      .filter((pair) => (pair as { ys: number[] }).ys[0]! > -10)
      .skip(2)
      .take(6)
      .repeat(2)
      .batch(4),
};

function makeModel(): tfl.LayersModel {
  const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [3] })] });
  const weights = [tf.tensor2d([0.1, -0.2, 0.3], [3, 1]), tf.tensor1d([0.05])];
  model.setWeights(weights);
  tf.dispose(weights);
  return model;
}

async function fit(
  pipeline: () => tfd.Dataset<tf.TensorContainer>,
): Promise<{ losses: number[]; score: number; kernel: number[] }> {
  const model = makeModel();
  model.compile({ optimizer: tf.train.sgd(0.2), loss: 'meanSquaredError' });
  const { history } = await model.fitDataset(pipeline(), { epochs: 3 });
  const score = (await model.evaluateDataset(pipeline() as tfd.Dataset<Pair>, {})) as tf.Scalar;
  const result = {
    losses: history['loss'] as number[],
    score: score.dataSync()[0]!,
    kernel: [...model.getWeights()[0]!.dataSync()],
  };
  tf.dispose(score);
  model.dispose();
  return result;
}

async function ownLoop(pipeline: () => tfd.Dataset<tf.TensorContainer>): Promise<{ losses: number[]; leaked: number }> {
  const before = tf.memory().numTensors;
  const kernel = tf.variable(tf.tensor2d([0.1, -0.2, 0.3], [3, 1]));
  const optimizer = tf.train.adam(0.05);
  const losses: number[] = [];
  await pipeline().forEachAsync((batch) => {
    const { xs, ys } = batch as Pair;
    const loss = optimizer.minimize(() => tf.losses.meanSquaredError(ys, tf.matMul(xs as tf.Tensor2D, kernel)), true);
    losses.push(loss!.dataSync()[0]!);
    tf.dispose([loss!, xs, ys]);
  });
  optimizer.dispose();
  kernel.dispose();
  return { losses, leaked: tf.memory().numTensors - before };
}

describe('tf.data', () => {
  it.each(Object.entries(PIPELINES))('%s: feeds fitDataset', async (_, pipeline) => {
    const { stock, ours } = await onBoth(() => fit(pipeline));
    expectClose(ours.losses, stock.losses, 'losses');
    expectClose(ours.kernel, stock.kernel, 'kernel');
    expectClose([ours.score], [stock.score], 'score');
    expect(ours.losses[2]!).toBeLessThan(ours.losses[0]!);
  });

  it.each(Object.entries(PIPELINES))('%s: feeds a loop of our own', async (_, pipeline) => {
    const { stock, ours } = await onBoth(() => ownLoop(pipeline));
    expect(ours.losses.length).toBe(3);
    expectClose(ours.losses, stock.losses, 'losses');
    expect(ours.leaked).toBe(stock.leaked);
  });

  it('an image dataset of uint8 rows becomes int32 and float32 batches', async () => {
    const images = tfd.generator(function* () {
      for (let i = 0; i < 4; i++)
        yield tf.tensor3d(
          Uint8Array.from({ length: 12 }, (_, j) => 20 * i + j),
          [2, 2, 3],
          'int32',
        );
    });
    const batches = await images
      .map((image) => tf.div(image, 255))
      .batch(2)
      .toArray();
    expect(batches.map((batch) => (batch as tf.Tensor).shape)).toEqual([[2, 2, 2, 3], [2, 2, 2, 3]]); // prettier-ignore
    expectClose((batches[1] as tf.Tensor).dataSync().slice(0, 3), [40 / 255, 41 / 255, 42 / 255], 'pixels', 1e-7);
    tf.dispose(batches);
  });
});
