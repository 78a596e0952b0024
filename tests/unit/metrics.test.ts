import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { classCurves } from '../../ts/evaluate/class-curves.js';
import { classificationIntervals } from '../../ts/evaluate/classification-intervals.js';
import { evaluateClassification } from '../../ts/evaluate/metrics.js';

interface MetricsCase {
  name: string;
  note: string;
  classes: number;
  labels: number[];
  probabilities: number[];
  accuracy: number;
  balancedAccuracy: number;
  macroPrecision: number;
  macroRecall: number;
  macroF1: number;
  microPrecision: number;
  microRecall: number;
  microF1: number;
  weightedPrecision: number;
  weightedRecall: number;
  weightedF1: number;
  mcc: number;
  logLoss: number;
  brier: number;
  rocAuc: (number | null)[];
  prAuc: (number | null)[];
  topK: Record<string, number>;
  confusion: number[][];
  precision: number[];
  recall: number[];
  f1: number[];
  support: number[];
}

const fixture = JSON.parse(readFileSync(new URL('../fixtures/metrics.json', import.meta.url), 'utf8')) as {
  cases: MetricsCase[];
  curves: { labels: number[]; scores: number[]; roc: number[][]; precisionRecall: number[][]; calibration: number[][] };
};

const SCORES = [
  'accuracy',
  'balancedAccuracy',
  'macroPrecision',
  'macroRecall',
  'macroF1',
  'microPrecision',
  'microRecall',
  'microF1',
  'weightedPrecision',
  'weightedRecall',
  'weightedF1',
  'mcc',
  'logLoss',
  'brier',
] as const;

function classNames(count: number): string[] {
  return Array.from({ length: count }, (_, k) => `class ${k}`);
}

// Both sides compute in float64; only the order of a few dozen additions differs.
const TOLERANCE = 1e-9;

