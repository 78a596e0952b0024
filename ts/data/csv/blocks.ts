import { TensorkilnError } from '../../errors.js';
import type { ByteSource } from './byte-source.js';
import { CR, LF, SPACE, TAB, type ByteDialect } from './dialect.js';

export interface BlockOptions {
  readonly dialect: Pick<ByteDialect, 'delimiter' | 'quote'>;
  /** Size of a block; default BLOCK_BYTES. A record longer than that gets a larger block of its own. */
  readonly blockBytes?: number;
  /** Where blocks come from; default new memory for each. */
  readonly buffers?: BlockBuffers;
  /** Line ends in all blocks yielded so far: whoever parses them has counted, so only an error asks. */
  readonly linesBefore: () => Promise<number>;
}

/** Memory of blocks, used again when it is given back: fresh pages cost about as much as to parse what is read into them. */
export class BlockBuffers {
  readonly #free: Uint8Array[] = [];

  /** Shared memory, so that it can lie with a worker meanwhile; what is in it is left from before. */
  take(bytes: number): Uint8Array {
    const index = this.#free.findIndex(({ length }) => length >= bytes);
    const [found] = index < 0 ? [] : this.#free.splice(index, 1);
    return (found ?? new Uint8Array(new SharedArrayBuffer(bytes))).subarray(0, bytes);
  }

  /** @param block a part of what `take` gave; nobody may read it any more */
  give(block: Uint8Array): void {
    this.#free.push(new Uint8Array(block.buffer));
  }
}

/** About 60,000 rows of a usual table: a task of some 50 ms, long beside its round trip to a worker. */
export const BLOCK_BYTES = 8 << 20;

/** A record longer than this is taken for a quote left open or a file that is no table, before it fills the memory. */
export const MAX_RECORD_BYTES = 16 << 20;

/**
 * Cuts a text into blocks of whole records, each ending with a line end; the last record is given one if it has none. A quoted cell may
 * hold line ends; a quote opens a cell only at its start.
 *
 * @yields blocks that the caller owns
 * @throws E_DATA for a quote that is never closed and for a record above MAX_RECORD_BYTES, with the line
 */
export async function* readBlocks(source: ByteSource, place: string, options: BlockOptions): AsyncGenerator<Uint8Array> {
  const { dialect, blockBytes = BLOCK_BYTES, buffers, linesBefore } = options;
  let carry: Uint8Array = new Uint8Array(0);
  for (let last = false; !last;) {
    const capacity = Math.max(blockBytes, 2 * carry.length);
    // One byte more for a line end that the last record may lack.
    const bytes = Math.min(capacity, MAX_RECORD_BYTES + blockBytes) + 1;
    const block = buffers?.take(bytes) ?? new Uint8Array(bytes);
    block.set(carry);
    const wanted = block.subarray(carry.length, block.length - 1);
    const read = await source.read(wanted);
    let used = carry.length + read;
    last = read < wanted.length;
    // Behind a CR too, which makes one line end of both: what is cut from the last LF on is not passed over.
    if (last && used > 0 && block[used - 1] !== LF) block[used++] = LF;
    const { end, openQuote } = lastRecordEnd(block.subarray(0, used), dialect, last);
    if (last && openQuote !== undefined) throw unclosedQuote(place, (await linesBefore()) + countLines(block, openQuote) + 1);
    if (end === 0 && !last) {
      if (used > MAX_RECORD_BYTES) throw longRecord(place, (await linesBefore()) + 1, openQuote);
      carry = block.subarray(0, used);
      continue;
    }
    carry = block.slice(end, used);
    if (end > 0) yield block.subarray(0, end);
  }
}

/** Where the last whole record ends, 0 when there is none, and where a quoted cell opens that does not close. */
export function lastRecordEnd(
  bytes: Uint8Array,
  { delimiter, quote }: Pick<ByteDialect, 'delimiter' | 'quote'>,
  isLast: boolean,
): { readonly end: number; readonly openQuote: number | undefined } {
  const used = bytes.length;
  // A Buffer's search is the C library's, many times as fast as that of a typed array.
  if (quote < 0 || !Buffer.from(bytes.buffer, bytes.byteOffset, used).includes(quote)) {
    const feed = bytes.lastIndexOf(LF) + 1;
    if (feed > 0) return { end: feed, openQuote: undefined };
    // A CR at the very end may be half of a CR LF.
    return { end: bytes.lastIndexOf(CR, isLast ? used : used - 2) + 1, openQuote: undefined };
  }
  let end = 0;
  let cellStart = true;
  for (let at = 0; at < used; at++) {
    const byte = bytes[at] as number;
    if (byte === quote && cellStart) {
      const open = at;
      for (at++; at < used; at++) {
        if (bytes[at] !== quote) continue;
        if (bytes[at + 1] !== quote) break;
        at++;
      }
      if (at >= used) return { end, openQuote: open };
      cellStart = false;
    } else if (byte === LF || byte === CR) {
      cellStart = true;
      if (byte === LF || (bytes[at + 1] !== LF && (isLast || at + 1 < used))) end = at + 1;
    } else if (byte === delimiter) {
      cellStart = true;
    } else if (byte !== SPACE && byte !== TAB) {
      cellStart = false;
    }
  }
  return { end, openQuote: undefined };
}

/** Line ends in the first `end` bytes. */
function countLines(bytes: Uint8Array, end: number): number {
  let count = 0;
  for (let at = 0; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === LF || (byte === CR && bytes[at + 1] !== LF)) count++;
  }
  return count;
}

function unclosedQuote(place: string, line: number): TensorkilnError {
  return new TensorkilnError(
    'E_DATA',
    `[csv] ${place}, line ${line}: a quoted cell opens there and never closes: expected closed quotes. Close it, or set data.csv.quote.`,
  );
}

function longRecord(place: string, line: number, openQuote: number | undefined): TensorkilnError {
  const cause = openQuote === undefined ? 'Is this a table with line ends?' : 'A quoted cell in it may lack its closing quote.';
  return new TensorkilnError(
    'E_DATA',
    `[csv] ${place}, line ${line}: the record is longer than ${MAX_RECORD_BYTES / 2 ** 20} MiB: expected a row of a table. ${cause}`,
  );
}
