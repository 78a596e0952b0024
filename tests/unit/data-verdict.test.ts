import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PREPROCESSING } from '../../ts/data/preprocessing-options.js';
import { prepareData, type DataConfig, type DataEvent, type PrepareOptions, type PreparedData } from '../../ts/data/prepare.js';
import { columnTable } from '../../ts/data/treatment.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-verdict-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const SPLIT = { train: 0.6, validation: 0.2, test: 0.2, stratify: true, seed: 1 };

function write(rows: readonly string[], name = 'table.csv'): string {
  const path = join(folder, name);
  writeFileSync(path, `${rows.join('\n')}\n`);
  return path;
}

function prepare(
  header: string,
  rows: readonly string[],
  changes: Partial<DataConfig> = {},
  options?: PrepareOptions,
): Promise<PreparedData> {
  const config = {
    path: write([header, ...rows]),
    target: 'y',
    split: SPLIT,
    preprocessing: DEFAULT_PREPROCESSING,
    ...changes,
  };
  return prepareData(config, options);
}

/** Rows whose cells are made from the row number. */
const rows = (count: number, cells: (row: number) => readonly (string | number)[]): string[] =>
  Array.from({ length: count }, (_, row) => cells(row).join(','));
const noise = (row: number): number => (row * 7919) % 1009;

const messages = ({ verdict }: PreparedData, id: string): string[] =>
  verdict.checks.filter((check) => check.id === id && check.level !== 'ok').map(({ message }) => message);

