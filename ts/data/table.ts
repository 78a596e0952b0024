import { TensorkilnError } from '../errors.js';
import { didYouMean } from './nearest-name.js';

/** Numbers of one column; NaN stands for a missing cell. */
export interface NumericColumn {
  readonly kind: 'numeric';
  readonly name: string;
  /** [rows] */
  readonly values: Float64Array;
}

/** Text of one column as codes into its own sorted list of categories; -1 stands for a missing cell. */
export interface CategoricalColumn {
  readonly kind: 'categorical';
  readonly name: string;
  /** [rows], each -1 or an index into `categories` */
  readonly codes: Int32Array;
  readonly categories: readonly string[];
}

export type Column = NumericColumn | CategoricalColumn;

/**
 * Typed columns of equal length under distinct names.
 *
 * @throws E_DATA when lengths differ or a name comes twice
 */
export class Table {
  readonly rowCount: number;
  readonly columns: readonly Column[];
  readonly #byName: ReadonlyMap<string, Column>;

  constructor(columns: readonly Column[], rowCount: number) {
    const byName = new Map<string, Column>();
    for (const column of columns) {
      const length = columnLength(column);
      if (length !== rowCount) {
        throw new TensorkilnError(
          'E_DATA',
          `[table] column "${column.name}" has the wrong length: expected ${rowCount} rows, got ${length}.`,
        );
      }
      if (byName.has(column.name)) throw new TensorkilnError('E_DATA', `[table] column name "${column.name}" comes twice.`);
      byName.set(column.name, column);
    }
    this.columns = columns;
    this.rowCount = rowCount;
    this.#byName = byName;
  }

  /** @throws E_DATA naming the columns there are when `name` is not one of them */
  column(name: string): Column {
    const column = this.#byName.get(name);
    if (column === undefined) throw missingColumn('table', name, [...this.#byName.keys()]);
    return column;
  }
}

/** The error for a column that is not there: it lists those that are, and the nearest. */
export function missingColumn(place: string, name: string, present: readonly string[]): TensorkilnError {
  const shown = present
    .slice(0, 20)
    .map((other) => `"${other}"`)
    .join(', ');
  const more = present.length > 20 ? ` and ${present.length - 20} more` : '';
  return new TensorkilnError(
    'E_DATA',
    `[${place}] no column "${name}": expected one of ${shown}${more}.${didYouMean(name, present)}`,
  );
}

/** Number of rows a column holds. */
export function columnLength(column: Column): number {
  return column.kind === 'numeric' ? column.values.length : column.codes.length;
}

/** A numeric column from plain values; null becomes a missing cell. */
export function numericColumn(name: string, values: readonly (number | null)[]): NumericColumn {
  return { kind: 'numeric', name, values: Float64Array.from(values, (value) => value ?? NaN) };
}

/** A categorical column from plain text; null becomes a missing cell. */
export function categoricalColumn(name: string, values: readonly (string | null)[]): CategoricalColumn {
  const builder = new CategoryBuilder(new Int32Array(values.length));
  values.forEach((value, row) => builder.set(row, value));
  return builder.finish(name);
}

/** Collects text cells as codes and gives the categories their final order at the end. */
export class CategoryBuilder {
  readonly #codes: Int32Array;
  readonly #codeOf = new Map<string, number>();

  constructor(codes: Int32Array) {
    this.#codes = codes;
  }

  set(row: number, value: string | null): void {
    if (value === null) {
      this.#codes[row] = -1;
      return;
    }
    let code = this.#codeOf.get(value);
    if (code === undefined) {
      code = this.#codeOf.size;
      this.#codeOf.set(value, code);
    }
    this.#codes[row] = code;
  }

  /** The column, its categories in the order of `sortCategories`, so that the result does not depend on the order of rows. */
  finish(name: string): CategoricalColumn {
    const seen = [...this.#codeOf.keys()];
    const categories = sortCategories(seen);
    const rank = new Map(categories.map((category, index) => [category, index]));
    const finalCode = Int32Array.from(seen, (category) => rank.get(category) ?? -1);
    const codes = this.#codes;
    for (let row = 0; row < codes.length; row++) {
      const code = codes[row] ?? -1;
      if (code >= 0) codes[row] = finalCode[code] ?? -1;
    }
    return { kind: 'categorical', name, codes, categories };
  }
}

/** Numbers in numeric order when every category is one ("2" before "10"), otherwise by UTF-16 code units: the same on every locale. */
export function sortCategories(categories: readonly string[]): readonly string[] {
  const numeric = categories.every((category) => category.trim() !== '' && Number.isFinite(Number(category)));
  return categories.toSorted((a, b) => {
    if (numeric && Number(a) !== Number(b)) return Number(a) - Number(b);
    return a < b ? -1 : a > b ? 1 : 0;
  });
}
