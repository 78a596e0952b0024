import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { Dataset } from '../../ts/data/dataset.js';
import { logisticBaseline, majorityBaseline } from '../../ts/evaluate/baselines.js';
import { fitLogistic, predictLogistic } from '../../ts/evaluate/logistic.js';
import { TurnTaker } from '../../ts/evaluate/turn-taker.js';
import { randomSource, randomValues } from '../support/describe-model.js';

const fixture = JSON.parse(readFileSync(new URL('../fixtures/baselines.json', import.meta.url), 'utf8')) as {
  classes: string[];
  trainFeatures: number[];
  trainLabels: number[];
  testFeatures: number[];
  testLabels: number[];
  accuracy: number;
  logLoss: number;
  probabilities: number[];
};

function dataset(features: ArrayLike<number>, labels: ArrayLike<number>, numFeatures: number): Dataset {
  return {
    size: labels.length,
    featureShape: [numFeatures],
    features: Float32Array.from(features),
    targets: Int32Array.from(labels),
    targetShape: [],
  };
}

const train = dataset(fixture.trainFeatures, fixture.trainLabels, 4);
const test = dataset(fixture.testFeatures, fixture.testLabels, 4);
const turns = new TurnTaker('test');
const problem = { features: train.features, labels: train.targets, rows: train.size, numFeatures: 4, numClasses: 3, l2: 1 };

describe('majorityBaseline', () => {
  it('says the most frequent class with the shares of the training rows', () => {
    const { metrics, description } = majorityBaseline(dataset([0, 0, 0, 0], [1, 1, 0, 1], 1), dataset([0, 0], [1, 0], 1), [
      'no',
      'yes',
    ]);
    expect(metrics.accuracy).toBe(0.5);
    expect(metrics.confusion).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(metrics.logLoss).toBeCloseTo(-(Math.log(0.75) + Math.log(0.25)) / 2, 12);
    expect(description).toContain('"yes"');
  });

  it('takes the first class of a tie', () => {
    const { metrics } = majorityBaseline(dataset([0, 0], [1, 0], 1), dataset([0], [0], 1), ['a', 'b']);
    expect(metrics.accuracy).toBe(1);
  });

  it('stays below half on penguins', () => {
    const adelie = fixture.testLabels.filter((label) => label === 0).length;
    expect(majorityBaseline(train, test, fixture.classes).metrics.accuracy).toBe(adelie / fixture.testLabels.length);
  });
});

describe('logisticBaseline', () => {
  it('equals scikit-learn on penguins', async () => {
    const { metrics, fit } = await logisticBaseline(train, test, fixture.classes);
    expect(metrics.accuracy).toBeCloseTo(fixture.accuracy, 12);
    expect(metrics.accuracy).toBeGreaterThan(0.98);
    // Both stop at a gradient of about 1e-8; the optimum is flat enough for six digits.
    expect(metrics.logLoss).toBeCloseTo(fixture.logLoss, 6);
    expect(fit).toMatchObject({ method: 'newton', converged: true });
    expect(fit.iterations).toBeLessThan(15);
  });

  it('gives the probabilities of scikit-learn', async () => {
    const { weights } = await fitLogistic(problem, { method: 'newton', maxIterations: 100, turns });
    const probabilities = await predictLogistic(weights, { ...problem, features: test.features.subarray(0, 40) }, turns);
    expect(probabilities.length).toBe(fixture.probabilities.length);
    fixture.probabilities.forEach((value, i) => expect(probabilities[i]).toBeCloseTo(value, 6));
  });

  it('reaches the same optimum by gradients alone', async () => {
    const newton = await fitLogistic(problem, { method: 'newton', maxIterations: 100, turns });
    const gradients = await fitLogistic(problem, { method: 'lbfgs', maxIterations: 500, turns });
    expect(gradients.converged).toBe(true);
    const a = await predictLogistic(newton.weights, { ...problem, features: test.features }, turns);
    const b = await predictLogistic(gradients.weights, { ...problem, features: test.features }, turns);
    // A gradient below 1e-4 with a curvature of l2 / rows leaves probabilities within a hundredth.
    a.forEach((value, i) => expect(Math.abs(value - b[i]!)).toBeLessThan(0.01));
  });

  it('repeats bit for bit', async () => {
    const first = await fitLogistic(problem, { method: 'newton', maxIterations: 100, turns });
    const second = await fitLogistic(problem, { method: 'newton', maxIterations: 100, turns });
    expect(second.weights).toEqual(first.weights);
  });

  it('takes gradients above the Newton limit and learns', async () => {
    const numFeatures = 200;
    const random = randomSource(11);
    const features = randomValues(random, 300 * numFeatures);
    const labels = Array.from({ length: 300 }, (_, row) => (features[row * numFeatures]! > 0 ? 1 : 0));
    const wide = dataset(features, labels, numFeatures);
    const { fit, metrics } = await logisticBaseline(wide, wide, ['low', 'high']);
    expect(fit.method).toBe('lbfgs');
    expect(metrics.accuracy).toBeGreaterThan(0.95);
  });

  it('stays finite when classes separate perfectly, one class is absent or a feature is constant', async () => {
    const parts = dataset([-2, 1, -1, 1, 1, 1, 2, 1], [0, 0, 1, 1], 2);
    const { metrics, fit } = await logisticBaseline(parts, parts, ['a', 'b', 'never']);
    expect(metrics.accuracy).toBe(1);
    expect(fit.converged).toBe(true);
  });

  it('says when it ran out of iterations', async () => {
    const { fit } = await logisticBaseline(train, test, fixture.classes, { maxIterations: 1 });
    expect(fit).toMatchObject({ iterations: 1, converged: false });
  });

  it('lets the event loop turn and stops when aborted', async () => {
    const rows = 20000;
    const random = randomSource(12);
    const big = dataset(
      randomValues(random, rows * 20),
      Array.from({ length: rows }, (_, row) => row % 4),
      20,
    );
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), 50);
    const started = performance.now();
    await expect(logisticBaseline(big, big, ['a', 'b', 'c', 'd'], { signal: controller.signal })).rejects.toMatchObject({
      code: 'E_ABORTED',
    });
    clearTimeout(timer);
    expect(performance.now() - started).toBeGreaterThan(40);
  });

  const refusals: [string, Dataset, Dataset, object, string, RegExp][] = [
    ['no training rows', dataset([], [], 1), test, {}, 'E_DATA', /training part has no rows/],
    ['no test rows', train, dataset([], [], 4), {}, 'E_DATA', /test part has no rows/],
    ['a class out of range', train, dataset([0, 0, 0, 0], [3], 4), {}, 'E_INDEX', /test row 0 .*from 0 to 2, got 3/],
    ['rows of another width', train, dataset([0, 0], [0], 2), {}, 'E_SHAPE', /expected 1 x 4, got 2/],
    [
      'a feature that is not finite',
      train,
      dataset([0, 0, Number.NaN, 0], [0], 4),
      {},
      'E_DATA',
      /feature 2 of test row 0 is not finite/,
    ],
    ['regression targets', { ...train, targetShape: [1] }, test, {}, 'E_DATA', /no class indices/],
    ['no penalty', train, test, { l2: 0 }, 'E_CONFIG', /l2 is wrong.*got 0/],
  ];
  for (const [name, trainPart, testPart, options, code, message] of refusals) {
    it(`refuses ${name}`, async () => {
      const result = logisticBaseline(trainPart, testPart, fixture.classes, options);
      await expect(result).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    });
  }
});
