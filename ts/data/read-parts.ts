import { TensorkilnError } from '../errors.js';
import { asCategories, asNumbers, mapCategories } from './cast.js';
import { readCsvParts, type TablePart } from './csv/read-csv.js';
import { readJsonLinesParts } from './formats/json-lines.js';
import { LagColumns, lagNames } from './lags.js';
import { readParquetParts } from './formats/parquet.js';
import { shownPath } from './formats/connection-url.js';
import { inferFormat, type TableInput } from './read-table.js';
import { readTextFolderParts } from './formats/text-folder.js';
import { Table, type Column } from './table.js';
import type { WorkerPool } from './worker-pool.js';

export interface ReadPartsOptions {
  readonly pool: WorkerPool;
  /** The columns wanted and how their cells are read. Formats that know types keep their own. */
  readonly kinds: Readonly<Record<string, 'numeric' | 'text'>>;
  readonly signal?: AbortSignal;
}

/** Formats that are read part by part. */
export const STREAMED_FORMATS = ['csv', 'jsonl', 'parquet', 'text_folder'] as const;

/**
 * Reads a table in parts of some ten thousand rows, in order: a table of any size in little memory.
 *
 * @yields parts with the wanted columns that the source has, and the names of all
 * @throws E_IO when the source cannot be read; E_DATA when it is no proper table; E_USAGE for a format that cannot be read in parts or
 *         options that do not fit; E_ABORTED
 */
export async function* readTableParts(input: TableInput, options: ReadPartsOptions): AsyncGenerator<TablePart> {
  const { lags } = input;
  if (lags === undefined) {
    yield* readParts(input, options);
    return;
  }
  const made = new Set(lagNames(lags));
  const sources = Object.keys(lags);
  const kinds = {
    ...Object.fromEntries(Object.entries(options.kinds).filter(([name]) => !made.has(name))),
    ...Object.fromEntries(sources.map((name) => [name, 'numeric' as const])),
  };
  const columns = new LagColumns(lags);
  for await (const { table, names } of readParts(input, { ...options, kinds })) {
    // Without its source a lag is a column that is missing, which is told as such.
    if (sources.every((name) => names.includes(name))) yield { table: columns.addTo(table), names: [...names, ...made] };
    else yield { table, names };
  }
}

async function* readParts(input: TableInput, options: ReadPartsOptions): AsyncGenerator<TablePart> {
  const { path, replace } = input;
  const format = input.format ?? (await inferFormat(path));
  const shared = {
    ...(input.naValues === undefined ? {} : { naValues: input.naValues }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  if (format === 'csv') {
    // A cell to be replaced need not be a number before it is.
    const kinds = Object.fromEntries(
      Object.entries(options.kinds).map(([name, kind]) => [name, replace?.[name] === undefined ? kind : 'text'] as const),
    );
    for await (const part of readCsvParts(path, { ...input.csv, ...shared, kinds, pool: options.pool })) {
      yield { ...part, table: replaceKnown(part.table, replace, options.kinds) };
    }
    return;
  }
  const query = input.query === undefined ? {} : { query: input.query };
  if (format !== 'jsonl' && format !== 'parquet' && format !== 'text_folder') {
    throw new TensorkilnError(
      'E_USAGE',
      `[read] ${shownPath(path)} is read as ${format}, which is not read in parts: expected one of ${STREAMED_FORMATS.join(', ')}.`,
    );
  }
  const tables =
    format === 'jsonl'
      ? readJsonLinesParts(path, { ...shared, wanted: Object.keys(options.kinds) })
      : format === 'text_folder'
        ? readTextFolderParts(path, options.signal)
        : readParquetParts(path, { ...shared, ...query });
  for await (const table of tables) {
    const wanted = new Table(
      table.columns.filter(({ name }) => Object.hasOwn(options.kinds, name)),
      table.rowCount,
    );
    yield { table: replaceKnown(wanted, replace, options.kinds), names: table.columns.map(({ name }) => name) };
  }
}

/** Replaces cells of the columns that are there; a table to be predicted may lack the target. */
function replaceKnown(table: Table, replace: TableInput['replace'], kinds: ReadPartsOptions['kinds']): Table {
  if (replace === undefined) return table;
  const columns = table.columns.map((column): Column => {
    const words = replace[column.name];
    if (words === undefined) return column;
    const replaced = mapCategories(asCategories(column), (cell) => (Object.hasOwn(words, cell) ? (words[cell] ?? cell) : cell));
    return kinds[column.name] === 'numeric' ? asNumbers(replaced, 'data') : replaced;
  });
  return new Table(columns, table.rowCount);
}
