import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_PREPROCESSING } from '../../ts/data/preprocessing-options.js';
import { prepareData, type DataEvent } from '../../ts/data/prepare.js';
import { readTable } from '../../ts/data/read-table.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';
import { PASSWORD, PostgresServer } from '../support/postgres-server.js';

const ENVIRONMENT = 'TENSORKILN_TEST_DATABASE';
const pool = new WorkerPool(1);
let server: PostgresServer | string;

/** The running server; the test is skipped where there is none. */
function running(): PostgresServer {
  if (typeof server === 'string') throw new Error(server);
  return server;
}

async function execute(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: running().url() });
  await client.connect();
  await client.query(sql);
  await client.end();
}

const read = (query: string, path = running().url(), signal?: AbortSignal): ReturnType<typeof readTable> =>
  readTable({ path, query }, { pool, ...(signal === undefined ? {} : { signal }) });

/** The error of a query. */
async function failure(query: string, path?: string): Promise<Error & { code?: string }> {
  const error: unknown = await read(query, path).catch((caught: unknown) => caught);
  if (!(error instanceof Error)) throw new Error('expected an error');
  return error;
}

beforeAll(async () => {
  server = await PostgresServer.start();
  if (typeof server === 'string') return;
  vi.stubEnv(ENVIRONMENT, server.url());
  await execute(`
    CREATE TABLE people (id int, height float8, salary numeric(12, 2), big int8, name text, member bool, born date, seen timestamp,
      seen_tz timestamptz, tags text[], y text);
    INSERT INTO people VALUES
      (1, 1.5, 1234.56, 9007199254740993, ' Ann ', true, '2024-03-01', '2024-03-01 10:00', '2024-03-01 10:00+02', '{a}', 'a'),
      (2, NULL, NULL, 2, NULL, NULL, NULL, NULL, NULL, NULL, 'b'),
      (3, -2, 0.1, 3, 'Bo', false, '1969-12-31', '2024-03-01 10:00:00.5', '2024-03-01 10:00+05:30', '{b}', 'a')`);
}, 60_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  if (typeof server !== 'string') await server.stop();
  await pool.close();
});

