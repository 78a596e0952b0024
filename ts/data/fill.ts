/** One feature column of the matrix: (x - shift) / scale, a missing x replaced by `fill` first. */
export interface NumericFill {
  readonly kind: 'numeric';
  /** First place of the column in a matrix row. */
  readonly offset: number;
  /** [table rows], NaN = missing */
  readonly values: Float64Array;
  readonly fill: number;
  readonly shift: number;
  readonly scale: number;
}

/** One column per known category, 1 at the row's own; a row whose category is unknown stays all zeros. */
export interface OneHotFill {
  readonly kind: 'one_hot';
  readonly offset: number;
  /** [table rows], index into `slots`; -1 = missing */
  readonly codes: Int32Array;
  /** Place of each code's category within this block, -1 for an unknown category. */
  readonly slots: Int32Array;
  readonly missingSlot: number;
}

/** `width` columns copied from a table with one row per category: label and target codes, booleans, token sequences. */
export interface LookupFill {
  readonly kind: 'lookup';
  readonly offset: number;
  readonly width: number;
  /** [table rows], row of `table`; -1 = missing */
  readonly codes: Int32Array;
  /** [categories + 1, width], the last row for a missing cell */
  readonly table: Float32Array;
}

/** Columns of which each row fills few: bags of words. Row `c` of the compressed matrix belongs to category c. */
export interface SparseFill {
  readonly kind: 'sparse';
  readonly offset: number;
  /** [table rows], index of a compressed row; -1 = missing: all zeros */
  readonly codes: Int32Array;
  /** [categories + 1], where each row's entries begin */
  readonly starts: Int32Array;
  /** Column of each entry, within the block. */
  readonly places: Int32Array;
  readonly weights: Float32Array;
}

export type ColumnFill = NumericFill | OneHotFill | LookupFill | SparseFill;

/** How to fill a matrix from table columns: plain data, so that a worker thread can do it. */
export interface FillPlan {
  /** Columns of the matrix. */
  readonly width: number;
  readonly columns: readonly ColumnFill[];
}

/** Matrix cells filled column by column before going on: they stay in the second-level cache. */
const CELLS_PER_TILE = 32_768;

/**
 * Fills rows [from, to) of a row-major matrix: row i from table row `rows[i]`. Arithmetic is in float64, rounded once to float32.
 *
 * @param out [rows.length, plan.width], zero where not yet filled
 */
export function fillRows(
  plan: FillPlan,
  rows: Int32Array,
  out: Float32Array,
  range: { readonly from: number; readonly to: number },
): void {
  const step = Math.max(1, Math.floor(CELLS_PER_TILE / Math.max(1, plan.width)));
  for (let from = range.from; from < range.to; from += step) {
    const tile = { from, to: Math.min(range.to, from + step) };
    for (const column of plan.columns) fillColumn(column, { rows, out, width: plan.width, ...tile });
  }
}

interface Tile {
  readonly rows: Int32Array;
  readonly out: Float32Array;
  readonly width: number;
  readonly from: number;
  readonly to: number;
}

function fillColumn(column: ColumnFill, tile: Tile): void {
  switch (column.kind) {
    case 'numeric':
      fillNumeric(column, tile);
      break;
    case 'one_hot':
      fillOneHot(column, tile);
      break;
    case 'lookup':
      fillLookup(column, tile);
      break;
    case 'sparse':
      fillSparse(column, tile);
      break;
  }
}

function fillNumeric({ values, fill, shift, scale, offset }: NumericFill, { rows, out, width, from, to }: Tile): void {
  const filled = (fill - shift) / scale;
  for (let row = from, place = from * width + offset; row < to; row++, place += width) {
    const value = values[rows[row] as number] as number;
    // NaN alone differs from itself. A branch: V8 makes a slower loop of a conditional value.
    if (value === value) out[place] = (value - shift) / scale;
    else out[place] = filled;
  }
}

function fillOneHot({ codes, slots, missingSlot, offset }: OneHotFill, { rows, out, width, from, to }: Tile): void {
  for (let row = from, place = from * width + offset; row < to; row++, place += width) {
    const code = codes[rows[row] as number] as number;
    const slot = code < 0 ? missingSlot : (slots[code] as number);
    if (slot >= 0) out[place + slot] = 1;
  }
}

function fillLookup(column: LookupFill, { rows, out, width, from, to }: Tile): void {
  const { codes, table, offset } = column;
  const missing = table.length / column.width - 1;
  for (let row = from; row < to; row++) {
    const code = codes[rows[row] as number] as number;
    const source = (code < 0 ? missing : code) * column.width;
    const target = row * width + offset;
    for (let place = 0; place < column.width; place++) out[target + place] = table[source + place] as number;
  }
}

function fillSparse({ codes, starts, places, weights, offset }: SparseFill, { rows, out, width, from, to }: Tile): void {
  for (let row = from; row < to; row++) {
    const code = codes[rows[row] as number] as number;
    if (code < 0) continue;
    const target = row * width + offset;
    const end = starts[code + 1] as number;
    for (let entry = starts[code] as number; entry < end; entry++)
      out[target + (places[entry] as number)] = weights[entry] as number;
  }
}
