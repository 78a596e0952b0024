import { TensorkilnError } from '../../errors.js';
import { CategoryMerger } from '../category-merger.js';
import { allocate, wholeOf } from '../shared-memory.js';
import { Table, type Column } from '../table.js';
import type { WorkerPool } from '../worker-pool.js';
import { BLOCK_BYTES, BlockBuffers, readBlocks } from './blocks.js';
import { openText, type ByteSource } from './byte-source.js';
import type { CsvOptions } from './dialect.js';
import { NUMERIC, parseBlock, SKIP, TEXT, type NumericPart, type ParsedBlock, type TextPart } from './parse-block.js';
import { countLines } from './parse-plain.js';
import { ReservedColumns, withPlaces } from './reserved-columns.js';
import { SAMPLE_BYTES, sniff, type Sniffed } from './sniff.js';

/** Spellings of a missing cell unless told otherwise; compared after trimming, with case. */
export const DEFAULT_NA_VALUES: readonly string[] = ['', 'NA', 'N/A', 'NaN', 'null', '?'];

export interface ReadCsvOptions extends CsvOptions {
  /** Default DEFAULT_NA_VALUES. */
  readonly naValues?: readonly string[];
  /** Columns whose kind is not to be found out: `numeric` makes a cell that is no number an error, `text` keeps the cells as they are. */
  readonly kinds?: Readonly<Record<string, 'numeric' | 'text'>>;
  readonly pool: WorkerPool;
  /** Size of a block and so of a task; default BLOCK_BYTES. */
  readonly blockBytes?: number;
  readonly signal?: AbortSignal;
}

/** Files below this are parsed on the spot: it takes less time than a pool takes to start. */
const POOL_FROM_BYTES = 4 << 20;

/**
 * Reads a CSV file (plain or gzip, any encoding, any dialect) into typed columns.
 *
 * A column is numeric when each present cell is a number that float64 can hold and none has a leading zero that would be lost; the first
 * rows give the guess, and a column that turns out otherwise later is read again as text. Cells are trimmed of blanks.
 *
 * Rows with too few or too many fields are an error that counts them and names their lines: no row is dropped or padded.
 *
 * @throws E_IO when the file cannot be read; E_DATA when it is no proper table, has no rows, or changed meanwhile; E_USAGE; E_ABORTED
 */
export async function readCsv(path: string, options: ReadCsvOptions): Promise<Table> {
  const naValues = (options.naValues ?? DEFAULT_NA_VALUES).map((value) => value.trim());
  const pass = { path, naValues, options };
  throwIfAborted(options.signal);
  const source = await openText(path, options.encoding);
  await source.close();
  const sniffed = await sniffFile(pass);
  const kinds = sniffed.names.map((name, index) => forcedKind(options.kinds?.[name]) ?? (sniffed.kinds[index] as number));
  const parts = await parseFile(pass, sniffed, Uint8Array.from(kinds));
  const wrong = turnedToText(pass, sniffed, parts);
  const texts = wrong.length === 0 ? [] : await parseFile(pass, sniffed, onlyText(sniffed.names.length, wrong));
  await source.checkUnchanged();
  const rowCount = parts.reduce((sum, part) => sum + part.rows, 0);
  if (rowCount === 0) throw new TensorkilnError('E_DATA', `[csv] ${path}: the file has a header line but no rows.`);
  const columns = sniffed.names.map((name, index) => {
    const from = wrong.includes(index) ? texts : parts;
    return joinParts(
      name,
      from.map((part) => part.columns[index]),
      rowCount,
    );
  });
  return new Table(columns, rowCount);
}

/** Some rows of a table that is read piece by piece. */
export interface TablePart {
  readonly table: Table;
  /** All columns of the source, also those that were not asked for. */
  readonly names: readonly string[];
}

export interface CsvPartsOptions extends ReadCsvOptions {
  /** The columns wanted and how their cells are read; others are skipped. */
  readonly kinds: Readonly<Record<string, 'numeric' | 'text'>>;
}

/**
 * Reads a CSV file block by block, so that a file of any size takes little memory. Blocks are parsed by the pool, a few of them ahead.
 *
 * @yields the rows in their order; one part without rows when there are none
 * @throws as `readCsv`, besides that a file without rows is none of its errors
 */
