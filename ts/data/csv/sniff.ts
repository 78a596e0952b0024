import { TensorkilnError } from '../../errors.js';
import { lastRecordEnd } from './blocks.js';
import {
  CR,
  guessDelimiter,
  hasDecimalComma,
  LF,
  signByte,
  splitRecord,
  checkDialect,
  type ByteDialect,
  type CsvOptions,
} from './dialect.js';
import { hasLeadingZero, isInexactInteger, parseNumber } from './numbers.js';
import { NUMERIC, parseBlock, TEXT } from './parse-block.js';

/** What the start of a file says about the rest. */
export interface Sniffed {
  readonly dialect: ByteDialect;
  /** Trimmed, distinct, never empty: a nameless column is called column_<place, from 1>. */
  readonly names: readonly string[];
  /** Bytes and line ends before the first row of data. */
  readonly headerBytes: number;
  readonly headerLines: number;
  /** NUMERIC or TEXT for each column, judged by the first rows. */
  readonly kinds: Uint8Array;
}

/** Bytes that are looked at. A header longer than this is taken for a file that is not a table. */
export const SAMPLE_BYTES = 1 << 20;

/** Bytes of rows that the guess of column kinds is made from: some thousand rows, in a few milliseconds. */
const ROW_SAMPLE_BYTES = 1 << 18;

/**
 * Finds out dialect, column names and kinds.
 *
 * @param start the first bytes of the text, at most SAMPLE_BYTES
 * @param whole whether these are all
 * @throws E_DATA when the file is empty, is not text, or has repeated names or a first line of numbers in place of names
 */
export function sniff(
  start: Uint8Array,
  file: { readonly path: string; readonly whole: boolean; readonly naValues: readonly string[] },
  options: CsvOptions,
): Sniffed {
  const { path, whole, naValues } = file;
  if (start.includes(0)) {
    throw new TensorkilnError(
      'E_DATA',
      `[csv] ${path}: the file holds zero bytes: expected text. If it is UTF-16 without a byte order mark, set data.csv.encoding to utf-16le or utf-16be.`,
    );
  }
  const quote = signByte('quote', options.quote, 0x22);
  const first = firstRecord(start, quote);
  if (first.start === start.length)
    throw new TensorkilnError('E_DATA', `[csv] ${path}: the file is empty: expected a header line with column names.`);
  if (first.openQuote || (first.end === start.length && !whole)) {
    throw new TensorkilnError(
      'E_DATA',
      `[csv] ${path}: no header line: expected column names in the first ${SAMPLE_BYTES} bytes, closed quotes.`,
    );
  }
  const record = decode(start.subarray(first.start, first.end), path);
  const delimiter = signByte('delimiter', options.delimiter, guessDelimiter(record, quote));
  const fields = splitRecord(record, delimiter, quote);
  const hasHeader = options.header ?? options.names === undefined;
  const names = columnNames(fields, { hasHeader, path, given: options.names });
  const headerBytes = hasHeader ? first.next : first.start;
  const headerLines = hasHeader ? first.lines : first.lines - 1;
  const sample = sampleCells(start.subarray(headerBytes), { whole, naValues, width: names.length, delimiter, quote });
  const decimal = signByte('decimal', options.decimal, delimiter !== 0x2c && hasDecimalComma(sample.flat()) ? 0x2c : 0x2e);
  const thousands = signByte('thousands', options.thousands, -1);
  const dialect = { delimiter, quote, decimal, thousands };
  checkDialect(dialect);
  return { dialect, names, headerBytes, headerLines, kinds: guessKinds(sample, dialect) };
}

interface FirstRecord {
  /** Blank lines before it are skipped. */
  readonly start: number;
  readonly end: number;
  /** Where the next record begins. */
  readonly next: number;
  readonly lines: number;
  readonly openQuote: boolean;
}

function firstRecord(bytes: Uint8Array, quote: number): FirstRecord {
  let start = 0;
  let lines = 0;
  const lineEnd = (at: number): number =>
    bytes[at] === CR && bytes[at + 1] === LF ? 2 : bytes[at] === CR || bytes[at] === LF ? 1 : 0;
  for (let length = lineEnd(start); length > 0; length = lineEnd(start)) {
    start += length;
    lines++;
  }
  let quoted = false;
  let end = start;
  for (; end < bytes.length; end++) {
    if (bytes[end] === quote) quoted = !quoted;
    const length = lineEnd(end);
    if (length === 0) continue;
    lines++;
    if (!quoted) break;
    end += length - 1;
  }
  return { start, end, next: end + lineEnd(end), lines, openQuote: quoted };
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TensorkilnError(
      'E_DATA',
      `[csv] ${path}: line 1 is not UTF-8 text. Set data.csv.encoding to the file's own, such as windows-1252.`,
      { cause },
    );
  }
}

function columnNames(
  fields: readonly string[],
  header: { readonly hasHeader: boolean; readonly path: string; readonly given: readonly string[] | undefined },
): readonly string[] {
  const { hasHeader, path, given } = header;
  if (given !== undefined && given.length !== fields.length) {
    throw new TensorkilnError(
      'E_DATA',
      `[csv] ${path}: wrong number of names: expected one for each of the ${fields.length} fields of line 1, got ${given.length}.`,
    );
  }
  if (given === undefined && hasHeader && fields.every((field) => field !== '' && Number.isFinite(Number(field)))) {
    throw new TensorkilnError(
      'E_DATA',
      `[csv] ${path}: line 1 holds only numbers: expected column names there. If the file has no header, set data.csv.header to false.`,
    );
  }
  const names = given ?? (hasHeader ? fields : fields.map(() => ''));
  const full = names.map((name, index) => (name.trim() === '' ? `column_${index + 1}` : name.trim()));
  const seen = new Map<string, number>();
  full.forEach((name, index) => {
    const earlier = seen.get(name);
    if (earlier !== undefined) {
      throw new TensorkilnError(
        'E_DATA',
        `[csv] ${path}: columns ${earlier + 1} and ${index + 1} have the same name "${name}". Rename one, or give names under data.csv.names.`,
      );
    }
    seen.set(name, index);
  });
  return full;
}

/** Distinct present cells of each column in the first rows. */
function sampleCells(
  bytes: Uint8Array,
  sample: Pick<ByteDialect, 'delimiter' | 'quote'> & {
    readonly whole: boolean;
    readonly naValues: readonly string[];
    readonly width: number;
  },
): readonly (readonly string[])[] {
  const { width, naValues, whole } = sample;
  const fits = bytes.length <= ROW_SAMPLE_BYTES && whole;
  const head = bytes.subarray(0, ROW_SAMPLE_BYTES);
  const { end } = lastRecordEnd(head, sample, fits);
  const dialect = { delimiter: sample.delimiter, quote: sample.quote, decimal: -1, thousands: -1 };
  const kinds = new Uint8Array(width).fill(TEXT);
  const { columns } = parseBlock({ bytes: head.subarray(0, end), dialect, kinds, naValues });
  return columns.map((column) => (column?.kind === 'text' ? column.entries : []));
}

function guessKinds(sample: readonly (readonly string[])[], { decimal, thousands }: ByteDialect): Uint8Array {
  const spelling = {
    decimal: String.fromCharCode(decimal),
    thousands: thousands < 0 ? '' : String.fromCharCode(thousands),
  };
  const isNumber = (cell: string): boolean => {
    const value = parseNumber(cell, spelling);
    return value !== undefined && !hasLeadingZero(cell) && !isInexactInteger(value);
  };
  return Uint8Array.from(sample, (cells) => (cells.every(isNumber) ? NUMERIC : TEXT));
}
