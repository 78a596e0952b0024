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

/** How to fill a matrix from table columns: plain data, so that a worker thread can do it. */
export interface FillPlan {
  /** Columns of the matrix. */
  readonly width: number;
  readonly columns: readonly (NumericFill | OneHotFill)[];
}

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
  const { width } = plan;
  for (const column of plan.columns) {
    if (column.kind === 'numeric') {
      const { values, fill, shift, scale, offset } = column;
      for (let row = range.from; row < range.to; row++) {
        const value = values[rows[row] ?? 0] ?? NaN;
        out[row * width + offset] = ((Number.isNaN(value) ? fill : value) - shift) / scale;
      }
    } else {
      const { codes, slots, missingSlot, offset } = column;
      for (let row = range.from; row < range.to; row++) {
        const code = codes[rows[row] ?? 0] ?? -1;
        const slot = code < 0 ? missingSlot : (slots[code] ?? -1);
        if (slot >= 0) out[row * width + offset + slot] = 1;
      }
    }
  }
}