export async function* readCsvParts(path: string, options: CsvPartsOptions): AsyncGenerator<TablePart> {
  const naValues = (options.naValues ?? DEFAULT_NA_VALUES).map((value) => value.trim());
  const pass = { path, naValues, options };
  throwIfAborted(options.signal);
  const sniffed = await sniffFile(pass);
  const { names } = sniffed;
  const kinds = Uint8Array.from(names, (name) => forcedKind(options.kinds[name]) ?? SKIP);
  const source = await openText(path, options.encoding);
  let before = { lines: sniffed.headerLines, rows: 0 };
  const pending: Promise<ParsedBlock>[] = [];
  const finish = async (): Promise<TablePart> => {
    const block = await (pending.shift() as Promise<ParsedBlock>);
    const here = { ...sniffed, headerLines: before.lines };
    checkFaults(pass, here, [block]);
    turnedToText(pass, here, [block]);
    before = { lines: before.lines + block.lines, rows: before.rows + block.rows };
    const wanted = names.flatMap((name, index) =>
      kinds[index] === SKIP ? [] : [joinParts(name, [block.columns[index]], block.rows)],
    );
    return { table: new Table(wanted, block.rows), names };
  };
  try {
    await source.read(new Uint8Array(sniffed.headerBytes));
    const inline = source.sizeBytes < POOL_FROM_BYTES;
    const linesBefore = async (): Promise<number> =>
      (await Promise.all(pending)).reduce((sum, block) => sum + block.lines, before.lines);
    const size = options.blockBytes === undefined ? {} : { blockBytes: options.blockBytes };
    const buffers = new BlockBuffers();
    for await (const bytes of readBlocks(source, path, { dialect: sniffed.dialect, linesBefore, buffers, ...size })) {
      throwIfAborted(options.signal);
      const task = { bytes, dialect: sniffed.dialect, kinds, naValues };
      const part = inline ? Promise.resolve(parseBlock(task)) : options.pool.run('parse', task);
      part.then(
        () => buffers.give(bytes),
        () => undefined,
      );
      pending.push(part);
      if (pending.length > options.pool.threads) yield await finish();
    }
    while (pending.length > 0) yield await finish();
    await source.checkUnchanged();
    if (before.rows === 0) {
      const empty = names.filter((_, index) => kinds[index] !== SKIP);
      yield {
        table: new Table(
          empty.map((name) => ({ kind: 'numeric', name, values: new Float64Array(0) })),
          0,
        ),
        names,
      };
    }
  } finally {
    await source.close();
  }
}

interface Pass {
  readonly path: string;
  readonly naValues: readonly string[];
  readonly options: ReadCsvOptions;
}

function forcedKind(kind: 'numeric' | 'text' | undefined): number | undefined {
  return kind === undefined ? undefined : kind === 'numeric' ? NUMERIC : TEXT;
}

function onlyText(width: number, columns: readonly number[]): Uint8Array {
  const kinds = new Uint8Array(width).fill(SKIP);
  for (const column of columns) kinds[column] = TEXT;
  return kinds;
}

async function sniffFile({ path, options, naValues }: Pass): Promise<Sniffed> {
  const source = await openText(path, options.encoding);
  try {
    const start = new Uint8Array(SAMPLE_BYTES);
    const read = await source.read(start);
    // One byte of room for the line end that a short file may lack.
    return sniff(withLineEnd(start.subarray(0, read)), { path, whole: read < SAMPLE_BYTES, naValues }, options);
  } finally {
    await source.close();
  }
}

function withLineEnd(bytes: Uint8Array): Uint8Array {
  const last = bytes[bytes.length - 1];
  if (bytes.length === 0 || bytes.length === SAMPLE_BYTES || last === 0x0a || last === 0x0d) return bytes;
  const ended = new Uint8Array(bytes.length + 1);
  ended.set(bytes);
  ended[bytes.length] = 0x0a;
  return ended;
}

/** One pass over the file. */
async function parseFile(pass: Pass, sniffed: Sniffed, kinds: Uint8Array): Promise<readonly ParsedBlock[]> {
  const source = await openText(pass.path, pass.options.encoding);
  try {
    const parts = await parseBlocks(pass, { source, sniffed, kinds });
    checkFaults(pass, sniffed, parts);
    return parts;
  } finally {
    await source.close();
  }
}

async function parseBlocks(
  { path, options, naValues }: Pass,
  { source, sniffed, kinds }: { readonly source: ByteSource; readonly sniffed: Sniffed; readonly kinds: Uint8Array },
): Promise<readonly ParsedBlock[]> {
  const { pool, signal, blockBytes = BLOCK_BYTES } = options;
  const pending: Promise<ParsedBlock>[] = [];
  const linesBefore = async (): Promise<number> =>
    (await Promise.all(pending)).reduce((sum, part) => sum + part.lines, sniffed.headerLines);
  await source.read(new Uint8Array(sniffed.headerBytes));
  const { dialect } = sniffed;
  const inline = source.sizeBytes < POOL_FROM_BYTES;
  const buffers = new BlockBuffers();
  let reserved: ReservedColumns | undefined;
  for await (const bytes of readBlocks(source, path, { dialect, linesBefore, buffers, blockBytes })) {
    throwIfAborted(signal);
    const lines = inline ? undefined : countLines(bytes);
    // A first block that is short, since a record behind it is long, tells nothing of the others.
    if (lines !== undefined && pending.length === 0 && bytes.length > blockBytes / 2)
      reserved = new ReservedColumns(kinds, guessRows(lines, source.sizeBytes / bytes.length));
    const into = lines === undefined ? undefined : reserved?.take(lines);
    const task = { bytes, dialect, kinds, naValues, ...(into === undefined ? {} : { into }) };
    const parsed = inline ? Promise.resolve(parseBlock(task)) : pool.run('parse', task, signal === undefined ? {} : { signal });
    const part = into === undefined ? parsed : parsed.then((block) => withPlaces(block, into));
    // A worker that fails is met when the promise is awaited below; until then it must not count as unhandled.
    part.then(
      () => buffers.give(bytes),
      () => undefined,
    );
    pending.push(part);
    // As many blocks on the way as threads, and two waiting: what is in memory stays bounded.
    await pending[pending.length - pool.threads - 3];
  }
  return Promise.all(pending);
}

