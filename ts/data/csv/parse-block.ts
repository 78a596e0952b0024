import { CR, LF, SPACE, TAB, type ByteDialect } from './dialect.js';
import { NumericCells, spellingOf, type CellSpelling } from './numeric-cells.js';
import { parsePlain } from './parse-plain.js';
import { HASH_START, hashByte, TextCells } from './text-cells.js';

export const SKIP = 0;
export const NUMERIC = 1;
export const TEXT = 2;

/** What a worker needs to parse one block: plain data. */
export interface ParseTask {
  /** Whole records of UTF-8 text; the last byte is a line end. */
  readonly bytes: Uint8Array;
  readonly dialect: ByteDialect;
  /** SKIP, NUMERIC or TEXT for each column. */
  readonly kinds: Uint8Array;
  /** Spellings of a missing cell. */
  readonly naValues: readonly string[];
  /** Where the columns may go instead of into memory of their own: a place for each record, in shared memory. */
  readonly into?: ColumnPlaces;
}

/** For each column of numbers or texts its cells or codes; undefined for a skipped one. */
export type ColumnPlaces = readonly (Float64Array | Int32Array | undefined)[];

export interface NumericPart {
  readonly kind: 'numeric';
  /** [rows], NaN where missing or no number */
  readonly values: Float64Array;
  /** Cells that are neither missing nor numbers. */
  readonly rejected: number;
  /** The first of them: its line in the block, from 0, and its masked text. */
  readonly firstRejected: { readonly line: number; readonly masked: string } | undefined;
  /** Integers written with a leading zero. */
  readonly leadingZeros: number;
  /** Integers beyond 2^53, which float64 cannot tell from their neighbours. */
  readonly inexact: number;
  /** Numbers beyond the range of float64. */
  readonly overflows: number;
}

export interface TextPart {
  readonly kind: 'text';
  /** [rows], index into `entries`; -1 where missing */
  readonly codes: Int32Array;
  /** Distinct cells. */
  readonly entries: readonly string[];
}

/** What keeps a block from being a table. */
export interface BlockFaults {
  /** Malformed records. */
  readonly count: number;
  /** Their lines in the block, from 0, at most 6. */
  readonly lines: readonly number[];
  readonly first: 'fields' | 'quotes' | 'encoding' | undefined;
  /** Fields found in the first record of a wrong width. */
  readonly found: number;
}

export interface ParsedBlock {
  readonly rows: number;
  /** Line ends in the block. */
  readonly lines: number;
  readonly columns: readonly (NumericPart | TextPart | undefined)[];
  /** Whether the columns are where `into` said. */
  readonly isPlaced: boolean;
  readonly faults: BlockFaults;
}

/** Up to this many digits a decimal is an exact integer divided by an exact power of ten: one rounding, so the nearest float64 (Clinger 1990). */
const EXACT_DIGITS = 15;
/** Up to this many digits fit a 32-bit integer. */
const INTEGER_DIGITS = 9;
const POWERS = Float64Array.from({ length: EXACT_DIGITS + 1 }, (_, exponent) => 10 ** exponent);
const MAX_FAULT_LINES = 6;

/** Four characters "0": a word of digits without them holds the digits' values, the first in the lowest byte. */
const ZEROS = 0x30303030;
const POWERS_32 = Int32Array.of(1, 10, 100, 1000);

/** The highest bit of each byte of a word less ZEROS that is above 9; bytes after the first such may also have theirs by a carry. */
function otherBytes(word: number): number {
  return ((word + 0x76767676) | word) & 0x80808080;
}

/** How many bytes come before the first that `otherBytes` found. */
function bytesBefore(others: number): number {
  return (31 - Math.clz32(others & -others)) >> 3;
}

/** The number that the first `count` bytes of a word less ZEROS spell. */
function digitsIn(word: number, count: number): number {
  // Zeros come in from below, in front of the digits. By halves, since a shift by 32 would be one by 0.
  const half = 16 - 4 * count;
  const digits = (word << half) << half;
  // In the lowest byte of each half the number of its two digits.
  const pairs = Math.imul(digits, 10) + (digits >>> 8);
  return Math.imul(pairs & 0xff, 100) + ((pairs >>> 16) & 0xff);
}

/** 1 for "-", else 0. */
function isMinus(byte: number): number {
  return ((byte ^ 0x2d) - 1) >>> 31;
}

/**
 * Parses whole records into columns. Cells are trimmed of blanks; an empty line is no record, unless the table has one column, where it
 * is a missing cell only if quoted. A line ends with LF, CR LF or CR.
 *
 * Records of a wrong width or with text after a closing quote are counted in `faults` and left out.
 *
 * Where the addon is here it takes the blocks that hold nothing unusual, with the same result.
 */
export function parseBlock(task: ParseTask): ParsedBlock {
  return parsePlain(task) ?? parseAny(task);
}

/** As `parseBlock`, without the addon. */
export function parseAny(task: ParseTask): ParsedBlock {
  return new BlockParser(task).parse();
}