describe('a PostgreSQL server', () => {
  beforeEach((context) => {
    if (typeof server === 'string') context.skip(server);
  });

  it('gives numbers, text, booleans, dates, times and nulls', async () => {
    const table = await read('SELECT height, salary, big, name, member, born, seen, seen_tz FROM people ORDER BY id');
    const cells = (name: string): unknown => {
      const column = table.column(name);
      return column.kind === 'numeric'
        ? [...column.values]
        : [...column.codes].map((code) => (code < 0 ? null : column.categories[code]));
    };
    expect(cells('height')).toEqual([1.5, NaN, -2]);
    expect(cells('salary')).toEqual([1234.56, NaN, 0.1]);
    expect(cells('big')).toEqual(['9007199254740993', '2', '3']);
    expect(cells('name')).toEqual(['Ann', null, 'Bo']);
    expect(cells('member')).toEqual(['true', null, 'false']);
    expect(cells('born')).toEqual(['2024-03-01', null, '1969-12-31']);
    expect(cells('seen')).toEqual(['2024-03-01 10:00:00', null, '2024-03-01 10:00:00.5']);
    expect(cells('seen_tz')).toEqual(['2024-03-01 08:00:00+00', null, '2024-03-01 04:30:00+00']);
  });

  it('is prepared for training by the URL in an environment variable, and no event shows the password', async () => {
    const events: DataEvent[] = [];
    const { columns, counts } = await prepareData(
      {
        path: `env:${ENVIRONMENT}`,
        query: `SELECT i % 9 AS n, i * 0.5::numeric AS x, i % 2 = 0 AS b, date '2024-01-01' + i AS day,
          timestamptz '2024-01-01 00:00+01' + i * interval '1 hour' AS hour, CASE WHEN i % 3 = 0 THEN 'p' ELSE 'q' END AS y
          FROM generate_series(1, 2500) AS i ORDER BY i`,
        target: 'y',
        split: { train: 0.6, validation: 0.2, test: 0.2, stratify: true, seed: 1 },
        preprocessing: DEFAULT_PREPROCESSING,
      },
      { force: true, onEvent: (event) => events.push(event) },
    );
    expect(counts.rows).toBe(2500);
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'n numeric',
      'x numeric',
      'b boolean',
      'day date',
      'hour date',
      'y categorical',
    ]);
    expect(JSON.stringify(events)).not.toContain(PASSWORD);
  });

  it.each([
    ['a missing table', 'SELECT * FROM absent', 'E_DATA', /relation "absent" does not exist/],
    ['a wrong query', 'SELEC 1', 'E_DATA', /syntax error/],
    ['a query that changes data', 'DELETE FROM people', 'E_DATA', /read-only transaction/],
    ['a query without rows', 'SELECT * FROM people WHERE false', 'E_DATA', /no rows/],
    ['two columns of one name', 'SELECT id, height AS id FROM people', 'E_DATA', /two columns "id".* AS /],
    ['a column of lists', 'SELECT id, tags FROM people ORDER BY id', 'E_DATA', /row 1: column "tags" holds a list/],
  ])('refuses %s', async (_, query, code, message) => {
    const error = await failure(query, `env:${ENVIRONMENT}`);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(error.message).toContain(`env:${ENVIRONMENT}`);
  });

  it.each([
    ["SELECT ('canary' || name)::int FROM people", 'invalid input syntax for type integer: "c..." (11 characters)'],
    ['SELECT (id * 7654321000)::text::int FROM people', 'value "7..." (10 characters) is out of range for type integer'],
  ])('masks the cell that %s stumbles over, also in causes', async (query, message) => {
    const error = await failure(query);
    expect(error).toMatchObject({ code: 'E_DATA', message: expect.stringContaining(message) as string });
    expect(error.cause).toBeUndefined();
    expect(`${error.message}${error.stack ?? ''}`).not.toMatch(/canary (Ann|Bo)|7654321000/);
  });

  it('refuses a wrong password, database and URL without showing the password', async () => {
    const errors = await Promise.all([
      failure('SELECT 1', running().url('postgres', 'canary-wrong')),
      failure('SELECT 1', running().url('absent')),
      // Not escaped, so that it is no URL.
      failure('SELECT 1', `postgres://kiln:${PASSWORD}@127.0.0.1:${running().port}/postgres`),
      failure('SELECT 1', `postgres://127.0.0.1:${running().port}/postgres?user=kiln&password=canary-wrong`),
    ]);
    expect(errors.map(({ code }) => code)).toEqual(['E_IO', 'E_IO', 'E_USAGE', 'E_IO']);
    expect(errors[0]?.message).toContain('password authentication failed');
    expect(errors[1]?.message).toContain('database "absent" does not exist');
    for (const error of errors) {
      let shown = '';
      for (let link: unknown = error; link instanceof Error; link = link.cause) shown += `${link.message}${link.stack ?? ''}`;
      expect(shown).not.toMatch(/canary|p@ss/);
    }
  });

  it('stops a query that has not answered yet', async () => {
    const controller = new AbortController();
    const started = performance.now();
    setTimeout(() => {
      controller.abort();
    }, 200);
    await expect(read('SELECT pg_sleep(50)', running().url(), controller.signal)).rejects.toMatchObject({ code: 'E_ABORTED' });
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it('tells when the server ends a connection in the middle of the rows', async () => {
    const reading = failure("SELECT i, repeat('x', 1000) AS t FROM generate_series(1, 100000000) AS i /* endless */");
    const end = async (): Promise<void> => {
      const client = new pg.Client({ connectionString: running().url() });
      await client.connect();
      const sql =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%/* endless */' AND pid <> pg_backend_pid()";
      while ((await client.query(sql)).rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      await client.end();
    };
    const [error] = await Promise.all([reading, end()]);
    expect(error).toMatchObject({
      code: 'E_IO',
      message: expect.stringMatching(/connection was lost after \d+ rows/) as string,
    });
  });

  // The last one: there is no server afterwards.
  it('tells when the server is gone in the middle of the rows', async () => {
    const reading = failure('SELECT i FROM generate_series(1, 100000000) AS i');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await running().stop();
    expect(await reading).toMatchObject({ code: 'E_IO', message: expect.stringContaining('Run again') as string });
  });
});
