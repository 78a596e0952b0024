import { parseNumber } from './numbers.js';
import type { NumericPart, ParseTask } from './parse-block.js';

/** How the cells of a table spell numbers and missing values. */
export interface CellSpelling {
  readonly naValues: ReadonlySet<string>;
  /** Those of `naValues` that are numbers: 999 is missing where it is written 999.0, too. */
  readonly naNumbers: ReadonlySet<number>;
  readonly decimal: string;
  /** Sign between groups of three digits; '' for none. */
  readonly thousands: string;
}

export function spellingOf({ naValues, dialect }: Pick<ParseTask, 'naValues' | 'dialect'>): CellSpelling {
  return {
    naValues: new Set(naValues),
    naNumbers: new Set(naValues.flatMap((value) => parseNumber(value) ?? [])),
    decimal: String.fromCharCode(dialect.decimal),
    thousands: dialect.thousands < 0 ? '' : String.fromCharCode(dialect.thousands),
  };
}

/** The cells of one numeric column in one block. */
export class NumericCells {
  rejected = 0;
  firstRejected: { line: number; masked: string } | undefined;
  leadingZeros = 0;
  inexact = 0;
  overflows = 0;

  /** @param values room for so many rows until `grow` */
  constructor(public values: Float64Array) {}

  grow(capacity: number): void {
    const old = this.values;
    this.values = new Float64Array(capacity);
    this.values.set(old);
  }

  /** Sets a cell to what a text spells, whatever that is. @param text without blanks at its ends */
  setText(row: number, line: number, text: string, { naValues, naNumbers, decimal, thousands }: CellSpelling): void {
    this.values[row] = NaN;
    if (naValues.has(text)) return;
    const value = parseNumber(text, { decimal, thousands });
    if (value === undefined) {
      this.rejected++;
      this.firstRejected ??= { line, masked: maskCell(text) };
      return;
    }
    if (Math.abs(value) === Infinity) this.overflows++;
    else if (Math.abs(value) > Number.MAX_SAFE_INTEGER && /^[+-]?\d+$/.test(text)) this.inexact++;
    if (/^[+-]?0\d+$/.test(text)) this.leadingZeros++;
    if (!naNumbers.has(value)) this.values[row] = value;
  }

  finish(rows: number): NumericPart {
    const { rejected, firstRejected, leadingZeros, inexact, overflows } = this;
    // A view: what it has beyond the rows is little, and a copy would cost more.
    const values = this.values.subarray(0, rows);
    return { kind: 'numeric', values, rejected, firstRejected, leadingZeros, inexact, overflows };
  }
}

/** A cell as it may stand in a message: its first character and its length, so that data does not leak into logs. */
export function maskCell(cell: string): string {
  return `"${cell.slice(0, 1)}..." (${cell.length} characters)`;
}