/** Rows of a file that is so many times as long as its first block, with some to spare. */
function guessRows(lines: number, blocks: number): number {
  return Math.ceil(lines * Math.max(1, blocks) * 1.05);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new TensorkilnError('E_ABORTED', '[read] reading the table was cancelled.', { cause: signal.reason });
}

/** Turns malformed rows into one error: how many, why the first, and on which lines. */
function checkFaults({ path }: Pass, sniffed: Sniffed, parts: readonly ParsedBlock[]): void {
  const count = parts.reduce((sum, part) => sum + part.faults.count, 0);
  if (count === 0) return;
  const lines: number[] = [];
  let before = sniffed.headerLines;
  for (const part of parts) {
    for (const line of part.faults.lines) lines.push(before + line + 1);
    before += part.lines;
  }
  const first = parts.find((part) => part.faults.count > 0)?.faults;
  const shown = lines.slice(0, 5).join(', ') + (count > 5 ? ', ...' : '');
  const width = sniffed.names.length;
  const reasons = {
    fields: `expected ${width} fields as in line 1, got ${first?.found ?? 0} on line ${lines[0] ?? 1}`,
    quotes: 'expected a delimiter or line end after a closing quote. Double a quote that belongs to the text',
    encoding: "expected UTF-8 text. Set data.csv.encoding to the file's own, such as windows-1252",
  };
  throw new TensorkilnError(
    'E_DATA',
    `[csv] ${path}: ${count === 1 ? '1 row is' : `${count} rows are`} malformed (line ${shown}): ${reasons[first?.first ?? 'fields']}.`,
  );
}

/** Columns taken for numbers that hold something else. @throws E_DATA when such a column was to be numeric */
function turnedToText({ path, options }: Pass, sniffed: Sniffed, parts: readonly ParsedBlock[]): readonly number[] {
  return sniffed.names.flatMap((name, index) => {
    const numeric = parts.map((part) => part.columns[index]).filter((part) => part?.kind === 'numeric');
    const total = (count: (part: NumericPart) => number): number => numeric.reduce((sum, part) => sum + count(part), 0);
    if (total((part) => part.overflows) > 0) {
      throw new TensorkilnError(
        'E_DATA',
        `[csv] ${path}: column "${name}" holds a number beyond the range of 64-bit floats. Set features.${name} to ignore or categorical.`,
      );
    }
    const rejected = total((part) => part.rejected);
    if (options.kinds?.[name] !== 'numeric') {
      const lost = rejected + total((part) => part.leadingZeros) + total((part) => part.inexact);
      return lost > 0 ? [index] : [];
    }
    if (rejected > 0) throw notNumeric({ path, name, rejected, parts, index, headerLines: sniffed.headerLines });
    return [];
  });
}

function notNumeric(found: {
  readonly path: string;
  readonly name: string;
  readonly rejected: number;
  readonly parts: readonly ParsedBlock[];
  readonly index: number;
  readonly headerLines: number;
}): TensorkilnError {
  let before = found.headerLines;
  let place = '';
  for (const part of found.parts) {
    const column = part.columns[found.index];
    if (column?.kind === 'numeric' && column.firstRejected !== undefined) {
      place = `the first ${column.firstRejected.masked} on line ${before + column.firstRejected.line + 1}`;
      break;
    }
    before += part.lines;
  }
  return new TensorkilnError(
    'E_DATA',
    `[csv] ${found.path}: column "${found.name}" is not numeric: expected numbers, got ${found.rejected} other cells, ${place}. ` +
      `Make it categorical, or add the spelling to data.na_values.`,
  );
}

function joinParts(name: string, parts: readonly (NumericPart | TextPart | undefined)[], rowCount: number): Column {
  if (parts[0]?.kind === 'numeric') {
    const arrays = parts.flatMap((part) => (part?.kind === 'numeric' ? [part.values] : []));
    return { kind: 'numeric', name, values: wholeOf(arrays, rowCount) ?? copyOf(arrays, rowCount) };
  }
  const merger = new CategoryMerger(rowCount);
  for (const part of parts) if (part?.kind === 'text') merger.add(part.codes, part.entries);
  return merger.finish(name);
}

function copyOf(parts: readonly Float64Array[], rowCount: number): Float64Array {
  const values = allocate(Float64Array, rowCount);
  let start = 0;
  for (const part of parts) {
    values.set(part, start);
    start += part.length;
  }
  return values;
}
