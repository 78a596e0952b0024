import { describe, expect, it } from 'vitest';
import { bucketOf } from '../../ts/data/encodings/categorical.js';
import { applyPca, fitPca } from '../../ts/data/encodings/pca.js';
import { crossFitMeans, fitTargetMeans, type TargetValues } from '../../ts/data/encodings/target-means.js';
import type { FeatureOptions, TextOptions } from '../../ts/data/feature-options.js';
import { DEFAULT_PREPROCESSING, type Scaling } from '../../ts/data/preprocessing-options.js';
import { Preprocessor, type FeatureColumn } from '../../ts/data/preprocessor.js';
import { categoricalColumn, numericColumn, Table, type Column } from '../../ts/data/table.js';

const all = (size: number): Int32Array => Int32Array.from({ length: size }, (_, row) => row);

function fitOne(
  column: Column,
  type: FeatureColumn['type'],
  options: FeatureOptions = {},
  target?: TargetValues,
): { fitted: Preprocessor; table: Table; rows: number[][] } {
  const size = column.kind === 'numeric' ? column.values.length : column.codes.length;
  const table = new Table([column], size);
  const fitted = Preprocessor.fit(table, all(size), {
    features: [{ name: column.name, type, options }],
    ...(target === undefined ? {} : { target }),
  });
  return { fitted, table, rows: matrix(fitted.transform(table), fitted.featureNames.length) };
}

function matrix(values: Float32Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) => [...values.subarray(row * width, (row + 1) * width)]);
}

describe('scaling', () => {
  // scikit-learn 1.9.1: MinMaxScaler and RobustScaler fitted on these eight numbers.
  it.each<[Scaling, number, number]>([
    ['min_max', -1.25, 101.25],
    ['robust', 5.25, 14.4125],
  ])('%s agrees with scikit-learn', (scaling, shift, scale) => {
    const { fitted } = fitOne(numericColumn('x', [3.5, -1.25, 7, 3.5, 100, 0.1, 42, 8.75]), 'numeric', { scaling });
    // 1e-12: a sum or two in another order.
    expect(fitted.columns[0]).toMatchObject({ shift: expect.closeTo(shift, 12), scale: expect.closeTo(scale, 12) });
  });
});

describe('booleans', () => {
  it('become 1 and 0 in any case, a missing or unknown cell the more frequent', () => {
    const { fitted, rows } = fitOne(categoricalColumn('b', ['yes', 'No', null, 'YES']), 'boolean');
    expect(rows).toEqual([[1], [0], [1], [1]]);
    const other = new Table([categoricalColumn('b', ['no', 'maybe'])], 2);
    expect([...fitted.transform(other)]).toEqual([0, 1]);
  });

  it('may be written 1 and 0, and nothing else', () => {
    expect(fitOne(numericColumn('b', [1, 0, 0]), 'boolean').rows).toEqual([[1], [0], [0]]);
    expect(() => fitOne(categoricalColumn('b', ['yes', 'no', 'maybe']), 'boolean')).toThrow(
      /"b" is not boolean.*got 3 different cells/,
    );
  });
});

