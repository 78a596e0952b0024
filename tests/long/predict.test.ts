import { createWriteStream, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeParquetFromCsv } from '../../ts/data/index.js';
import { loadConfig } from '../../ts/run/config/load.js';
import { predictFile } from '../../ts/run/predict-file.js';
import { runTraining } from '../../ts/run/run-training.js';

/** Rows of each file; with fewer than some millions it only shows that the files are predicted. */
const ROWS = Number(process.env['TENSORKILN_PREDICT_ROWS'] ?? 10_000_000);
/** Beyond what the process holds when a fifth of the rows is done. Blocks on the way and freed memory not yet given back; a leak of 16
 *  bytes a row would be more. */
const GROWTH_BYTES = 128 << 20;

let folder: string;
let run: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-long-predict-'));
  const data = await makeTable('train.csv', 2000);
  const config = join(folder, 'config.yaml');
  writeFileSync(config, `data: {path: ${data}, target: y}\nmodel: {hidden_units: [16]}\ntraining: {epochs: 2}\n`);
  run = join(folder, 'run');
  await runTraining(await loadConfig(config, { output: run }), { force: true });
}, 300_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Four numbers, a category and the class; the same file for the same number of rows. */
async function makeTable(name: string, rows: number): Promise<string> {
  const path = join(folder, name);
  const out = createWriteStream(path);
  let state = 12345;
  // xorshift32 (Marsaglia 2003).
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  let text = 'a,b,c,d,colour,y\n';
  for (let row = 0; row < rows; row++) {
    const [a, b] = [next() * 100, next() * 10];
    const colour = ['red', 'green', 'blue'][Math.floor(next() * 3)];
    text += `${a.toFixed(2)},${b.toFixed(3)},${Math.floor(next() * 1000)},${next() < 0.05 ? '' : row % 97},${colour},${a / 10 + next() > b ? 'over' : 'under'}\n`;
    if (text.length > 1 << 20) {
      if (!out.write(text)) await once(out, 'drain');
      text = '';
    }
  }
  out.end(text);
  await finished(out);
  return path;
}

/** Predicts a file and says how much memory the process held on the way. */
async function watch(input: string, output: string): Promise<{ readonly fifth: number; readonly most: number }> {
  let [fifth, most] = [0, 0];
  const started = performance.now();
  const { rows } = await predictFile(run, input, {
    output,
    onProgress: (done) => {
      const resident = process.memoryUsage.rss();
      // The first blocks alone are some hundred thousand rows.
      if (done <= Math.max(ROWS / 5, 1_000_000)) fifth = Math.max(fifth, resident);
      else most = Math.max(most, resident);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  expect(rows).toBe(ROWS);
  expect(existsSync(output)).toBe(true);
  expect(statSync(output).size).toBeGreaterThan(ROWS * 10);
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  process.stdout.write(
    `predict ${input.split('.').at(-1) ?? ''}: ${rows} rows in ${seconds.toFixed(1)} s, ${(rows / seconds / 1e6).toFixed(3)} M rows/s; resident ${mebibytes(fifth)} after a fifth, ${mebibytes(most)} at most\n`,
  );
  return { fifth, most };
}

describe(`predict over ${ROWS} rows`, () => {
  let csv: string;
  beforeAll(async () => {
    csv = await makeTable('rows.csv', ROWS);
  }, 600_000);

  it('of CSV takes no more memory at the end than at the beginning', async () => {
    const { fifth, most } = await watch(csv, join(folder, 'out.csv'));
    expect(most).toBeLessThan(fifth + GROWTH_BYTES);
  });

  it('of Parquet takes no more memory at the end than at the beginning', async () => {
    const parquet = join(folder, 'rows.parquet');
    await writeParquetFromCsv(csv, parquet);
    const { fifth, most } = await watch(parquet, join(folder, 'out-of-parquet.csv'));
    expect(most).toBeLessThan(fifth + GROWTH_BYTES);
  });
});
