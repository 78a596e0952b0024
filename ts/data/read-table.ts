import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { TensorkilnError } from '../errors.js';
import { asNumbers, asCategories, mapCategories } from './cast.js';
import { readCsv } from './csv/read-csv.js';
import type { CsvOptions } from './csv/dialect.js';
import { isConnection, shownPath } from './formats/connection-url.js';
import { readJsonLines } from './formats/json-lines.js';
import { readParquet } from './formats/parquet.js';
import { readPostgres } from './formats/postgres.js';
import { readSqlite } from './formats/sqlite.js';
import { LagColumns, type Lags } from './lags.js';
import { readTextFolder } from './formats/text-folder.js';
import { Table, type Column } from './table.js';
import type { WorkerPool } from './worker-pool.js';

export type TableFormat = 'csv' | 'parquet' | 'jsonl' | 'sqlite' | 'postgres' | 'text_folder';

/** Where a table comes from and how it is written. */
export interface TableInput {
  /** A file; for postgres the connection URL, or `env:NAME` for one in an environment variable. */
  readonly path: string;
  /** Default: by the name of the file, .gz taken off: .parquet, .jsonl or .ndjson, .db or .sqlite, postgres://, a folder or .tar.gz for
   *  texts in folders (columns `text` and `label`), else CSV. */
  readonly format?: TableFormat;
  readonly csv?: CsvOptions;
  /** Spellings of a missing cell; default DEFAULT_NA_VALUES. */
  readonly naValues?: readonly string[];
  /** SQL; needed for sqlite and postgres. For parquet a query over the table `data`, run out of core. */
  readonly query?: string;
  /** Cells to be read as other text: column, then found text, then its replacement. */
  readonly replace?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Columns of what a column held some rows before, such as yesterday's temperature; in the order of the file. */
  readonly lags?: Lags;
}

export interface ReadTableOptions {
  readonly pool: WorkerPool;
  /** Columns that must be numbers, or must keep their text; only CSV needs telling. */
  readonly kinds?: Readonly<Record<string, 'numeric' | 'text'>>;
  readonly signal?: AbortSignal;
}

/** The format a name stands for. */
export function formatOf(path: string): TableFormat {
  if (isConnection(path)) return 'postgres';
  if (/\.(tar|tgz|tar\.gz)$/i.test(path)) return 'text_folder';
  switch (extname(path.replace(/\.gz$/i, '')).toLowerCase()) {
    case '.parquet':
    case '.pq':
      return 'parquet';
    case '.jsonl':
    case '.ndjson':
      return 'jsonl';
    case '.db':
    case '.sqlite':
    case '.sqlite3':
      return 'sqlite';
    default:
      return 'csv';
  }
}

/** As `formatOf`, and texts for a folder that is there. */
export async function inferFormat(path: string): Promise<TableFormat> {
  const format = formatOf(path);
  // What is not there is told by the reader.
  const state = format === 'csv' ? await stat(path).catch(() => undefined) : undefined;
  return state?.isDirectory() === true ? 'text_folder' : format;
}

/**
 * Reads a table of any format into typed columns.
 *
 * @throws E_IO when the source cannot be read; E_DATA when it is no proper table or has no rows; E_USAGE for options that do not fit the
 *         format; E_ABORTED
 */
export async function readTable(input: TableInput, options: ReadTableOptions): Promise<Table> {
  const format = input.format ?? (await inferFormat(input.path));
  const table = await readFormat(format, input, options);
  const replaced = input.replace === undefined ? table : replaceCells(table, input.replace);
  return input.lags === undefined ? replaced : new LagColumns(input.lags).addTo(replaced);
}

async function readFormat(format: TableFormat, input: TableInput, options: ReadTableOptions): Promise<Table> {
  const { path, query } = input;
  const naValues = input.naValues === undefined ? {} : { naValues: input.naValues };
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  if (format !== 'csv' && input.csv !== undefined && Object.keys(input.csv).length > 0)
    throw new TensorkilnError('E_USAGE', `[read] ${shownPath(path)} is read as ${format}: expected no data.csv settings.`);
  switch (format) {
    case 'csv':
      if (query !== undefined) throw new TensorkilnError('E_USAGE', `[read] ${path} is read as CSV: expected no data.query.`);
      return readCsv(path, { ...input.csv, ...naValues, ...options });
    case 'parquet':
      return readParquet(path, { ...naValues, ...signal, ...(query === undefined ? {} : { query }) });
    case 'jsonl':
      if (query !== undefined)
        throw new TensorkilnError('E_USAGE', `[read] ${path} is read as JSON Lines: expected no data.query.`);
      return readJsonLines(path, { ...naValues, ...signal });
    case 'text_folder':
      return readTextFolder(path, options.signal);
    case 'sqlite':
    case 'postgres': {
      if (query === undefined)
        throw new TensorkilnError(
          'E_USAGE',
          `[read] ${shownPath(path)} is a database: expected data.query with a SELECT statement.`,
        );
      const read = format === 'sqlite' ? readSqlite : readPostgres;
      return read(path, query, { ...naValues, ...signal });
    }
  }
}

function replaceCells(table: Table, replace: Readonly<Record<string, Readonly<Record<string, string>>>>): Table {
  const known = new Set(table.columns.map(({ name }) => name));
  for (const name of Object.keys(replace)) if (!known.has(name)) table.column(name);
  const columns = table.columns.map((column): Column => {
    const words = replace[column.name];
    if (words === undefined) return column;
    return mapCategories(asCategories(column), (cell) => (Object.hasOwn(words, cell) ? (words[cell] ?? cell) : cell));
  });
  return new Table(columns, table.rowCount);
}

/**
 * Rows of a second table under those of a first, which says what columns there are and of what kind; further columns are left out.
 *
 * @throws E_DATA when a column is missing or has cells that the first table's kind does not allow
 */
export function appendRows(first: Table, second: Table, place: string): Table {
  const rowCount = first.rowCount + second.rowCount;
  const columns = first.columns.map((column): Column => {
    const other = second.column(column.name);
    if (column.kind === 'numeric') {
      const values = new Float64Array(rowCount);
      values.set(column.values);
      values.set(asNumbers(other, place).values, first.rowCount);
      return { kind: 'numeric', name: column.name, values };
    }
    const text = asCategories(other, false);
    const codeOf = new Map(column.categories.map((category, code) => [category, code]));
    const categories = [...column.categories];
    const added = Int32Array.from(text.categories, (category) => {
      let code = codeOf.get(category);
      if (code === undefined) codeOf.set(category, (code = categories.push(category) - 1));
      return code;
    });
    const codes = new Int32Array(rowCount);
    codes.set(column.codes);
    for (let row = 0; row < second.rowCount; row++) {
      const code = text.codes[row] as number;
      codes[first.rowCount + row] = code < 0 ? -1 : (added[code] as number);
    }
    return { kind: 'categorical', name: column.name, codes, categories };
  });
  return new Table(columns, rowCount);
}
