// From a CSV file of one million rows and 20 columns (about 135 MB) to a filled, scaled, one-hot float32 matrix: reading, counting,
// deciding, fitting on all rows, filling. Worker threads are started before the clock, as in a program that has read something already.
//
//   npm run build:ts && node bench/data/run.mjs [rows] [repetitions] [file]
//
// bench/data/pandas_table.py does the same work in pandas, for the ratio on one machine.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { decideColumns, Preprocessor, profileTable, readTable, WorkerPool } from '../../dist/data/index.js';
import { fillMatrix } from '../../dist/data/matrix-filler.js';
import { makeTable } from './make-table.mjs';

const rows = Number(process.argv[2] ?? 1_000_000);
const repetitions = Number(process.argv[3] ?? 5);
const path = process.argv[4] ?? join(tmpdir(), `tensorkiln-bench-${rows}.csv`);
if (!existsSync(path)) await makeTable(path, rows);

const pool = new WorkerPool();
const one = new Uint8Array([0x31, 0x0a]);
const dialect = { delimiter: 0x2c, quote: 0x22, decimal: 0x2e, thousands: -1 };
await Promise.all(
  Array.from({ length: pool.threads }, () =>
    pool.run('parse', { bytes: one, dialect, kinds: new Uint8Array([1]), naValues: [''] }),
  ),
);

// One table at a time: V8 does not count shared memory, so the tables of earlier repetitions would otherwise lie about.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const seconds = [];
const cpu = [];
let shape = '';
for (let repetition = 0; repetition < repetitions; repetition++) {
  collect();
  const before = process.cpuUsage();
  const started = performance.now();
  const table = await readTable({ path }, { pool });
  const read = performance.now();
  const profiles = await profileTable(table, pool);
  const { columns } = decideColumns(profiles, { target: 'c0' });
  const features = columns.filter(({ role }) => role === 'feature');
  const all = new Int32Array(table.rowCount);
  for (let row = 0; row < all.length; row++) all[row] = row;
  const fitted = await Preprocessor.fitInPool(table, all, { features }, { pool });
  const fit = performance.now();
  const matrix = await fillMatrix(fitted.plan(table), all, { pool });
  const end = performance.now();
  shape = `${table.rowCount} x ${matrix.length / table.rowCount}`;
  const { user, system } = process.cpuUsage(before);
  cpu.push((user + system) / 1e6);
  seconds.push((end - started) / 1000);
  const part = (from, to) => `${((to - from) / 1000).toFixed(2)} s`;
  console.log(`read ${part(started, read)}, count and fit ${part(read, fit)}, fill ${part(fit, end)}`);
}
await pool.close();
const sorted = seconds.toSorted((a, b) => a - b);
const median = sorted[sorted.length >> 1];
console.log(
  `${shape} float32: median ${median.toFixed(2)} s, best ${sorted[0].toFixed(2)} s; ${(rows / median / 1e6).toFixed(2)} M rows/s, ` +
    `best ${(rows / sorted[0] / 1e6).toFixed(2)}; ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB resident at most; ` +
    `least processor time ${Math.min(...cpu).toFixed(2)} s over all threads`,
);