describe('the verdict', () => {
  it('is ok for sound data, with advice on few rows', async () => {
    const { verdict, forced } = await prepare(
      'x,y',
      rows(60, (row) => [noise(row), row % 2]),
    );
    expect(verdict.status).toBe('ok');
    expect(forced).toBe(false);
    expect(verdict.advice).toEqual([expect.stringContaining('k-fold')]);
    const large = await prepare(
      'x,y',
      rows(1200, (row) => [noise(row) + row / 7, row % 2]),
    );
    expect(large.verdict.advice).toEqual([]);
  });

  it('fails where a column gives the target away, unless forced, and records that', async () => {
    const leak = rows(60, (row) => [noise(row), row % 2 === 0 ? 'even' : 'odd', row % 2]);
    const error = prepare('x,answer,y', leak);
    await expect(error).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringMatching(/failed its validation: Column "answer" alone tells the target.*--force/),
    });
    const forced = await prepare('x,answer,y', leak, {}, { force: true });
    expect(forced).toMatchObject({ forced: true, verdict: { status: 'failed' } });
  });

  it('finds leaks of values by correlation and of classes by intervals', async () => {
    const values = rows(60, (row) => [noise(row), 3 * noise(row + 5) + 1, noise(row + 5) + 0.5]);
    await expect(prepare('x,copy,y', values)).rejects.toThrow(/"copy" alone tells the target/);
    const classes = rows(400, (row) => [noise(row), row % 2 === 0 ? -1 - row / 100 : 1 + row / 100, row % 2]);
    await expect(prepare('x,side,y', classes)).rejects.toThrow(/"side" alone tells the target/);
  });

  it('tells empty, constant and identifier columns, and leaves them out', async () => {
    const data = await prepare(
      'id,empty,same,x,y',
      rows(60, (row) => [row, '', 'k', noise(row), row % 2]),
    );
    expect(data.preprocessor.featureNames).toEqual(['x']);
    expect(messages(data, 'columns')).toEqual([expect.stringContaining('"empty", "same"')]);
    expect(messages(data, 'identifiers')).toEqual([expect.stringContaining('"id"')]);
  });

  it('warns of columns of numbers that count as text for how some cells are written, also where all of them differ', async () => {
    const price = (row: number): string => `"${1 + (row % 9)},${100 + (noise(row) % 900)},${100 + row}"`;
    const table = rows(60, (row) => [price(row), row % 4 === 0 ? 'n/a' : noise(row), `0${1000 + (row % 7)}`, row / 7, row % 2]);
    const data = await prepare('price,size,postcode,x,y', table);
    expect(messages(data, 'numbers')).toEqual([
      'Columns of numbers count as text for how some cells are written: "price", "size".',
    ]);
    expect(messages(data, 'identifiers')).toEqual([]);
    expect(data.warnings).toEqual([
      expect.stringMatching(/"price": 60 of 60 cells look like numbers with thousands signs.*set data\.csv\.thousands/),
      expect.stringMatching(/"size": 45 of 60 cells are numbers, and 15 are "n\/a".*data\.na_values/),
    ]);
    expect(data.columns[0]).toMatchObject({ role: 'ignored', reason: 'numbers with thousands signs' });
    const told = await prepare('price,size,postcode,x,y', table, { csv: { thousands: ',' }, naValues: ['n/a'] });
    expect(told.columns.map(({ type }) => type).slice(0, 3)).toEqual(['numeric', 'numeric', 'categorical']);
    expect(told.verdict.status).toBe('ok');
  });

  it('fails when most rows lack a target or hardly any rows are left', async () => {
    await expect(
      prepare(
        'x,y',
        rows(60, (row) => [noise(row), row % 5 === 0 ? (row / 5) % 2 : '']),
      ),
    ).rejects.toThrow(/48 of 60 rows have no target/);
    await expect(
      prepare(
        'x,y',
        rows(8, (row) => [noise(row), row % 2]),
      ),
    ).rejects.toThrow(/8 rows with a target: expected at least 10/);
  });

  it('fails for infinite numbers, which JSON Lines, Parquet and databases can hold', async () => {
    const lines = rows(60, (row) => [
      `{"x": ${row === 7 ? '-1e999' : noise(row)}, "z": ${row === 7 ? '1e999' : 1}, "y": ${row % 2}}`,
    ]);
    const config = { path: write(lines, 'infinite.jsonl'), target: 'y', split: SPLIT, preprocessing: DEFAULT_PREPROCESSING };
    await expect(prepareData(config)).rejects.toThrow(/Infinite numbers in "x" and "z"|Infinite numbers in "x", "z"/);
    const { verdict } = await prepareData({ ...config, features: { z: { type: 'ignore' } } }, { force: true });
    expect(verdict.checks.filter(({ level }) => level === 'failed').map(({ message }) => message)).toEqual([
      expect.stringContaining('Infinite numbers in "x"'),
    ]);
  });

  it('tells classes of one row and strong imbalance, with advice', async () => {
    const data = await prepare(
      'x,y',
      rows(1500, (row) => [noise(row) + row, row === 7 ? 'one' : row % 150 === 0 ? 'few' : 'many']),
    );
    expect(messages(data, 'balance')).toEqual([
      expect.stringMatching(/Classes of one row cannot be tested: "one"/),
      expect.stringMatching(/1489 to 1: 1489 rows of "many", 1 of "one"/),
    ]);
    expect(data.verdict.advice).toEqual([expect.stringMatching(/class weights or focal loss.*PR-AUC and MCC/)]);
  });

  it('tells drift over time and advises a time split, which ends it', async () => {
    const date = (row: number): string => new Date(Date.UTC(2020, 0, 1 + row)).toISOString().slice(0, 10);
    const drifting = rows(1200, (row) => [date(row), noise(row), row + 300 * Math.sin(row)]);
    const random = await prepare('day,x,y', drifting);
    expect(messages(random, 'drift')).toEqual([expect.stringContaining('"day"')]);
    expect(random.verdict.advice).toEqual([expect.stringContaining('split.method to time')]);
    const timed = await prepare('day,x,y', drifting, { split: { ...SPLIT, method: 'time', by: 'day' } });
    expect(timed.verdict.advice).toEqual([]);
    expect(Math.max(...timed.split.train)).toBeLessThan(Math.min(...timed.split.validation));
    expect(Math.max(...timed.split.validation)).toBeLessThan(Math.min(...timed.split.test));
  });

  it('counts duplicates, drops them when told, and counts test rows seen in training', async () => {
    const twice = rows(120, (row) => [noise(row % 60), row % 2]);
    const kept = await prepare('x,y', twice);
    expect(kept.counts).toMatchObject({ duplicates: 60, dropped: 0 });
    expect(kept.counts.overlap).toBeGreaterThan(0);
    expect(messages(kept, 'overlap')).toEqual([expect.stringMatching(/test rows are also in the training part/)]);
    const dropped = await prepare('x,y', twice, { duplicates: 'drop' });
    expect(dropped.counts).toMatchObject({ duplicates: 60, dropped: 60, overlap: 0 });
    expect(dropped.train.size + dropped.validation.size + dropped.test.size).toBe(60);
  });

  it('reports outliers of the training part and drops their rows only there, when told', async () => {
    const far = rows(200, (row) => [row % 50 === 0 ? 1e6 : noise(row) / 100, row % 2]);
    const reported = await prepare('x,y', far);
    const inTraining = [...reported.split.train].filter((row) => row % 50 === 0).length;
    expect(reported.outliers).toEqual([expect.objectContaining({ name: 'x', rows: inTraining })]);
    expect(inTraining).toBeGreaterThan(0);
    for (const method of ['iqr', 'z_score'] as const) {
      const dropped = await prepare('x,y', far, { outliers: { method, action: 'drop' } });
      expect([...dropped.split.train].filter((row) => row % 50 === 0)).toEqual([]);
      expect(dropped.split.test).toEqual(reported.split.test);
      expect(dropped.counts.dropped).toBe(inTraining);
    }
  });
});

