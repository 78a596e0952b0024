import { describe, expect, it } from 'vitest';
import { decideColumns, type ColumnReport, type Task } from '../../ts/data/columns.js';
import { profileColumn, type ColumnProfile } from '../../ts/data/profile.js';
import { categoricalColumn, numericColumn } from '../../ts/data/table.js';

const profile = (changes: Partial<ColumnProfile> & { name: string }): ColumnProfile => ({
  missing: 0,
  present: 100,
  numbers: 0,
  integers: 0,
  distinct: 5,
  minimum: NaN,
  maximum: NaN,
  distinctExact: true,
  leadingZeros: 0,
  inexact: 0,
  grouped: 0,
  missingLike: 0,
  missingWords: [],
  words: 1,
  isBoolean: false,
  dateOrder: undefined,
  ...changes,
});
const numbers = (changes: Partial<ColumnProfile> & { name: string }): ColumnProfile =>
  profile({ numbers: 100, integers: 100, minimum: 0, maximum: 1000, ...changes });
const TARGET = profile({ name: 'y', distinct: 3 });
const KEPT = numbers({ name: 'kept' });

function decide(column: ColumnProfile): ColumnReport | undefined {
  return decideColumns([column, KEPT, TARGET], { target: 'y' }).columns[0];
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
    ['yes and no', profile({ name: 'a', distinct: 2, isBoolean: true }), 'feature', 'boolean'],
    ['all different dates', profile({ name: 'a', distinct: 100, dateOrder: 'ymd' }), 'feature', 'date'],
    ['all different sentences', profile({ name: 'a', present: 200, distinct: 200, words: 9 }), 'feature', 'text'],
    ['a lower bound of many numbers', numbers({ name: 'id', distinct: 100, distinctExact: false }), 'feature', 'numeric'],
    ['repeating integers named like a key', numbers({ name: 'user_id', distinct: 40 }), 'feature', 'numeric'],
    ['text with very many categories', profile({ name: 'a', present: 1000, distinct: 101 }), 'ignored', 'categorical'],
  ])('takes %s as it should', (_, column, role, type) => {
    expect(decide(column)).toMatchObject({ role, type });
  });

  it('does not call values identifiers in a table too short to tell', () => {
    expect(decide(profile({ name: 'a', present: 10, distinct: 10 }))).toMatchObject({ role: 'feature' });
  });

  it('lets the configuration win', () => {
    const { columns } = decideColumns([numbers({ name: 'id', distinct: 100 }), KEPT, TARGET], {
      target: 'y',
      features: { id: { type: 'categorical' }, kept: { type: 'ignore' } },
    });
    expect(columns.map(({ role, type }) => [role, type])).toEqual([
      ['feature', 'categorical'],
      ['ignored', 'numeric'],
      ['target', 'categorical'],
    ]);
  });

  it('names the words that keep a column of numbers from being one', () => {
    const cells = [...Array.from({ length: 20 }, (_, row) => String(row * 1.5)), 'n/a', 'NULL', 'n/a', '-'];
    const found = profileColumn(categoricalColumn('a', cells));
    expect(found).toMatchObject({ numbers: 20, missingLike: 4, missingWords: ['-', 'NULL', 'n/a'] });
    const { warnings } = decideColumns([found, TARGET], { target: 'y' });
    expect(warnings[0]).toBe(
      'Column "a": 20 of 24 cells are numbers, and 4 are "-", "NULL", "n/a", so it counts as text. If they stand for missing values, add them to data.na_values.',
    );
    // A category of that name among words is none of it.
    const words = profileColumn(categoricalColumn('b', ['none', 'red', 'blue']));
    expect(decideColumns([words, TARGET], { target: 'y' }).warnings).toEqual([]);
  });

  it('warns when nearly all cells of a text column are numbers', () => {
    const { warnings } = decideColumns([profile({ name: 'a', numbers: 97, distinct: 60 }), TARGET], { target: 'y' });
    expect(warnings).toEqual([expect.stringMatching(/"a": 97 of 100 cells are numbers, the other 3 are not.*na_values/)]);
  });

  it('takes postcodes and long identifiers for the text they are, however many of them look like numbers', () => {
    for (const column of [
      profile({ name: 'a', numbers: 95, leadingZeros: 5 }),
      profile({ name: 'a', numbers: 95, inexact: 5 }),
    ])
      expect(decideColumns([column, TARGET], { target: 'y' })).toMatchObject({ warnings: [], disguised: [] });
  });

  it.each<[string, ColumnProfile, RegExp, Task?]>([
    ['one class', profile({ name: 'y', distinct: 1 }), /one class only/],
    ['no value', profile({ name: 'y', present: 0, distinct: 0 }), /every cell of the target "y" is missing/],
    ['fractions that are to be classes', numbers({ name: 'y', distinct: 100 }), /not a class label/, 'classification'],
    [
      'text that is to be a value',
      profile({ name: 'y' }),
      /not numeric: expected numbers for regression, got 100 other cells/,
      'regression',
    ],
    [
      'thousands signs that are to be values',
      profile({ name: 'y', grouped: 100, distinct: 90 }),
      /not numeric.*100 of 100 cells look like numbers with thousands signs.*data\.csv\.thousands/,
      'regression',
    ],
    [
      'an undeclared spelling of a missing number',
      profile({ name: 'y', numbers: 96, missingLike: 4, missingWords: ['n/a'], distinct: 97 }),
      /not numeric.*96 of 100 cells are numbers, and 4 are "n\/a".*add it to data\.na_values/,
      'regression',
    ],
    ['one value', numbers({ name: 'y', distinct: 1 }), /one value only/, 'regression'],
    ['all different', profile({ name: 'y', distinct: 100 }), /not a class label.* rows\.$/],
    ['thousands signs', profile({ name: 'y', grouped: 100, distinct: 100 }), /not a class label.*data\.csv\.thousands/],
  ])('refuses a target with %s', (_, target, message, task) => {
    const options = task === undefined ? { target: 'y' } : { target: 'y', task };
    expect(() => decideColumns([KEPT, target], options)).toThrow(message);
  });

  it('names the columns there are when one is absent', () => {
    expect(() => decideColumns([KEPT, profile({ name: 'species' })], { target: 'specis' })).toThrow(
      /no column "specis": expected one of "kept", "species".*Did you mean "species"/,
    );
    expect(() => decideColumns([KEPT, TARGET], { target: 'y', features: { kep: { type: 'ignore' } } })).toThrow(
      /\[features\] no column "kep".*Did you mean "kept"/,
    );
    expect(() => decideColumns([KEPT, TARGET], { target: 'y', features: { y: { type: 'ignore' } } })).toThrow(
      /"y" is the target/,
    );
    expect(() => decideColumns([KEPT, TARGET], { target: 'y', features: { kept: { type: 'ignore' } } })).toThrow(
      /no feature column is left/,
    );
  });

  it('takes a target of fractions or of very many numbers for values, others for classes', () => {
    const task = (target: ColumnProfile): Task => decideColumns([KEPT, target], { target: 'y' }).task;
    expect(task(numbers({ name: 'y', integers: 3, distinct: 8 }))).toBe('regression');
    expect(task(numbers({ name: 'y', present: 1000, numbers: 1000, integers: 1000, distinct: 200 }))).toBe('regression');
    expect(task(numbers({ name: 'y', distinct: 8 }))).toBe('classification');
    expect(task(TARGET)).toBe('classification');
  });

  it('uses a column of very many categories when the configuration names it', () => {
    const { columns } = decideColumns([profile({ name: 'city', present: 1000, distinct: 500 }), TARGET], {
      target: 'y',
      features: { city: { encoding: 'hash' } },
    });
    expect(columns[0]).toMatchObject({ role: 'feature', type: 'categorical' });
  });
});

