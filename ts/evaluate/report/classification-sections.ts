import type { ClassificationMetrics } from '../metrics.js';
import { bar, chartCard, figuresCard, tiles, verdictCard } from './cards.js';
import type { ChartRenderer } from './chart-renderer.js';
import { calibrationChart, precisionRecallChart, rocChart } from './class-charts.js';
import { classChart, confusionChart, MAX_BAR_CLASSES, MAX_HEAT_MAP_CLASSES } from './charts.js';
import { mostFrequentMistakes, rightRows, wilsonInterval } from './classification-verdict.js';
import { countOf, formatCount, formatLoss, formatPercent, html, type SafeHtml } from './html.js';
import type { ClassificationReport } from './types.js';
import { judge } from './verdict.js';

/** The answer: accuracy, what it is worth, other figures, and the same for simple models. */
export function classificationSummary(input: ClassificationReport): SafeHtml {
  const { metrics } = input;
  const [low, high] = wilsonInterval(rightRows(metrics), metrics.rows);
  const label = html`accuracy on ${countOf(metrics.rows, 'held-out row')}<br />
    95&nbsp;% interval ${formatPercent(low)} to ${formatPercent(high)}`;
  const of = metrics.positiveClass === null ? ', mean of classes' : ` of ${metrics.positiveClass}`;
  const figures = [
    [formatPercent(metrics.balancedAccuracy), 'balanced accuracy'],
    [formatPercent(metrics.macroF1), 'F1, mean of classes'],
    ...(metrics.rocAuc === null ? [] : [[metrics.rocAuc.toFixed(3), `ROC-AUC${of}`] as const]),
    ...(metrics.prAuc === null ? [] : [[metrics.prAuc.toFixed(3), `PR-AUC${of}`] as const]),
    [metrics.mcc.toFixed(3), 'MCC, correlation'],
    [formatLoss(metrics.logLoss), 'log loss'],
  ] as const;
  return html`${verdictCard(judge(input), formatPercent(metrics.accuracy), label)} ${tiles(figures, input.history)}
  ${baselineSection(input)}`;
}