describe('categories', () => {
  const column = categoricalColumn('c', ['b', 'a', 'b', null]);

  it('are numbered from 1 by label, 0 for an unseen one', () => {
    const { fitted, rows } = fitOne(column, 'categorical', { encoding: 'label' });
    expect(rows).toEqual([[2], [1], [2], [2]]);
    expect([...fitted.transform(new Table([categoricalColumn('c', ['new'])], 1))]).toEqual([0]);
  });

  it('are hashed to buckets that do not depend on the table', () => {
    const { fitted, rows } = fitOne(column, 'categorical', { encoding: 'hash', buckets: 4 });
    expect(rows.map((row) => row.indexOf(1))).toEqual(['b', 'a', 'b', 'b'].map((category) => bucketOf(category, 4)));
    expect(fitted.featureNames).toHaveLength(4);
    // FNV-1a, 32 bits, of "a" is e40c292c.
    expect(bucketOf('a', 2 ** 31)).toBe(0xe40c292c % 2 ** 31);
  });

  it('of numbers are found again however a table spells them', () => {
    const { fitted } = fitOne(numericColumn('c', [1, 2, 1]), 'categorical');
    expect(fitted.featureNames).toEqual(['c=1', 'c=2']);
    const other = new Table([categoricalColumn('c', ['1.0', '2', 'x'])], 3);
    expect(matrix(fitted.transform(other), 2)).toEqual([
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
  });
});

describe('target encoding', () => {
  const codes = Int32Array.of(0, 0, 1, 1, 1, 0);
  const target: TargetValues = { names: ['yes'], values: [Float64Array.of(1, 1, 0, 0, 1, 0)] };

  it('is the mean of the category drawn to the mean of all', () => {
    const { prior, means } = fitTargetMeans(codes, { rows: all(6), count: 2, target });
    expect(prior).toEqual([0.5]);
    // (sum + 10 * 0.5) / (rows + 10), category 0 with 2 of 3, category 1 with 1 of 3.
    expect(means).toEqual([[7 / 13], [6 / 13]]);
  });

  it('never shows a training row its own target', () => {
    // Each row a category of its own: the plain mean would tell the target, the cross-fitted one knows nothing of it.
    const own = all(6);
    const [encoded] = crossFitMeans(own, { rows: all(6), count: 6, target });
    const flipped: TargetValues = { names: ['yes'], values: [Float64Array.of(0, 1, 0, 0, 1, 0)] };
    const [changed] = crossFitMeans(own, { rows: all(6), count: 6, target: flipped });
    expect(changed?.[0]).toBe(encoded?.[0]);
    expect([...(changed ?? [])]).not.toEqual([...(encoded ?? [])]);
  });

  it('goes into the training matrix cross-fitted and into others plainly; unseen is the prior', () => {
    const column = categoricalColumn('c', ['a', 'a', 'b', 'b', 'b', 'a']);
    const { fitted, table, rows } = fitOne(column, 'categorical', { encoding: 'target' }, target);
    expect(fitted.featureNames).toEqual(['c~yes']);
    expect(rows.map(([value]) => value)).toEqual([7, 7, 6, 6, 6, 7].map((sum) => Math.fround(sum / 13)));
    const training = fitted.trainingPlan(table, all(6), target);
    expect(training.columns).toHaveLength(1);
    expect(training.columns[0]).toMatchObject({ kind: 'numeric', offset: 0 });
    expect([...fitted.transform(new Table([categoricalColumn('c', ['new'])], 1))]).toEqual([0.5]);
  });

  it('needs a target', () => {
    expect(() => fitOne(categoricalColumn('c', ['a', 'b']), 'categorical', { encoding: 'target' })).toThrow(
      expect.objectContaining({ code: 'E_USAGE' }),
    );
  });
});

describe('dates', () => {
  it('become days and places in year and week', () => {
    const column = categoricalColumn('d', ['1970-01-05', '1970-01-12', null]);
    const { fitted, rows } = fitOne(column, 'date', { scaling: 'none' });
    expect(fitted.featureNames).toEqual(['d.days', 'd.year_sin', 'd.year_cos', 'd.week_sin', 'd.week_cos']);
    // 1970-01-05 and -12 were Mondays: the start of the week; a missing date counts as the median one.
    expect(rows.map((row) => row[0])).toEqual([4, 11, 7.5]);
    expect(rows[0]?.[3]).toBeCloseTo(0, 6);
    expect(rows[1]?.[4]).toBeCloseTo(1, 6);
    expect(rows[0]?.[1]).toBeCloseTo(Math.sin((2 * Math.PI * 4) / 365.2425), 6);
  });

  it('with a time of day have a place in the day; zones count', () => {
    const column = categoricalColumn('d', [
      '2024-03-01T06:00:00Z',
      '2024-03-01 08:00+02:00',
      '2024-03-01 08:00:00+02',
      '2024-03-01 00:30-0530',
    ]);
    const { fitted, rows } = fitOne(column, 'date', { scaling: 'none' });
    expect(fitted.featureNames).toContain('d.day_sin');
    expect(rows).toEqual(rows.map(() => rows[0]));
    expect(rows[0]?.[5]).toBeCloseTo(1, 6);
  });

  it('whose days and months cannot be told apart need to be told', () => {
    const column = categoricalColumn('d', ['01/02/2024', '03/04/2024']);
    expect(() => fitOne(column, 'date')).toThrow(/"d" has no clear order of day and month.*date_order/);
    expect(fitOne(column, 'date', { dateOrder: 'dmy', scaling: 'none' }).rows[0]?.[0]).toBe(Date.UTC(2024, 1, 1) / 86_400_000);
  });
});

describe('text', () => {
  const docs = ['The cat sat on the mat', 'the dog sat', 'a cat and a dog'];
  const fitText = (text: TextOptions): ReturnType<typeof fitOne> => fitOne(categoricalColumn('t', docs), 'text', { text });

  it('as a bag agrees with scikit-learn 1.9.1: TfidfVectorizer(token_pattern=r"\\w+", min_df=2)', () => {
    const { fitted, rows } = fitText({});
    expect(fitted.featureNames).toEqual(['t:cat', 't:dog', 't:sat', 't:the']);
    const expected = [
      [0.408248290463863, 0, 0.408248290463863, 0.816496580926726],
      [0, 0.5773502691896257, 0.5773502691896257, 0.5773502691896257],
      [0.7071067811865476, 0.7071067811865476, 0, 0],
    ];
    // float32 has 7 digits.
    rows.forEach((row, index) => row.forEach((value, place) => expect(value).toBeCloseTo(expected[index]?.[place] ?? NaN, 6)));
  });

  // scikit-learn 1.9.1: TfidfVectorizer(token_pattern=r"\\w+", min_df=2, ngram_range=(1, 2)) with sublinear_tf=True and binary=True.
  it.each<[NonNullable<TextOptions['counts']>, number[]]>([
    ['sublinear', [0.3553753564701347, 0.4389592652744381, 0, 0.3553753564701347, 0.6017027828478941, 0.4389592652744381]],
    ['binary', [0.40650967860757614, 0.5021203260151371, 0, 0.40650967860757614, 0.40650967860757614, 0.5021203260151371]],
  ])('as a bag with runs of two words and %s counts agrees with scikit-learn', (counts, first) => {
    const { fitted, rows } = fitOne(categoricalColumn('t', [...docs, 'the cat sat']), 'text', { text: { ngrams: 2, counts } });
    const names = ['t:cat', 't:cat sat', 't:dog', 't:sat', 't:the', 't:the cat'];
    expect([...fitted.featureNames].toSorted()).toEqual(names);
    const sorted = (row: readonly number[] = []): number[] =>
      names.map((name) => row[fitted.featureNames.indexOf(name)] ?? NaN);
    const second = [0, 0, 0.6578293132998527, 0.5325695234255544, 0.5325695234255544, 0];
    for (const [row, expected] of [
      [rows[0], first],
      [rows[1], second],
    ] as const)
      // float32 has 7 digits.
      sorted(row).forEach((value, place) => expect(value).toBeCloseTo(expected[place] ?? NaN, 6));
  });

  it('as a bag of characters joins runs without a blank', () => {
    const { fitted } = fitOne(categoricalColumn('t', ['ab', 'ba']), 'text', {
      text: { level: 'character', ngrams: 3, minRows: 1 },
    });
    expect(fitted.featureNames).toEqual(['t:a', 't:b', 't:ab', 't:ba']);
  });

  it('as a sequence refuses what only a bag has', () => {
    expect(() => fitText({ encoding: 'sequence', ngrams: 2 })).toThrow(/"t" has ngrams: expected them only with encoding bag/);
    expect(() => fitText({ encoding: 'sequence', counts: 'binary' })).toThrow(/"t" has counts/);
  });

  it('that was saved before runs and counts could be chosen is read as it was meant', () => {
    const { fitted, table, rows } = fitText({});
    const { columns, ...saved } = JSON.parse(JSON.stringify(fitted)) as { columns: Record<string, unknown>[] };
    const old = columns.map(({ ngrams: _, counts: __, ...column }) => column);
    expect(old[0]).not.toHaveProperty('ngrams');
    expect(matrix(Preprocessor.fromJSON({ ...saved, columns: old }).transform(table), 4)).toEqual(rows);
  });

  it.each<[string, TextOptions, number[][]]>([
    [
      'padded and cut at the end',
      { length: 4 },
      [
        [5, 2, 4, 1],
        [5, 3, 4, 0],
        [1, 2, 1, 1],
      ],
    ],
    [
      'padded and cut at the start',
      { length: 4, padding: 'start', truncation: 'start' },
      [
        [4, 1, 5, 1],
        [0, 5, 3, 4],
        [2, 1, 1, 3],
      ],
    ],
    [
      'with the most frequent token alone',
      { length: 2, maxTokens: 1 },
      [
        [1, 2],
        [1, 1],
        [1, 2],
      ],
    ],
  ])('as a sequence is %s', (_, text, expected) => {
    const { rows } = fitText({ encoding: 'sequence', ...text });
    expect(rows).toEqual(expected);
  });

  it('may be taken character by character, with its case', () => {
    const { fitted, rows } = fitOne(categoricalColumn('t', ['aB', 'a']), 'text', {
      text: { encoding: 'sequence', level: 'character', lowercase: false, minRows: 1 },
    });
    expect(fitted.columns[0]).toMatchObject({ vocabulary: ['a', 'B'], length: 2 });
    expect(rows).toEqual([
      [2, 3],
      [2, 0],
    ]);
  });

  it('without a frequent token is refused', () => {
    expect(() => fitOne(categoricalColumn('t', ['x', 'y']), 'text')).toThrow(/"t" has no value in the training part/);
  });
});

describe('principal components', () => {
  // scikit-learn 1.9.1: PCA(2).fit(x); signs set so that the largest entry of each component is positive.
  const features = Float32Array.of(1, 2, 0.5, 3, -1, 2, 0, 4, 1, -2, 1, 3.5, 5, 0, -1, 2, 2, 2);

  it('agree with scikit-learn', () => {
    const pca = fitPca(features, 3, { components: 2 });
    const components = [
      [0.8434468781412157, -0.365045256490643, -0.39413110060932544],
      [0.09047052928604998, 0.8197013940489416, -0.5656011915872559],
    ];
    // 1e-12: another eigenvalue solver.
    pca.components.forEach((component, index) =>
      component.forEach((value, place) => expect(value).toBeCloseTo(components[index]?.[place] ?? NaN, 12)),
    );
    expect(pca.explained[0]).toBeCloseTo(0.7159267553650144, 12);
    expect(applyPca(pca, features)[2]).toBeCloseTo(1.8541885152837734, 5);
  });

  it('are as many as explain the share asked for', () => {
    expect(fitPca(features, 3, { variance: 0.7 }).components).toHaveLength(1);
    expect(fitPca(features, 3, { variance: 0.96 }).components).toHaveLength(2);
    expect(fitPca(features, 3, { variance: 1 }).components).toHaveLength(3);
    expect(() => fitPca(features, 3, { components: 4 })).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });

  it('replace the features of a preprocessor, and survive JSON', () => {
    const table = new Table([numericColumn('a', [1, 3, 0, -2]), numericColumn('b', [2, -1, 4, 1])], 4);
    const fitted = Preprocessor.fit(table, all(4), { preprocessing: { ...DEFAULT_PREPROCESSING, pca: { components: 1 } } });
    expect(fitted.featureNames).toEqual(['component_1']);
    const restored = Preprocessor.fromJSON(JSON.parse(JSON.stringify(fitted)));
    expect(restored.transform(table)).toEqual(fitted.transform(table));
    expect(fitted.transform(table)).toHaveLength(4);
  });
});

describe('prediction on another table', () => {
  const training = new Table([numericColumn('x', [1, 2, 3]), categoricalColumn('c', ['a', 'b', 'a'])], 3);
  const fitted = Preprocessor.fit(training, all(3));

  it('takes columns in any order and tells extra columns and unseen categories', () => {
    const other = new Table(
      [categoricalColumn('c', ['new', 'b', 'newer']), numericColumn('more', [1, 1, 1]), numericColumn('x', [1, 2, 3])],
      3,
    );
    expect(fitted.inspect(other)).toEqual({ extra: ['more'], unseen: [{ name: 'c', rows: 2, categories: 2 }] });
    expect(fitted.transform(other).filter((_, place) => place % 3 === 0)).toEqual(
      fitted.transform(training).filter((_, place) => place % 3 === 0),
    );
  });

  it('reads numbers written as text, and refuses other text with one masked cell', () => {
    const asText = new Table([categoricalColumn('x', ['1', '2', '3']), categoricalColumn('c', ['a', 'b', 'a'])], 3);
    expect(fitted.transform(asText)).toEqual(fitted.transform(training));
    const wrong = new Table([categoricalColumn('x', ['1', 'secret', '3']), categoricalColumn('c', ['a', 'b', 'a'])], 3);
    expect(() => fitted.transform(wrong)).toThrow(
      /"x" is of another type: expected numbers, got 1 other cells of 3, the first "s\.\.\." \(6/,
    );
  });

  it('names every column that is missing', () => {
    expect(() => fitted.transform(new Table([numericColumn('X', [1])], 1))).toThrow(
      /lacks 2 of the 2 columns.*"x" \(did you mean its "X"\?\), "c"/,
    );
  });
});