class BlockParser {
  readonly #bytes: Buffer;
  readonly #task: ParseTask;
  readonly #spelling: CellSpelling;
  readonly #cells: (NumericCells | TextCells | undefined)[];
  #capacity: number;
  #faultCount = 0;
  readonly #faultLines: number[] = [];
  #firstFault: BlockFaults['first'];
  #found = 0;

  constructor(task: ParseTask) {
    const { bytes } = task;
    this.#task = task;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#spelling = spellingOf(task);
    const capacity = guessRows(bytes);
    this.#capacity = capacity;
    this.#cells = Array.from(task.kinds, (kind) =>
      kind === NUMERIC
        ? new NumericCells(new Float64Array(capacity))
        : kind === TEXT
          ? new TextCells(this.#bytes, capacity)
          : undefined,
    );
  }

  parse(): ParsedBlock {
    const bytes = this.#bytes;
    const { kinds, dialect } = this.#task;
    const { delimiter, quote } = dialect;
    // Only quotes make a delimiter a decimal sign, and quoted cells go the slow way.
    const decimal = dialect.decimal === delimiter ? -1 : dialect.decimal;
    const cells = this.#cells;
    const { naNumbers, naValues } = this.#spelling;
    const emptyIsNa = naValues.has('');
    let values = cells.map((cell) => (cell instanceof NumericCells ? cell.values : undefined));
    const numericNa = naNumbers.size > 0;
    const width = kinds.length;
    const end = bytes.length;
    const view = new DataView(bytes.buffer, bytes.byteOffset, end);
    const lastWord = end - 4;
    const blankTab = delimiter === TAB ? SPACE : TAB;
    let at = 0;
    let row = 0;
    let line = 0;
    while (at < end) {
      let byte = bytes[at] as number;
      if (byte === LF || byte === CR) {
        at += byte === CR && bytes[at + 1] === LF ? 2 : 1;
        line++;
        continue;
      }
      if (row === this.#capacity) {
        this.#grow();
        values = cells.map((cell) => (cell instanceof NumericCells ? cell.values : undefined));
      }
      const recordLine = line;
      let column = 0;
      let badQuotes = false;
      for (;;) {
        byte = bytes[at] as number;
        while (byte === SPACE || byte === blankTab) byte = bytes[++at] as number;
        const kind = column < width ? (kinds[column] as number) : SKIP;
        if (byte === quote) {
          const start = ++at;
          let escapes = 0;
          for (; at < end; at++) {
            byte = bytes[at] as number;
            if (byte === quote) {
              if (bytes[at + 1] !== quote) break;
              escapes++;
              at++;
            } else if (byte === LF || (byte === CR && bytes[at + 1] !== LF)) {
              line++;
            }
          }
          this.#store(column, row, recordLine, { start, stop: at, escapes });
          byte = bytes[++at] as number;
          while (byte === SPACE || byte === blankTab) byte = bytes[++at] as number;
          if (byte !== delimiter && byte !== LF && byte !== CR) {
            badQuotes = true;
            while (byte !== delimiter && byte !== LF && byte !== CR) byte = bytes[++at] as number;
          }
        } else if (kind === NUMERIC) {
          const start = at;
          // Signs come and go from cell to cell, so that a branch on them would be foreseen half the time.
          const minus = isMinus(byte);
          at += minus + (byte === 0x2b ? 1 : 0);
          const whole = at;
          // Integer arithmetic: a float64 product and sum for each digit would wait for each other. It wraps beyond 9 digits, where
          // the digits are read again.
          let integer = 0;
          for (; at <= lastWord; at += 4) {
            const word = view.getInt32(at, true) ^ ZEROS;
            const others = otherBytes(word);
            if (others !== 0) {
              const count = bytesBefore(others);
              integer = (Math.imul(integer, POWERS_32[count] as number) + digitsIn(word, count)) | 0;
              at += count;
              break;
            }
            integer = (Math.imul(integer, 10_000) + digitsIn(word, 4)) | 0;
          }
          byte = bytes[at] as number;
          let digit = byte - 0x30;
          // For the last bytes of a block alone.
          while (digit >= 0 && digit <= 9) {
            integer = (Math.imul(integer, 10) + digit) | 0;
            byte = bytes[++at] as number;
            digit = byte - 0x30;
          }
          let digits = at - whole;
          let scale = 0;
          if (byte === decimal) {
            const fraction = ++at;
            for (; at <= lastWord; at += 4) {
              const word = view.getInt32(at, true) ^ ZEROS;
              const others = otherBytes(word);
              if (others !== 0) {
                const count = bytesBefore(others);
                integer = (Math.imul(integer, POWERS_32[count] as number) + digitsIn(word, count)) | 0;
                at += count;
                break;
              }
              integer = (Math.imul(integer, 10_000) + digitsIn(word, 4)) | 0;
            }
            byte = bytes[at] as number;
            digit = byte - 0x30;
            while (digit >= 0 && digit <= 9) {
              integer = (Math.imul(integer, 10) + digit) | 0;
              byte = bytes[++at] as number;
              digit = byte - 0x30;
            }
            scale = at - fraction;
            digits += scale;
          }
          const stop = at;
          while (byte === SPACE || byte === blankTab) byte = bytes[++at] as number;
          if (digits > 0 && digits <= EXACT_DIGITS && (byte === delimiter || byte === LF || byte === CR)) {
            let value = digits <= INTEGER_DIGITS ? integer : digitsOf(bytes, whole, stop);
            if (scale > 0) value /= POWERS[scale] as number;
            value *= 1 - 2 * minus;
            if (scale === 0 && digits > 1 && bytes[whole] === 0x30 && bytes[stop - 1] !== decimal)
              (cells[column] as NumericCells).leadingZeros++;
            (values[column] as Float64Array)[row] = numericNa && naNumbers.has(value) ? NaN : value;
          } else if (digits === 0 && at === start && emptyIsNa && (byte === delimiter || byte === LF || byte === CR)) {
            (values[column] as Float64Array)[row] = NaN;
          } else {
            while (byte !== delimiter && byte !== LF && byte !== CR) byte = bytes[++at] as number;
            this.#store(column, row, recordLine, { start, stop: trimEnd(bytes, start, at), escapes: 0 });
          }
        } else {
          const start = at;
          let hash = HASH_START;
          while (byte > CR ? byte !== delimiter : byte !== LF && byte !== CR && byte !== delimiter) {
            hash = hashByte(hash, byte);
            byte = bytes[++at] as number;
          }
          if (kind === TEXT) {
            const before = at > start ? bytes[at - 1] : 0;
            // The hash is of all bytes up to here, so of the cell only where no blank follows it.
            if (before === SPACE || before === TAB) (cells[column] as TextCells).set(row, start, trimEnd(bytes, start, at));
            else (cells[column] as TextCells).setHashed(row, start, at, hash);
          }
        }
        column++;
        if (byte !== delimiter) break;
        at++;
      }
      at += byte === CR && bytes[at + 1] === LF ? 2 : 1;
      line++;
      if (badQuotes) this.#fault('quotes', recordLine, 0);
      else if (column !== width) this.#fault('fields', recordLine, column);
      else row++;
    }
    return this.#finish(row, line);
  }

