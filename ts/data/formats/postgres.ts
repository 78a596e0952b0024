import { TensorkilnError } from '../../errors.js';
import { importOptional } from '../../optional-package.js';
import { maskCell } from '../csv/numeric-cells.js';
import { DEFAULT_NA_VALUES } from '../csv/read-csv.js';
import { RowCollector } from '../row-collector.js';
import type { Table } from '../table.js';
import { isConnection, shownPath } from './connection-url.js';
import type { ReadRowsOptions } from './json-lines.js';

/** PostgreSQL's type numbers for int8 and numeric, which pg hands out as text so that no digit is lost. */
const INT8 = 20;
const NUMERIC = 1700;
/** date, timestamp and timestamptz: kept as the server's text, since pg would read the first two in the local zone. */
const TIMES = [1082, 1114, 1184];

/** The class of errors about a value, such as text that is cast to a number; their message quotes the cell. */
const DATA_EXCEPTION = '22';

/** What an error of the server or of the socket says of the connection itself: class 08, an administrator's stop, and errors without a code. */
const CONNECTION_LOST = /^(08...|57P0[1-3]|ECONNRESET|EPIPE|ETIMEDOUT|)$/;

/**
 * Rows of a query, streamed through a cursor in a read-only transaction.
 *
 * @param url postgres://user:password@host:port/database, or env:NAME for one in an environment variable. A password that the URL lacks
 *            comes from PGPASSWORD or ~/.pgpass
 * @throws E_IO when the server cannot be reached or is gone before the last row; E_DATA for a wrong query and when the optional packages
 *         pg and pg-query-stream are not installed; E_USAGE for a wrong URL and when the environment variable is not set; E_ABORTED
 */
export async function readPostgres(url: string, query: string, options: ReadRowsOptions = {}): Promise<Table> {
  const { signal } = options;
  const place = shownPath(url);
  const connectionString = url.startsWith('env:') ? fromEnvironment(url.slice('env:'.length)) : url;
  if (connectionString.startsWith('env:') || !isConnection(connectionString)) throw noUrl(place);
  const { client, Rows } = await connect(connectionString, place);
  const collector = new RowCollector(`postgres ${place}`, options.naValues ?? DEFAULT_NA_VALUES);
  // Ends a query that has not answered yet as well.
  const stop = (): void => void client.end();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    throwIfAborted(signal);
    await client.query('BEGIN READ ONLY');
    const stream = client.query(new Rows(query, [], { batchSize: 1000 }));
    for await (const row of stream) {
      throwIfAborted(signal);
      if (collector.rows === 0) refuseDuplicates(stream, place);
      collector.add(row as Readonly<Record<string, unknown>>, `row ${collector.rows + 1}`);
    }
    return collector.finish();
  } catch (cause) {
    if (cause instanceof TensorkilnError) throw cause;
    throwIfAborted(signal);
    if (CONNECTION_LOST.test(codeOf(cause))) {
      throw new TensorkilnError(
        'E_IO',
        `[postgres] ${place}: the connection was lost after ${collector.rows} rows: expected all rows of the query. ${messageOf(cause)}. Run again when the server is back.`,
        { cause },
      );
    }
    if (codeOf(cause).startsWith(DATA_EXCEPTION))
      throw new TensorkilnError('E_DATA', `[postgres] ${place}: the query failed: ${withoutCell(messageOf(cause))}.`);
    throw new TensorkilnError('E_DATA', `[postgres] ${place}: the query failed: ${messageOf(cause)}.`, { cause });
  } finally {
    signal?.removeEventListener('abort', stop);
    await client.end();
  }
}

/** Rows come as objects, in which the second of two columns of one name replaces the first. */
function refuseDuplicates(stream: InstanceType<Connection['Rows']>, place: string): void {
  // pg sets this on the query it runs; its types leave it open.
  const { fields } = stream._result as { readonly fields: readonly { readonly name: string }[] };
  const names = fields.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new TensorkilnError(
    'E_DATA',
    `[postgres] ${place}: the query has two columns "${twice}": expected different names. Name one with AS in data.query.`,
  );
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true)
    throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: signal.reason });
}

/** A message whose quoted part, in the quotes of any language, is masked. */
function withoutCell(message: string): string {
  return message.replace(/["'„“”«»‘’「](.*)["'“”«»‘’」]/su, (_, cell: string) => maskCell(cell));
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== '') return value;
  throw new TensorkilnError(
    'E_USAGE',
    `[postgres] the environment variable ${name} is not set: expected a connection URL in it.`,
  );
}

interface Connection {
  readonly client: import('pg').Client;
  /** A stream of rows that ends at once where it fails. */
  readonly Rows: typeof import('pg-query-stream');
}

async function connect(connectionString: string, place: string): Promise<Connection> {
  const { pg, QueryStream } = await loadPg();
  const getTypeParser = (oid: number, format?: 'text' | 'binary'): ((text: string) => unknown) => {
    if (oid === INT8) return (text) => BigInt(text);
    if (oid === NUMERIC) return Number;
    // Dates come with a blank before the time: parseDate reads both that and the T of ISO.
    if (TIMES.includes(oid)) return (text) => text;
    return (pg.types.getTypeParser as (oid: number, format?: string) => (text: string) => unknown)(oid, format);
  };
  let client: import('pg').Client;
  try {
    client = new pg.Client({ connectionString, types: { getTypeParser } });
  } catch {
    // Without its cause, which would show the URL.
    throw noUrl(place);
  }
  // A connection that breaks while idle is met by the next call; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    throw new TensorkilnError('E_IO', `[postgres] cannot connect to ${place}: ${messageOf(cause)}.`, { cause });
  }
  // The stream itself would first close its cursor and wait for the server to say so, forever where there is no server any more. The
  // end of the connection, which has no second query, closes the cursor as well.
  class Rows extends QueryStream {
    override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
      done(error);
    }
  }
  return { client, Rows };
}

function noUrl(place: string): TensorkilnError {
  return new TensorkilnError(
    'E_USAGE',
    `[postgres] no URL of a server in ${place}: expected postgres://user:password@host:port/database. ` +
      'Write "@", "/", "#" and "%" in a password as %40, %2F, %23 and %25.',
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