/** The model beside the baselines, on the same rows by the same metrics. */
function baselineSection(input: ClassificationReport): SafeHtml {
  const rows = [
    { name: 'This model', description: '', metrics: input.metrics, fill: 'model' },
    ...input.baselines.map((baseline) => ({
      name: `${baseline.name[0]!.toUpperCase()}${baseline.name.slice(1)} baseline`,
      description: baseline.description,
      metrics: baseline.metrics,
      fill: baseline.name,
    })),
  ];
  return html`<h2>Against simple models</h2>
    <div class="card">
      <div class="scroll">
        <table class="compare">
          <thead>
            <tr>
              <th></th>
              <th>accuracy</th>
              <th class="n wide">right rows</th>
              <th class="n wide">balanced</th>
              <th class="n wide">F1</th>
              <th class="n">log loss</th>
            </tr>
          </thead>
          <tbody>
            ${rows.map(
              ({ name, description, metrics, fill }, i) =>
                html`<tr class="${i === 0 ? 'ours' : ''}">
                  <td class="name">${name}<small>${description}</small></td>
                  <td>${formatPercent(metrics.accuracy)} ${bar(metrics.accuracy, fill)}</td>
                  <td class="n wide">${formatCount(rightRows(metrics))}</td>
                  <td class="n wide">${formatPercent(metrics.balancedAccuracy)}</td>
                  <td class="n wide">${formatPercent(metrics.macroF1)}</td>
                  <td class="n">${formatLoss(metrics.logLoss)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>
    ${figuresCard(input)}`;
}

/** How well the probabilities put the classes apart, and how far they can be believed. */
export function probabilitiesSection(input: ClassificationReport, renderer: ChartRenderer | undefined): SafeHtml {
  const { curves, metrics } = input;
  if (curves === undefined) return html``;
  const omitted =
    curves.omitted === 0 ? '' : ` The ${curves.curves.length} classes that are told apart least, of ${metrics.classes.length}.`;
  return html`<h2>How sure it is</h2>
    <div class="grid">
      ${
        curves.curves.length === 0
          ? undefined
          : html`${chartCard(
              'ROC curve',
              rocChart(curves),
              renderer,
              `How many of a class are found by how many false alarms; the dashed line is guessing.${omitted}`,
            )}
            ${chartCard(
              'Precision and recall',
              precisionRecallChart(curves),
              renderer,
              `How many of the rows found are right, by how many are found.${omitted}`,
            )}`
      }
      ${chartCard(
        'Calibration',
        calibrationChart(curves.calibration, metrics.rows),
        renderer,
        `On the dashed line ${curves.calibration.about} comes true as often as the model says; larger dots rest on more rows.`,
      )}
    </div>`;
}

/** Which classes are confused, and how well each is recognised. */
export function classesSection(input: ClassificationReport, renderer: ChartRenderer | undefined): SafeHtml {
  const { metrics, baselines } = input;
  const matrix =
    metrics.classes.length <= MAX_HEAT_MAP_CLASSES
      ? chartCard(
          'Confusion matrix',
          confusionChart(metrics),
          renderer,
          'Rows of the test part; off the diagonal are the mistakes.',
        )
      : mistakesCard(metrics);
  const note =
    metrics.classes.length > MAX_BAR_CLASSES ? `The ${MAX_BAR_CLASSES} weakest of ${metrics.classes.length} classes.` : '';
  return html`<h2>Class by class</h2>
    <div class="grid">
      ${matrix}
      ${chartCard('F1 score per class', classChart(metrics, baselines), renderer, `F1 joins precision and recall. ${note}`)}
    </div>
    <div class="card" style="margin-top:16px">
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>class</th>
              <th class="n">precision</th>
              <th class="n">recall</th>
              <th class="n">F1</th>
              <th class="n wide">ROC-AUC</th>
              <th class="n wide">PR-AUC</th>
              <th class="n">test rows</th>
              <th class="n wide">predicted</th>
            </tr>
          </thead>
          <tbody>
            ${metrics.perClass.map(
              (entry) =>
                html`<tr>
                  <td class="name">${entry.name}</td>
                  <td class="n">${formatPercent(entry.precision)}</td>
                  <td class="n">${formatPercent(entry.recall)}</td>
                  <td class="n">${formatPercent(entry.f1)}</td>
                  <td class="n wide">${entry.rocAuc?.toFixed(3)}</td>
                  <td class="n wide">${entry.prAuc?.toFixed(3)}</td>
                  <td class="n">${formatCount(entry.support)}</td>
                  <td class="n wide">${formatCount(entry.predicted)}</td>
                </tr>`,
            )}
            ${averages(metrics).map(
              ([name, precision, recall, f1]) =>
                html`<tr class="average">
                  <td class="name">${name}</td>
                  <td class="n">${formatPercent(precision)}</td>
                  <td class="n">${formatPercent(recall)}</td>
                  <td class="n">${formatPercent(f1)}</td>
                  <td class="n wide"></td>
                  <td class="n wide"></td>
                  <td class="n">${formatCount(metrics.rows)}</td>
                  <td class="n wide"></td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>`;
}

function averages(metrics: ClassificationMetrics): [string, number, number, number][] {
  return [
    ['mean of classes', metrics.macroPrecision, metrics.macroRecall, metrics.macroF1],
    ['weighted by rows', metrics.weightedPrecision, metrics.weightedRecall, metrics.weightedF1],
  ];
}

function mistakesCard(metrics: ClassificationMetrics): SafeHtml {
  return html`<div class="card">
    <h3>Most frequent mistakes</h3>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>true class</th>
            <th>taken for</th>
            <th class="n">rows</th>
          </tr>
        </thead>
        <tbody>
          ${mostFrequentMistakes(metrics, 15).map(
            (mistake) =>
              html`<tr>
                <td class="name">${mistake.truth}</td>
                <td>${mistake.predicted}</td>
                <td class="n">${formatCount(mistake.count)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </div>`;
}
