import { describe, expect, it } from 'vitest';

import { evaluateClassification, type ClassificationMetrics } from '../../ts/evaluate/metrics.js';
import { classCurves } from '../../ts/evaluate/class-curves.js';
import { renderMarkdown } from '../../ts/evaluate/report/markdown.js';
import { renderReport, renderTrainingCurves } from '../../ts/evaluate/report.js';
import { html } from '../../ts/evaluate/report/html.js';
import { wilsonInterval } from '../../ts/evaluate/report/classification-verdict.js';
import type { ClassificationReport, EpochPoint, LearningHistory } from '../../ts/evaluate/report/types.js';
import { judge } from '../../ts/evaluate/report/verdict.js';

/** Metrics of predictions that are certain up to 1 %. */
function metricsOf(labels: readonly number[], predicted: readonly number[], classes: readonly string[]): ClassificationMetrics {
  const rest = 0.01 / (classes.length - 1);
  const probabilities = predicted.flatMap((guess) => classes.map((_, k) => (k === guess ? 0.99 : rest)));
  return evaluateClassification(probabilities, labels, classes);
}

function historyOf(epochs: readonly Omit<EpochPoint, 'epoch'>[], changes: Partial<LearningHistory> = {}): LearningHistory {
  return {
    epochs: epochs.map((point, i) => ({ epoch: i + 1, ...point })),
    bestEpoch: epochs.length,
    stopReason: 'early_stopping',
    ...changes,
  };
}

const CLASSES = ['Adelie', 'Chinstrap', 'Gentoo'];
const LABELS = Array.from({ length: 120 }, (_, i) => i % 3);
const HISTORY = historyOf(
  [
    { trainLoss: 1, validationLoss: 1.1, validationAccuracy: 0.5, seconds: 0.5 },
    { trainLoss: 0.4, validationLoss: 0.5, validationAccuracy: 0.9, seconds: 0.25 },
    { trainLoss: 0.2, validationLoss: 0.25, validationAccuracy: 0.95, seconds: 0.25 },
  ],
  { bestEpoch: 3 },
);

function withMistakes(count: number): number[] {
  return LABELS.map((label, i) => (i < count ? (label + 1) % 3 : label));
}

function baseline(name: 'majority' | 'logistic', mistakes: number): ClassificationReport['baselines'][number] {
  return { name, description: `the ${name} one`, metrics: metricsOf(LABELS, withMistakes(mistakes), CLASSES) };
}

function inputOf(changes: Partial<ClassificationReport> = {}): ClassificationReport {
  return {
    task: 'classification',
    title: 'Penguins',
    run: {
      finishedAt: '1 May 2026',
      configText: 'training:\n  epochs: 3\n',
      seeds: { split: 7 },
      versions: { tensorkiln: '0.1.0' },
      rows: { train: 240, validation: 52, test: 120 },
      features: ['bill', 'flipper'],
      modelSummary: 'dense 2 -> 3',
      details: { device: 'cpu' },
    },
    history: HISTORY,
    metrics: metricsOf(LABELS, withMistakes(2), CLASSES),
    baselines: [baseline('majority', 80), baseline('logistic', 4)],
    columns: [{ name: 'species', role: 'target', type: 'categorical', reason: 'asked for', missing: 1, distinct: 3 }],
    warnings: ['Two rows were left out.'],
    ...changes,
  };
}