  #grow(): void {
    this.#capacity *= 2;
    for (const cells of this.#cells) cells?.grow(this.#capacity);
  }

  /** The slow way, for quoted cells and for what is no plain short decimal. */
  #store(
    column: number,
    row: number,
    line: number,
    range: { readonly start: number; readonly stop: number; readonly escapes: number },
  ): void {
    const target = this.#cells[column];
    if (target === undefined) return;
    if (target instanceof TextCells && range.escapes === 0) {
      const start = trimStart(this.#bytes, range.start, range.stop);
      target.set(row, start, trimEnd(this.#bytes, start, range.stop));
      return;
    }
    const quote = String.fromCharCode(this.#task.dialect.quote);
    const raw = this.#bytes.toString('utf8', range.start, range.stop).trim();
    const text = range.escapes === 0 ? raw : raw.replaceAll(quote + quote, quote);
    if (target instanceof TextCells) {
      target.setText(row, text);
      return;
    }
    target.setText(row, line, text, this.#spelling);
  }

  #fault(kind: NonNullable<BlockFaults['first']>, line: number, found: number): void {
    this.#faultCount++;
    if (this.#faultLines.length < MAX_FAULT_LINES) this.#faultLines.push(line);
    if (this.#firstFault === undefined) {
      this.#firstFault = kind;
      this.#found = found;
    }
  }

  #finish(rows: number, lines: number): ParsedBlock {
    const columns = this.#cells.map((cells) => {
      if (cells instanceof TextCells) {
        const part = cells.finish(rows, this.#spelling.naValues);
        if (part.invalidRow !== undefined) this.#fault('encoding', part.invalidRow, 0);
        return { kind: 'text', codes: part.codes, entries: part.entries } as const;
      }
      return cells?.finish(rows);
    });
    const faults = { count: this.#faultCount, lines: this.#faultLines, first: this.#firstFault, found: this.#found };
    return { rows, lines, columns, isPlaced: false, faults };
  }
}

/** The digits of a range as one integer, a decimal sign among them passed over; exact up to EXACT_DIGITS. */
function digitsOf(bytes: Uint8Array, start: number, stop: number): number {
  let value = 0;
  for (let at = start; at < stop; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit >= 0 && digit <= 9) value = value * 10 + digit;
  }
  return value;
}

function trimStart(bytes: Uint8Array, start: number, stop: number): number {
  let at = start;
  while (at < stop && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at;
}

function trimEnd(bytes: Uint8Array, start: number, stop: number): number {
  let at = stop;
  while (at > start && (bytes[at - 1] === SPACE || bytes[at - 1] === TAB)) at--;
  return at;
}

/** Rows of a block, judged by its first 64 KiB; the arrays grow where there are more. */
function guessRows(bytes: Uint8Array): number {
  const looked = Math.min(bytes.length, 1 << 16);
  let count = 1;
  for (let at = 0; at < looked; at++) if (bytes[at] === LF || bytes[at] === CR) count++;
  return Math.ceil((count * bytes.length * 1.1) / Math.max(1, looked)) + 1;
}
