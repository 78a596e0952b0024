import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { TensorkilnError } from '../errors.js';
import { importOptional } from '../optional-package.js';

/** One in-memory DuckDB of its own, locked down: it installs nothing, loads nothing and its settings cannot be changed by a query. */
export interface DuckDbSession {
  readonly connection: DuckDBConnection;
  close(): void;
}

export interface DuckDbOptions {
  /** Threads DuckDB may use; default: what the machine or container gives. */
  readonly threads?: number;
  /** What DuckDB may hold before it spills to the temporary folder, in MiB; default: half of what the machine or container has. */
  readonly memoryLimitMib?: number;
}

/**
 * Opens a session.
 *
 * @throws E_DATA when the optional package @duckdb/node-api is not installed, with the line that installs it
 */
export async function openDuckDb(options: DuckDbOptions = {}): Promise<DuckDbSession> {
  const { DuckDBInstance } = await loadDuckDb();
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    memory_limit: `${Math.round(options.memoryLimitMib ?? defaultMemoryMib())}MiB`,
    temp_directory: join(tmpdir(), `tensorkiln-duckdb-${process.pid}`),
    threads: String(options.threads ?? availableParallelism()),
  });
  try {
    const connection = await instance.connect();
    await connection.run('SET lock_configuration = true');
    return {
      connection,
      close: () => {
        connection.closeSync();
        instance.closeSync();
      },
    };
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

/** A text as an SQL literal. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A path as an SQL literal that names this one file: glob characters in it lose their meaning. */
export function sqlPath(path: string): string {
  return sqlText(path.replaceAll(/[*?[]/g, '[$&]'));
}

async function loadDuckDb(): Promise<typeof import('@duckdb/node-api')> {
  const duckDb = await importOptional('@duckdb/node-api', () => import('@duckdb/node-api'));
  if (duckDb === undefined) {
    throw new TensorkilnError(
      'E_DATA',
      '[duckdb] reading tables needs the optional package @duckdb/node-api, which is not installed. Install it: npm install @duckdb/node-api',
    );
  }
  return duckDb;
}

function defaultMemoryMib(): number {
  const machine = totalmem();
  const container = process.constrainedMemory();
  // constrainedMemory is 0 or huge where there is no limit.
  const available = container > 0 && container < machine ? container : machine;
  return Math.max(64, available / 2 / 2 ** 20);
}