describe('prepareData', () => {
  it('prepares values for regression', async () => {
    const data = await prepare(
      'x,y',
      rows(60, (row) => [noise(row), row / 4]),
    );
    expect(data.task).toBe('regression');
    expect(data.classes).toEqual([]);
    expect(data.test.targets).toEqual(Float32Array.from(data.split.test, (row) => row / 4));
  });

  it('takes the test part from a second file, with labels replaced there, in any order of columns', async () => {
    const testPath = write(['y,x', ...rows(12, (row) => [row % 2 === 0 ? 'no.' : 'yes.', row])], 'test.csv');
    const data = await prepare(
      'x,y',
      rows(60, (row) => [noise(row), row % 2 === 0 ? 'no' : 'yes']),
      {
        testPath,
        testReplace: { y: { 'no.': 'no', 'yes.': 'yes' } },
      },
    );
    expect(data.classes).toEqual(['no', 'yes']);
    expect(data.counts).toMatchObject({ rows: 72, train: 45, validation: 15, test: 12 });
    expect([...data.test.targets]).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    await expect(
      prepare(
        'x,y',
        rows(60, (row) => [noise(row), row % 2]),
        { testPath: write(['z,y', '1,0'], 'other.csv') },
      ),
    ).rejects.toThrow(/no column "x"/);
  });

  it('keeps groups together and does not train on their name', async () => {
    const grouped = rows(200, (row) => [noise(row), `g${row % 20}`, row % 2]);
    const data = await prepare('x,who,y', grouped, { split: { ...SPLIT, method: 'grouped', by: 'who' } });
    expect(data.preprocessor.featureNames).toEqual(['x']);
    const groups = (part: Int32Array): Set<number> => new Set([...part].map((row) => row % 20));
    expect([...groups(data.split.train)].filter((group) => groups(data.split.test).has(group))).toEqual([]);
    await expect(prepare('x,who,y', grouped, { split: { ...SPLIT, method: 'grouped' } })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
  });

  it('uses a column of 100,000 categories by hash, and leaves none out silently', async () => {
    const wide = rows(100_100, (row) => [`k${row % 100_000}`, noise(row), row % 2]);
    const ignored = await prepare('city,x,y', wide);
    expect(ignored.preprocessor.featureNames).toEqual(['x']);
    expect(messages(ignored, 'columns')).toEqual(['Columns of very many categories are left out: "city".']);
    expect(ignored.warnings).toEqual([expect.stringMatching(/"city" has 100000 categories.*features\.city\.encoding/)]);
    const hashed = await prepare('city,x,y', wide, { features: { city: { encoding: 'hash', buckets: 8 } } });
    expect(hashed.preprocessor.featureNames).toHaveLength(9);
  });

  it('shows every column with its use and treatment', async () => {
    const events: DataEvent[] = [];
    await prepare(
      'id,x,c,y',
      rows(60, (row) => [row, row % 9 === 0 ? '' : noise(row), `k${row % 3}`, row % 2]),
      {},
      {
        onEvent: (event) => events.push(event),
      },
    );
    const shown = events.find((event) => event.type === 'data_columns');
    const lines = columnTable(shown?.type === 'data_columns' ? shown.columns : []);
    expect(lines[0]).toMatch(/^column +use +type +missing +distinct +treatment$/);
    expect(lines[1]).toMatch(/^id +ignored +numeric +0 +60 +looks like an identifier$/);
    expect(lines[2]).toMatch(/^x +feature +numeric +7 +\d+ +standard: \(x - .*\) \/ .*, missing as \d+/);
    expect(lines[3]).toMatch(/^c +feature +categorical +0 +3 +one-hot, 3 columns$/);
    expect(events.map(({ type }) => type)).toEqual(['data_read', 'data_warning', 'data_columns', 'data_verdict', 'data_ready']);
  });

  it('tells no cell of the data in events, but the names of classes', async () => {
    const events: DataEvent[] = [];
    const data = await prepare(
      'x,c,y',
      rows(60, (row) => [noise(row), `canary${row % 30}`, row % 2]),
      {},
      { onEvent: (event) => events.push(event) },
    );
    // The fill of a column is a declared category.
    const fill = data.preprocessor.columns.find(({ name }) => name === 'c');
    expect(JSON.stringify(events).replaceAll(fill?.kind === 'one_hot' ? fill.fill : '', '')).not.toContain('canary');
  });
});

describe('the cache', () => {
  it('gives the same data and events again, until the file or the configuration changes or the cache is damaged', async () => {
    const cacheFolder = join(folder, 'cache');
    const path = write(
      ['x,c,y', ...rows(60, (row) => [noise(row), row % 9 === 0 ? '' : `k${row % 3}`, row % 2])],
      'cached.csv',
    );
    const config: DataConfig = { path, target: 'y', split: SPLIT, preprocessing: DEFAULT_PREPROCESSING, cacheFolder };
    const run = async (
      changes: Partial<DataConfig> = {},
    ): Promise<{ data: PreparedData; events: DataEvent[]; files: number }> => {
      const events: DataEvent[] = [];
      const data = await prepareData({ ...config, ...changes }, { onEvent: (event) => events.push(event) });
      return { data, events, files: readdirSync(cacheFolder).length };
    };
    const first = await run();
    const second = await run();
    expect(first.files).toBe(1);
    expect(second).toEqual(first);
    expect(second.data.preprocessor.featureNames).toEqual(first.data.preprocessor.featureNames);
    expect((await run({ split: { ...SPLIT, seed: 2 } })).files).toBe(2);
    for (const name of readdirSync(cacheFolder)) {
      const bytes = readFileSync(join(cacheFolder, name));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      writeFileSync(join(cacheFolder, name), bytes);
    }
    expect(await run()).toEqual({ ...first, files: 2 });
    appendFileSync(path, '5,k1,0\n');
    expect((await run()).data.counts.rows).toBe(61);
  });
});
