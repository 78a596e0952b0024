import { TensorkilnError } from '../errors.js';
import { readCsvHeader } from './csv-header.js';
import { openDuckDb, sqlPath, sqlText, type DuckDbOptions, type DuckDbSession } from './duckdb.js';
import { CategoryBuilder, Table, type Column } from './table.js';
import { allocate } from './shared-memory.js';

/** Spellings of a missing cell unless told otherwise; compared after trimming, with case. */
export const DEFAULT_NA_VALUES: readonly string[] = ['', 'NA', 'N/A', 'NaN', 'null', '?'];

/** What was counted in one column while it was read. */
export interface ColumnProfile {
  readonly name: string;
  readonly missing: number;
  /** Cells that are not missing. */
  readonly present: number;
  /** Present cells that are decimal numbers (1, -2.5, .5, 1e-3). */
  readonly numbers: number;
  /** Of those, without a fraction. */
  readonly integers: number;
  /** Different present cells. */
  readonly distinct: number;
  /** Smallest and largest of the numbers; NaN when there are none. */
  readonly minimum: number;
  readonly maximum: number;
}

export interface ColumnRequest {
  readonly name: string;
  readonly kind: 'numeric' | 'categorical';
}

/** A table that was read and counted and waits to be taken out as typed columns. Close it when done. */
export interface TableSource {
  readonly path: string;
  readonly rowCount: number;
  readonly profiles: readonly ColumnProfile[];
  /**
   * Takes columns out with the types asked for.
   *
   * @throws E_DATA when a column asked for as numeric holds something else: it tells how many cells, and one of them masked
   */
  read(requests: readonly ColumnRequest[]): Promise<Table>;
  close(): void;
}

