import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as tar from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDuckDb, sqlText } from '../../ts/data/duckdb.js';
import { readIdx } from '../../ts/data/formats/idx.js';
import { readNpy } from '../../ts/data/formats/npy.js';
import { readSqlite } from '../../ts/data/formats/sqlite.js';
import { resolveInput } from '../../ts/data/formats/connection-url.js';
import { formatOf, readTable, type TableInput } from '../../ts/data/read-table.js';
import type { Column } from '../../ts/data/table.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';

let folder: string;
const pool = new WorkerPool(1);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-formats-'));
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true });
});

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function cells(input: TableInput): Promise<Record<string, (number | string | null)[]>> {
  const { columns } = await readTable(input, { pool });
  return Object.fromEntries(columns.map((column) => [column.name, cellsOf(column)]));
}

function cellsOf(column: Column): (number | string | null)[] {
  return column.kind === 'numeric'
    ? Array.from(column.values, (value) => (Number.isNaN(value) ? null : value))
    : Array.from(column.codes, (code) => column.categories[code] ?? null);
}

it.each([
  ['a.csv', 'csv'],
  ['a.csv.gz', 'csv'],
  ['a.PARQUET', 'parquet'],
  ['a.jsonl.gz', 'jsonl'],
  ['a.ndjson', 'jsonl'],
  ['a.sqlite3', 'sqlite'],
  ['a.tar.gz', 'text_folder'],
  ['postgres://host/db', 'postgres'],
  ['env:DATABASE', 'postgres'],
])('the name %s stands for %s', (path, format) => {
  expect(formatOf(path)).toBe(format);
});

it('shows no password of a connection, also where a file is expected', async () => {
  const url = 'postgres://me:canary@host/db?password=canary';
  expect(resolveInput(url)).toBe(url);
  expect(resolveInput('a.csv')).toBe(resolve('a.csv'));
  const readings = [cells({ path: url, format: 'csv' }), cells({ path: url, format: 'jsonl' }), cells({ path: url })];
  readings.push(cells({ path: url.replace('postgres', 'POSTGRES') }));
  for (const result of await Promise.allSettled(readings)) {
    if (result.status === 'fulfilled') throw new Error('expected an error');
    expect((result.reason as Error).message).not.toContain('canary');
  }
});

it('replaces cells before anything is inferred, also in numbers', async () => {
  const path = write('replace.csv', 'x,y\n1,<=50K.\n-1,>50K\n');
  expect(await cells({ path, replace: { y: { '<=50K.': '<=50K' }, x: { '-1': 'none' } } })).toEqual({
    x: ['1', 'none'],
    y: ['<=50K', '>50K'],
  });
  await expect(cells({ path, replace: { z: { a: 'b' } } })).rejects.toThrow(/no column "z"/);
});

describe('JSON Lines', () => {
  it('reads typed cells; an absent key is missing, a mixed column is text', async () => {
    const lines = ['{"n":1,"t":"a","b":true,"m":1}', '', '{"n":2.5,"t":null,"m":"x"}', '{"t":" NA ","b":false,"late":3}'];
    expect(await cells({ path: write('a.jsonl.gz', gzipSync(lines.join('\n'))) })).toEqual({
      n: [1, 2.5, null],
      t: ['a', null, null],
      b: ['true', null, 'false'],
      m: ['1', 'x', null],
      late: [null, null, 3],
    });
  });

  it('keeps integers beyond 2^53 from passing for exact numbers', async () => {
    const { n } = await cells({ path: write('big.jsonl', '{"n":9007199254740993}\n{"n":1}\n') });
    // Node hands a reviver the source text only since version 21; before, the nearest float64 is what is left.
    expect([
      ['9007199254740993', '1'],
      ['9007199254740992', '1'],
    ]).toContainEqual(n);
  });

  it.each([
    ['half a line', '{"a":1}\n{"a":"secret\n', /line 2: not JSON.*12 characters/],
    ['a list', '[1]\n', /line 1: expected an object.*got a list/],
    ['an object in a cell', '{"a":{"secret":1}}\n', /line 1: column "a" holds an object/],
    ['nothing', '\n', /no rows/],
  ])('refuses %s without showing it', async (_, text, message) => {
    const error = await cells({ path: write('bad.jsonl', text) }).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code: 'E_DATA', message: expect.stringMatching(message) });
    expect((error as Error).message).not.toContain('secret');
  });
});

