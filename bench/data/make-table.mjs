// Writes a CSV table for bench/data/run.mjs: 15 columns of numbers, 5 of categories, 2 to 3 of a hundred cells missing. The same file
// for the same number of rows.
//
//   node bench/data/make-table.mjs <file> [rows]
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

const NUMBERS = 15;
const CATEGORIES = 5;

/** xorshift32 (Marsaglia 2003): uniform in [0, 1). */
function generator(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export async function makeTable(path, rows) {
  const random = generator(12345);
  const out = createWriteStream(path);
  const names = [
    ...Array.from({ length: NUMBERS }, (_, column) => `n${column}`),
    ...Array.from({ length: CATEGORIES }, (_, column) => `c${column}`),
  ];
  let text = `${names.join(',')}\n`;
  for (let row = 0; row < rows; row++) {
    const cells = [];
    for (let column = 0; column < NUMBERS; column++) {
      if (random() < 0.03) cells.push('');
      else if (column % 3 === 0) cells.push(String(Math.floor(random() * 100_000)));
      else cells.push((random() * 1000 - 500).toFixed((column % 3) + 1));
    }
    for (let column = 0; column < CATEGORIES; column++)
      cells.push(random() < 0.02 ? 'NA' : `cat_${Math.floor(random() * (5 + 4 * column))}`);
    text += `${cells.join(',')}\n`;
    if (text.length > 1 << 20) {
      if (!out.write(text)) await once(out, 'drain');
      text = '';
    }
  }
  out.end(text);
  await finished(out);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , path, rows = '1000000'] = process.argv;
  if (path === undefined) throw new Error('usage: node bench/data/make-table.mjs <file> [rows]');
  await makeTable(path, Number(rows));
}
