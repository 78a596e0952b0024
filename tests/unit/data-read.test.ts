import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTable, type OpenTableOptions } from '../../ts/data/read-table.js';
import type { Column } from '../../ts/data/table.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-read-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(content: string | Uint8Array, name = 'table.csv'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function readAll(
  content: string,
  kinds: Record<string, 'numeric' | 'categorical'>,
  options?: OpenTableOptions,
): Promise<readonly Column[]> {
  const source = await openTable(write(content), options);
  try {
    return (await source.read(Object.entries(kinds).map(([name, kind]) => ({ name, kind })))).columns;
  } finally {
    source.close();
  }
}

async function failure(content: string | Uint8Array): Promise<Error> {
  try {
    (await openTable(write(content))).close();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('the table was accepted');
}

describe('openTable', () => {
  it('reads numbers and text, trims blanks, and knows the usual spellings of a missing cell', async () => {
    const text = 'x,c\n1, red\n-2.5e1 ,NA\nNaN,"a, ""b"""\n.5,?\nnull,NA \n';
    const [x, c] = await readAll(text, { x: 'numeric', c: 'categorical' });
    expect(x).toEqual({ kind: 'numeric', name: 'x', values: Float64Array.of(1, -25, NaN, 0.5, NaN) });
    expect(c).toEqual({
      kind: 'categorical',
      name: 'c',
      codes: Int32Array.of(1, -1, 0, -1, -1),
      categories: ['a, "b"', 'red'],
    });
  });

  it.each([
    ['semicolons', 'a;b\n1;x,y\n'],
    ['tabs', 'a\tb\n1\tx,y\n'],
    ['bars', 'a|b\n1|x,y\n'],
    ['a byte order mark and CRLF', '\uFEFFa,b\r\n1,"x,y"\r\n'],
    ['a quoted header', '"a","b"\n1,"x,y"\n'],
  ])('reads %s', async (_, text) => {
    const [a, b] = await readAll(text, { a: 'numeric', b: 'categorical' });
    expect(a).toMatchObject({ values: Float64Array.of(1) });
    expect(b).toMatchObject({ categories: ['x,y'] });
  });

  it('takes other spellings of a missing cell in place of the usual ones', async () => {
    const [x] = await readAll('x,y\n1,a\n-99,b\n', { x: 'numeric' }, { naValues: ['-99'] });
    expect(x).toMatchObject({ values: Float64Array.of(1, NaN) });
    const source = await openTable(write('c\nNA\nb\n'), { naValues: ['-99'] });
    expect(source.profiles[0]).toMatchObject({ missing: 0, distinct: 2 });
    source.close();
  });

  it('counts what each column holds', async () => {
    const source = await openTable(write('x,c\n1,a\n2.5,7\n,b\n1,a\n'));
    expect(source.rowCount).toBe(4);
    expect(source.profiles).toEqual([
      { name: 'x', missing: 1, present: 3, numbers: 3, integers: 2, distinct: 2, minimum: 1, maximum: 2.5 },
      { name: 'c', missing: 0, present: 4, numbers: 1, integers: 1, distinct: 3, minimum: 7, maximum: 7 },
    ]);
    source.close();
  });

  it('keeps the order of rows over many chunks', async () => {
    const size = 10_000;
    const [x] = await readAll(`x\n${Array.from({ length: size }, (_, row) => row).join('\n')}\n`, { x: 'numeric' });
    expect(x).toMatchObject({ values: Float64Array.from({ length: size }, (_, row) => row) });
  });

  it('reads the one file named, whatever glob characters its name holds', async () => {
    write('x\n1\n', 'a1.csv');
    const source = await openTable(write('x\n2\n3\n', 'a[1]*.csv'));
    expect(source.rowCount).toBe(2);
    source.close();
  });

  it.each([
    ['an empty file', '', /the file is empty/],
    ['a header alone', 'a,b\n', /header line but no rows/],
    [
      'a row with too few fields',
      'a,b\n1,2\nsecret\n',
      /1 row is malformed \(line 3\): expected 2 fields as in the header, got 1 on line 3/,
    ],
    [
      'rows of several wrong widths',
      'a,b\n1,2,secret\n1,2\n3\n',
      /2 rows are malformed \(line 2, 4\): expected 2 fields.*got 3 on line 2/,
    ],
    ['an open quote', 'a,b\n1,"secret\n2,3\n', /line 2.*closed quotes/],
    ['mixed line ends', 'a,b\r\n1,2\nsecret,4\r\n', /one kind of line end/],
    ['bytes that are not UTF-8', Buffer.from([97, 44, 98, 10, 49, 44, 0xff, 0xfe, 10]), /line 2.*UTF-8/],
    ['UTF-16', Buffer.from([0xff, 0xfe, 97, 0, 10, 0]), /UTF-16/],
    ['a first line of numbers', '39.1,18.7\n1,2\n', /line 1 holds only numbers/],
    ['a name twice', 'a,b,a\n1,2,3\n', /columns 1 and 3 have the same name "a"/],
  ])('refuses %s without showing a row', async (_, content, message) => {
    const error = await failure(content);
    expect(error).toMatchObject({ code: 'E_DATA' });
    expect(error.message).toMatch(message);
    expect(`${error.stack} ${String(error.cause)}`).not.toContain('secret');
  });

  it('names a missing file, and a folder in place of a file', async () => {
    await expect(openTable(join(folder, 'absent.csv'))).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining('absent.csv: there is no such file'),
    });
    await expect(openTable(folder)).rejects.toMatchObject({ code: 'E_IO', message: expect.stringContaining('is a folder') });
  });

  it('counts the cells that keep a column from being numeric and masks the one it shows', async () => {
    await expect(readAll('x\n1\nunknown\nother\n', { x: 'numeric' })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringContaining('got 2 other cells of 3, the first "u..." (7 characters)'),
    });
  });

  it('refuses a number beyond float64', async () => {
    await expect(readAll('x\n1\n1e999\n', { x: 'numeric' })).rejects.toMatchObject({
      message: expect.stringContaining('beyond the range'),
    });
  });

  it('stops when told to', async () => {
    await expect(openTable(write('x\n1\n'), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'E_ABORTED' });
  });
});