describe('Parquet', () => {
  let path: string;
  beforeAll(async () => {
    path = join(folder, 'table.parquet');
    const session = await openDuckDb();
    await session.connection.run(
      `COPY (SELECT i AS n, i / 4 AS f, CASE WHEN i % 2 = 0 THEN 'even' END AS t, i > 1 AS b, DATE '2024-03-01' + i::INTEGER AS d,
       CAST(i AS DECIMAL(9, 2)) AS m, 9007199254740993 + i AS big FROM range(3) r(i)) TO ${sqlText(path)} (FORMAT parquet)`,
    );
    session.close();
  });

  it('reads numbers, text, booleans, dates, decimals and large integers', async () => {
    expect(await cells({ path })).toEqual({
      n: [0, 1, 2],
      f: [0, 0.25, 0.5],
      t: ['even', null, 'even'],
      b: ['false', 'false', 'true'],
      d: ['2024-03-01', '2024-03-02', '2024-03-03'],
      m: [0, 1, 2],
      big: ['9007199254740993', '9007199254740994', '9007199254740995'],
    });
  });

  it('reads the result of a query over it', async () => {
    expect(await cells({ path, query: 'SELECT sum(n) AS s, b FROM data GROUP BY b ORDER BY b' })).toEqual({
      s: [1, 2],
      b: ['false', 'true'],
    });
    await expect(cells({ path, query: 'SELECT nothing FROM data' })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringMatching(/data\.query cannot be read \(Binder Error: .*"nothing" not found/),
    });
    await expect(cells({ path, query: 'SELEC f FROM data' })).rejects.toThrow(/\(Parser Error: syntax error/);
    await expect(cells({ path, query: 'SELECT t::int FROM data' })).rejects.toThrow(/\(Conversion Error\)/);
  });

  it('tells a file that is cut off, damaged inside, or another', async () => {
    const cut = write('cut.parquet', readFileSync(path));
    truncateSync(cut, 200);
    await expect(cells({ path: cut })).rejects.toThrow(/cut off: expected PAR1 at its end/);
    const bytes = readFileSync(path);
    await expect(cells({ path: write('hole.parquet', bytes.fill(0xff, 4, bytes.length - 4)) })).rejects.toMatchObject({
      code: 'E_DATA',
    });
    await expect(cells({ path: write('text.parquet', 'a,b\n1,2\n') })).rejects.toThrow(/not a Parquet file/);
    await expect(cells({ path: join(folder, 'absent.parquet') })).rejects.toMatchObject({ code: 'E_IO' });
  });
});

describe('databases', () => {
  it('reads a SQLite query, or says what is missing', async () => {
    const path = join(folder, 'table.db');
    const sqlite = process.getBuiltinModule('node:sqlite') as
      { DatabaseSync: new (path: string) => { exec(sql: string): void; close(): void } } | undefined;
    if (sqlite === undefined) writeFileSync(path, '');
    else {
      const database = new sqlite.DatabaseSync(path);
      database.exec("create table t(a integer, b text); insert into t values (1, 'x'), (null, 'y')");
      database.close();
    }
    if (sqlite === undefined) {
      await expect(cells({ path, query: 'SELECT 1' })).rejects.toMatchObject({
        code: 'E_DATA',
        message: expect.stringMatching(
          /needs node:sqlite \(Node 22\.13 or newer\) or the optional package better-sqlite3.*npm install/,
        ),
      });
    } else {
      expect(await cells({ path, query: 'SELECT a, b FROM t ORDER BY b' })).toEqual({ a: [1, null], b: ['x', 'y'] });
      await expect(cells({ path, query: 'SELECT c FROM t' })).rejects.toThrow(/the query failed: no such column/);
      await expect(cells({ path, query: 'DELETE FROM t' })).rejects.toThrow(/the query failed: .*readonly/);
      const large = 'SELECT 9007199254740993 AS id UNION ALL SELECT 2 ORDER BY id';
      expect(await cells({ path, query: large })).toEqual({ id: ['2', '9007199254740993'] });
      await expect(cells({ path, query: 'SELECT a AS x, b AS x FROM t' })).rejects.toMatchObject({
        code: 'E_DATA',
        message: expect.stringMatching(/two columns "x".*Name one with AS in data\.query/),
      });
      await expect(cells({ path, query: "SELECT x'00' AS bytes" })).rejects.toThrow(/column "bytes" holds an object/);
      await expect(cells({ path: write('no.db', 'a,b\n1,2\n'), query: 'SELECT 1' })).rejects.toThrow(/not a database/);
      await expect(cells({ path: folder, format: 'sqlite', query: 'SELECT 1' })).rejects.toMatchObject({ code: 'E_DATA' });
    }
    await expect(cells({ path })).rejects.toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('data.query') });
    await expect(readSqlite(join(folder, 'absent.db'), 'SELECT 1')).rejects.toMatchObject({ code: 'E_IO' });
  });

  it('reads a PostgreSQL query through a cursor, and hides the password when it cannot connect', async () => {
    const server = createServer((socket) => {
      new FakePostgres(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const path = `postgres://user:hunter2@127.0.0.1:${port}/base`;
    expect(await cells({ path, query: 'SELECT * FROM t' })).toEqual({
      n: [1, null],
      big: ['9007199254740993', '2'],
      m: [1.5, 2.5],
      day: ['2024-03-01', '2024-03-02'],
      t: ['x', null],
    });
    await new Promise((resolve) => server.close(resolve));
    const error = await cells({ path, query: 'SELECT 1' }).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining(`cannot connect to postgres://127.0.0.1:${port}/base`),
    });
    expect((error as Error).message).not.toContain('hunter2');
    await expect(cells({ path: 'env:TENSORKILN_TEST_ABSENT', query: 'SELECT 1' })).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

/** Just enough of the server's side of PostgreSQL's protocol, version 3, to answer one query with two rows. */
class FakePostgres {
  readonly #socket: import('node:net').Socket;
  #started = false;
  #pending = Buffer.alloc(0);
  #sent = false;

  constructor(socket: import('node:net').Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      this.#pending = Buffer.concat([this.#pending, bytes]);
      this.#answer();
    });
  }

  #answer(): void {
    for (;;) {
      const head = this.#started ? 1 : 0;
      if (this.#pending.length < head + 4) return;
      const length = head + this.#pending.readInt32BE(head);
      if (this.#pending.length < length) return;
      const type = this.#started ? this.#pending.toString('latin1', 0, 1) : 'startup';
      this.#pending = this.#pending.subarray(length);
      this.#started = true;
      this.#handle(type);
    }
  }

  #handle(type: string): void {
    const int16 = (value: number): Buffer => {
      const bytes = Buffer.alloc(2);
      bytes.writeInt16BE(value);
      return bytes;
    };
    const int32 = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(value);
      return bytes;
    };
    const send = (code: string, ...parts: Buffer[]): void => {
      const body = Buffer.concat(parts);
      this.#socket.write(Buffer.concat([Buffer.from(code), int32(4 + body.length), body]));
    };
    const ready = (): void => {
      send('Z', Buffer.from('I'));
    };
    const row = (texts: readonly (string | null)[]): void => {
      const fields = texts.flatMap((text) => (text === null ? [int32(-1)] : [int32(text.length), Buffer.from(text)]));
      send('D', int16(texts.length), ...fields);
    };
    if (type === 'startup') {
      send('R', int32(0));
      ready();
    } else if (type === 'Q') {
      send('C', Buffer.from('BEGIN\0'));
      ready();
    } else if (type === 'P') send('1');
    else if (type === 'B') send('2');
    else if (type === 'C') send('3');
    else if (type === 'S') ready();
    else if (type === 'D') {
      // Name, table, attribute, type number, size, modifier, text format: int4, int8, numeric, date, text.
      const columns = Object.entries({ n: 23, big: 20, m: 1700, day: 1082, t: 25 });
      const fields = columns.flatMap(([name, oid]) => [
        Buffer.from(`${name}\0`),
        int32(0),
        int16(0),
        int32(oid),
        int16(4),
        int32(-1),
        int16(0),
      ]);
      send('T', int16(columns.length), ...fields);
    } else if (type === 'E') {
      if (!this.#sent) {
        row(['1', '9007199254740993', '1.5', '2024-03-01', 'x']);
        row([null, '2', '2.5', '2024-03-02', null]);
      }
      this.#sent = true;
      send('C', Buffer.from('SELECT 2\0'));
    }
  }
}

describe('array files', () => {
  const idx = (type: number, shape: readonly number[], data: Buffer): Buffer => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    header[2] = type;
    header[3] = shape.length;
    shape.forEach((size, axis) => header.writeUInt32BE(size, 4 + 4 * axis));
    return Buffer.concat([header, data]);
  };
  const npy = (header: string, data: Buffer): Buffer => {
    const text = Buffer.from(`${header}\n`);
    return Buffer.concat([
      Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
      Buffer.of(text.length & 255, text.length >> 8),
      text,
      data,
    ]);
  };
  const DICT = (descr: string, shape: string, fortran = 'False'): string =>
    `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

  it('reads IDX of several types, plain and gzip', async () => {
    expect(await readIdx(write('a.idx', idx(8, [2, 2], Buffer.of(1, 2, 3, 255))))).toEqual({
      shape: [2, 2],
      data: Uint8Array.of(1, 2, 3, 255),
    });
    const floats = Buffer.alloc(8);
    floats.writeFloatBE(1.5, 0);
    floats.writeFloatBE(-2, 4);
    expect(await readIdx(write('b.idx.gz', gzipSync(idx(0x0d, [2], floats))))).toEqual({
      shape: [2],
      data: Float32Array.of(1.5, -2),
    });
  });

  it('reads .npy in both byte orders, booleans and 64-bit integers', async () => {
    const little = Buffer.alloc(16);
    little.writeDoubleLE(0.5, 0);
    little.writeDoubleLE(-7, 8);
    expect(await readNpy(write('a.npy', npy(DICT('<f8', '(2, 1)'), little)))).toEqual({
      shape: [2, 1],
      data: Float64Array.of(0.5, -7),
    });
    expect(await readNpy(write('b.npy', npy(DICT('>i2', '(2,)'), Buffer.of(1, 0, 255, 255))))).toEqual({
      shape: [2],
      data: Int16Array.of(256, -1),
    });
    expect(await readNpy(write('c.npy', npy(DICT('|b1', '(2,)'), Buffer.of(1, 0))))).toEqual({
      shape: [2],
      data: Uint8Array.of(1, 0),
    });
    const long = Buffer.alloc(8);
    long.writeBigInt64LE(-5n);
    expect(await readNpy(write('d.npy', npy(DICT('<i8', '()'), long)))).toEqual({ shape: [], data: Float64Array.of(-5) });
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'IDX cut off',
      () => readIdx(write('x', idx(8, [2, 2], Buffer.of(1, 2, 3)))),
      /cut off: expected 4 bytes of data for shape \[2, 2\] of uint8, got 3/,
    ],
    [
      'IDX cut off in its header',
      () => readIdx(write('x', idx(8, [2, 2], Buffer.of()).subarray(0, 9))),
      /cut off: expected 12 bytes of header/,
    ],
    ['IDX with more data', () => readIdx(write('x', idx(8, [1], Buffer.of(1, 2)))), /too long/],
    [
      'gzip cut off',
      () => readIdx(write('x', gzipSync(idx(8, [900], Buffer.alloc(900, 'abc'))).subarray(0, 30))),
      /compressed file is cut off/,
    ],
    ['no IDX', () => readIdx(write('x', 'text')), /not an IDX file/],
    ['no .npy', () => readNpy(write('x', 'text of some length')), /not a \.npy file/],
    ['.npy cut off', () => readNpy(write('x', npy(DICT('<f4', '(3,)'), Buffer.alloc(8)))), /cut off: expected 12 bytes/],
    ['.npy in Fortran order', () => readNpy(write('x', npy(DICT('<f4', '(2, 2)', 'True'), Buffer.alloc(16)))), /Fortran order/],
    ['.npy of objects', () => readNpy(write('x', npy(DICT('|O8', '(1,)'), Buffer.alloc(8)))), /unknown (header|element type)/],
    [
      'a 64-bit integer beyond 2^53',
      () => readNpy(write('x', npy(DICT('<i8', '(1,)'), Buffer.alloc(8, 0x7f)))),
      /beyond 2\^53/,
    ],
  ])('refuses %s', async (_, read, message) => {
    await expect(read()).rejects.toMatchObject({ code: 'E_DATA', message: expect.stringMatching(message) });
  });
});

describe('labelled texts', () => {
  const FILES: Record<string, string | Uint8Array> = {
    'reviews/neg/1.txt': 'bad, truly',
    'reviews/pos/2.txt': Buffer.from('très bien', 'latin1'),
    'reviews/pos/note.pdf': 'no text',
    'readme.txt': 'no label',
  };

  it('are read from a folder', async () => {
    for (const [path, content] of Object.entries(FILES)) {
      mkdirSync(join(folder, 'texts', path, '..'), { recursive: true });
      write(join('texts', path), content);
    }
    expect(await cells({ path: join(folder, 'texts'), format: 'text_folder' })).toEqual({
      text: ['bad, truly', 'très bien'],
      label: ['neg', 'pos'],
    });
    expect(await cells({ path: join(folder, 'texts') })).toHaveProperty('label', ['neg', 'pos']);
    mkdirSync(join(folder, 'none'));
    await expect(cells({ path: join(folder, 'none') })).rejects.toThrow(/For images in folders set data\.image/);
    await expect(cells({ path: join(folder, 'none'), format: 'text_folder' })).rejects.toThrow(
      /no texts: expected files such as positive\/1\.txt/,
    );
  });

  it('are read from a .tar.gz, which must be whole', async () => {
    const pack = tar.pack();
    for (const [name, content] of Object.entries(FILES)) pack.entry({ name }, Buffer.from(content));
    pack.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of pack) chunks.push(chunk as Buffer);
    const bytes = gzipSync(Buffer.concat(chunks));
    expect(await cells({ path: write('texts.tar.gz', bytes) })).toEqual({
      text: ['bad, truly', 'très bien'],
      label: ['neg', 'pos'],
    });
    await expect(cells({ path: write('cut.tar.gz', bytes.subarray(0, bytes.length >> 1)) })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringMatching(/cut off or damaged/),
    });
  });
});
