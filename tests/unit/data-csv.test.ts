import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBlocks } from '../../ts/data/csv/blocks.js';
import { openText } from '../../ts/data/csv/byte-source.js';
import { parseNumber } from '../../ts/data/csv/numbers.js';
import { readCsv, type ReadCsvOptions } from '../../ts/data/csv/read-csv.js';
import type { Column, Table } from '../../ts/data/table.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';

let folder: string;
let pool: WorkerPool;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-csv-'));
  pool = new WorkerPool(2);
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true });
});

function write(content: string | Uint8Array, name = 'table.csv'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const read = (content: string | Uint8Array, options: Partial<ReadCsvOptions> = {}): Promise<Table> =>
  readCsv(write(content), { pool, ...options });

/** Cells of a column as they would be written: numbers, texts, null where missing. */
function cellsOf(column: Column | undefined): (number | string | null)[] {
  if (column === undefined) return [];
  return column.kind === 'numeric'
    ? Array.from(column.values, (value) => (Number.isNaN(value) ? null : value))
    : Array.from(column.codes, (code) => column.categories[code] ?? null);
}

async function failure(content: string | Uint8Array, options: Partial<ReadCsvOptions> = {}): Promise<Error> {
  try {
    await read(content, options);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('the table was accepted');
}

describe('readCsv', () => {
  it('reads numbers and text, trims blanks, and knows the usual spellings of a missing cell', async () => {
    const { columns } = await read('x,c\n1, red\n-2.5e1 ,NA\nNaN,"a, ""b"""\n.5,?\nnull,NA \n+7,N/A\n');
    expect(columns[0]).toEqual({ kind: 'numeric', name: 'x', values: Float64Array.of(1, -25, NaN, 0.5, NaN, 7) });
    expect(columns[1]).toEqual({
      kind: 'categorical',
      name: 'c',
      codes: Int32Array.of(1, -1, 0, -1, -1, -1),
      categories: ['a, "b"', 'red'],
    });
  });

  it.each<[string, string | Uint8Array, Partial<ReadCsvOptions>?]>([
    ['semicolons', 'a;b\n1;x,y\n2.5;é\n'],
    ['tabs, with an empty cell', 'a\tb\n1\tx,y\n2.5\té\n'],
    ['bars', 'a|b\n1|x,y\n2.5|é\n'],
    ['another delimiter', 'a^b\n1^x,y\n2.5^é\n', { delimiter: '^' }],
    ['a byte order mark and CRLF', '\uFEFFa,b\r\n1,"x,y"\r\n2.5,é\r\n'],
    ['lone CR', 'a,b\r1,"x,y"\r2.5,é\r'],
    ['mixed line ends, empty lines and no last one', '\n\na,b\r\n1,"x,y"\n\n2.5,é'],
    ['a quoted header and blanks round quotes', '"a" , "b"\n 1 , "x,y" \n"2.5","é"\n'],
    ['single quotes', "a,b\n1,'x,y'\n2.5,'é'\n", { quote: "'" }],
    ['no quoting', 'a;b\n1;x,y\n2.5;é\n', { quote: '' }],
    ['a decimal comma found out', 'a;b\n1,0;x,y\n2,5;é\n'],
    ['a decimal comma and thousands points', 'a;b\n1,0;x,y\n2,5;é\n', { decimal: ',', thousands: '.' }],
    ['no header', '1;x,y\n2.5;é\n', { delimiter: ';', header: false, names: ['a', 'b'] }],
    ['names in place of the header', 'first;second\n1;x,y\n2.5;é\n', { header: true, names: ['a', 'b'] }],
    ['a quoted decimal comma beside comma as delimiter', 'a,b\n"1,0","x,y"\n"2,5",é\n', { decimal: ',' }],
    ['gzip', gzipSync('a;b\n1;x,y\n2.5;é\n')],
    ['UTF-16 with a mark', Buffer.from('\uFEFFa;b\n1;x,y\n2.5;é\n', 'utf16le')],
    ['UTF-16 without a mark', Buffer.from('a;b\n1;x,y\n2.5;é\n', 'utf16le'), { encoding: 'utf-16le' }],
    ['windows-1252', Buffer.from('a;b\n1;x,y\n2.5;é\n', 'latin1'), { encoding: 'windows-1252' }],
  ])('reads %s', async (_, content, options) => {
    const { columns } = await read(content, options);
    expect(columns.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(columns.map(cellsOf)).toEqual([
      [1, 2.5],
      ['x,y', 'é'],
    ]);
  });

  it('names nameless columns by their place', async () => {
    expect((await read(',x\n1,2\n')).columns.map(({ name }) => name)).toEqual(['column_1', 'x']);
    expect((await read('1,2\n', { header: false })).columns.map(({ name }) => name)).toEqual(['column_1', 'column_2']);
  });

  it('reads thousands signs as numbers only when told so', async () => {
    const text = 'x\n"1,234"\n"12,345,678.5"\n17\n';
    expect(cellsOf((await read(text, { thousands: ',' })).columns[0])).toEqual([1234, 12345678.5, 17]);
    expect(cellsOf((await read(text)).columns[0])).toEqual(['1,234', '12,345,678.5', '17']);
    expect(parseNumber('1,23', { thousands: ',' })).toBeUndefined();
    expect(parseNumber('1234,567', { thousands: ',' })).toBeUndefined();
  });

  it('keeps what a number would lose: leading zeros, integers beyond 2^53', async () => {
    const { columns } = await read('post,big,zero\n01234,9007199254740993,0\n98765,1,0.5\n');
    expect(columns.map(cellsOf)).toEqual([
      ['01234', '98765'],
      ['9007199254740993', '1'],
      [0, 0.5],
    ]);
  });

  it('takes other spellings of a missing cell in place of the usual ones, numbers by value', async () => {
    const { columns } = await read('x,c\n1,NA\n-99,b\n-99.0,c\n', { naValues: ['-99'] });
    expect(columns.map(cellsOf)).toEqual([
      [1, null, null],
      ['NA', 'b', 'c'],
    ]);
  });

  it('reads a column again that turns to text after 10,000 rows', async () => {
    const rows = Array.from({ length: 12_000 }, (_, row) => (row === 10_500 ? 'late' : String(row)));
    const { columns } = await read(`x,y\n${rows.map((cell, row) => `${cell},${row}`).join('\n')}\n`, { blockBytes: 1 << 14 });
    expect(cellsOf(columns[0])).toEqual(rows);
    expect(cellsOf(columns[1])).toEqual(rows.map((_, row) => row));
  });

  it('reads any table back cell by cell, whatever the size of blocks', async () => {
    const cell = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      fc.constantFrom('', 'a', 'é', '"', ',', 'x\ny', 'x\r\ny', '""', ' '),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    );
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        async (rows, blockBytes, end) => {
          const text = ['a,b', ...rows.map((row) => row.map(quoted).join(','))].join(end) + end;
          const { columns } = await read(text, { blockBytes, kinds: { a: 'text', b: 'text' }, naValues: [''] });
          // Blanks and tabs are trimmed, other white space is kept; the reader drops a carriage return only as part of a line end.
          const kept = rows.map((row) => row.map((cellText) => cellText.replace(/^[ \t]+|[ \t]+$/g, '').trim()));
          const found = columns.map(cellsOf);
          expect(rows.map((_, row) => found.map((column) => (column[row] ?? '').toString().trim()))).toEqual(kept);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the last record when it ends with another line end than those before, as of a file cut off inside CR LF', async () => {
    for (const text of ['a,b\n7,x\n3,y\r', 'a,b\r\n7,x\r\n3,y\r', 'a,b\r\n7,x\r3,"y"\r', 'a,b\r7,x\r3,y']) {
      const { columns } = await read(text);
      expect(columns.map(cellsOf), JSON.stringify(text)).toEqual([
        [7, 3],
        ['x', 'y'],
      ]);
    }
  });

  it('gives the nearest float64 for every decimal', async () => {
    const numbers = fc.sample(fc.double({ noNaN: true, noDefaultInfinity: true }), { numRuns: 500, seed: 1 });
    const short = fc.sample(fc.integer({ min: -1e9, max: 1e9 }), { numRuns: 500, seed: 2 }).map((value) => value / 1000);
    const all = [...numbers, ...short].filter((value) => !(Number.isInteger(value) && Math.abs(value) > 2 ** 53));
    // Written as text, -0 is 0.
    const { columns } = await read(`x\n${all.join('\n')}\n`);
    expect(cellsOf(columns[0])).toEqual(all.map((value) => value + 0));
  });

  it('gives by worker threads what it gives on the spot', async () => {
    const rows = Array.from(
      { length: 80_000 },
      (_, row) => `${row / 7},k${row % 300},"text, ${row % 11}",${'x'.repeat(row % 60)}`,
    );
    const text = `a,b,c,d\n${rows.join('\n')}\n`;
    const path = write(text, 'large.csv');
    const pooled = await readCsv(path, { pool, blockBytes: 1 << 18 });
    expect(text.length).toBeGreaterThan(4 << 20);
    expect(pooled.rowCount).toBe(80_000);
    expect(cellsOf(pooled.columns[0]).slice(0, 3)).toEqual([0, 1 / 7, 2 / 7]);
    expect(cellsOf(pooled.columns[1])).toEqual(rows.map((_, row) => `k${row % 300}`));
    expect(cellsOf(pooled.columns[2])).toEqual(rows.map((_, row) => `text, ${row % 11}`));
    expect(cellsOf(pooled.columns[3])).toEqual(rows.map((_, row) => (row % 60 === 0 ? null : 'x'.repeat(row % 60))));
  });

  it.each(['plain', 'gzip'])(
    'keeps every row where later ones are far shorter than the first, so more than were expected: %s',
    async (how) => {
      const rows = Array.from({ length: 100_000 }, (_, row) =>
        row < 20_000 ? `${row / 7},${'long'.repeat(60)}` : row % 3 === 0 ? `,k${row % 5}` : `${row},`,
      );
      const text = `a,b\n${rows.join('\n')}\n`;
      expect(text.length).toBeGreaterThan(4 << 20);
      const path = write(how === 'gzip' ? gzipSync(text) : text, `shorter.${how === 'gzip' ? 'csv.gz' : 'csv'}`);
      const { columns, rowCount } = await readCsv(path, { pool, blockBytes: 1 << 17 });
      expect(rowCount).toBe(100_000);
      const numbers = rows.map((_, row) => (row < 20_000 ? row / 7 : row % 3 === 0 ? null : row));
      expect(cellsOf(columns[0])).toEqual(numbers);
      const texts = rows.map((_, row) => (row < 20_000 ? 'long'.repeat(60) : row % 3 === 0 ? `k${row % 5}` : null));
      expect(cellsOf(columns[1])).toEqual(texts);
    },
  );
});

describe('bad CSV', () => {
  it.each<[string, string | Uint8Array, RegExp, Partial<ReadCsvOptions>?]>([
    ['an empty file', '', /the file is empty/],
    ['a header alone', 'a,b\n', /header line but no rows/],
    [
      'a row with too few fields',
      'a,b\n1,2\nsecret\n',
      /1 row is malformed \(line 3\): expected 2 fields as in line 1, got 1 on line 3/,
    ],
    [
      'rows of several wrong widths, lines counted across quoted line ends',
      'a,b\n"x\ny",2\n1,2,secret\n1,2\n3\n',
      /2 rows are malformed \(line 4, 6\): expected 2 fields.*got 3 on line 4/,
    ],
    ['an open quote', 'a,b\n1,2\n1,"secret\n2,3\n', /line 3: a quoted cell opens there and never closes/],
    ['text after a closing quote', 'a,b\n1,"secret"more\n', /line 2.*after a closing quote/],
    ['bytes that are not UTF-8', Buffer.from([97, 44, 98, 10, 49, 44, 0xff, 0xfe, 10]), /line 2.*UTF-8.*data\.csv\.encoding/],
    ['zero bytes', Buffer.from('a,b\n1,2\n', 'utf16le'), /zero bytes.*utf-16le/],
    [
      'half a UTF-16 pair',
      Buffer.from([97, 0, 10, 0, 0, 0xd8, 10, 0]),
      /not utf-16le text near byte 0/,
      { encoding: 'utf-16le' },
    ],
    ['a first line of numbers', '39.1,18.7\n1,2\n', /line 1 holds only numbers.*data\.csv\.header to false/],
    ['a name twice', 'a,b,a\n1,2,3\n', /columns 1 and 3 have the same name "a"/],
    ['too few names', 'a,b\n1,2\n', /expected one for each of the 2 fields of line 1, got 1/, { names: ['a'] }],
    ['gzip that is cut off', gzipSync('a,b\n1,2\n'.repeat(999)).subarray(0, 40), /compressed file is cut off/],
    ['a number beyond float64', 'x\n1\n1e999\n', /beyond the range/],
  ])('refuses %s without showing a row', async (_, content, message, options) => {
    const error = await failure(content, options);
    expect(error).toMatchObject({ code: 'E_DATA' });
    expect(error.message).toMatch(message);
    expect(`${error.stack} ${String(error.cause)}`).not.toContain('secret');
  });

  it('names a missing file, and a folder in place of a file', async () => {
    await expect(readCsv(join(folder, 'absent.csv'), { pool })).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining('absent.csv: there is no such file'),
    });
    await expect(readCsv(folder, { pool })).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining('is a folder'),
    });
  });

  it('counts the cells that keep a column from being numeric, with the line of the first, masked', async () => {
    const error = await failure('x\n1\nunknown\nother\n', { kinds: { x: 'numeric' } });
    expect(error).toMatchObject({ code: 'E_DATA' });
    expect(error.message).toMatch(/got 2 other cells, the first "u\.\.\." \(7 characters\) on line 3/);
  });

  it.each<[string, Partial<ReadCsvOptions>]>([
    ['a delimiter of two characters', { delimiter: '::' }],
    ['one sign for two things', { delimiter: ';', quote: ';' }],
    ['an unknown encoding', { encoding: 'utf-99' }],
  ])('refuses %s', async (_, options) => {
    await expect(read('a;b\n1;2\n', options)).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('stops at a line of 200 MB before it fills the memory', async () => {
    const path = join(folder, 'long.csv');
    const file = openSync(path, 'w');
    writeSync(file, 'a,b\n1,2\n');
    const piece = Buffer.alloc(20 << 20, 120);
    for (let count = 0; count < 10; count++) writeSync(file, piece);
    closeSync(file);
    const before = process.memoryUsage().arrayBuffers;
    await expect(readCsv(path, { pool })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringMatching(/line 3: the record is longer than 16 MiB/),
    });
    // Two blocks of at most 24 MiB, not the line.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 << 20);
    rmSync(path);
  });

  it('tells when the file changes while it is read', async () => {
    const path = write('a\n1\n2\n');
    const source = await openText(path);
    for await (const block of readBlocks(source, path, {
      dialect: { delimiter: 0x2c, quote: 0x22 },
      linesBefore: () => Promise.resolve(0),
    })) {
      expect(block.length).toBeGreaterThan(0);
    }
    await expect(source.checkUnchanged()).resolves.toBeUndefined();
    appendFileSync(path, '3\n');
    await expect(source.checkUnchanged()).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringMatching(/changed while it was read: expected 6 bytes.*got 8/),
    });
    await source.close();
  });

  it('stops when told to', async () => {
    await expect(read('x\n1\n', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'E_ABORTED' });
  });
});
