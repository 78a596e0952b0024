import type { Row } from './table.js';
import { duration } from './report-text.js';

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

/** Bar of a ratio on a logarithmic scale: half the width is 1, the ends are 1/16 and 16. */
function bar(ratio: number): string {
  const width = Math.min(50, Math.abs(Math.log2(ratio)) * 12.5);
  const side = ratio >= 1 ? `left:50%;width:${width}%;background:#2a7` : `left:${50 - width}%;width:${width}%;background:#c54`;
  return `<span class="bar"><span style="${side}"></span></span>`;
}

function rowHtml(row: Row): string {
  const share = row.share === undefined ? '' : `${(row.share * 100).toFixed(0)} %`;
  const cells = row.peers.filter(({ ratio, note }) => ratio !== undefined || note !== 'has no such op');
  const first =
    `<td rowspan="${Math.max(1, cells.length)}">${escape(row.name)}<br><small>${row.threads} threads</small></td>` +
    `<td rowspan="${Math.max(1, cells.length)}">${duration(row.seconds)} ±${(row.spread * 100).toFixed(0)} %</td>` +
    `<td rowspan="${Math.max(1, cells.length)}">${row.rate.toPrecision(3)} ${row.unit}<br><small>${share}</small></td>`;
  const peers = cells.map(({ name, ratio, seconds, note }) =>
    ratio === undefined
      ? `<td>${escape(name)}</td><td colspan="3">${escape(note ?? '')}</td>`
      : `<td>${escape(name)}</td><td>${duration(seconds!)}</td><td><b>${ratio.value.toFixed(2)}x</b> ` +
        `<small>${ratio.low.toFixed(2)}..${ratio.high.toFixed(2)}</small></td><td>${bar(ratio.value)}</td>`,
  );
  return (peers.length === 0 ? ['<td colspan="4"></td>'] : peers)
    .map((peer, i) => `<tr>${i === 0 ? first : ''}${peer}</tr>`)
    .join('\n');
}

/** The tables as one page without scripts or anything to load. */
export function pageHtml(title: string, facts: readonly string[], tables: ReadonlyMap<string, readonly Row[]>): string {
  const sections = [...tables].map(
    ([name, rows]) =>
      `<h2>${escape(name)}</h2><table><tr><th>case</th><th>ours</th><th>rate, share of the limit</th><th>peer</th><th>its time</th>` +
      `<th>ratio, 95 %</th><th>slower &nbsp; faster</th></tr>\n${rows.map(rowHtml).join('\n')}</table>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>
<style>body{font:14px system-ui,sans-serif;margin:2em;max-width:80em}table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;
padding:.25em .8em;text-align:left;vertical-align:top}small{color:#666}.bar{position:relative;display:inline-block;width:12em;height:1em;
background:#f0f0f0}.bar span{position:absolute;top:0;bottom:0}</style>
<h1>${escape(title)}</h1><ul>${facts.map((fact) => `<li>${escape(fact)}</li>`).join('')}</ul>
<p>A ratio is the peer's time divided by ours in one run: above 1 we are faster. Bars are logarithmic, from 1/16 to 16.</p>
${sections.join('\n')}</html>
`;
}
