import { isUtf8 } from 'node:buffer';

/** FNV-1a, 32 bits (Fowler, Noll, Vo). */
export const HASH_START = 0x811c9dc5 | 0;
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** Distinct texts of one column in one block, found by the bytes themselves: a string is made once per distinct cell. */
export class TextCells {
  readonly #bytes: Buffer;
  #codes: Int32Array<ArrayBuffer>;
  /** Open addressing, linear probing; entry + 1, 0 = free. */
  #slots = new Int32Array(256);
  #starts = new Int32Array(128);
  #stops = new Int32Array(128);
  #hashes = new Int32Array(128);
  #firstRows = new Int32Array(128);
  #count = 0;
  /** Cells that are not a plain range of the block, such as those with doubled quotes. */
  readonly #texts = new Map<string, number>();

  /** @param capacity rows there is room for until `grow` */
  constructor(bytes: Buffer, capacity: number) {
    this.#bytes = bytes;
    this.#codes = new Int32Array(capacity);
  }

  grow(capacity: number): void {
    this.#codes = widen(this.#codes, capacity);
  }

  /** Sets the cell to the text of bytes [start, stop). */
  set(row: number, start: number, stop: number): void {
    let hash = HASH_START;
    for (let at = start; at < stop; at++) hash = hashByte(hash, this.#bytes[at] as number);
    this.setHashed(row, start, stop, hash);
  }

  /** As `set`, with the hash of those bytes: `hashByte` over each, from HASH_START. */
  setHashed(row: number, start: number, stop: number, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const entry = (this.#slots[slot] as number) - 1;
      if (entry < 0) break;
      if (this.#hashes[entry] === hash && this.#equals(entry, start, stop)) {
        this.#codes[row] = entry;
        return;
      }
      slot = (slot + 1) & mask;
    }
    const entry = this.#add(row, start, stop, hash);
    this.#slots[this.#freeSlot(hash)] = entry + 1;
    this.#codes[row] = entry;
  }

  setText(row: number, text: string): void {
    let entry = this.#texts.get(text);
    if (entry === undefined) {
      entry = this.#add(row, -1, -1, 0);
      this.#texts.set(text, entry);
    }
    this.#codes[row] = entry;
  }

  /**
   * @param naValues cells that count as missing: code -1
   * @returns codes of the first `rows` rows, the distinct texts (one may come twice: as a range and with doubled quotes), and the first
   *          row with a cell that is not UTF-8
   */
  finish(rows: number, naValues: ReadonlySet<string>): NamedCodes & { readonly invalidRow: number | undefined } {
    const texts = new Map([...this.#texts].map(([text, entry]) => [entry, text]));
    let invalidRow: number | undefined;
    const names = Array.from({ length: this.#count }, (_, entry) => {
      const name = texts.get(entry) ?? decodeCell(this.#bytes, this.#starts[entry] as number, this.#stops[entry] as number);
      if (name === undefined) invalidRow ??= this.#firstRows[entry] as number;
      return name;
    });
    const codes = this.#codes.length === rows ? this.#codes : this.#codes.slice(0, rows);
    return { ...nameCodes(codes, names, naValues), invalidRow };
  }

  #equals(entry: number, start: number, stop: number): boolean {
    const other = this.#starts[entry] as number;
    const length = stop - start;
    if (other < 0 || (this.#stops[entry] as number) - other !== length) return false;
    for (let at = 0; at < length; at++) if (this.#bytes[start + at] !== this.#bytes[other + at]) return false;
    return true;
  }

  #add(row: number, start: number, stop: number, hash: number): number {
    if (this.#count === this.#starts.length) this.#grow();
    const entry = this.#count++;
    this.#starts[entry] = start;
    this.#stops[entry] = stop;
    this.#hashes[entry] = hash;
    this.#firstRows[entry] = row;
    return entry;
  }

  #grow(): void {
    const size = 2 * this.#starts.length;
    [this.#starts, this.#stops] = [widen(this.#starts, size), widen(this.#stops, size)];
    [this.#hashes, this.#firstRows] = [widen(this.#hashes, size), widen(this.#firstRows, size)];
    // Twice as many slots as entries keeps probes short.
    this.#slots = new Int32Array(2 * size);
    for (let entry = 0; entry < this.#count; entry++) {
      if ((this.#starts[entry] as number) >= 0) this.#slots[this.#freeSlot(this.#hashes[entry] as number)] = entry + 1;
    }
  }

  #freeSlot(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  }
}

/** Bytes [start, stop) as text; undefined when they are not UTF-8. */
export function decodeCell(bytes: Buffer, start: number, stop: number): string | undefined {
  let ascii = true;
  for (let at = start; at < stop && ascii; at++) ascii = (bytes[at] as number) < 0x80;
  if (ascii) return bytes.toString('latin1', start, stop);
  const text = bytes.toString('utf8', start, stop);
  // toString puts U+FFFD for wrong bytes; a file may also hold that character itself.
  return text.includes('\uFFFD') && !isUtf8(bytes.subarray(start, stop)) ? undefined : text;
}

export interface NamedCodes {
  /** [rows], index into `entries`; -1 where missing */
  readonly codes: Int32Array;
  readonly entries: string[];
}

/**
 * Takes what stands for a missing cell out of the distinct cells of a column.
 *
 * @param codes index into `names`; changed in place
 * @param names undefined for a cell that is not text and counts as missing
 */
export function nameCodes(
  codes: Int32Array,
  names: readonly (string | undefined)[],
  naValues: ReadonlySet<string>,
): NamedCodes {
  const entries: string[] = [];
  const codeOf = Int32Array.from(names, (name) => (name === undefined || naValues.has(name) ? -1 : entries.push(name) - 1));
  if (entries.length < names.length)
    for (let row = 0; row < codes.length; row++) codes[row] = codeOf[codes[row] as number] as number;
  return { codes, entries };
}

function widen(array: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(size);
  wide.set(array);
  return wide;
}