describe('profileColumn', () => {
  it('counts numbers', () => {
    const column = numericColumn('x', [1, 2.5, null, 1, -7]);
    expect(profileColumn(column)).toMatchObject({
      missing: 1,
      present: 4,
      numbers: 4,
      integers: 3,
      distinct: 3,
      distinctExact: true,
      minimum: -7,
      maximum: 2.5,
    });
    expect(profileColumn(numericColumn('x', [null]))).toMatchObject({ present: 0, minimum: NaN, maximum: NaN });
  });

  it('stops counting different fractions at a limit, integers of a narrow range never', () => {
    const fractions = numericColumn(
      'x',
      Array.from({ length: 20_000 }, (_, row) => row + 0.5),
    );
    expect(profileColumn(fractions)).toMatchObject({ distinct: 10_001, distinctExact: false });
    const integers = numericColumn(
      'x',
      Array.from({ length: 20_000 }, (_, row) => row - 5),
    );
    expect(profileColumn(integers)).toMatchObject({ distinct: 20_000, distinctExact: true });
  });

  it('knows what text holds: numbers, leading zeros, thousands signs, large integers', () => {
    const cells = ['7', '2.5', '01234', '1,234', '1.234.567', '9007199254740993', 'word', null];
    expect(profileColumn(categoricalColumn('c', cells))).toMatchObject({
      missing: 1,
      present: 7,
      numbers: 2,
      integers: 1,
      distinct: 7,
      leadingZeros: 1,
      inexact: 1,
      grouped: 2,
      minimum: 2.5,
      maximum: 7,
    });
  });

  it.each<[string, (string | null)[], Partial<ColumnProfile>]>([
    ['yes and no in any case', ['yes', 'No', 'YES', null], { isBoolean: true }],
    ['yes alone', ['yes', 'yes'], { isBoolean: false }],
    ['ISO dates', ['2024-03-01', '2024-12-31T10:30:00Z'], { dateOrder: 'ymd' }],
    ['days first, shown by one day', ['01/02/2024', '13/02/2024'], { dateOrder: 'dmy' }],
    ['months first, shown by one day', ['01/02/2024', '02/13/2024'], { dateOrder: 'mdy' }],
    ['slashes that leave it open', ['01/02/2024', '03/04/2024'], { dateOrder: undefined }],
    ['dots, written day first', ['01.02.2024'], { dateOrder: 'dmy' }],
    ['a day that does not exist', ['2024-02-30'], { dateOrder: undefined }],
    ['sentences', ['one two three', 'four'], { words: 2 }],
  ])('knows %s', (_, cells, expected) => {
    expect(profileColumn(categoricalColumn('c', cells))).toMatchObject(expected);
  });
});
