import type { ClassificationMetrics } from '../metrics.js';
import { CHARTS_INSTALL_LINE, type Chart, type ChartRenderer } from './chart-renderer.js';
import { accuracyChart, classChart, confusionChart, lossChart, MAX_BAR_CLASSES, MAX_HEAT_MAP_CLASSES } from './charts.js';
import { countOf, formatCount, formatLoss, formatPercent, html, type HtmlValue, type SafeHtml } from './html.js';
import type { LearningHistory, ReportInput } from './types.js';
import { judge, mostFrequentMistakes, rightRows, wilsonInterval, type Tone } from './verdict.js';

const MARKS: Readonly<Record<Tone, string>> = { good: '✓', warn: '!', bad: '✕', info: 'i' };
const STOP_REASONS: Readonly<Record<LearningHistory['stopReason'], string>> = {
  epochs: 'all epochs done',
  early_stopping: 'early stopping',
  aborted: 'stopped by hand',
  max_time: 'out of time',
  stopped: 'stopped by a callback',
};

/** The answer first: accuracy, what it is worth, and what to know about it. */
export function verdictSection(input: ReportInput): SafeHtml {
  const { metrics } = input;
  const verdict = judge(input);
  const [low, high] = wilsonInterval(rightRows(metrics), metrics.rows);
  return html`<section class="card verdict ${verdict.tone}">
    <div>
      <div class="score">${formatPercent(metrics.accuracy)}</div>
      <p class="score-label">
        accuracy on ${countOf(metrics.rows, 'held-out row')}<br />
        95&nbsp;% interval ${formatPercent(low)} to ${formatPercent(high)}
      </p>
    </div>
    <div>
      <p class="headline">${verdict.headline}</p>
      <ul class="notes">
        ${verdict.notes.map(
          (note) =>
            html`<li>
              <span class="mark ${note.tone}" aria-hidden="true">${MARKS[note.tone]}</span><span>${note.text}</span>
            </li>`,
        )}
      </ul>
    </div>
  </section>`;
}

