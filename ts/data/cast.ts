import { TensorkilnError } from '../errors.js';
import { hasLeadingZero, isInexactInteger, parseNumber } from './csv/numbers.js';
import { maskCell } from './csv/numeric-cells.js';
import { allocate } from './shared-memory.js';
import { sortCategories, type CategoricalColumn, type Column, type NumericColumn } from './table.js';

/**
 * A column as numbers.
 *
 * @throws E_DATA when a present cell is no number: it tells how many cells, and one of them masked
 */
export function asNumbers(column: Column, place: string): NumericColumn {
  if (column.kind === 'numeric') return column;
  return fromCategories(column, {
    place,
    convert: (category) => parseNumber(category),
    expected: 'numbers',
    remedy: `Set features.${column.name} to categorical, or add the spelling to data.na_values`,
  });
}

/**
 * A column of numbers made cell by cell from text.
 *
 * @throws E_DATA when `convert` gives undefined for a present cell
 */
export function fromCategories(
  column: CategoricalColumn,
  how: {
    readonly place: string;
    readonly convert: (category: string) => number | undefined;
    readonly expected: string;
    readonly remedy: string;
  },
): NumericColumn {
  const { codes, categories, name } = column;
  const numbers = Float64Array.from(categories, (category) => how.convert(category) ?? NaN);
  const values = allocate(Float64Array, codes.length);
  let wrong = 0;
  let first = '';
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row] as number;
    const value = code < 0 ? NaN : (numbers[code] as number);
    values[row] = value;
    if (code >= 0 && value !== value && wrong++ === 0) first = categories[code] ?? '';
  }
  if (wrong === 0) return { kind: 'numeric', name, values };
  throw new TensorkilnError(
    'E_DATA',
    `[${how.place}] column "${name}" is of another type: expected ${how.expected}, got ${wrong} other cells of ${codes.length}, the first ` +
      `${maskCell(first)}. ${how.remedy}.`,
  );
}

/**
 * A column as categories. Numbers are spelled the shortest way, so that 1 and 1.0 are one category; text that is no number stays as it is.
 *
 * @param spellNumbers whether text cells that are numbers are respelled too; default: when all are
 */
export function asCategories(column: Column, spellNumbers?: boolean): CategoricalColumn {
  if (column.kind === 'numeric') return numbersAsCategories(column);
  const respell = spellNumbers ?? isAllNumbers(column);
  if (!respell) return column;
  return mapCategories(column, (category) => {
    const value = plainNumber(category);
    return value === undefined ? category : String(value);
  });
}

/** Whether the categories of `asCategories` are spelled numbers. */
export function isAllNumbers(column: Column): boolean {
  return column.kind === 'numeric' || column.categories.every((category) => plainNumber(category) !== undefined);
}

/** Renames categories; those that get the same name become one. */
export function mapCategories(column: CategoricalColumn, rename: (category: string) => string): CategoricalColumn {
  const renamed = column.categories.map(rename);
  const categories = sortCategories([...new Set(renamed)]);
  const rank = new Map(categories.map((category, index) => [category, index]));
  const codeOf = Int32Array.from(renamed, (category) => rank.get(category) ?? -1);
  const codes = allocate(Int32Array, column.codes.length);
  for (let row = 0; row < codes.length; row++) {
    const code = column.codes[row] as number;
    codes[row] = code < 0 ? -1 : (codeOf[code] as number);
  }
  return { kind: 'categorical', name: column.name, codes, categories };
}

function numbersAsCategories({ name, values }: NumericColumn): CategoricalColumn {
  const codeOf = new Map<number, number>();
  const codes = allocate(Int32Array, values.length);
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as number;
    if (value !== value) {
      codes[row] = -1;
      continue;
    }
    let code = codeOf.get(value);
    if (code === undefined) codeOf.set(value, (code = codeOf.size));
    codes[row] = code;
  }
  const seen = [...codeOf.keys()];
  const order = seen.toSorted((a, b) => a - b);
  const rank = new Map(order.map((value, index) => [value, index]));
  const final = Int32Array.from(seen, (value) => rank.get(value) ?? -1);
  for (let row = 0; row < codes.length; row++)
    if ((codes[row] as number) >= 0) codes[row] = final[codes[row] as number] as number;
  return { kind: 'categorical', name, codes, categories: order.map(String) };
}

function plainNumber(cell: string): number | undefined {
  const value = parseNumber(cell);
  return value === undefined || hasLeadingZero(cell) || isInexactInteger(value) ? undefined : value;
}
