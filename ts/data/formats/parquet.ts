import { open, stat } from 'node:fs/promises';
import type { DuckDBResult } from '@duckdb/node-api';
import { TensorkilnError } from '../../errors.js';
import { readError } from '../csv/byte-source.js';
import { openDuckDb, sqlPath, sqlText, type DuckDbSession } from '../duckdb.js';
import { DEFAULT_NA_VALUES } from '../csv/read-csv.js';
import { RowCollector } from '../row-collector.js';
import type { Table } from '../table.js';
import type { ReadRowsOptions } from './json-lines.js';

export interface ReadParquetOptions extends ReadRowsOptions {
  /** SQL over the table `data`; default every column and row. */
  readonly query?: string;
}

const MAGIC = 'PAR1';

/**
 * Reads a Parquet file through DuckDB; a query over it runs out of core, so only its result must fit into memory.
 *
 * @throws E_IO; E_DATA when the file is cut off or damaged, the query is wrong, or the optional package @duckdb/node-api is absent; E_ABORTED
 */
export async function readParquet(path: string, options: ReadParquetOptions = {}): Promise<Table> {
  const collector = new RowCollector(`parquet ${path}`, options.naValues ?? DEFAULT_NA_VALUES);
  for await (const rows of rowsOf(path, options)) rows(collector);
  return collector.finish();
}

/** Rows of a part; DuckDB gives them in chunks of 2048. */
const PART_ROWS = 16_384;

/**
 * Reads a Parquet file part by part, so that a file of any size takes little memory.
 *
 * @throws as `readParquet`
 */
export async function* readParquetParts(path: string, options: ReadParquetOptions = {}): AsyncGenerator<Table> {
  const start = (): RowCollector => new RowCollector(`parquet ${path}`, options.naValues ?? DEFAULT_NA_VALUES);
  let collector = start();
  for await (const rows of rowsOf(path, options)) {
    rows(collector);
    if (collector.rows < PART_ROWS) continue;
    yield collector.finish();
    collector = start();
  }
  if (collector.rows > 0) yield collector.finish();
}

/** Puts rows that were read into a collector. */
type AddRows = (collector: RowCollector) => void;

async function* rowsOf(path: string, options: ReadParquetOptions): AsyncGenerator<AddRows> {
  await checkMagic(path);
  const session = await openDuckDb();
  const interrupt = (): void => {
    session.connection.interrupt();
  };
  options.signal?.addEventListener('abort', interrupt);
  try {
    yield* query(session, path, options);
  } catch (error) {
    if (options.signal?.aborted === true)
      throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: options.signal.reason });
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
    session.close();
  }
}

async function* query(session: DuckDbSession, path: string, options: ReadParquetOptions): AsyncGenerator<AddRows> {
  if (options.signal?.aborted === true) throw options.signal.reason;
  const run = async (what: string, sql: string): Promise<DuckDBResult> => {
    try {
      return await session.connection.stream(sql);
    } catch (error) {
      throw duckDbError(path, what, error);
    }
  };
  await run('the file', `CREATE TEMP VIEW data AS SELECT * FROM read_parquet(${sqlPath(path)})`);
  const result = await run('data.query', options.query ?? 'SELECT * FROM data');
  const names = result.columnNames();
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    throw new TensorkilnError('E_DATA', `[parquet] ${path}: two columns have the same name "${repeated}". Rename one.`);
  let before = 0;
  try {
    for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
      const { rowCount } = chunk;
      const vectors = names.map((_, index) => chunk.getColumnVector(index));
      const first = before + 1;
      before += rowCount;
      yield (collector) => {
        const cells = names.map((name, index) => [name, (row: number) => plainValue(vectors[index]?.getItem(row))] as const);
        collector.addColumns(cells, rowCount, first);
      };
    }
  } catch (error) {
    throw error instanceof TensorkilnError ? error : duckDbError(path, 'the file', error);
  }
}

/** DuckDB's own value classes, such as those of dates and decimals, know their plain form. */
function plainValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('toDouble' in value && typeof value.toDouble === 'function') return (value.toDouble as () => number)();
  const name = value.constructor.name;
  // Dates and times print as ISO text; lists and structs are refused by the collector.
  return /Date|Time/.test(name) ? (value as { toString(): string }).toString() : value;
}

function duckDbError(path: string, what: string, error: unknown): TensorkilnError {
  // DuckDB's text may quote cells, so only its kind of error is kept, but of those that are found before a cell is read.
  const text = error instanceof Error ? error.message : '';
  const kind =
    /^(?:Failed to extract statements: )?((?:Binder|Parser|Catalog) Error.*|[A-Z][A-Za-z ]+ Error)/.exec(text)?.[1] ?? 'error';
  return new TensorkilnError(
    'E_DATA',
    `[parquet] ${path}: ${what} cannot be read (${kind}): expected a whole Parquet file and a valid query over the table data.`,
  );
}

async function checkMagic(path: string): Promise<void> {
  const ends = async (): Promise<string> => {
    const { size } = await stat(path);
    const file = await open(path, 'r');
    try {
      const bytes = Buffer.alloc(8);
      await file.read(bytes, 0, 4, 0);
      await file.read(bytes, 4, 4, Math.max(0, size - 4));
      return bytes.toString('latin1');
    } finally {
      await file.close();
    }
  };
  const found = await ends().catch((cause: unknown) => {
    throw readError(path, cause);
  });
  if (found === MAGIC + MAGIC) return;
  const reason = found.startsWith(MAGIC)
    ? 'the file is cut off: expected PAR1 at its end'
    : 'not a Parquet file: expected PAR1 at its start';
  throw new TensorkilnError('E_DATA', `[parquet] ${path}: ${reason}. Copy it again.`);
}

/** How a column of a CSV file is stored as Parquet: as the text it is, or as float64. */
export type ParquetColumnType = 'text' | 'number';

/**
 * Writes a CSV file with a header line as Parquet, out of core. An empty cell becomes a null.
 *
 * @param columns every column of the file in its order; default: types are found out from all cells, dates and booleans among them
 * @throws E_IO when it cannot be written; E_DATA when the optional package @duckdb/node-api is absent
 */
export async function writeParquetFromCsv(
  csv: string,
  parquet: string,
  columns?: readonly (readonly [name: string, type: ParquetColumnType])[],
): Promise<void> {
  const session = await openDuckDb();
  try {
    const dialect = `header = true, delim = ',', quote = '"', escape = '"'`;
    // Places for names: two names may differ in nothing but upper and lower case, which the reader takes for one.
    const types = columns?.map(([, type], place) => `'${place}': '${type === 'text' ? 'VARCHAR' : 'DOUBLE'}'`);
    const selection = columns?.map(([name], place) => `"${place}" AS "${name.replaceAll('"', '""')}"`) ?? ['*'];
    const how = types === undefined ? 'sample_size = -1' : `auto_detect = false, columns = {${types.join(', ')}}`;
    const rows = `read_csv(${sqlPath(csv)}, ${dialect}, ${how})`;
    await session.connection.run(`COPY (SELECT ${selection.join(', ')} FROM ${rows}) TO ${sqlText(parquet)} (FORMAT parquet)`);
  } catch (cause) {
    throw new TensorkilnError('E_IO', `[parquet] cannot write ${parquet}: DuckDB failed.`, { cause });
  } finally {
    session.close();
  }
}
