import type { Column } from './table.js';

/** 53 bits per row, in a float64: equal rows have equal hashes, different rows almost surely different ones. */
export type RowHashes = Float64Array;

/**
 * Hashes rows over some columns, column by column. Categories count by their code, so rows compare within one table only.
 *
 * With n rows the chance that any two different ones agree is about n^2 / 2^54: under 1e-4 for a million rows.
 */
export function hashRows(columns: readonly Column[], rowCount: number): RowHashes {
  const low = new Int32Array(rowCount).fill(0x2545f491);
  const high = new Int32Array(rowCount).fill(0x4f6cdd1d);
  for (const column of columns) {
    if (column.kind === 'categorical') {
      for (let row = 0; row < rowCount; row++) mix(low, high, row, column.codes[row] as number, 0);
      continue;
    }
    const value = new Float64Array(1);
    const bits = new Int32Array(value.buffer);
    for (let row = 0; row < rowCount; row++) {
      // Adding 0 turns -0 into 0; every NaN is stored the same way, as a missing cell.
      const cell = (column.values[row] as number) + 0;
      value[0] = cell === cell ? cell : NaN;
      mix(low, high, row, bits[0] as number, bits[1] as number);
    }
  }
  return Float64Array.from(
    { length: rowCount },
    (_, row) => (finish(low[row] as number) >>> 0) * 0x200000 + (finish(high[row] as number) >>> 11),
  );
}

function mix(low: Int32Array, high: Int32Array, row: number, a: number, b: number): void {
  const l = Math.imul((low[row] as number) ^ a, 0x01000193) ^ b;
  const h = Math.imul((high[row] as number) ^ b, 0x5bd1e995) + a;
  low[row] = Math.imul(l ^ (l >>> 15), 0x2c1b3c6d);
  high[row] = Math.imul(h ^ (h >>> 13), 0x297a2d39);
}

/** The last mixing of MurmurHash3 (Appleby). */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The rows of `rows` that repeat an earlier one of them. */
export function repeatedRows(hashes: RowHashes, rows: Int32Array): Int32Array {
  const seen = new Set<number>();
  return rows.filter((row) => {
    const hash = hashes[row] as number;
    if (seen.has(hash)) return true;
    seen.add(hash);
    return false;
  });
}

/** How many of `rows` are also among `others`. */
export function countShared(hashes: RowHashes, rows: Int32Array, others: Int32Array): number {
  const seen = new Set<number>();
  for (const row of others) seen.add(hashes[row] as number);
  return rows.reduce((count, row) => count + (seen.has(hashes[row] as number) ? 1 : 0), 0);
}
