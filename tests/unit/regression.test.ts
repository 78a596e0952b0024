import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { Dataset } from '../../ts/data/dataset.js';
import { bootstrap, regressionIntervals } from '../../ts/evaluate/bootstrap.js';
import { pictureErrors } from '../../ts/evaluate/error-picture.js';
import { fitLeastSquares, predictLeastSquares } from '../../ts/evaluate/least-squares.js';
import { linearBaseline, meanBaseline } from '../../ts/evaluate/regression-baselines.js';
import { evaluateRegression } from '../../ts/evaluate/regression.js';
import { TurnTaker } from '../../ts/evaluate/turn-taker.js';
import { randomSource } from '../support/describe-model.js';

interface RegressionCase {
  name: string;
  note: string;
  targets: number[];
  predictions: number[];
  mae: number;
  rmse: number;
  mape: number;
  r2: number | null;
  medianAbsoluteError: number;
  maxError: number;
}

const fixture = JSON.parse(readFileSync(new URL('../fixtures/metrics.json', import.meta.url), 'utf8')) as {
  regression: RegressionCase[];
  linear: { features: number[]; targets: number[]; trainRows: number; predictions: number[]; rmse: number };
};

// Both sides compute in float64; only the order of a few dozen additions differs.
const TOLERANCE = 1e-9;

function expectClose(actual: number, expected: number): void {
  expect(Math.abs(actual - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(
    TOLERANCE * Math.max(1, Math.abs(expected)),
  );
}

function dataset(features: readonly number[], targets: readonly number[]): Dataset {
  return {
    size: targets.length,
    featureShape: [features.length / targets.length],
    features: Float32Array.from(features),
    targets: Float32Array.from(targets),
    targetShape: [],
  };
}

/** Numbers from a normal distribution by the sum of twelve uniform ones. */
function normals(count: number, seed: number): number[] {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6));
}

describe('evaluateRegression against scikit-learn', () => {
  it('has stored cases', () => {
    expect(fixture.regression.length).toBe(9);
  });

  for (const entry of fixture.regression) {
    it(`${entry.name}: ${entry.note}`, () => {
      const metrics = evaluateRegression(entry.predictions, entry.targets);
      for (const key of ['mae', 'rmse', 'mape', 'medianAbsoluteError', 'maxError'] as const)
        expectClose(metrics[key], entry[key]);
      if (entry.r2 === null) expect(metrics.r2).toBeNull();
      else expectClose(metrics.r2!, entry.r2);
      expect(metrics.rows).toBe(entry.targets.length);
    });
  }

  it('tells which way predictions lean and what the targets are like', () => {
    expect(evaluateRegression([2, 5], [1, 3])).toMatchObject({
      meanError: 1.5,
      targetMean: 2,
      targetDeviation: 1,
      targetRange: [1, 3],
    });
  });

  it('refuses what it cannot judge', () => {
    expect(() => evaluateRegression([], [])).toThrow(expect.objectContaining({ code: 'E_DATA' }));
    expect(() => evaluateRegression([1, 2], [1])).toThrow(/expected 1 values, one per row, got 2/);
    expect(() => evaluateRegression([1, NaN], [1, 2])).toThrow(/prediction of row 1 is no finite number: got NaN/);
    expect(() => evaluateRegression([1], [Infinity])).toThrow(/target of row 0 .* got Infinity/);
  });
});

describe('bootstrap', () => {
  it('gives the interval that theory gives for a mean', async () => {
    const values = normals(400, 3);
    const mean = values.reduce((sum, value) => sum + value, 0) / 400;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 400);
    const { share } = await bootstrap(400, (weights) => ({
      share: values.reduce((sum, value, row) => sum + weights[row]! * value, 0) / 400,
    }));
    const half = (1.96 * deviation) / 20;
    // The end of a percentile interval from 1000 samples is itself uncertain by about 4 % of its width.
    expect(Math.abs(share![0] - (mean - half))).toBeLessThan(0.15 * half);
    expect(Math.abs(share![1] - (mean + half))).toBeLessThan(0.15 * half);
  });

  it('repeats with its seed and changes with it', async () => {
    const targets = normals(60, 1);
    const predictions = normals(60, 2);
    const first = await regressionIntervals(predictions, targets, { seed: 4 });
    expect(await regressionIntervals(predictions, targets, { seed: 4 })).toEqual(first);
    expect(await regressionIntervals(predictions, targets, { seed: 5 })).not.toEqual(first);
  });

  it('holds what was measured, around errors of a known size', async () => {
    const targets = normals(500, 7).map((value) => 1e6 + value);
    const predictions = targets.map((value, row) => value + 0.5 * normals(500, 8)[row]!);
    const metrics = evaluateRegression(predictions, targets);
    const intervals = await regressionIntervals(predictions, targets, { resamples: 300 });
    for (const key of ['mae', 'rmse', 'r2'] as const) {
      const [low, high] = intervals[key]!;
      expect(low).toBeLessThan(metrics[key]!);
      expect(high).toBeGreaterThan(metrics[key]!);
    }
    expect(intervals.rmse![1] - intervals.rmse![0]).toBeLessThan(0.1);
  });

  it('has no interval for a metric that is mostly undefined, and stops when asked', async () => {
    expect(await bootstrap(3, () => ({ nothing: null }))).toEqual({ nothing: null });
    await expect(bootstrap(3, () => ({ a: 1 }), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'E_ABORTED' });
    await expect(bootstrap(3, () => ({ a: 1 }), { level: 1 })).rejects.toMatchObject({ code: 'E_CONFIG' });
  });
});

