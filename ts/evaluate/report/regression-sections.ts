import { bar, chartCard, figuresCard, tiles, verdictCard } from './cards.js';
import type { ChartRenderer } from './chart-renderer.js';
import { countOf, formatNumber, formatPercent, html, type SafeHtml } from './html.js';
import { MAX_MAPE } from './metric-rows.js';
import { agreementChart, errorChart } from './regression-charts.js';
import type { RegressionReport } from './types.js';
import { judge } from './verdict.js';

const FILLS = { linear: 'logistic', mean: 'majority' } as const;

/** The answer: RMSE, what it is worth, other figures, and the same for simple models. */
export function regressionSummary(input: RegressionReport): SafeHtml {
  const { metrics, intervals } = input;
  const interval =
    intervals?.rmse == null
      ? undefined
      : html`<br />95&nbsp;% interval ${formatNumber(intervals.rmse[0])} to ${formatNumber(intervals.rmse[1])}`;
  const label = html`RMSE on ${countOf(metrics.rows, 'held-out row')}${interval}`;
  const figures: (readonly [string, string])[] = [
    [formatNumber(metrics.mae), 'mean absolute error'],
    [formatNumber(metrics.medianAbsoluteError), 'median absolute error'],
    [formatR2(metrics.r2), 'R2, variance explained'],
  ];
  if (metrics.mape <= MAX_MAPE) figures.push([formatPercent(metrics.mape), 'MAPE']);
  return html`${verdictCard(judge(input), formatNumber(metrics.rmse), label)} ${tiles(figures, input.history)}
  ${baselineSection(input)}`;
}

function baselineSection(input: RegressionReport): SafeHtml {
  const { metrics: own, baselines } = input;
  const rows = [
    { name: 'This model', description: '', metrics: own, fill: 'model' },
    ...baselines.map(({ name, description, metrics }) => ({
      name: `${name[0]!.toUpperCase()}${name.slice(1)} baseline`,
      description,
      metrics,
      fill: FILLS[name],
    })),
  ];
  const largest = Math.max(...rows.map(({ metrics }) => metrics.rmse)) || 1;
  return html`<h2>Against simple models</h2>
    <div class="card">
      <div class="scroll">
        <table class="compare">
          <thead>
            <tr>
              <th></th>
              <th>RMSE, less is better</th>
              <th class="n">MAE</th>
              <th class="n wide">largest error</th>
              <th class="n">R2</th>
            </tr>
          </thead>
          <tbody>
            ${rows.map(
              ({ name, description, metrics, fill }, i) =>
                html`<tr class="${i === 0 ? 'ours' : ''}">
                  <td class="name">${name}<small>${description}</small></td>
                  <td>${formatNumber(metrics.rmse)} ${bar(metrics.rmse / largest, fill)}</td>
                  <td class="n">${formatNumber(metrics.mae)}</td>
                  <td class="n wide">${formatNumber(metrics.maxError)}</td>
                  <td class="n">${formatR2(metrics.r2)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>
    ${figuresCard(input)}`;
}

/** Where the predictions lie and how large the errors are. */
export function errorsSection({ metrics, picture }: RegressionReport, renderer: ChartRenderer | undefined): SafeHtml {
  if (picture === undefined) return html``;
  return html`<h2>Where it errs</h2>
    <div class="grid">
      ${chartCard(
        'Predicted beside true',
        agreementChart(picture, metrics.rows),
        renderer,
        'Test rows counted in cells, the darker the more; on the dashed line a prediction is exact.',
      )}
      ${chartCard('Errors', errorChart(picture), renderer, 'Rows by error; left of the dashed line the model says too little.')}
    </div>`;
}

function formatR2(r2: number | null): string {
  return r2 === null ? 'not defined' : r2.toFixed(3);
}