export interface OpenTableOptions extends DuckDbOptions {
  /** Default DEFAULT_NA_VALUES. */
  readonly naValues?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A decimal number, in RE2's syntax. Infinity, hexadecimal and digit separators are not numbers here. */
const NUMBER_PATTERN = '[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?';

/**
 * Reads a CSV file (UTF-8; delimiter , ; tab or |; first line column names; gzip is not read) through DuckDB and counts each column.
 *
 * Cells are trimmed of blanks. Rows with too few or too many fields are an error that counts them and names their lines: no row is
 * dropped or padded.
 *
 * @throws E_IO when the file cannot be read; E_DATA when it is no proper table or has no rows; E_ABORTED
 */
export async function openTable(path: string, options: OpenTableOptions = {}): Promise<TableSource> {
  const header = await readCsvHeader(path);
  const session = await openDuckDb(options);
  const interrupt = (): void => {
    session.connection.interrupt();
  };
  options.signal?.addEventListener('abort', interrupt);
  const close = (): void => {
    options.signal?.removeEventListener('abort', interrupt);
    session.close();
  };
  const guard = <T>(work: () => Promise<T>): Promise<T> => rethrowAborted(work, options.signal);
  try {
    const profiles = await guard(async () => {
      await loadCsv(session, path, header.delimiter, header.names.length, options.naValues ?? DEFAULT_NA_VALUES);
      return profileColumns(session, header.names);
    });
    const rowCount = (profiles[0]?.present ?? 0) + (profiles[0]?.missing ?? 0);
    if (rowCount === 0) throw new TensorkilnError('E_DATA', `[csv] ${path}: the file has a header line but no rows.`);
    return {
      path,
      rowCount,
      profiles,
      read: (requests) => guard(() => takeColumns(session, path, profiles, requests, rowCount)),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function rethrowAborted<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    if (signal?.aborted !== true) return await work();
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
  throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: signal?.reason });
}

async function loadCsv(
  session: DuckDbSession,
  path: string,
  delimiter: string,
  width: number,
  naValues: readonly string[],
): Promise<void> {
  const indices = Array.from({ length: width }, (_, index) => index);
  const types = indices.map((index) => `'c${index}': 'VARCHAR'`).join(', ');
  const missing = `[${naValues.map((value) => sqlText(value.trim())).join(', ')}]::VARCHAR[]`;
  const cells = indices.map(
    (index) =>
      `CASE WHEN list_contains(${missing}, trim(c${index}, ' \t')) THEN NULL ELSE trim(c${index}, ' \t') END AS c${index}`,
  );
  const reader =
    `read_csv(${sqlPath(path)}, auto_detect=false, header=true, delim=${sqlText(delimiter)}, quote='"', escape='"', ` +
    `compression='none', strict_mode=true, store_rejects=true, columns={${types}})`;
  try {
    await session.connection.run(`CREATE TEMP TABLE cells AS SELECT ${cells.join(', ')} FROM ${reader}`);
  } catch (error) {
    // DuckDB's own text quotes the offending row, so it is neither shown nor kept as the cause.
    const text = error instanceof Error ? error.message : String(error);
    const line = /CSV Error on Line: (\d+)/.exec(text)?.[1];
    if (text.includes('CSV') || text.includes('Invalid Input Error')) {
      throw new TensorkilnError(
        'E_DATA',
        `[csv] ${path}${line === undefined ? '' : `, line ${line}`}: not a proper CSV file: expected one kind of line end and balanced quotes.`,
      );
    }
    throw new TensorkilnError('E_IO', `[csv] cannot read ${path}: ${text.split('\n', 1)[0] ?? ''}`);
  }
  await checkRejects(session, path, width);
}

/** Turns what DuckDB refused into one error: how many rows, why the first was refused, and on which lines. */
async function checkRejects(session: DuckDbSession, path: string, width: number): Promise<void> {
  const rows = (
    await session.connection.runAndReadAll(
      'SELECT line::DOUBLE, error_type::VARCHAR, error_message FROM reject_errors ORDER BY line, error_type',
    )
  ).getRows();
  const first = rows[0];
  if (first === undefined) return;
  const lines = [...new Set(rows.map((row) => Number(row[0])))];
  const shown = lines.slice(0, 5).join(', ') + (lines.length > 5 ? ', ...' : '');
  const found = /Found: (\d+)/.exec(String(first[2]))?.[1];
  const type = String(first[1]);
  let reason = `expected closed quotes and UTF-8 text (${type.toLowerCase()})`;
  if (type.includes('COLUMNS'))
    reason = `expected ${width} fields as in the header, got ${found ?? 'another number'} on line ${lines[0] ?? 1}`;
  else if (type === 'INVALID ENCODING') reason = `expected UTF-8 text. Save the file as "CSV UTF-8"`;
  const count = lines.length === 1 ? '1 row is' : `${lines.length} rows are`;
  throw new TensorkilnError('E_DATA', `[csv] ${path}: ${count} malformed (line ${shown}): ${reason}.`);
}

async function profileColumns(session: DuckDbSession, names: readonly string[]): Promise<ColumnProfile[]> {
  const perColumn = 7;
  const counts = names.flatMap((_, index) => {
    const cell = `c${index}`;
    const isNumber = `regexp_full_match(${cell}, '${NUMBER_PATTERN}')`;
    const value = `CASE WHEN ${isNumber} THEN TRY_CAST(${cell} AS DOUBLE) END`;
    return [
      `count(*)`,
      `count(${cell})`,
      `count(*) FILTER (WHERE ${isNumber})`,
      `count(*) FILTER (WHERE ${value} = trunc(${value}))`,
      `count(DISTINCT ${cell})`,
      `min(${value})`,
      `max(${value})`,
    ].map((sql) => `(${sql})::DOUBLE`);
  });
  const row = (await session.connection.runAndReadAll(`SELECT ${counts.join(', ')} FROM cells`)).getRows()[0] ?? [];
  return names.map((name, index) => {
    const [rows = 0, present = 0, numbers = 0, integers = 0, distinct = 0, minimum = NaN, maximum = NaN] = row
      .slice(index * perColumn, (index + 1) * perColumn)
      .map((value) => (value === null ? NaN : Number(value)));
    return { name, missing: rows - present, present, numbers, integers, distinct, minimum, maximum };
  });
}

async function takeColumns(
  session: DuckDbSession,
  path: string,
  profiles: readonly ColumnProfile[],
  requests: readonly ColumnRequest[],
  rowCount: number,
): Promise<Table> {
  const sources = requests.map((request) => {
    const index = profiles.findIndex((profile) => profile.name === request.name);
    const profile = profiles[index];
    if (profile === undefined)
      throw new TensorkilnError('E_INTERNAL', `[csv] column "${request.name}" was asked for but never read.`);
    return { request, profile, cell: `c${index}` };
  });
  for (const { request, profile, cell } of sources) {
    if (request.kind === 'numeric' && profile.numbers < profile.present) throw await notNumeric(session, path, profile, cell);
    if (
      request.kind === 'numeric' &&
      !(Math.abs(profile.minimum) < Infinity && Math.abs(profile.maximum) < Infinity) &&
      profile.present > 0
    ) {
      throw new TensorkilnError(
        'E_DATA',
        `[csv] ${path}: column "${profile.name}" holds a number beyond the range of 64-bit floats.`,
      );
    }
  }
  const columns: Column[] = sources.map(({ request, profile }) =>
    request.kind === 'numeric'
      ? { kind: 'numeric', name: profile.name, values: allocate(Float64Array, rowCount) }
      : { kind: 'categorical', name: profile.name, codes: allocate(Int32Array, rowCount), categories: [] },
  );
  const builders = columns.map((column) => (column.kind === 'categorical' ? new CategoryBuilder(column.codes) : undefined));
  const cells = sources.map(({ request, cell }) => (request.kind === 'numeric' ? `TRY_CAST(${cell} AS DOUBLE)` : cell));
  const result = await session.connection.stream(`SELECT ${cells.length > 0 ? cells.join(', ') : '1'} FROM cells`);
  let start = 0;
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    for (const [index, column] of columns.entries()) {
      const vector = chunk.getColumnVector(index);
      const builder = builders[index];
      for (let row = 0; row < chunk.rowCount; row++) {
        const value = vector.getItem(row);
        if (column.kind === 'numeric') column.values[start + row] = typeof value === 'number' ? value : NaN;
        else builder?.set(start + row, typeof value === 'string' ? value : null);
      }
    }
    start += chunk.rowCount;
  }
  return new Table(
    columns.map((column, index) => builders[index]?.finish(column.name) ?? column),
    rowCount,
  );
}

async function notNumeric(
  session: DuckDbSession,
  path: string,
  profile: ColumnProfile,
  cell: string,
): Promise<TensorkilnError> {
  const rows = (
    await session.connection.runAndReadAll(
      `SELECT ${cell} FROM cells WHERE NOT regexp_full_match(${cell}, '${NUMBER_PATTERN}') LIMIT 1`,
    )
  ).getRows();
  return new TensorkilnError(
    'E_DATA',
    `[csv] ${path}: column "${profile.name}" is not numeric: expected numbers, got ${profile.present - profile.numbers} other cells of ` +
      `${profile.present}, the first ${maskCell(String(rows[0]?.[0] ?? ''))}. Make it categorical, or add the spelling to na_values.`,
  );
}

/** A cell as it may stand in a message: its first character and its length, so that data does not leak into logs. */
export function maskCell(cell: string): string {
  return `"${cell.slice(0, 1)}..." (${cell.length} characters)`;
}
