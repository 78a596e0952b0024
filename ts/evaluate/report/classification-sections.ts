import type { ClassificationMetrics } from '../metrics.js';
import { bar, chartCard, tiles, verdictCard } from './cards.js';
import type { ChartRenderer } from './chart-renderer.js';
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
  const figures = [
    [formatPercent(metrics.balancedAccuracy), 'balanced accuracy'],
    [formatPercent(metrics.macroF1), 'F1, mean of classes'],
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
                  <td class="n">${formatCount(entry.support)}</td>
                  <td class="n wide">${formatCount(entry.predicted)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>`;
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
