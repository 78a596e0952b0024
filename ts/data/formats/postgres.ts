import { TensorkilnError } from '../../errors.js';
import { importOptional } from '../../optional-package.js';
import { DEFAULT_NA_VALUES } from '../csv/read-csv.js';
import { RowCollector } from '../row-collector.js';
import type { Table } from '../table.js';
import type { ReadRowsOptions } from './json-lines.js';

/** PostgreSQL's type numbers for int8 and numeric, which pg hands out as text so that no digit is lost. */
const INT8 = 20;
const NUMERIC = 1700;
/** date, timestamp and timestamptz: kept as the server's text, since pg would read the first two in the local zone. */
const TIMES = [1082, 1114, 1184];

/**
 * Rows of a query, streamed through a cursor in a read-only transaction.
 *
 * @param url postgres://user:password@host:port/database, or env:NAME for one in an environment variable
 * @throws E_IO when the server cannot be reached; E_DATA for a wrong query and when the optional packages pg and pg-query-stream are not
 *         installed; E_USAGE when the environment variable is not set; E_ABORTED
 */
export async function readPostgres(url: string, query: string, options: ReadRowsOptions = {}): Promise<Table> {
  const place = url.startsWith('env:') ? url : withoutPassword(url);
  const connectionString = url.startsWith('env:') ? fromEnvironment(url.slice('env:'.length)) : url;
  const { pg, QueryStream } = await loadPg();
  const client = new pg.Client({ connectionString, types: { getTypeParser } });
  // A connection that breaks while idle is met by the next call; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    throw new TensorkilnError(
      'E_IO',
      `[postgres] cannot connect to ${place}: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  }
  const collector = new RowCollector(`postgres ${place}`, options.naValues ?? DEFAULT_NA_VALUES);
  try {
    await client.query('BEGIN READ ONLY');
    const stream = client.query(new QueryStream(query, [], { batchSize: 1000 }));
    for await (const row of stream) {
      if (options.signal?.aborted === true)
        throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: options.signal.reason });
      collector.add(row as Readonly<Record<string, unknown>>, `row ${collector.rows + 1}`);
    }
    return collector.finish();
  } catch (cause) {
    if (cause instanceof TensorkilnError) throw cause;
    throw new TensorkilnError(
      'E_DATA',
      `[postgres] ${place}: the query failed: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  } finally {
    await client.end();
  }

  function getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
    if (oid === INT8) return (text) => BigInt(text);
    if (oid === NUMERIC) return Number;
    // Dates come with a blank before the time: parseDate reads both that and the T of ISO.
    if (TIMES.includes(oid)) return (text) => text;
    return (pg.types.getTypeParser as (oid: number, format?: string) => (text: string) => unknown)(oid, format);
  }
}

/** Messages name the server, never its password. */
function withoutPassword(url: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/)[^@/]*@/, '$1');
}

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== '') return value;
  throw new TensorkilnError(
    'E_USAGE',
    `[postgres] the environment variable ${name} is not set: expected a connection URL in it.`,
  );
}

async function loadPg(): Promise<{
  readonly pg: typeof import('pg').default;
  readonly QueryStream: typeof import('pg-query-stream');
}> {
  const pg = await importOptional('pg', () => import('pg'));
  const stream = await importOptional('pg-query-stream', () => import('pg-query-stream'));
  if (pg === undefined || stream === undefined) {
    throw new TensorkilnError(
      'E_DATA',
      '[postgres] reading from PostgreSQL needs the optional packages pg and pg-query-stream, which are not installed. Install them: npm install pg pg-query-stream',
    );
  }
  return { pg: pg.default, QueryStream: stream.default };
}
