import { TensorkilnError } from '../../errors.js';
import { asCategories, isAllNumbers } from '../cast.js';
import type { CategoricalEncoding } from '../feature-options.js';
import type { ColumnFill } from '../fill.js';
import { noTrainingValue, type CategoricalImputation } from '../preprocessing-options.js';
import type { CategoricalColumn, Column } from '../table.js';
import type { EncodingOf } from './schemas.js';
import { fitTargetMeans, type TargetValues } from './target-means.js';

export type CategoryEncoding = EncodingOf<'one_hot' | 'label' | 'target' | 'hash'>;

export interface CategoricalFit {
  readonly encoding: CategoricalEncoding;
  readonly imputation: CategoricalImputation;
  readonly buckets: number;
  /** What the target encoding takes means of. */
  readonly target: TargetValues | undefined;
}

/**
 * Categories of the training rows and what stands for a missing cell: the most frequent, the first of equals in category order so that the
 * result does not depend on the order of rows; or a constant, which is a category only if training rows lack a cell.
 *
 * @throws E_DATA when there is no value among the rows; E_USAGE when the target encoding lacks a target
 */
export function fitCategorical(raw: Column, rows: Int32Array, fit: CategoricalFit): CategoryEncoding {
  const column = asCategories(raw);
  const { name } = column;
  const counts = new Int32Array(column.categories.length);
  let missing = 0;
  for (let index = 0; index < rows.length; index++) {
    const code = column.codes[rows[index] as number] as number;
    if (code < 0) missing++;
    else counts[code] = (counts[code] as number) + 1;
  }
  const constant = typeof fit.imputation === 'object' ? fit.imputation.constant : undefined;
  const categories = column.categories.filter((category, code) => counts[code] !== 0 || (category === constant && missing > 0));
  if (constant !== undefined && missing > 0 && !categories.includes(constant)) categories.push(constant);
  if (categories.length === 0) throw noTrainingValue(name);
  const best = counts.reduce((most, count, code) => (count > (counts[most] ?? 0) ? code : most), 0);
  const fill = constant ?? column.categories[best] ?? '';
  const common = { name, fill, spell_numbers: isAllNumbers(raw) };
  switch (fit.encoding) {
    case 'one_hot':
      return { kind: 'one_hot', ...common, categories };
    case 'label':
      return { kind: 'label', ...common, categories };
    case 'hash':
      return {
        kind: 'hash',
        name,
        fill_bucket: bucketOf(fill, fit.buckets),
        buckets: fit.buckets,
        spell_numbers: common.spell_numbers,
      };
    case 'target': {
      if (fit.target === undefined)
        throw new TensorkilnError(
          'E_USAGE',
          `[preprocessing] column "${name}" has the target encoding: expected a target to take means of.`,
        );
      const filled = withFill(column, { categories, fill });
      const { prior, means } = fitTargetMeans(filled, { rows, count: categories.length, target: fit.target });
      return { kind: 'target', ...common, categories, outputs: [...fit.target.names], prior, means };
    }
  }
}

/** The code of each row in the encoding's own categories, missing cells filled; -1 for an unseen category. */
export function withFill(
  column: CategoricalColumn,
  { categories, fill }: { readonly categories: readonly string[]; readonly fill: string },
): Int32Array {
  const placeOf = new Map(categories.map((category, place) => [category, place]));
  const places = Int32Array.from(column.categories, (category) => placeOf.get(category) ?? -1);
  const missing = placeOf.get(fill) ?? -1;
  return column.codes.map((code) => (code < 0 ? missing : (places[code] as number)));
}

/** Matrix columns that the encoding makes. */
export function categoryNames(encoding: CategoryEncoding): readonly string[] {
  switch (encoding.kind) {
    case 'one_hot':
      return encoding.categories.map((category) => `${encoding.name}=${category}`);
    case 'label':
      return [encoding.name];
    case 'hash':
      return Array.from({ length: encoding.buckets }, (_, bucket) => `${encoding.name}#${bucket}`);
    case 'target':
      return encoding.outputs.map((output) => `${encoding.name}~${output}`);
  }
}

/** How to fill the encoding's matrix columns from a table's column. */
export function planCategorical(encoding: CategoryEncoding, raw: Column, offset: number): ColumnFill {
  const column = asCategories(raw, encoding.spell_numbers);
  const { codes, categories } = column;
  if (encoding.kind === 'hash') {
    const slots = Int32Array.from(categories, (category) => bucketOf(category, encoding.buckets));
    return { kind: 'one_hot', offset, codes, slots, missingSlot: encoding.fill_bucket };
  }
  const placeOf = new Map(encoding.categories.map((category, place) => [category, place]));
  const places = categories.map((category) => placeOf.get(category) ?? -1);
  const missing = placeOf.get(encoding.fill) ?? -1;
  if (encoding.kind === 'one_hot')
    return { kind: 'one_hot', offset, codes, slots: Int32Array.from(places), missingSlot: missing };
  const rowOf = (place: number): readonly number[] =>
    encoding.kind === 'label' ? [place + 1] : (encoding.means[place] ?? encoding.prior);
  const table = Float32Array.from([...places, missing].flatMap(rowOf));
  return { kind: 'lookup', offset, width: encoding.kind === 'label' ? 1 : encoding.outputs.length, codes, table };
}

/** Unseen categories of a table's column by number of rows; the hash encoding knows none. */
export function countUnseen(encoding: CategoryEncoding, raw: Column): { readonly rows: number; readonly categories: number } {
  if (encoding.kind === 'hash') return { rows: 0, categories: 0 };
  const column = asCategories(raw, encoding.spell_numbers);
  const known = new Set(encoding.categories);
  const unseen = new Set<number>();
  let rows = 0;
  for (const code of column.codes) {
    if (code < 0 || known.has(column.categories[code] ?? '')) continue;
    unseen.add(code);
    rows++;
  }
  return { rows, categories: unseen.size };
}

/** FNV-1a, 32 bits, of the UTF-8 text, modulo the number of buckets. */
export function bucketOf(category: string, buckets: number): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(category)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % buckets;
}

/** The imputation that applies to a column of categories. @throws E_USAGE when a number or statistic of numbers is asked for */
export function categoricalImputation(name: string, imputation: unknown): CategoricalImputation {
  if (imputation === 'mode') return imputation;
  if (typeof imputation === 'object' && imputation !== null && 'constant' in imputation) {
    const { constant } = imputation;
    if (typeof constant === 'string' || typeof constant === 'number') return { constant: String(constant) };
  }
  throw new TensorkilnError(
    'E_USAGE',
    `[features] wrong imputation of the categorical column "${name}": expected mode or {constant: <text>}.`,
  );
}
