import { describe, expect, it } from 'vitest';
import { decideColumns, type ColumnReport } from '../../ts/data/columns.js';
import type { ColumnProfile } from '../../ts/data/read-table.js';

const profile = (changes: Partial<ColumnProfile> & { name: string }): ColumnProfile => ({
  missing: 0,
  present: 100,
  numbers: 0,
  integers: 0,
  distinct: 5,
  minimum: NaN,
  maximum: NaN,
  ...changes,
});
const numbers = (changes: Partial<ColumnProfile> & { name: string }): ColumnProfile =>
  profile({ numbers: 100, integers: 100, minimum: 0, maximum: 1000, ...changes });
const TARGET = profile({ name: 'y', distinct: 3 });
const KEPT = numbers({ name: 'kept' });

function decide(column: ColumnProfile): ColumnReport | undefined {
  return decideColumns([column, KEPT, TARGET], 'y').columns[0];
}

describe('decideColumns', () => {
  it.each([
    ['numbers', numbers({ name: 'a', distinct: 60 }), 'feature', 'numeric'],
    ['few different numbers', numbers({ name: 'year', distinct: 3, minimum: 2007, maximum: 2009 }), 'feature', 'numeric'],
    ['all different fractions', numbers({ name: 'a', integers: 10, distinct: 100, maximum: 99 }), 'feature', 'numeric'],
    ['all different integers with gaps', numbers({ name: 'price', distinct: 100 }), 'feature', 'numeric'],
    ['text', profile({ name: 'a' }), 'feature', 'categorical'],
    ['an empty column', profile({ name: 'a', present: 0, missing: 100, distinct: 0 }), 'ignored', 'categorical'],
    ['a constant', numbers({ name: 'a', distinct: 1 }), 'ignored', 'numeric'],
    ['a gapless count', numbers({ name: 'a', distinct: 100, minimum: 7, maximum: 106 }), 'ignored', 'numeric'],
    ['different integers named like a key', numbers({ name: 'user_id', distinct: 100 }), 'ignored', 'numeric'],
    ['all different texts', profile({ name: 'a', distinct: 100 }), 'ignored', 'categorical'],
    ['repeating integers named like a key', numbers({ name: 'user_id', distinct: 40 }), 'feature', 'numeric'],
    ['text with very many categories', profile({ name: 'a', present: 1000, distinct: 101 }), 'ignored', 'categorical'],
  ])('takes %s as it should', (_, column, role, type) => {
    expect(decide(column)).toMatchObject({ role, type });
  });

  it('does not call values identifiers in a table too short to tell', () => {
    expect(decide(profile({ name: 'a', present: 10, distinct: 10 }))).toMatchObject({ role: 'feature' });
  });

  it('lets the configuration win', () => {
    const { columns } = decideColumns([numbers({ name: 'id', distinct: 100 }), KEPT, TARGET], 'y', {
      id: 'categorical',
      kept: 'ignore',
    });
    expect(columns.map(({ role, type }) => [role, type])).toEqual([
      ['feature', 'categorical'],
      ['ignored', 'numeric'],
      ['target', 'categorical'],
    ]);
  });

  it('warns when nearly all cells of a text column are numbers', () => {
    const { warnings } = decideColumns([profile({ name: 'a', numbers: 97, distinct: 60 }), TARGET], 'y');
    expect(warnings).toEqual([expect.stringMatching(/"a": 97 of 100 cells are numbers, the other 3 are not.*na_values/)]);
  });

  it.each([
    ['one class', profile({ name: 'y', distinct: 1 }), /one class only/],
    ['no value', profile({ name: 'y', present: 0, distinct: 0 }), /every cell of the target "y" is missing/],
    ['fractions', numbers({ name: 'y', integers: 3, distinct: 8 }), /not a class label/],
    ['all different', profile({ name: 'y', distinct: 100 }), /not a class label/],
  ])('refuses a target with %s', (_, target, message) => {
    expect(() => decideColumns([KEPT, target], 'y')).toThrow(message);
  });

  it('names the columns there are when one is absent', () => {
    expect(() => decideColumns([KEPT, profile({ name: 'species' })], 'specis')).toThrow(
      /no column "specis": expected one of "kept", "species".*Did you mean "species"/,
    );
    expect(() => decideColumns([KEPT, TARGET], 'y', { kep: 'ignore' })).toThrow(
      /\[data.features\] no column "kep".*Did you mean "kept"/,
    );
    expect(() => decideColumns([KEPT, TARGET], 'y', { y: 'ignore' })).toThrow(/"y" is the target/);
    expect(() => decideColumns([KEPT, TARGET], 'y', { kept: 'ignore' })).toThrow(/no feature column is left/);
  });
});
