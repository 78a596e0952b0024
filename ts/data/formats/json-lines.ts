import { TensorkilnError } from '../../errors.js';
import { readBlocks } from '../csv/blocks.js';
import { openText } from '../csv/byte-source.js';
import { isInexactInteger } from '../csv/numbers.js';
import { DEFAULT_NA_VALUES } from '../csv/read-csv.js';
import { RowCollector } from '../row-collector.js';
import type { Table } from '../table.js';

export interface ReadRowsOptions {
  /** Spellings of a missing cell among texts; default DEFAULT_NA_VALUES. */
  readonly naValues?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Reads JSON Lines, plain or gzip: one object a line, its keys the columns; a key that a line lacks is a missing cell.
 *
 * @throws E_IO; E_DATA for a line that is no object of plain values, with its number; E_ABORTED
 */
export async function readJsonLines(path: string, options: ReadRowsOptions = {}): Promise<Table> {
  const collector = new RowCollector(`jsonl ${path}`, options.naValues ?? DEFAULT_NA_VALUES);
  for await (const { row, line } of objectsOf(path, options.signal)) collector.add(row, `line ${line}`);
  return collector.finish();
}

/** Rows of a part: some megabytes. */
const PART_ROWS = 16_384;

/**
 * Reads JSON Lines part by part. Columns that came up in an earlier part are there in later ones, with missing cells. A column that is
 * wanted and not in the first part, of 16,384 rows, is looked for in the whole file before that part is given: where any line has it, it
 * is there from the beginning. Of columns that are not wanted only the names are read, so they may hold anything.
 *
 * @throws as `readJsonLines`
 */
export async function* readJsonLinesParts(
  path: string,
  options: ReadRowsOptions & { readonly wanted?: readonly string[] } = {},
): AsyncGenerator<Table> {
  const start = (): RowCollector => new RowCollector(`jsonl ${path}`, options.naValues ?? DEFAULT_NA_VALUES);
  const known = new Set<string>();
  const wanted = options.wanted === undefined ? undefined : new Set(options.wanted);
  let collector = start();
  let isFirst = true;
  const finish = async (isLast: boolean): Promise<Table> => {
    const late = (options.wanted ?? []).filter((name) => !collector.has(name));
    if (isFirst && !isLast && late.length > 0) for (const name of await namesAmong(late, path, options.signal)) known.add(name);
    isFirst = false;
    collector.declare([...known]);
    const table = collector.finish();
    for (const { name } of table.columns) known.add(name);
    collector = start();
    return table;
  };
  for await (const { row, line } of objectsOf(path, options.signal)) {
    collector.add(wanted === undefined ? row : onlyCellsOf(wanted, row), `line ${line}`);
    if (collector.rows === PART_ROWS) yield await finish(false);
  }
  if (collector.rows > 0) yield await finish(true);
}

/** A row whose other cells are missing. */
function onlyCellsOf(wanted: ReadonlySet<string>, row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, wanted.has(name) ? cell : null]));
}

/** Those of some names that any line of the file has as a key. */
async function namesAmong(
  names: readonly string[],
  path: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for await (const { row } of objectsOf(path, signal)) {
    for (const name of names) if (Object.hasOwn(row, name)) found.add(name);
    if (found.size === names.length) break;
  }
  return found;
}

async function* objectsOf(
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly row: Readonly<Record<string, unknown>>; readonly line: number }> {
  const source = await openText(path);
  let line = 0;
  try {
    const blocks = readBlocks(source, path, {
      dialect: { delimiter: -1, quote: -1 },
      linesBefore: () => Promise.resolve(line),
    });
    for await (const block of blocks) {
      if (signal?.aborted === true)
        throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: signal.reason });
      const lines = Buffer.from(block.buffer, 0, block.length)
        .toString('utf8')
        .split(/\r\n|\n|\r/);
      lines.pop();
      for (const text of lines) {
        line++;
        if (text.trim() !== '') yield { row: parseLine(text, path, line), line };
      }
    }
    await source.checkUnchanged();
  } finally {
    await source.close();
  }
}

const MANY_DIGITS = /\d{16}/;

/**
 * Integers beyond 2^53 lose digits as numbers: their text is kept instead. Only newer Nodes hand a reviver the source text, so elsewhere such
 * a number becomes the text of its nearest float64, which still keeps it from passing for exact.
 */
function keepInexact(text: string): ((key: string, value: unknown, context?: { source?: string }) => unknown) | undefined {
  if (!MANY_DIGITS.test(text)) return undefined;
  return (_, value, context) =>
    typeof value === 'number' && isInexactInteger(value) ? (context?.source ?? BigInt(value).toString()) : value;
}

function parseLine(text: string, path: string, line: number): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text, keepInexact(text));
  } catch {
    // The parser's own message quotes the line.
    throw new TensorkilnError(
      'E_DATA',
      `[jsonl] ${path}, line ${line}: not JSON: expected one object a line, got ${text.length} characters that do not parse.`,
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new TensorkilnError(
    'E_DATA',
    `[jsonl] ${path}, line ${line}: expected an object such as {"column": 1}, got ${Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`}.`,
  );
}
