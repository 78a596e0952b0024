import { LOAD_LIMIT } from './load.js';
import { type PeerCell, type Row, means } from './table.js';

/** Above this spread a time moved about too much for its ratio to say anything. */
const NOISE_LIMIT = 0.2;

export function duration(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toPrecision(3)} us`;
  return seconds < 1 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`;
}

function peerText({ name, ratio, seconds, note }: PeerCell): string {
  if (ratio === undefined || seconds === undefined) return `            ${name}: ${note}`;
  const interval = `${ratio.low.toFixed(2)}..${ratio.high.toFixed(2)}`;
  const sure = ratio.low <= 1 && ratio.high >= 1 ? ' (no clear difference)' : '';
  return `  ${`${ratio.value.toFixed(2)}x`.padStart(8)}  ${name.padEnd(17)} ${duration(seconds).padStart(8)}   ${interval}${sure}`;
}

/** A row: who is how many times slower than we are, ratio first; then ours. */
export function rowText(row: Row, showAll: boolean): string {
  const share = row.share === undefined ? '' : `, ${(row.share * 100).toFixed(0)} % of the limit`;
  const noisy = row.spread > NOISE_LIMIT ? '  NOISY' : '';
  const loaded = row.othersLoad > LOAD_LIMIT ? `  LOADED: other programs used ${row.othersLoad.toFixed(1)} processors` : '';
  const head =
    `${row.name}, ${row.threads} thread${row.threads === 1 ? '' : 's'}: ${duration(row.seconds)} ` +
    `±${(row.spread * 100).toFixed(0)} % (${row.rate.toPrecision(3)} ${row.unit}${share})${noisy}${loaded}`;
  const peers = row.peers.filter(({ ratio, note }) => ratio !== undefined || showAll || note !== 'has no such op');
  return [head, ...peers.map(peerText)].join('\n');
}

/** Means by peer, the rows where somebody is faster, and what made the numbers doubtful. */
export function summaryText(rows: readonly Row[]): string {
  const lines = ['geometric means of the ratios (above 1: we are faster):'];
  for (const [name, { mean, count }] of means(rows))
    lines.push(`  ${`${mean.toFixed(2)}x`.padStart(8)}  ${name} (${count} rows)`);
  const lost = rows.flatMap((row) =>
    row.peers
      .filter(({ name, ratio }) => ratio !== undefined && ratio.high < 1 && name !== 'tfjs-core alone')
      .map(({ name, ratio }) => `  ${`${ratio!.value.toFixed(2)}x`.padStart(8)}  ${row.name}, ${row.threads} threads: ${name}`),
  );
  lines.push(lost.length === 0 ? 'nobody is clearly faster anywhere' : `slower than a peer (${lost.length}):`, ...lost);
  const loaded = rows.filter(({ othersLoad }) => othersLoad > LOAD_LIMIT).length;
  if (loaded > 0) {
    lines.push(
      `the machine was loaded by other programs during ${loaded} of ${rows.length} rows: ratios suffer less than times, but repeat them`,
    );
  }
  return lines.join('\n');
}
