import { TensorkilnError } from '../errors.js';
import { CHARTS_INSTALL_LINE, ChartRenderer, type Chart } from './report/chart-renderer.js';
import { accuracyChart, lossChart } from './report/charts.js';
import { html, type SafeHtml } from './report/html.js';
import { classesSection, classificationSummary, probabilitiesSection } from './report/classification-sections.js';
import { curvesSection } from './report/cards.js';
import { dataSection, runSection } from './report/data-sections.js';
import { languageSummary } from './report/language-sections.js';
import { errorsSection, regressionSummary } from './report/regression-sections.js';
import { REPORT_STYLE } from './report/style.js';
import type { LearningHistory, ReportInput } from './report/types.js';

const FOOTNOTES = {
  classification: "The interval is Wilson's; classes that never occur are left out of means over classes.",
  language_model: 'A perplexity of n is that of a choice among n equally likely characters.',
  regression: 'Intervals are percentiles of bootstrap samples of the test rows. R2 is the share of variance explained.',
} as const;

/**
 * Renders a run as one HTML page that needs nothing else: no script, no font, no image, no request. It leads with a verdict
 * in plain words, then shows baselines, learning curves, classes or errors, data and what repeats the run. It
 * follows the reader's light or dark scheme and fits a phone. All text that comes from data or configuration is escaped;
 * rows of the data are not in it.
 *
 * Charts are drawn by the optional package echarts; without it the page has its tables and says how to get the charts.
 *
 * @param input facts of the run; equal facts give an equal page
 * @returns the page's text
 */
export async function renderReport(input: ReportInput): Promise<string> {
  const renderer = await ChartRenderer.load();
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${input.title}</title>
        <style>
          ${REPORT_STYLE}
        </style>
      </head>
      <body>
        <main>
          <header>
            <div class="brand">Tensorkiln training report</div>
            <h1>${input.title}</h1>
            <p class="muted">${input.run.finishedAt}</p>
          </header>
          ${summaryOf(input)} ${curvesSection(input.history, renderer)} ${detailsOf(input, renderer)} ${dataSection(input)}
          ${runSection(input)}
          <footer>The test rows were used for nothing but the figures on this page. ${FOOTNOTES[input.task]}</footer>
        </main>
      </body>
    </html> `;
  return page.text;
}

function summaryOf(input: ReportInput): SafeHtml {
  switch (input.task) {
    case 'classification':
      return classificationSummary(input);
    case 'regression':
      return regressionSummary(input);
    case 'language_model':
      return languageSummary(input);
  }
}

function detailsOf(input: ReportInput, renderer: ChartRenderer | undefined): SafeHtml | undefined {
  switch (input.task) {
    case 'classification':
      return html`${classesSection(input, renderer)} ${probabilitiesSection(input, renderer)}`;
    case 'regression':
      return errorsSection(input, renderer);
    case 'language_model':
      return undefined;
  }
}

/**
 * Draws the learning curves of a run as one SVG image: training and validation loss, and below it validation accuracy where
 * it was measured. Colours can be set from outside through CSS variables (--tk-model, --tk-train, --tk-ink, ...).
 *
 * @param history at least one epoch
 * @returns the text of an <svg> element that also stands alone as a file
 * @throws E_DATA for a history without epochs; E_EXPORT when the optional package echarts is not installed
 */
export async function renderTrainingCurves(history: LearningHistory): Promise<string> {
  if (history.epochs.length === 0) {
    throw new TensorkilnError('E_DATA', '[report] no curves to draw: expected at least 1 epoch, got 0.');
  }
  const renderer = await ChartRenderer.load();
  if (renderer === undefined) {
    throw new TensorkilnError('E_EXPORT', `[report] charts need the optional package echarts: ${CHARTS_INSTALL_LINE}`);
  }
  const charts = [lossChart(history), accuracyChart(history)].filter((chart): chart is Chart => chart !== undefined);
  const width = Math.max(...charts.map((chart) => chart.width));
  const height = charts.reduce((total, chart) => total + chart.height, 0);
  let top = 0;
  const pictures = charts.map((chart) => {
    const picture = html`<g transform="translate(0 ${top})">${renderer.render(chart)}</g>`;
    top += chart.height;
    return picture;
  });
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
    ${pictures}
  </svg> `.text;
}
