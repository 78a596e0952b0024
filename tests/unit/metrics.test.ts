import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

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
  logLoss: number;
  confusion: number[][];
  precision: number[];
  recall: number[];
  f1: number[];
  support: number[];
}

const fixture = JSON.parse(readFileSync(new URL('../fixtures/metrics.json', import.meta.url), 'utf8')) as {
  cases: MetricsCase[];
};

function classNames(count: number): string[] {
  return Array.from({ length: count }, (_, k) => `class ${k}`);
}

// Both sides compute in float64; only the order of a few dozen additions differs.
const TOLERANCE = 1e-9;

function expectClose(actual: number, expected: number): void {
  expect(Math.abs(actual - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(TOLERANCE);
}

describe('evaluateClassification against scikit-learn', () => {
  it('has stored cases', () => {
    expect(fixture.cases.length).toBe(9);
  });

  for (const entry of fixture.cases) {
    it(`${entry.name}: ${entry.note}`, () => {
      const metrics = evaluateClassification(entry.probabilities, entry.labels, classNames(entry.classes));
      expect(metrics.rows).toBe(entry.labels.length);
      expect(metrics.confusion).toEqual(entry.confusion);
      expect(metrics.perClass.map((one) => one.support)).toEqual(entry.support);
      for (const key of ['accuracy', 'balancedAccuracy', 'macroPrecision', 'macroRecall', 'macroF1', 'logLoss'] as const) {
        expectClose(metrics[key], entry[key]);
      }
      metrics.perClass.forEach((one, k) => {
        expect(one.name).toBe(`class ${k}`);
        expectClose(one.precision, entry.precision[k]!);
        expectClose(one.recall, entry.recall[k]!);
        expectClose(one.f1, entry.f1[k]!);
        expect(one.predicted).toBe(entry.confusion.reduce((total, counts) => total + counts[k]!, 0));
      });
    });
  }

  it('accepts float32 probabilities and integer label arrays', () => {
    const metrics = evaluateClassification(new Float32Array([0.9, 0.1, 0.2, 0.8]), new Int32Array([0, 1]), ['a', 'b']);
    expect(metrics.accuracy).toBe(1);
    expectClose(metrics.logLoss, -(Math.log(Math.fround(0.9)) + Math.log(Math.fround(0.8))) / 2);
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
