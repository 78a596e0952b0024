import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTable, readTableParts, Table, WorkerPool, numericColumn, type NumericColumn } from '../../ts/data/index.js';
import { LagColumns } from '../../ts/data/lags.js';
import { Preprocessor } from '../../ts/data/preprocessor.js';
import { categoricalColumn } from '../../ts/data/table.js';

let folder: string;
let pool: WorkerPool;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-lags-'));
  pool = new WorkerPool(1);
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

const numbers = (table: Table, name: string): number[] => [...(table.column(name) as NumericColumn).values];
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe('lags', () => {
  it('are what a column held so many rows before, and missing before the first row', () => {
    const table = new LagColumns({ t: [1, 3] }).addTo(new Table([numericColumn('t', [1, null, 3, 4, 5])], 5));
    expect(numbers(table, 't lag 1')).toEqual([NaN, 1, NaN, 3, 4]);
    expect(numbers(table, 't lag 3')).toEqual([NaN, NaN, NaN, 1, NaN]);
  });

  it('go on over parts of any size as over the whole', () => {
    const values = Array.from({ length: 12 }, (_, index) => index * 10);
    const whole = new LagColumns({ t: [1, 4] }).addTo(new Table([numericColumn('t', values)], 12));
    const columns = new LagColumns({ t: [1, 4] });
    const parts = [1, 2, 0, 6, 3].map((size, index, sizes) => {
      const start = sizes.slice(0, index).reduce((sum, one) => sum + one, 0);
      return columns.addTo(new Table([numericColumn('t', values.slice(start, start + size))], size));
    });
    for (const name of ['t lag 1', 't lag 4'])
      expect(parts.flatMap((part) => numbers(part, name))).toEqual(numbers(whole, name));
  });

  it('are made of a file as a whole and in parts, whatever columns are asked for', async () => {
    const path = write('t.csv', `day,t\n${Array.from({ length: 9 }, (_, row) => `d${row},${row}`).join('\n')}\n`);
    const lags = { t: [2] };
    const whole = await readTable({ path, lags }, { pool });
    expect(numbers(whole, 't lag 2')).toEqual([NaN, NaN, 0, 1, 2, 3, 4, 5, 6]);
    const found: number[] = [];
    for await (const { table, names } of readTableParts({ path, lags }, { pool, kinds: { 't lag 2': 'numeric' } })) {
      found.push(...numbers(table, 't lag 2'));
      expect(names).toEqual(['day', 't', 't lag 2']);
    }
    expect(found).toEqual(numbers(whole, 't lag 2'));
  });

  it('see replaced cells, in a file as a whole and in parts', async () => {
    const lags = { t: [1] };
    const replace = { t: { '~2': '2' } };
    const files = [write('r.csv', 't\n1\n~2\n3\n'), write('r.jsonl', '{"t":1}\n{"t":"~2"}\n{"t":3}\n')];
    for (const path of files) {
      expect(numbers(await readTable({ path, lags, replace }, { pool }), 't lag 1')).toEqual([NaN, 1, 2]);
      for await (const { table } of readTableParts({ path, lags, replace }, { pool, kinds: { 't lag 1': 'numeric' } }))
        expect(numbers(table, 't lag 1')).toEqual([NaN, 1, 2]);
    }
  });

  it('leave a file without their source without them, so that it is told what is missing', async () => {
    const path = write('other.csv', 'day\nd1\n');
    for await (const { table, names } of readTableParts(
      { path, lags: { t: [1] } },
      { pool, kinds: { 't lag 1': 'numeric' } },
    )) {
      expect([names, table.columns]).toEqual([['day'], []]);
    }
  });

  it.each([[[0]], [[1.5]], [[]]])('refuse %j', (list) => {
    expect(() => new LagColumns({ t: list })).toThrow(/\[lags\] wrong lags of "t": expected a list of integers >= 1/);
  });

  it('refuse a column of text and a name that is taken', () => {
    const text = new Table([categoricalColumn('t', ['a', 'b'])], 2);
    expect(() => new LagColumns({ t: [1] }).addTo(text)).toThrow(/column "t" is of another type/);
    const taken = new Table([numericColumn('t', [1]), numericColumn('t lag 1', [1])], 1);
    expect(() => new LagColumns({ t: [1] }).addTo(taken)).toThrow(/"t lag 1" comes twice/);
  });
});

describe('date_parts', () => {
  it('leave out what is not asked for', () => {
    const table = new Table([categoricalColumn('d', ['2024-01-01', '2024-07-01'])], 2);
    const fitted = Preprocessor.fit(table, Int32Array.of(0, 1), {
      features: [{ name: 'd', type: 'date', options: { dateParts: ['week', 'trend'] } }],
    });
    expect(fitted.featureNames).toEqual(['d.days', 'd.week_sin', 'd.week_cos']);
  });
});
