import { asCategories } from '../cast.js';
import { booleanWords } from '../booleans.js';
import { TensorkilnError } from '../../errors.js';
import type { ColumnFill } from '../fill.js';
import type { Column } from '../table.js';
import type { EncodingOf } from './schemas.js';

export type BooleanEncoding = EncodingOf<'boolean'>;

/**
 * One column of 1 and 0; a missing or unknown cell counts as the more frequent of the two among the training rows, 0 for a tie.
 *
 * @throws E_DATA when the cells are not one pair of words such as yes and no, or 1 and 0
 */
export function fitBoolean(raw: Column, rows: Int32Array): BooleanEncoding {
  const column = asCategories(raw);
  const isBinary = column.categories.every((category) => category === '0' || category === '1');
  const words = isBinary ? { truthy: ['1'], falsy: ['0'] } : booleanWords(column.categories);
  if (words === undefined) {
    throw new TensorkilnError(
      'E_DATA',
      `[features] column "${raw.name}" is not boolean: expected one pair such as yes and no, true and false, 1 and 0, got ${column.categories.length} different cells. Set features.${raw.name} to categorical.`,
    );
  }
  const truthy = new Set(words.truthy);
  let balance = 0;
  for (const row of rows) {
    const code = column.codes[row] as number;
    if (code >= 0) balance += truthy.has(column.categories[code] ?? '') ? 1 : -1;
  }
  return { kind: 'boolean', name: raw.name, truthy: [...words.truthy], falsy: [...words.falsy], fill: balance > 0 ? 1 : 0 };
}

export function planBoolean({ truthy, falsy, fill }: BooleanEncoding, raw: Column, offset: number): ColumnFill {
  const { codes, categories } = asCategories(raw);
  const valueOf = (category: string): number => (matches(truthy, category) ? 1 : matches(falsy, category) ? 0 : fill);
  return { kind: 'lookup', offset, width: 1, codes, table: Float32Array.from([...categories.map(valueOf), fill]) };
}

function matches(words: readonly string[], category: string): boolean {
  return words.some((word) => word.toLowerCase() === category.toLowerCase());
}
