import { countOf, formatCount, formatPercent, html, type SafeHtml } from './html.js';
import type { ReportFacts } from './types.js';
import type { Tone } from './verdict-types.js';

/** As in the curves: training, validation; then test. */
const PART_COLOURS = ['var(--tk-train)', 'var(--tk-model)', 'var(--ember)', 'var(--tk-logistic)'];

/** Where the rows went, what each column was used for. */
export function dataSection(input: ReportFacts): SafeHtml {
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
const ROLE_TONES: Readonly<Record<NonNullable<ReportFacts['columns']>[number]['role'], Tone>> = {
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

function columnsCard(columns: NonNullable<ReportFacts['columns']>): SafeHtml {
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
export function runSection(input: ReportFacts): SafeHtml {
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
