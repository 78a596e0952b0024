import { NUMERIC, SKIP, type ColumnPlaces, type ParsedBlock } from './parse-block.js';

/**
 * Columns of a whole table, made before its rows are counted: each block is parsed to where it belongs, so that nothing is joined
 * afterwards. Pages that are never written take no memory.
 */
export class ReservedColumns {
  readonly #columns: ColumnPlaces;
  readonly #capacity: number;
  #taken = 0;

  /** @param capacity rows there is room for; blocks beyond get memory of their own */
  constructor(kinds: Uint8Array, capacity: number) {
    this.#capacity = capacity;
    this.#columns = Array.from(kinds, (kind) =>
      kind === SKIP
        ? undefined
        : kind === NUMERIC
          ? new Float64Array(sharedBytes(8 * capacity))
          : new Int32Array(sharedBytes(4 * capacity)),
    );
  }

  /** Places for the next rows; undefined when there is no room left for them. */
  take(rows: number): ColumnPlaces | undefined {
    const from = this.#taken;
    if (from + rows > this.#capacity) return undefined;
    this.#taken += rows;
    return this.#columns.map((column) => column?.subarray(from, from + rows));
  }
}

const sharedBytes = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** A block that a worker parsed to its places, with this thread's arrays: those that came back are others over the same memory. */
export function withPlaces(block: ParsedBlock, places: ColumnPlaces): ParsedBlock {
  if (!block.isPlaced) return block;
  const columns = block.columns.map((part, index) => {
    const place = places[index]?.subarray(0, block.rows);
    if (part?.kind === 'numeric' && place instanceof Float64Array) return { ...part, values: place };
    return part?.kind === 'text' && place instanceof Int32Array ? { ...part, codes: place } : part;
  });
  return { ...block, columns };
}