/** The other figures at a glance. */
export function tilesSection(input: ReportInput): SafeHtml {
  const { metrics, history } = input;
  const seconds = history.epochs.reduce((total, point) => total + (point.seconds ?? 0), 0);
  const tiles: [string, string][] = [
    [formatPercent(metrics.balancedAccuracy), 'balanced accuracy'],
    [formatPercent(metrics.macroF1), 'F1, mean of classes'],
    [formatLoss(metrics.logLoss), 'log loss'],
    [`${history.bestEpoch} of ${history.epochs.length}`, `best epoch (${STOP_REASONS[history.stopReason]})`],
  ];
  if (seconds > 0) tiles.push([formatSeconds(seconds), 'training time']);
  return html`<div class="tiles">
    ${tiles.map(([value, label]) => html`<div class="card tile"><b>${value}</b><span>${label}</span></div>`)}
  </div>`;
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The model beside the baselines, on the same rows by the same metrics. */
export function baselineSection(input: ReportInput): SafeHtml {
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
                  <td>
                    ${formatPercent(metrics.accuracy)}
                    <span class="bar"
                      ><i style="width:${(100 * metrics.accuracy).toFixed(2)}%;--fill:var(--tk-${fill})"></i
                    ></span>
                  </td>
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

/** Learning curves side by side. */
export function curvesSection(input: ReportInput, renderer: ChartRenderer | undefined): SafeHtml {
  const { history } = input;
  if (history.epochs.length === 0) return html``;
  const accuracy = accuracyChart(history);
  return html`<h2>How it learned</h2>
    <div class="grid">
      ${chartCard('Loss', lossChart(history), renderer, 'Mean over rows; the dashed line marks the epoch whose weights were kept.')}
      ${accuracy === undefined ? undefined : chartCard('Accuracy', accuracy, renderer, 'Share of validation rows predicted right.')}
    </div>`;
}

/** Which classes are confused, and how well each is recognised. */
export function classesSection(input: ReportInput, renderer: ChartRenderer | undefined): SafeHtml {
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

function chartCard(title: string, chart: Chart, renderer: ChartRenderer | undefined, caption: string): SafeHtml {
  const picture: HtmlValue =
    renderer === undefined
      ? html`<p class="muted">This chart needs the optional package echarts: <code>${CHARTS_INSTALL_LINE}</code></p>`
      : renderer.render(chart);
  return html`<div class="card">
    <h3>${title}</h3>
    <figure>
      ${picture}
      <figcaption>${caption}</figcaption>
    </figure>
  </div>`;
}

/** As in the curves: training, validation; then test. */
const PART_COLOURS = ['var(--tk-train)', 'var(--tk-model)', 'var(--ember)', 'var(--tk-logistic)'];

/** Where the rows went, what each column was used for. */
export function dataSection(input: ReportInput): SafeHtml {
  const { run, columns = [], warnings = [] } = input;
  const parts = Object.entries(run.rows).map(([name, count], i) => ({
    name,
    count,
    fill: PART_COLOURS[i % PART_COLOURS.length]!,
  }));
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  return html`<h2>The data</h2>
    <div class="grid">
      <div class="card">
        <h3>${countOf(total, 'row')}</h3>
        <div class="split" aria-hidden="true">
          ${parts.map((part) => html`<i style="flex:${part.count};background:${part.fill}"></i>`)}
        </div>
        <table>
          <tbody>
            ${parts.map(
              (part) =>
                html`<tr>
                  <td><span class="key" style="background:${part.fill}"></span>${part.name}</td>
                  <td class="n">${formatCount(part.count)}</td>
                  <td class="n muted">${formatPercent(part.count / Math.max(1, total))}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <div class="card">
        <h3>${countOf(run.features.length, 'model input')}</h3>
        <ul class="chips">
          ${run.features.slice(0, MAX_CHIPS).map((name) => html`<li>${name}</li>`)}
          ${run.features.length > MAX_CHIPS ? html`<li>and ${formatCount(run.features.length - MAX_CHIPS)} more</li>` : undefined}
        </ul>
      </div>
    </div>
    ${warnings.length === 0 ? undefined : warningsCard(warnings)} ${columns.length === 0 ? undefined : columnsCard(columns)}`;
}

const MAX_CHIPS = 60;
const ROLE_TONES: Readonly<Record<NonNullable<ReportInput['columns']>[number]['role'], Tone>> = {
  target: 'good',
  feature: 'info',
  ignored: 'warn',
};

function warningsCard(warnings: readonly string[]): SafeHtml {
  return html`<div class="card" style="margin-top:16px">
    <h3>To look at</h3>
    <ul class="notes">
      ${warnings.map((text) => html`<li><span class="mark warn" aria-hidden="true">!</span><span>${text}</span></li>`)}
    </ul>
  </div>`;
}

function columnsCard(columns: NonNullable<ReportInput['columns']>): SafeHtml {
  return html`<div class="card" style="margin-top:16px">
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>column</th>
            <th>role</th>
            <th class="wide">type</th>
            <th class="n">missing</th>
            <th class="n">distinct</th>
            <th style="padding-left:12px">why</th>
          </tr>
        </thead>
        <tbody>
          ${columns.map(
            (column) =>
              html`<tr>
                <td class="name">${column.name}</td>
                <td><span class="pill ${ROLE_TONES[column.role]}">${column.role}</span></td>
                <td class="wide">${column.type}</td>
                <td class="n">${formatCount(column.missing)}</td>
                <td class="n">${formatCount(column.distinct)}</td>
                <td class="muted why">${column.reason}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </div>`;
}

/** What is needed to repeat the run. */
export function runSection(input: ReportInput): SafeHtml {
  const { run } = input;
  const facts: [string, string][] = [
    ...Object.entries(run.details ?? {}),
    ...Object.entries(run.seeds).map(([name, seed]): [string, string] => [`seed (${name})`, String(seed)]),
    ...Object.entries(run.versions),
  ];
  return html`<h2>The run</h2>
    <div class="card">
      <dl>
        ${facts.map(
          ([name, value]) =>
            html`<dt>${name}</dt>
              <dd>${value}</dd>`,
        )}
      </dl>
      ${textDetails('Model', run.modelSummary)} ${textDetails('Configuration', run.configText)}
    </div>`;
}

function textDetails(title: string, text: string | undefined): SafeHtml | undefined {
  return text === undefined
    ? undefined
    : html`<details>
        <summary>${title}</summary>
        <pre>${text}</pre>
      </details>`;
}
