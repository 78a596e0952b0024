import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NUMERIC, parseAny, SKIP, TEXT, type ParseTask } from '../../ts/data/csv/parse-block.js';
import { parsePlain } from '../../ts/data/csv/parse-plain.js';
import { readCsv } from '../../ts/data/csv/read-csv.js';
import { tableAddon } from '../../ts/data/table-addon.js';
import type { Column } from '../../ts/data/table.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';
import { describePasses } from '../support/row-number-passes.js';

const COMMA = { delimiter: 0x2c, quote: 0x22, decimal: 0x2e, thousands: -1 };
const NA = ['', 'NA', '?', '-999'];

function taskOf(text: string | Uint8Array, kinds: readonly number[], given: Partial<ParseTask> = {}): ParseTask {
  return { bytes: new Uint8Array(Buffer.from(text)), dialect: COMMA, kinds: Uint8Array.from(kinds), naValues: NA, ...given };
}

it('is there', () => {
  expect(tableAddon()).toBeDefined();
});

describe('passes by the addon over columns of', () => {
  describePasses(15_000);
});

describe("the addon's parser", () => {
  const digits = fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), maxLength: 19 });
  const number = fc
    .tuple(
      fc.constantFrom('', '', '-', '+'),
      digits,
      fc.constantFrom('', '.', ','),
      digits,
      fc.constantFrom('', '', 'e5', 'E-300', 'e'),
    )
    .map((parts) => parts.join(''));
  const cell = fc.oneof(
    { weight: 4, arbitrary: number },
    fc.integer({ min: -1e6, max: 1e6 }).map((value) => String(value / 1000)),
    fc.double({ noNaN: true }).map(String),
    fc.constantFrom(
      '',
      ' ',
      'NA',
      ' NA ',
      '?',
      '-999',
      '-999.0',
      'a',
      'aa b',
      'é',
      '\uFEFF',
      'x'.repeat(9),
      '1 2',
      '\t7',
      '0x1',
      '-',
      '.',
    ),
    fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replaceAll(/["\r\n,;\t]/g, '_')),
  );
  const blank = fc.constantFrom('', '', '', ' ', '\t', '  ');
  const spaced = fc.tuple(blank, cell, blank).map((parts) => parts.join(''));
  const line = fc.tuple(fc.array(spaced, { minLength: 4, maxLength: 4 }), fc.constantFrom('\n', '\n', '\r\n', '\r', '\n\n'));
  const dialects = [
    COMMA,
    { ...COMMA, delimiter: 0x3b, decimal: 0x2c },
    { ...COMMA, delimiter: 0x09, thousands: 0x2c },
    { ...COMMA, decimal: 0x2c },
  ];

  it('gives what the parser in JavaScript gives, cell by cell, or leaves the block to it', () => {
    let taken = 0;
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 40 }),
        fc.constantFrom(...dialects),
        fc.array(fc.constantFrom(NUMERIC, NUMERIC, TEXT, SKIP), { minLength: 4, maxLength: 4 }),
        (lines, dialect, kinds) => {
          const delimiter = String.fromCharCode(dialect.delimiter);
          const text = lines
            .map(([cells, end]) => cells.map((each) => each.replaceAll(delimiter, '_')).join(delimiter) + end)
            .join('');
          const task = taskOf(text, kinds, { dialect });
          const plain = parsePlain(task);
          if (plain === undefined) return;
          taken++;
          expect(plain).toEqual(parseAny(task));
        },
      ),
      { numRuns: 1500, seed: 7 },
    );
    // A tab at the end of a cell is a delimiter there, which makes many records too long.
    expect(taken).toBeGreaterThan(900);
  });

  it('leaves quotes, malformed records and what is not UTF-8 to the parser in JavaScript', () => {
    for (const text of ['1,"a"\n', '1,2\n3\n', '1,2,3\n', Buffer.from([0x31, 0x2c, 0xff, 0x0a])])
      expect(parsePlain(taskOf(text, [NUMERIC, TEXT])), String(text)).toBeUndefined();
    // A quote inside a cell is part of its text.
    expect(parsePlain(taskOf('1,a"b\n', [NUMERIC, TEXT]))?.columns[1]).toMatchObject({ entries: ['a"b'] });
  });

  it('finds very many different cells, alike in their ends, each once', () => {
    const cells = Array.from({ length: 30_000 }, (_, row) => `category number ${(row * 7919) % 10_007} of many`);
    const task = taskOf(`${cells.join('\n')}\n`, [TEXT]);
    expect(parsePlain(task)).toEqual(parseAny(task));
    expect(parsePlain(task)?.columns[0]).toHaveProperty('entries.length', 10_007);
  });
});

describe('columns made before their rows are counted', () => {
  let folder: string;
  let pool: WorkerPool;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tensorkiln-reserved-'));
    pool = new WorkerPool(2);
  });
  afterAll(async () => {
    await pool.close();
    rmSync(folder, { recursive: true });
  });

  const ROWS = 60_000;
  const cellsOf = (column: Column): unknown[] =>
    column.kind === 'numeric' ? [...column.values] : Array.from(column.codes, (code) => column.categories[code] ?? null);

  it.each<[string, (row: number) => string, boolean]>([
    ['a plain file', () => '', true],
    ['empty lines here and there, which take no place', (row) => (row % 20_011 === 7 ? '\n' : ''), false],
    ['short rows first, so that fewer come than were foreseen', (row) => (row < ROWS / 2 ? '' : ' '.repeat(90)), true],
    [
      'rows first that are longer than the rest, so that more come than were foreseen',
      (row) => (row > 3000 ? '' : ' '.repeat(900)),
      false,
    ],
    ['a short first block, since the second record is long', (row) => (row === 1 ? ' '.repeat(1 << 19) : ''), false],
  ])('hold %s', async (name, between, isWhole) => {
    const cells = (row: number): readonly [number, string, number] => [row / 8, `k${row % 300}`, -1 - row];
    const lines = Array.from({ length: ROWS }, (_, row) => `${cells(row).join(',')},${'x'.repeat(50)}${between(row)}\n`);
    const path = join(folder, `${name.length}.csv`);
    writeFileSync(path, `a,b,c,d\n${lines.join('')}`);
    const { columns, rowCount } = await readCsv(path, { pool, blockBytes: 1 << 18 });
    expect(rowCount).toBe(ROWS);
    const [a, b, c] = columns as [Column, Column, Column];
    for (const [index, column] of [a, b, c].entries())
      expect(cellsOf(column)).toEqual(lines.map((_, row) => cells(row)[index]));
    // A column that is where its blocks were parsed to has room behind its rows.
    if (a.kind === 'numeric') expect(a.values.buffer.byteLength > a.values.byteLength).toBe(isWhole);
  });
});