function expectClose(actual: number | null | undefined, expected: number | null): void {
  if (expected === null) {
    expect(actual).toBeNull();
    return;
  }
  if (typeof actual !== 'number') expect.fail(`${String(actual)} against ${expected}`);
  expect(Math.abs(actual - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(TOLERANCE);
}

describe('evaluateClassification against scikit-learn', () => {
  it('has stored cases', () => {
    expect(fixture.cases.length).toBe(12);
  });

  for (const entry of fixture.cases) {
    it(`${entry.name}: ${entry.note}`, () => {
      const metrics = evaluateClassification(entry.probabilities, entry.labels, classNames(entry.classes));
      expect(metrics.rows).toBe(entry.labels.length);
      expect(metrics.confusion).toEqual(entry.confusion);
      expect(metrics.perClass.map((one) => one.support)).toEqual(entry.support);
      for (const key of SCORES) expectClose(metrics[key], entry[key]);
      for (const key of ['rocAuc', 'prAuc'] as const) {
        const known = entry[key].filter((value) => value !== null);
        const mean = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
        expectClose(metrics[key], entry.classes === 2 ? (entry[key][1] ?? null) : mean);
        metrics.perClass.forEach((one, k) => {
          expectClose(one[key], entry[key][k] ?? null);
        });
      }
      for (const [k, share] of Object.entries(entry.topK)) expectClose(metrics.topK[k], share);
      expect(metrics.positiveClass).toBe(entry.classes === 2 ? 'class 1' : null);
      metrics.perClass.forEach((one, k) => {
        expect(one.name).toBe(`class ${k}`);
        expectClose(one.precision, entry.precision[k]!);
        expectClose(one.recall, entry.recall[k]!);
        expectClose(one.f1, entry.f1[k]!);
        expect(one.predicted).toBe(entry.confusion.reduce((total, counts) => total + counts[k]!, 0));
      });
    });
  }

  it('ranks float32 probabilities as it ranks float64 ones', () => {
    for (const { name, probabilities, labels, classes } of fixture.cases) {
      const single = Float32Array.from(probabilities);
      const own = evaluateClassification(single, labels, classNames(classes));
      // Keeps the order, and is no float32.
      const { perClass } = evaluateClassification(
        Float64Array.from(single, (value, i) => (i % classes === 0 ? value : value * (1 - 2 ** -40))),
        labels,
        classNames(classes),
      );
      perClass.slice(1).forEach((entry, k) => {
        expect(own.perClass[k + 1]!.rocAuc, name).toBe(entry.rocAuc);
        expect(own.perClass[k + 1]!.prAuc, name).toBe(entry.prAuc);
      });
    }
  });

  it('accepts float32 probabilities and integer label arrays', () => {
    const metrics = evaluateClassification(new Float32Array([0.9, 0.1, 0.2, 0.8]), new Int32Array([0, 1]), ['a', 'b']);
    expect(metrics.accuracy).toBe(1);
    expectClose(metrics.logLoss, -(Math.log(Math.fround(0.9)) + Math.log(Math.fround(0.8))) / 2);
  });
});

describe('classCurves', () => {
  const { labels, scores, roc, precisionRecall, calibration } = fixture.curves;
  const pairs = scores.flatMap((score) => [1 - score, score]);

  it('equal the curves of scikit-learn where scores tie', () => {
    const drawn = classCurves(pairs, labels, classNames(2));
    const [curve] = drawn.curves;
    expect(curve!.name).toBe('class 1');
    for (const [ours, theirs] of [
      [curve!.roc, roc],
      // scikit-learn stops where recall is complete, we go on to the lowest threshold.
      [curve!.precisionRecall.slice(0, precisionRecall.length), precisionRecall],
      [drawn.calibration.bins.map((bin) => [bin.meanProbability, bin.observedShare]), calibration],
    ] as const) {
      expect(ours.length).toBe(theirs.length);
      theirs.forEach(([x, y], i) => {
        expectClose(ours[i]![0], x!);
        expectClose(ours[i]![1], y!);
      });
    }
    expect(drawn.calibration.bins.reduce((sum, bin) => sum + bin.rows, 0)).toBe(labels.length);
  });

  it('turn to the other class when asked', () => {
    const [curve] = classCurves(pairs, labels, classNames(2), { positive: 0 }).curves;
    const metrics = evaluateClassification(pairs, labels, classNames(2), { positive: 0 });
    expect(metrics.positiveClass).toBe('class 0');
    expect(curve).toMatchObject({ name: 'class 0', rocAuc: metrics.rocAuc, prAuc: metrics.prAuc });
  });

  it('are thinned for drawing without losing their ends or their area', () => {
    const rows = 5000;
    const many = Array.from({ length: rows }, (_, row) => (row * 7919) % rows).flatMap((score) => [
      1 - score / rows,
      score / rows,
    ]);
    const truth = Array.from({ length: rows }, (_, row) => ((row * 7919) % rows > (row * 104729) % rows ? 1 : 0));
    const [curve] = classCurves(many, truth, classNames(2)).curves;
    expect(curve!.roc.length).toBeLessThanOrEqual(202);
    expect(curve!.roc[0]).toEqual([0, 0]);
    expect(curve!.roc.at(-1)).toEqual([1, 1]);
    const area = curve!.roc
      .slice(1)
      .reduce((sum, [x, y], i) => sum + ((x - curve!.roc[i]![0]) * (y + curve!.roc[i]![1])) / 2, 0);
    expect(area).toBeCloseTo(curve!.rocAuc, 2);
  });

  it('draw the least well recognised of many classes and none without rows', () => {
    const entry = fixture.cases.find(({ name }) => name === 'many_classes')!;
    const { curves, omitted } = classCurves(entry.probabilities, entry.labels, classNames(12));
    expect(curves.length).toBe(6);
    expect(omitted).toBe(entry.rocAuc.filter((value) => value !== null).length - 6);
    expectClose(curves[0]!.rocAuc, Math.min(...entry.rocAuc.filter((value) => value !== null)));
    expect(classCurves([0.5, 0.5], [0], classNames(2)).curves).toEqual([]);
  });
});

describe('classificationIntervals', () => {
  it('hold what was measured', async () => {
    for (const name of ['three_classes', 'binary', 'many_classes']) {
      const { probabilities, labels, classes } = fixture.cases.find((entry) => entry.name === name)!;
      const metrics = evaluateClassification(probabilities, labels, classNames(classes));
      const intervals = await classificationIntervals(probabilities, labels, classNames(classes), { resamples: 300 });
      for (const key of ['accuracy', 'mcc', 'rocAuc', 'prAuc', 'logLoss', 'brier'] as const) {
        const [low, high] = intervals[key]!;
        expect(low, key).toBeLessThan(metrics[key]!);
        expect(high, key).toBeGreaterThan(metrics[key]!);
      }
    }
  });

  it('are null for areas that most samples cannot have', async () => {
    const intervals = await classificationIntervals([0.4, 0.6, 0.3, 0.7], [1, 1], classNames(2));
    expect(intervals).toMatchObject({ rocAuc: null, prAuc: null, accuracy: [1, 1] });
  });
});

describe('evaluateClassification refuses', () => {
  const classes = ['a', 'b'];
  const refusals: [string, number[], number[], string[], string, RegExp][] = [
    ['a NaN probability', [0.5, 0.5, Number.NaN, 1], [0, 1], classes, 'E_DATA', /row 1, class 0 .*got NaN/],
    ['a negative probability', [-0.5, 1.5], [0], classes, 'E_DATA', /row 0, class 0 .*got -0\.5/],
    ['logits', [0.2, 0.3], [0], classes, 'E_DATA', /row 0 do not sum to 1: got 0\.5/],
    ['a label past the last class', [0.5, 0.5], [2], classes, 'E_INDEX', /row 0 .*from 0 to 1, got 2/],
    ['a negative label', [0.5, 0.5], [-1], classes, 'E_INDEX', /got -1/],
    ['a fractional label', [0.5, 0.5], [0.5], classes, 'E_INDEX', /got 0\.5/],
    ['no rows', [], [], classes, 'E_DATA', /no rows/],
    ['a single class', [1], [0], ['a'], 'E_DATA', /at least 2, got 1/],
    ['sizes that do not fit', [0.5, 0.5, 1], [0], classes, 'E_SHAPE', /1 x 2 = 2 values, got 3/],
  ];
  for (const [name, probabilities, labels, names, code, message] of refusals) {
    it(name, () => {
      const call = (): unknown => evaluateClassification(probabilities, labels, names);
      expect(call).toThrow(message);
      expect(call).toThrow(expect.objectContaining({ code }));
    });
  }
});
