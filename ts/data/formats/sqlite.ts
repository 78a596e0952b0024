import { access } from 'node:fs/promises';
import { TensorkilnError } from '../../errors.js';
import { importOptional } from '../../optional-package.js';
import { readError } from '../csv/byte-source.js';
import { DEFAULT_NA_VALUES } from '../csv/read-csv.js';
import { RowCollector } from '../row-collector.js';
import type { Table } from '../table.js';
import type { ReadRowsOptions } from './json-lines.js';

/** A prepared query of either binding. */
interface Statement {
  iterate(): Iterable<unknown>;
  /** node:sqlite has it from Node 22.16 on. */
  columns?(): readonly { readonly name: string }[];
  /** node:sqlite: integers as bigint. */
  setReadBigInts?(enabled: boolean): void;
  /** better-sqlite3: the same. */
  safeIntegers?(enabled: boolean): void;
}

/** What the two SQLite bindings have in common. */
interface Database {
  prepare(sql: string): Statement;
  close(): void;
}

/**
 * Rows of a query over a SQLite file, opened for reading only. Uses node:sqlite where this Node has it, else the package better-sqlite3.
 *
 * @throws E_IO when the file cannot be read; E_DATA for a file that is no database, a wrong query, two columns of one name, and when
 *         neither binding is there; E_ABORTED
 */
export async function readSqlite(path: string, query: string, options: ReadRowsOptions = {}): Promise<Table> {
  await access(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
  const collector = new RowCollector(`sqlite ${path}`, options.naValues ?? DEFAULT_NA_VALUES);
  let database: Database | undefined;
  try {
    database = await openDatabase(path);
    const statement = database.prepare(query);
    refuseDuplicates(statement, path);
    // As numbers, integers beyond 2^53 end the query in node:sqlite, with the cell in the message, and lose digits in better-sqlite3.
    statement.setReadBigInts?.(true);
    statement.safeIntegers?.(true);
    for (const row of statement.iterate()) {
      if (options.signal?.aborted === true)
        throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: options.signal.reason });
      collector.add(row as Readonly<Record<string, unknown>>, `row ${collector.rows + 1}`);
    }
  } catch (cause) {
    if (cause instanceof TensorkilnError) throw cause;
    throw new TensorkilnError(
      'E_DATA',
      `[sqlite] ${path}: the query failed: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  } finally {
    database?.close();
  }
  return collector.finish();
}

/** Rows come as objects, in which the second of two columns of one name replaces the first. */
function refuseDuplicates(statement: Statement, path: string): void {
  const names = statement.columns?.().map(({ name }) => name) ?? [];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new TensorkilnError(
    'E_DATA',
    `[sqlite] ${path}: the query has two columns "${twice}": expected different names. Name one with AS in data.query.`,
  );
}

async function openDatabase(path: string): Promise<Database> {
  const names = ['node:sqlite', 'better-sqlite3'] as const;
  const builtIn = await importBuiltIn(names[0]);
  if (builtIn !== undefined) {
    const { DatabaseSync } = builtIn as { DatabaseSync: new (path: string, options: object) => Database };
    return new DatabaseSync(path, { readOnly: true });
  }
  const name: string = names[1];
  const package_ = await importOptional(name, () => import(name) as Promise<unknown>);
  if (package_ !== undefined) {
    const { default: Constructor } = package_ as { default: new (path: string, options: object) => Database };
    return new Constructor(path, { readonly: true });
  }
  throw new TensorkilnError(
    'E_DATA',
    `[sqlite] reading ${path} needs node:sqlite (Node 22.13 or newer) or the optional package better-sqlite3: this is Node ${process.versions.node} without it. Install it: npm install better-sqlite3`,
  );
}

async function importBuiltIn(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_UNKNOWN_BUILTIN_MODULE') return undefined;
    throw error;
  }
}
