import { describe, expect, it } from 'vitest';
import { evaluateClassification, evaluateRegression, type Metrics } from '../../ts/evaluate/index.js';
import { TARGET_METRICS, targets as section } from '../../ts/run/config/training-schema.js';
import { judgeTargets } from '../../ts/run/targets.js';

/** Four rows of three classes, one of them wrong; four numbers, each off by another amount. */
const CLASSES = evaluateClassification(
  Float64Array.of(0.8, 0.1, 0.1, 0.2, 0.7, 0.1, 0.1, 0.2, 0.7, 0.3, 0.6, 0.1),
  Int32Array.of(0, 1, 2, 0),
  ['a', 'b', 'c'],
);
const NUMBERS = evaluateRegression(Float64Array.of(1.5, 2.25, 2.875, 5), Float64Array.of(1, 2, 3, 4));
const BIT = 1e-9;

describe('judgeTargets', () => {
  it.each<[string, Metrics]>([
    ['classification', CLASSES],
    ['regression', NUMBERS],
  ])('knows each metric of %s, which way it is better, and its own value as met', (task, metrics) => {
    const known = Object.entries(TARGET_METRICS[task as 'classification' | 'regression']);
    expect(known.length).toBeGreaterThan(5);
    for (const [name, better] of known) {
      const judge = (threshold: number): ReturnType<typeof judgeTargets> =>
        judgeTargets(section.parse({ [name]: threshold }), metrics);
      const value = judge(0)[0]?.value;
      expect(value, name).toEqual(expect.any(Number));
      const harder = (value ?? NaN) + (better === 'max' ? BIT : -BIT);
      expect(judge(value ?? NaN), name).toEqual([{ metric: name, threshold: value, value, isMet: true }]);
      expect(judge(harder)[0]?.isMet, name).toBe(false);
    }
  });

  it('calls a target missed whose metric is not defined for the rows', () => {
    const one = evaluateClassification(Float64Array.of(0.8, 0.2), Int32Array.of(0), ['a', 'b']);
    expect(judgeTargets(section.parse({ roc_auc: 0 }), one)).toEqual([
      { metric: 'roc_auc', threshold: 0, value: null, isMet: false },
    ]);
  });

  it('has a key of the configuration for each metric, and no other', () => {
    const metrics = Object.values(TARGET_METRICS).flatMap((metrics) => Object.keys(metrics));
    expect(Object.keys(section.unwrap().shape).toSorted()).toEqual([...new Set(metrics)].toSorted());
  });
});