/** The page without the tags, as a reader sees it. */
function textOf(page: string): string {
  return page
    .replaceAll(/<style>[\s\S]*?<\/style>/g, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ');
}

function svgsOf(page: string): string[] {
  return page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
}

describe('renderReport', () => {
  it('shows verdict, figures, baselines, data and run', async () => {
    const text = textOf(await renderReport(inputOf()));
    for (const expected of [
      'Penguins',
      '118 of 120 held-out rows right: beats every baseline.',
      '98.3 %',
      'Majority baseline the majority one 33.3 %',
      'Logistic baseline the logistic one 96.7 %',
      '3 of 3',
      '1.00 s',
      '412 rows',
      'train 240 58.3 %',
      'species target categorical 1 3 asked for',
      'Two rows were left out.',
      'seed (split) 7',
      'tensorkiln 0.1.0',
      'device cpu',
      'epochs: 3',
      'dense 2 -&gt; 3',
    ]) {
      expect(text).toContain(expected);
    }
  });

  it('draws four charts with lines, cells and bars in them', async () => {
    const charts = svgsOf(await renderReport(inputOf()));
    expect(charts.map((chart) => /aria-label="([^"]*)"/.exec(chart)?.[1])).toEqual([
      'Loss over 3 epochs: training loss and validation loss',
      'Validation accuracy over 3 epochs',
      'Confusion matrix of 120 rows and 3 classes',
      'F1 score of 3 classes: model and baselines',
    ]);
    const [loss, accuracy, confusion, bars] = charts as [string, string, string, string];
    const countPaths = (chart: string, name: string, attribute: string): number =>
      [...chart.matchAll(new RegExp(`<(?:path|rect)[^>]* ${attribute}="var\\(--tk-${name},`, 'g'))].length;
    // One line and one legend key per curve.
    expect(countPaths(loss, 'train', 'stroke')).toBe(1);
    expect(countPaths(loss, 'model', 'stroke')).toBe(1);
    expect(countPaths(accuracy, 'model', 'stroke')).toBe(1);
    expect(loss).toContain('best: epoch 3');
    // 118 right rows on the diagonal, two mistakes in two cells, four empty cells.
    expect(countPaths(confusion, 'model', 'fill')).toBe(3);
    expect(countPaths(confusion, 'wrong', 'fill')).toBe(2);
    expect(countPaths(confusion, 'line', 'fill')).toBe(4);
    // Three classes and a legend key.
    expect(countPaths(bars, 'model', 'fill')).toBe(4);
    expect(countPaths(bars, 'logistic', 'fill')).toBe(4);
  });

  it('asks nothing of the network and runs no script', async () => {
    const page = await renderReport(inputOf());
    const withoutNamespace = page.replaceAll('xmlns="http://www.w3.org/2000/svg"', '');
    expect(withoutNamespace).not.toMatch(/https?:|\/\/[a-z]/i);
    expect(page).not.toMatch(/<(?:script|link|img|iframe|object|embed|base|form)\b/i);
    expect(page).not.toMatch(/@import|url\((?!#)|\bsrc=|\bhref=|\bon\w+=/i);
  });

  it('leaves no placeholder colour and no generated id of the chart library behind', async () => {
    const page = await renderReport(inputOf());
    expect(page).not.toMatch(/#1000[0-9a-f]{2}/);
    expect(page).not.toMatch(/zr\d+-/);
  });

  it('gives equal text for equal facts', async () => {
    expect(await renderReport(inputOf())).toBe(await renderReport(inputOf()));
  });

  it('escapes whatever comes from data and configuration', async () => {
    const evil = `"><script>alert('x')</script><img src=x onerror=1>&`;
    const classes = [evil, `${evil}2`, '#100004 zr1-c0'];
    const metrics = metricsOf(LABELS, withMistakes(60), classes);
    const page = await renderReport({
      task: 'classification',
      title: evil,
      run: {
        finishedAt: evil,
        configText: evil,
        seeds: { [evil]: 1 },
        versions: { [evil]: evil },
        rows: { [evil]: 3 },
        features: [evil],
        modelSummary: evil,
        details: { [evil]: evil },
      },
      history: HISTORY,
      metrics,
      baselines: [{ name: 'majority', description: evil, metrics }],
      columns: [{ name: evil, role: 'ignored', type: evil, reason: evil, missing: 0, distinct: 1 }],
      warnings: [evil],
    });
    expect(page).not.toMatch(/<script|<img/i);
    expect(page).not.toContain(evil);
    const escaped = html`${evil}`.text;
    expect(page.split(escaped).length - 1).toBeGreaterThanOrEqual(16);
    // Inside the charts names are cut to their place, so only their beginning is there.
    for (const chart of svgsOf(page).slice(2)) expect(chart).toContain('&quot;&gt;&lt;script&gt;');
    expect(svgsOf(page)[3]).toContain('#100004 zr1-c0');
  });

  it('lists mistakes instead of cells for very many classes and keeps the page small', async () => {
    const classes = Array.from({ length: 60 }, (_, k) => `class ${k}`);
    const labels = Array.from({ length: 600 }, (_, i) => i % 60);
    const metrics = metricsOf(
      labels,
      labels.map((label, i) => (i < 30 ? 59 : label)),
      classes,
    );
    const page = await renderReport(inputOf({ metrics, baselines: [] }));
    expect(textOf(page)).toContain('Most frequent mistakes');
    expect(textOf(page)).toContain('The 25 weakest of 60 classes');
    expect(page).not.toContain('Confusion matrix');
    expect(page.length).toBeLessThan(150_000);
  });

  it('does without validation, columns and baselines, and with losses that are not finite', async () => {
    const history = historyOf([{ trainLoss: 2 }, { trainLoss: Number.NaN }, { trainLoss: 1 }]);
    const { columns, warnings, ...rest } = inputOf({ history, baselines: [] });
    expect([columns?.length, warnings?.length]).toEqual([1, 1]);
    const page = await renderReport(rest);
    expect(svgsOf(page).length).toBe(3);
    expect(page).not.toContain('NaN');
    expect(textOf(page)).toContain('no baseline to compare with');
  });
});

/** A report with everything in it: two classes, probabilities that are good but not perfect. */
function binaryInput(changes: Partial<ClassificationReport> = {}): ClassificationReport {
  const labels = Array.from({ length: 200 }, (_, row) => (row % 20 === 0 ? 1 : 0));
  const scores = labels.map((label, row) => Math.min(0.98, Math.max(0.02, 0.15 + 0.25 * label + ((row * 37) % 41) / 100)));
  const pairs = scores.flatMap((score) => [1 - score, score]);
  const classes = ['fine', 'broken'];
  const metrics = evaluateClassification(pairs, labels, classes);
  return inputOf({
    metrics,
    baselines: [
      {
        name: 'majority',
        description: 'most',
        metrics: metricsOf(
          labels,
          labels.map(() => 0),
          classes,
        ),
      },
    ],
    intervals: {
      accuracy: [0.8, 0.9],
      balancedAccuracy: [0.7, 0.9],
      macroF1: [0.7, 0.9],
      mcc: [0.1, 0.4],
      rocAuc: [0.91, 0.97],
      prAuc: null,
      logLoss: [0.2, 0.3],
      brier: [0.1, 0.2],
    },
    curves: classCurves(pairs, labels, classes),
    targets: [
      { metric: 'roc_auc', threshold: 0.9, value: 0.95, isMet: true },
      { metric: 'accuracy', threshold: 0.99, value: 0.85, isMet: false },
    ],
    testLook: 2,
    ...changes,
  });
}

describe('what a classifier is judged by beyond its mistakes', () => {
  it('draws ROC, precision-recall and calibration curves', async () => {
    const charts = svgsOf(await renderReport(binaryInput()));
    const labels = charts.map((chart) => /aria-label="([^"]*)"/.exec(chart)?.[1]);
    expect(labels.slice(4)).toEqual([
      expect.stringMatching(/^ROC curve: broken 0\.\d{3}$/),
      expect.stringMatching(/^Precision-recall curve: broken 0\.\d{3}$/),
      'Calibration of broken over 200 rows',
    ]);
    for (const chart of charts.slice(4)) {
      const line = /<path d="(M[^"]*)"[^>]* stroke="var\(--tk-model,/.exec(chart)?.[1];
      expect(line!.match(/L/g)!.length).toBeGreaterThan(3);
    }
  });

  it('draws a curve for each of several classes, in colours of their own', async () => {
    const probabilities = LABELS.flatMap((label, row) =>
      CLASSES.map((_, k) => (k === (label + (row % 7 === 0 ? 1 : 0)) % 3 ? 0.8 : 0.1)),
    );
    const roc = svgsOf(await renderReport(inputOf({ curves: classCurves(probabilities, LABELS, CLASSES) })))[4]!;
    for (const name of ['model', 'wrong', 'series3']) expect(roc).toMatch(new RegExp(`stroke="var\\(--tk-${name}, #`));
    for (const name of CLASSES) expect(roc).toContain(`${name}, area 0.`);
  });

  it('shows every figure with its interval beside the baselines', async () => {
    const text = textOf(await renderReport(binaryInput()));
    expect(text).toMatch(/ROC-AUC 0\.\d{4} 0\.9100 to 0\.9700 0\.5000 PR-AUC/);
    expect(text).toMatch(/mean of classes \d/);
    expect(text).toContain('ROC-AUC of broken');
  });

  it('says in the verdict what was asked for, looked at twice, lopsided or badly calibrated', () => {
    const verdict = judge(binaryInput());
    const texts = verdict.notes.map((note) => note.text);
    expect(texts).toEqual(
      expect.arrayContaining([
        'Target roc_auc 0.9 met: 0.95.',
        'Target accuracy 0.99 missed: 0.85.',
        expect.stringContaining('have been looked at 2 times'),
        expect.stringMatching(/^95\.0.% of the test rows are fine: accuracy says little here, PR-AUC 0\.\d{3} and MCC/),
        expect.stringMatching(/^Probabilities are off by/),
        'Converged.',
      ]),
    );
    expect(verdict).toMatchObject({
      tone: 'bad',
      facts: { isConverged: true, isOverfitting: false, beatsBaselines: false, meetsTargets: false },
    });
  });
});

describe('renderMarkdown', () => {
  it('says what the page says', () => {
    const text = renderMarkdown(binaryInput());
    for (const expected of [
      '# Penguins',
      '- ✓ Target roc\\_auc 0.9 met: 0.95.',
      '| metric | this model | 95 % interval | majority baseline |',
      '| fine | ',
      '| weighted average | ',
      'Best epoch 3 of 3. ![Learning curves](training_curves.svg)',
      '| species | target | categorical | 1 | 3 | asked for |',
      '| seed (split) | 7 |',
      '- Two rows were left out.',
    ]) {
      expect(text).toContain(expected);
    }
    expect(text).toMatch(/\| ROC-AUC \| 0\.\d{4} \| 0\.9100 to 0\.9700 \| 0\.5000 \|/);
  });

  it('leaves no name of the data with a meaning of its own', () => {
    const evil = '[x](http://a) | <img src=x> *a* `b`\n# c';
    const classes = [evil, 'b', 'c'];
    const text = renderMarkdown(inputOf({ title: evil, metrics: metricsOf(LABELS, withMistakes(60), classes) }));
    expect(text).not.toMatch(/<img|(?<!\\)\[x|(?<!\\)`b|^# c/m);
    const row = text.split('\n').find((line) => line.startsWith('| \\[x\\]'))!;
    expect(row.split(/(?<!\\)\|/).length).toBe(7);
  });
});

describe('renderTrainingCurves', () => {
  it('puts both charts into one image that stands alone', async () => {
    const svg = await renderTrainingCurves(HISTORY);
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg" width="520" height="600"')).toBe(true);
    expect(svg.match(/<svg /g)?.length).toBe(3);
    expect(svg.match(/<\/svg>/g)?.length).toBe(3);
    expect(svg).toMatch(/<path d="M[^"]*L[^"]*"[^>]* stroke="var\(--tk-train, #/);
  });

  it('draws a single epoch as a dot', async () => {
    const svg = await renderTrainingCurves(historyOf([{ trainLoss: 0.5 }]));
    expect(svg).toMatch(/<path[^>]* transform="matrix[^>]* fill="var\(--tk-train,/);
  });

  it('refuses a history without epochs', async () => {
    await expect(renderTrainingCurves(historyOf([]))).rejects.toMatchObject({ code: 'E_DATA' });
  });
});

describe('judge', () => {
  const judged = (mistakes: number, others: ClassificationReport['baselines'], history = HISTORY): ReturnType<typeof judge> =>
    judge({ task: 'classification', metrics: metricsOf(LABELS, withMistakes(mistakes), CLASSES), baselines: others, history });

  it('tells a clear lead from one that may be chance', () => {
    const { tone, headline, notes } = judged(2, [baseline('majority', 80), baseline('logistic', 4)]);
    expect(tone).toBe('good');
    expect(headline).toBe('118 of 120 held-out rows right: beats every baseline.');
    expect(notes[0]!.text).toMatch(/^Clearly better than the majority baseline: 98\.3.% against 33\.3.%\.$/);
    expect(notes[1]!.text).toMatch(/^Better than the logistic baseline by 2 rows: .*may be chance\.$/);
  });

  it('says so when a baseline is level or ahead', () => {
    expect(judged(4, [baseline('logistic', 4)])).toMatchObject({
      tone: 'warn',
      headline: expect.stringContaining('level with the logistic baseline'),
    });
    expect(judged(5, [baseline('logistic', 4)])).toMatchObject({
      tone: 'warn',
      headline: expect.stringContaining('does not beat the logistic baseline'),
    });
    const far = judged(90, [baseline('majority', 80), baseline('logistic', 4)]);
    expect(far.tone).toBe('bad');
    expect(far.headline).toContain('does not beat the majority and logistic baselines');
    expect(far.notes[1]!.text).toMatch(/^Clearly worse than the logistic baseline/);
  });

  const curves: [string, LearningHistory, RegExp][] = [
    [
      'validation loss that rises again',
      historyOf(
        [
          { trainLoss: 1, validationLoss: 0.5 },
          { trainLoss: 0.2, validationLoss: 0.8 },
        ],
        { bestEpoch: 1 },
      ),
      /^Overfitting began after epoch 1: validation loss rose by 60\.0/,
    ],
    [
      'a gap between the curves',
      historyOf([
        { trainLoss: 1, validationLoss: 1.2 },
        { trainLoss: 0.1, validationLoss: 0.9 },
      ]),
      /^Overfitting: validation loss 0\.9000 against training loss 0\.1000/,
    ],
    [
      'curves that still fall',
      historyOf(
        [
          { trainLoss: 1, validationLoss: 1 },
          { trainLoss: 0.5, validationLoss: 0.6 },
        ],
        { stopReason: 'epochs' },
      ),
      /still falling at the last epoch, 2/,
    ],
    [
      'curves that lie together',
      historyOf([
        { trainLoss: 1, validationLoss: 1 },
        { trainLoss: 0.5, validationLoss: 0.6 },
      ]),
      /^No sign of overfitting/,
    ],
    [
      'tiny losses far apart',
      historyOf([
        { trainLoss: 0.5, validationLoss: 0.5 },
        { trainLoss: 0.001, validationLoss: 0.01 },
      ]),
      /^No sign of overfitting/,
    ],
    [
      'a run stopped by hand',
      historyOf(
        [
          { trainLoss: 1, validationLoss: 1 },
          { trainLoss: 0.9, validationLoss: 0.9 },
        ],
        { stopReason: 'aborted' },
      ),
      /stopped by hand after epoch 2: the model may not be at its best/,
    ],
    [
      'a rise whose last weights were kept',
      historyOf(
        [
          { trainLoss: 1, validationLoss: 0.5 },
          { trainLoss: 0.2, validationLoss: 0.8 },
        ],
        { bestEpoch: 2, stopReason: 'epochs' },
      ),
      /^Overfitting began after epoch 1: .*keeps the weights of epoch 2, the last: training\.early_stopping/,
    ],
    [
      'a small rise whose last weights were kept',
      historyOf(
        [
          { trainLoss: 1, validationLoss: 0.5 },
          { trainLoss: 0.6, validationLoss: 0.52 },
        ],
        { bestEpoch: 2, stopReason: 'epochs' },
      ),
      /^No sign of overfitting: validation loss 0\.5200 .* at the last epoch, 2\.$/,
    ],
    [
      'a loss that grew without end',
      historyOf(
        [
          { trainLoss: 1, validationLoss: 0.5 },
          { trainLoss: 9, validationLoss: 9 },
        ],
        { bestEpoch: 1, stopReason: 'diverged' },
      ),
      /loss grew without end: a lower learning rate may help/,
    ],
    ['no validation rows', historyOf([{ trainLoss: 1 }]), /Without validation rows/],
    ['no epoch', historyOf([]), /No epoch was completed/],
  ];
  for (const [name, history, message] of curves) {
    it(`reads ${name}`, () => {
      const { notes } = judged(2, [], history);
      expect(notes.filter((note) => message.test(note.text)).length, notes.map((note) => note.text).join('\n')).toBe(1);
    });
  }

  it('judges what training did at its lowest point, also where the last weights were kept', () => {
    const epochs = [0.5, 0.4, 0.41].map((validationLoss, i) => ({ trainLoss: 1 - i / 10, validationLoss }));
    const facts = (changes: Partial<LearningHistory>): unknown => judged(2, [], historyOf(epochs, changes)).facts;
    expect(facts({ bestEpoch: 3, stopReason: 'epochs' })).toMatchObject({ isConverged: true, isOverfitting: false });
    expect(facts({ bestEpoch: 2, stopReason: 'diverged' })).toMatchObject({ isConverged: false });
    const page = renderMarkdown({ ...binaryInput(), history: historyOf(epochs, { stopReason: 'epochs' }) });
    expect(page).toContain('Epoch kept: 3 of 3.');
    expect(page).toContain('Converged: validation loss did not improve in the 1 epoch after epoch 2.');
    expect(page).not.toMatch(/still falling|[Bb]est epoch/);
  });

  it('names the weakest class, the most frequent mistake, absent classes and a small test part', () => {
    const labels = [0, 0, 0, 0, 1, 1, 1, 1];
    const metrics = metricsOf(labels, [0, 0, 0, 0, 0, 0, 0, 1], CLASSES);
    const notes = judge({ task: 'classification', metrics, baselines: [], history: HISTORY }).notes.map((note) => note.text);
    expect(notes).toContain('Weakest class: Chinstrap, 1 of 4 rows found (25.0\u00a0%).');
    expect(notes).toContain('Most frequent mistake: Chinstrap taken for Adelie, 3 rows.');
    expect(notes).toContain('No test row of: Gentoo.');
    expect(notes).toContain('Only 8 test rows: one row more or less is 12.5\u00a0%.');
  });
});

describe('wilsonInterval', () => {
  // Values of scipy.stats.binomtest(right, rows).proportion_ci(method='wilson'), four digits.
  it('equals known intervals', () => {
    for (const [right, rows, low, high] of [
      [8, 10, 0.4902, 0.9433],
      [0, 10, 0, 0.2775],
      [10, 10, 0.7225, 1],
    ] as const) {
      const [lower, upper] = wilsonInterval(right, rows);
      expect(lower).toBeCloseTo(low, 4);
      expect(upper).toBeCloseTo(high, 4);
    }
  });
});