describe('least squares', () => {
  const turns = new TurnTaker('test');
  const { features, targets, trainRows, predictions, rmse } = fixture.linear;
  const split = trainRows * 4;
  const train = dataset(features.slice(0, split), targets.slice(0, trainRows));
  const test = dataset(features.slice(split), targets.slice(trainRows));

  it('equals scikit-learn on features of very different scale', async () => {
    const fit = await fitLeastSquares({ ...train, rows: trainRows, numFeatures: 4 }, turns);
    const ours = await predictLeastSquares(fit, test.features, test.size, turns);
    predictions.forEach((prediction, row) => {
      // Eigenvalues of products square the condition number: a few digits are lost against QR.
      expect(ours[row]).toBeCloseTo(prediction, 7);
    });
    expect((await linearBaseline(train, test)).metrics.rmse).toBeCloseTo(rmse, 7);
  });

  it('predicts the same with features that depend on each other, are constant or come twice', async () => {
    const wide = (part: Dataset): Dataset => {
      const rows = Array.from({ length: part.size }, (_, row) => {
        const own = Array.from(part.features.subarray(row * 4, row * 4 + 4));
        return [...own, 5, own[0]! + own[3]!, own[0]!];
      });
      return { ...part, featureShape: [7], features: Float32Array.from(rows.flat()) };
    };
    const result = await linearBaseline(wide(train), wide(test));
    // The sum of two features is rounded to float32, so it is not quite dependent.
    expect(result.metrics.rmse).toBeCloseTo(rmse, 3);
  });

  it('solves many features by conjugate gradients to the same end', async () => {
    const rows = 400;
    const numFeatures = 301;
    const values = normals(rows * numFeatures, 5);
    const weights = normals(numFeatures, 6);
    const goal = Array.from({ length: rows }, (_, row) =>
      weights.reduce((sum, weight, i) => sum + weight * Math.fround(values[row * numFeatures + i]!), 3),
    );
    const fit = await fitLeastSquares({ features: Float32Array.from(values), targets: goal, rows, numFeatures }, turns);
    expect(fit).toMatchObject({ method: 'conjugate_gradients', converged: true });
    expect(fit.bias).toBeCloseTo(3, 4);
    fit.weights.forEach((weight, i) => {
      expect(weight).toBeCloseTo(weights[i]!, 4);
    });
  });

  it('knows the mean of the training rows', () => {
    const result = meanBaseline(dataset([0, 0], [1, 3]), dataset([0], [5]));
    expect(result.metrics.mae).toBe(3);
  });

  it('refuses rows it cannot use', async () => {
    expect(() => meanBaseline(dataset([], []), test)).toThrow(/training part has no rows/);
    expect(() => meanBaseline(train, dataset([1], [NaN]))).toThrow(/target of test row 0 is not finite/);
    await expect(linearBaseline(dataset([1, NaN], [1, 2]), dataset([1], [1]))).rejects.toMatchObject({ code: 'E_DATA' });
    await expect(linearBaseline(train, test, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'E_ABORTED' });
  });
});

describe('pictureErrors', () => {
  it('counts each row once in cells and once in bins', () => {
    const targets = normals(200, 1);
    const predictions = normals(200, 2);
    const { cells, errors, range } = pictureErrors(predictions, targets);
    expect(cells.reduce((sum, cell) => sum + cell.rows, 0)).toBe(200);
    expect(errors.reduce((sum, bin) => sum + bin.rows, 0)).toBe(200);
    expect(range).toEqual([Math.min(...targets, ...predictions), Math.max(...targets, ...predictions)]);
  });

  it('puts exact predictions on the diagonal and into the middle bin', () => {
    const { cells, errors } = pictureErrors([1, 2, 3], [1, 2, 3]);
    expect(cells.every((cell) => cell.target === cell.prediction)).toBe(true);
    expect(errors[15]).toMatchObject({ rows: 3 });
    expect(pictureErrors([2], [2]).cells).toEqual([{ target: 16, prediction: 16, rows: 1 }]);
  });
});
