import { CHARTS_INSTALL_LINE, type Chart, type ChartRenderer } from './chart-renderer.js';
import { accuracyChart, lossChart } from './charts.js';
import { html, type HtmlValue, type SafeHtml } from './html.js';
import { metricRows } from './metric-rows.js';
import { choiceOf } from './kept-epoch.js';
import type { LearningHistory, ReportInput } from './types.js';
import type { Tone, Verdict } from './verdict-types.js';

const MARKS: Readonly<Record<Tone, string>> = { good: '✓', warn: '!', bad: '✕', info: 'i' };
const STOP_REASONS: Readonly<Record<LearningHistory['stopReason'], string>> = {
  epochs: 'all epochs done',
  early_stopping: 'early stopping',
  aborted: 'stopped by hand',
  max_time: 'out of time',
  stopped: 'stopped by a callback',
  diverged: 'the loss grew without end',
};

/** The answer first: one figure, what it is worth, and what to know about it. */
export function verdictCard(verdict: Verdict, score: string, scoreLabel: SafeHtml): SafeHtml {
  return html`<section class="card verdict ${verdict.tone}">
    <div>
      <div class="score">${score}</div>
      <p class="score-label">${scoreLabel}</p>
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

/** Further figures at a glance, and how long it took to get there. */
export function tiles(figures: readonly (readonly [value: string, label: string])[], history: LearningHistory): SafeHtml {
  const seconds = history.epochs.reduce((total, point) => total + (point.seconds ?? 0), 0);
  const all: (readonly [string, string])[] = [
    ...figures,
    [
      `${history.bestEpoch} of ${history.epochs.length}`,
      `${choiceOf(history) === 'last' ? 'epoch kept' : 'best epoch'} (${STOP_REASONS[history.stopReason]})`,
    ],
  ];
  if (seconds > 0) all.push([formatSeconds(seconds), 'training time']);
  return html`<div class="tiles">
    ${all.map(([value, label]) => html`<div class="card tile"><b>${value}</b><span>${label}</span></div>`)}
  </div>`;
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A share of a bar that is filled. */
export function bar(share: number, fill: string): SafeHtml {
  return html`<span class="bar"><i style="width:${(100 * share).toFixed(2)}%;--fill:var(--tk-${fill})"></i></span>`;
}

/** Learning curves side by side. */
export function curvesSection(history: LearningHistory, renderer: ChartRenderer | undefined): SafeHtml {
  if (history.epochs.length === 0) return html``;
  const accuracy = accuracyChart(history);
  return html`<h2>How it learned</h2>
    <div class="grid">
      ${chartCard('Loss', lossChart(history), renderer, 'Mean over rows; the dashed line marks the epoch whose weights were kept.')}
      ${accuracy === undefined ? undefined : chartCard('Accuracy', accuracy, renderer, 'Share of validation rows predicted right.')}
    </div>`;
}

/** A chart under its title, or what is missing to draw it. */
export function chartCard(title: string, chart: Chart, renderer: ChartRenderer | undefined, caption: string): SafeHtml {
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

/** Every figure with its interval, beside the baselines. */
export function figuresCard(input: ReportInput): SafeHtml {
  const rows = metricRows(input);
  const hasIntervals = rows.some((row) => row.interval !== undefined);
  return html`<details class="card figures">
    <summary>All figures</summary>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>metric</th>
            <th class="n">this model</th>
            ${hasIntervals ? html`<th class="n">95&nbsp;% interval</th>` : undefined}
            ${input.baselines.map((baseline) => html`<th class="n wide">${baseline.name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr>
                <td class="name">${row.label}</td>
                <td class="n">${row.value}</td>
                ${hasIntervals ? html`<td class="n muted">${row.interval}</td>` : undefined}
                ${row.baselines.map((value) => html`<td class="n wide">${value}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}
