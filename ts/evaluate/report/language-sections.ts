import { bar, figuresCard, tiles, verdictCard } from './cards.js';
import { countOf, formatLoss, formatNumber, formatPercent, html, type SafeHtml } from './html.js';
import type { LanguageReport } from './types.js';
import { judge } from './verdict.js';

const FILLS = { bigram: 'logistic', unigram: 'majority' } as const;

/** The answer: perplexity, what it is worth, other figures, and the same for counting. */
export function languageSummary(input: LanguageReport): SafeHtml {
  const { metrics, baselines } = input;
  const rows = [
    { name: 'This model', description: '', metrics, fill: 'model' },
    ...baselines.map(({ name, description, metrics: own }) => ({
      name: `${name[0]!.toUpperCase()}${name.slice(1)} baseline`,
      description,
      metrics: own,
      fill: FILLS[name],
    })),
  ];
  const largest = Math.max(...rows.map((row) => row.metrics.perplexity));
  const figures: readonly (readonly [string, string])[] = [
    [formatNumber(metrics.bitsPerCharacter), 'bits per character'],
    [formatLoss(metrics.crossEntropy), 'cross-entropy, nats'],
    [formatPercent(metrics.accuracy), 'characters foretold'],
  ];
  const label = html`perplexity on ${countOf(metrics.rows, 'held-out character')}`;
  return html`${verdictCard(judge(input), formatNumber(metrics.perplexity), label)} ${tiles(figures, input.history)}
    <h2>Against counting</h2>
    <div class="card">
      <div class="scroll">
        <table class="compare">
          <thead>
            <tr>
              <th></th>
              <th>perplexity, less is better</th>
              <th class="n">bits per character</th>
              <th class="n">foretold</th>
            </tr>
          </thead>
          <tbody>
            ${rows.map(
              ({ name, description, metrics: own, fill }, i) =>
                html`<tr class="${i === 0 ? 'ours' : ''}">
                  <td class="name">${name}<small>${description}</small></td>
                  <td>${formatNumber(own.perplexity)} ${bar(own.perplexity / largest, fill)}</td>
                  <td class="n">${formatNumber(own.bitsPerCharacter)}</td>
                  <td class="n">${formatPercent(own.accuracy)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>
    ${figuresCard(input)}`;
}
