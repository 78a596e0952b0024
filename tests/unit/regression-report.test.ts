import { describe, expect, it } from 'vitest';

import { pictureErrors } from '../../ts/evaluate/error-picture.js';
import { evaluateRegression } from '../../ts/evaluate/regression.js';
import { renderReport } from '../../ts/evaluate/report.js';
import { formatNumber } from '../../ts/evaluate/report/html.js';
import type { RegressionReport } from '../../ts/evaluate/report/types.js';
import { judge } from '../../ts/evaluate/report/verdict.js';

const TARGETS = Array.from({ length: 150 }, (_, i) => 10 + (i % 30));

/** Predictions that are wrong by up to `size`, to both sides alike. */
function wrongBy(size: number): number[] {
  return TARGETS.map((target, i) => target + size * ((i % 11) / 5 - 1));
}

function baseline(name: 'mean' | 'linear', size: number): RegressionReport['baselines'][number] {
  return { name, description: `the ${name} one`, metrics: evaluateRegression(wrongBy(size), TARGETS) };
}

function inputOf(changes: Partial<RegressionReport> = {}): RegressionReport {
  return {
    task: 'regression',
    title: 'Housing',
    run: { seeds: {}, versions: {}, rows: { train: 300, test: 150 }, features: ['rooms'] },
    history: {
      epochs: [
        { epoch: 1, trainLoss: 1, validationLoss: 1.1 },
        { epoch: 2, trainLoss: 0.5, validationLoss: 0.6 },
      ],
      bestEpoch: 2,
      stopReason: 'early_stopping',
    },
    metrics: evaluateRegression(wrongBy(2), TARGETS),
    baselines: [baseline('mean', 20), baseline('linear', 4)],
    intervals: { rmse: [1.1, 1.4], mae: null, r2: null },
    picture: pictureErrors(wrongBy(2), TARGETS),
    ...changes,
  };
}

describe('the report of a regression', () => {
  it('shows verdict, figures, baselines and two charts of the errors', async () => {
    const page = await renderReport(inputOf());
    const text = page
      .replaceAll(/<style>[\s\S]*?<\/style>/g, '')
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll(/\s+/g, ' ');
    for (const expected of [
      'RMSE 1.259 on 150 held-out rows: beats every baseline.',
      'RMSE on 150 held-out rows 95&nbsp;% interval 1.1 to 1.4',
      'Clearly better than the linear baseline: RMSE 1.259 against 2.518.',
      'Mean baseline the mean one',
      'R2, variance explained',
      'Where it errs',
    ]) {
      expect(text).toContain(expected);
    }
    const charts = [...page.matchAll(/<svg[\s\S]*?<\/svg>/g)].map(([chart]) => chart);
    expect(charts.map((chart) => /aria-label="([^"]*)"/.exec(chart)?.[1])).toEqual([
      'Loss over 2 epochs: training loss and validation loss',
      'Predicted beside true values of 150 rows',
      'Errors by size: prediction less true value',
    ]);
    const cells = inputOf().picture!.cells.length;
    expect(charts[1]!.match(/<path[^>]* fill="var\(--tk-model,/g)?.length).toBe(cells);
    expect(charts[2]!.match(/<path[^>]* fill="var\(--tk-model,/g)!.length).toBeGreaterThan(5);
  });

  it('does without intervals, picture and a meaningful MAPE', async () => {
    const { intervals, picture, ...rest } = inputOf({ metrics: evaluateRegression([0.5, 1], [0, 1]) });
    expect([intervals === undefined, picture === undefined]).toEqual([false, false]);
    const page = await renderReport(rest);
    expect(page).not.toContain('<span>MAPE</span>');
    expect(page).toContain('says nothing: targets near 0');
    expect(page).not.toContain('Where it errs');
  });
});

describe('judge of a regression', () => {
  const texts = (changes: Partial<RegressionReport>): string[] => judge(inputOf(changes)).notes.map((note) => note.text);

  it('tells a clear lead from one that may be chance, level from behind and clearly behind', () => {
    const at = (rmse: number): RegressionReport['baselines'][number] => {
      const { metrics, ...rest } = baseline('linear', 1);
      return { ...rest, metrics: { ...metrics, rmse } };
    };
    const own = inputOf().metrics.rmse;
    expect(judge(inputOf({ baselines: [at(1.3)] }))).toMatchObject({ tone: 'good' });
    expect(texts({ baselines: [at(1.3)] })[0]).toMatch(/^Better than the linear baseline: .* may be chance\.$/);
    expect(texts({ baselines: [at(own)] })[0]).toMatch(/^Level with the linear baseline/);
    expect(texts({ baselines: [at(1.2)] })[0]).toMatch(/^Behind the linear baseline/);
    const worse = judge(inputOf({ baselines: [at(0.5)] }));
    expect(worse).toMatchObject({ tone: 'bad', headline: expect.stringContaining('does not beat the linear baseline') });
    expect(worse.notes[0]!.text).toMatch(/^Clearly worse/);
    expect(judge(inputOf({ baselines: [] })).headline).toContain('no baseline to compare with');
  });

  it('names a leaning, an outlier, equal targets and a small test part', () => {
    expect(texts({ metrics: evaluateRegression([3, 4], [1, 2]) })).toEqual(
      expect.arrayContaining([
        'Predictions are too high by 2 on average.',
        'Only 2 test rows: another split may look different. R2 of -1500.0\u00a0% rests on them.',
      ]),
    );
    const outlier = TARGETS.map((target, row) => target + (row === 0 ? 100 : row % 2));
    expect(texts({ metrics: evaluateRegression(outlier, TARGETS) })).toContain(
      'Half of the errors are below 1, but the largest is 100.',
    );
    expect(texts({ metrics: evaluateRegression([1, 2], [1, 1]) })).toContain(
      'All targets of the test part are equal: R2 says nothing.',
    );
  });
});

describe('formatNumber', () => {
  it('keeps four digits and marks thousands', () => {
    expect([0, 1.23456, 123456.7, 0.000012345, 3e12, NaN, -42].map(formatNumber)).toEqual([
      '0',
      '1.235',
      '123,457',
      '1.23e-5',
      '3.00e+12',
      'not finite',
      '-42',
    ]);
  });
});
