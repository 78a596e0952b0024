import { TensorkilnError } from '../errors.js';
import { CategoryBuilder, Table, type Column } from './table.js';

/** A value as a database or a JSON parser gives it. */
export type Cell = string | number | boolean | bigint | Date | null | undefined;

const FIRST_CAPACITY = 1024;

/**
 * Collects rows that come one by one with typed cells: numbers make a numeric column, text, booleans and points in time a column of text.
 * A column with both becomes text as a whole.
 */
export class RowCollector {
  readonly #place: string;
  readonly #naValues: ReadonlySet<string>;
  readonly #columns = new Map<string, GrowingColumn>();
  #rows = 0;

  /** @param place how messages name the source */
  constructor(place: string, naValues: readonly string[]) {
    this.#place = place;
    this.#naValues = new Set(naValues.map((value) => value.trim()));
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds a row. A column it lacks has a missing cell. @throws E_DATA for a cell that is neither number, text, boolean nor time */
  add(row: Readonly<Record<string, unknown>>, where: string): void {
    for (const [name, value] of Object.entries(row)) {
      const cell = this.#normalize(value, name, () => where);
      const column = this.#column(name);
      if (cell !== undefined) column.set(this.#rows, cell);
    }
    this.#rows++;
  }

  /**
   * Adds rows column by column.
   *
   * @param columns name and what the cell of each of the rows is
   * @param first   how messages number the first of the rows
   * @throws E_DATA as `add`
   */
  addColumns(columns: readonly (readonly [name: string, cell: (row: number) => unknown])[], rows: number, first: number): void {
    for (const [name, cellOf] of columns) {
      const column = this.#column(name);
      for (let row = 0; row < rows; row++) {
        const value = cellOf(row);
        const cell = typeof value === 'number' ? value : this.#normalize(value, name, () => `row ${first + row}`);
        // NaN alone differs from itself.
        if (cell !== undefined && cell === cell) column.set(this.#rows + row, cell);
      }
    }
    this.#rows += rows;
  }

  #column(name: string): GrowingColumn {
    let column = this.#columns.get(name);
    if (column === undefined) this.#columns.set(name, (column = new GrowingColumn()));
    return column;
  }

  /** Whether any row had the column. */
  has(name: string): boolean {
    return this.#columns.has(name);
  }

  /** Names columns that may hold no cell at all. */
  declare(names: readonly string[]): void {
    for (const name of names) if (!this.#columns.has(name)) this.#columns.set(name, new GrowingColumn());
  }

  /** @throws E_DATA when there is no row */
  finish(): Table {
    if (this.#rows === 0) throw new TensorkilnError('E_DATA', `[${this.#place}] no rows: expected at least one.`);
    return new Table(
      [...this.#columns].map(([name, column]) => column.finish(name, this.#rows)),
      this.#rows,
    );
  }

  #normalize(value: unknown, name: string, where: () => string): number | string | undefined {
    if (value === null || value === undefined) return undefined;
    switch (typeof value) {
      case 'number':
        return Number.isNaN(value) ? undefined : value;
      case 'boolean':
        return String(value);
      case 'bigint':
        // Beyond 2^53 the digits are kept as text: a float64 would lose the last ones.
        return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : String(value);
      case 'string': {
        const text = value.trim();
        return this.#naValues.has(text) ? undefined : text;
      }
      default:
        if (value instanceof Date) return value.toISOString().replace(/T00:00:00\.000Z$/, '');
    }
    throw new TensorkilnError(
      'E_DATA',
      `[${this.#place}] ${where()}: column "${name}" holds ${Array.isArray(value) ? 'a list' : 'an object'}: expected a number, text, true, false or null. Select plain columns.`,
    );
  }
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Numbers until the first text comes, then text. */
class GrowingColumn {
  #values: Float64Array<ArrayBuffer> = new Float64Array(FIRST_CAPACITY).fill(NaN);
  #texts: (string | null)[] | undefined;

  set(row: number, cell: number | string): void {
    if (this.#texts === undefined && typeof cell === 'number') {
      this.#reserve(row + 1);
      this.#values[row] = cell;
      return;
    }
    this.#texts ??= Array.from(this.#values.subarray(0, row), (value) => (Number.isNaN(value) ? null : String(value)));
    while (this.#texts.length < row) this.#texts.push(null);
    this.#texts[row] = String(cell);
  }

  finish(name: string, rows: number): Column {
    if (this.#texts === undefined) {
      this.#reserve(rows);
      return { kind: 'numeric', name, values: this.#values.slice(0, rows) };
    }
    const builder = new CategoryBuilder(new Int32Array(rows));
    for (let row = 0; row < rows; row++) builder.set(row, this.#texts[row] ?? null);
    return builder.finish(name);
  }

  #reserve(rows: number): void {
    if (rows <= this.#values.length) return;
    const grown = new Float64Array(Math.max(rows, 2 * this.#values.length)).fill(NaN);
    grown.set(this.#values);
    this.#values = grown;
  }
}
