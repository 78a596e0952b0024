import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillMatrix } from '../../ts/data/matrix-filler.js';
import {
  DEFAULT_PREPROCESSING,
  type NumericImputation,
  type PreprocessingOptions,
} from '../../ts/data/preprocessing-options.js';
import { Preprocessor } from '../../ts/data/preprocessor.js';
import { categoricalColumn, numericColumn, Table } from '../../ts/data/table.js';
import { WorkerPool } from '../../ts/data/worker-pool.js';

const all = (size: number): Int32Array => Int32Array.from({ length: size }, (_, row) => row);
const options = (changes: Partial<PreprocessingOptions>): { preprocessing: PreprocessingOptions } => ({
  preprocessing: { ...DEFAULT_PREPROCESSING, ...changes },
});
const VALUES = [3.5, null, -1.25, 7, 3.5, 100, null, 0.1];

describe('numeric columns', () => {
  // scikit-learn 1.9.1: make_pipeline(SimpleImputer(strategy), StandardScaler()) fitted on the same eight cells.
  it.each<[NumericImputation, number, number, number]>([
    ['median', 3.5, 14.98125, 32.218142574293445],
    ['mean', 18.808333333333334, 18.808333333333334, 31.528859960624434],
    ['mode', 3.5, 14.98125, 32.218142574293445],
  ])('imputes by %s and scales as scikit-learn does', (numericImputation, fill, mean, scale) => {
    const table = new Table([numericColumn('x', VALUES)], 8);
    const fitted = Preprocessor.fit(table, all(8), options({ numericImputation }));
    // 1e-14: the sums are rounded in another order.
    expect(fitted.columns).toEqual([
      {
        kind: 'numeric',
        name: 'x',
        fill: expect.closeTo(fill, 13),
        shift: expect.closeTo(mean, 13),
        scale: expect.closeTo(scale, 13),
      },
    ]);
    const expected = VALUES.map((value) => Math.fround(((value ?? fill) - mean) / scale));
    // One unit in the last place of float32, about 6e-8 relative, where the float64 value lies at a rounding border.
    [...fitted.transform(table)].forEach((value, row) => expect(value).toBeCloseTo(expected[row] ?? NaN, 6));
  });

  it('imputes a constant of its own, unscaled when asked', () => {
    const table = new Table([numericColumn('x', VALUES)], 8);
    const fitted = Preprocessor.fit(table, all(8), options({ numericImputation: { constant: -9 }, scaling: 'none' }));
    expect([...fitted.transform(table)]).toEqual(VALUES.map((value) => Math.fround(value ?? -9)));
  });

  it('only shifts a constant column, also where the mean is rounded', () => {
    const table = new Table([numericColumn('x', [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])], 7);
    expect([...Preprocessor.fit(table, all(7)).transform(table)].every((value) => Math.abs(value) < 1e-9)).toBe(true);
  });

  it('averages the middle two and takes the smallest of equally frequent values', () => {
    const table = new Table([numericColumn('x', [4, 1, 10, 2])], 4);
    expect(Preprocessor.fit(table, all(4), options({ scaling: 'none' })).columns[0]).toMatchObject({ fill: 3 });
    expect(Preprocessor.fit(table, all(4), options({ numericImputation: 'mode' })).columns[0]).toMatchObject({ fill: 1 });
  });
});

describe('categorical columns', () => {
  const table = new Table([categoricalColumn('c', ['b', 'a', null, 'b', 'new'])], 5);

  it('codes categories seen in training one-hot, an unseen one as zeros, a missing one as the mode', () => {
    const fitted = Preprocessor.fit(table, Int32Array.of(0, 1, 2, 3));
    expect(fitted.featureNames).toEqual(['c=a', 'c=b']);
    expect([...fitted.transform(table)]).toEqual([0, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
  });

  it('gives a missing cell a category of its own when a constant is asked for', () => {
    const fitted = Preprocessor.fit(
      table,
      Int32Array.of(0, 1, 2, 3),
      options({ categoricalImputation: { constant: 'unknown' } }),
    );
    expect(fitted.featureNames).toEqual(['c=a', 'c=b', 'c=unknown']);
    expect([...fitted.transform(table, Int32Array.of(2))]).toEqual([0, 0, 1]);
  });

  it('knows categories by name, not by the code they have in one table', () => {
    const fitted = Preprocessor.fit(table, all(5));
    const other = new Table([categoricalColumn('c', ['new', 'zebra', 'a'])], 3);
    expect([...fitted.transform(other)]).toEqual([0, 0, 1, 0, 0, 0, 1, 0, 0]);
  });
});

const cell = fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true }));
const text = fc.option(fc.constantFrom('red', 'green', 'blue', '=', ''));
const randomTable = fc
  .array(fc.tuple(cell, text), { minLength: 4, maxLength: 60 })
  .map(
    (rows) =>
      new Table(
        [numericColumn('x', [1, ...rows.map(([x]) => x)]), categoricalColumn('c', ['red', ...rows.map(([, c]) => c)])],
        rows.length + 1,
      ),
  );

describe('Preprocessor', () => {
  it('learns nothing from rows outside the training part', () => {
    fc.assert(
      fc.property(randomTable, fc.double({ min: -1e9, max: 1e9, noNaN: true }), (table, poison) => {
        const training = all(Math.ceil(table.rowCount / 2));
        const changed = new Table(
          table.columns.map((column) =>
            column.kind === 'numeric'
              ? { ...column, values: column.values.map((value, row) => (row < training.length ? value : poison)) }
              : categoricalColumn(
                  column.name,
                  Array.from(column.codes, (code, row) =>
                    row < training.length ? (column.categories[code] ?? null) : 'poison',
                  ),
                ),
          ),
          table.rowCount,
        );
        expect(Preprocessor.fit(changed, training).toJSON()).toEqual(Preprocessor.fit(table, training).toJSON());
      }),
    );
  });

  it('gives the same bits after a round trip through JSON text', () => {
    fc.assert(
      fc.property(randomTable, (table) => {
        const fitted = Preprocessor.fit(table, all(table.rowCount));
        const restored = Preprocessor.fromJSON(JSON.parse(JSON.stringify(fitted)));
        expect(restored.featureNames).toEqual(fitted.featureNames);
        expect(restored.transform(table)).toEqual(fitted.transform(table));
      }),
    );
  });

  it('fills by worker threads what it fills inline, bit for bit', async () => {
    const size = 5_000;
    const table = new Table(
      [
        numericColumn(
          'x',
          Array.from({ length: size }, (_, row) => (row % 11 === 0 ? null : Math.sin(row))),
        ),
        categoricalColumn(
          'c',
          Array.from({ length: size }, (_, row) => (row % 7 === 0 ? null : `k${row % 5}`)),
        ),
      ],
      size,
    );
    const fitted = Preprocessor.fit(table, all(size));
    const rows = all(size).reverse();
    const pool = new WorkerPool(2);
    try {
      const filled = await fillMatrix(fitted.plan(table), rows, { pool, poolFromCells: 0 });
      expect(filled.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(Array.from(filled)).toEqual(Array.from(fitted.transform(table, rows)));
      const aborted = fillMatrix(fitted.plan(table), rows, { pool, poolFromCells: 0, signal: AbortSignal.abort() });
      await expect(aborted).rejects.toMatchObject({ code: 'E_ABORTED' });
    } finally {
      await pool.close();
    }
  });

  it('says how much memory a matrix needs that does not fit', async () => {
    // 2^31 rows of 2^20 cells, 8 PiB: beyond the address space. The array only has to claim its length.
    const rows = Object.defineProperty(Int32Array.of(0), 'length', { value: 2 ** 31 });
    await expect(fillMatrix({ width: 2 ** 20, columns: [] }, rows, { pool: new WorkerPool() })).rejects.toMatchObject({
      code: 'E_OUT_OF_MEMORY',
      message: expect.stringContaining('2147483648 rows of 1048576 features (8388608.0 GiB)'),
    });
  });

  it('refuses what it cannot use, naming the column', () => {
    const table = new Table([numericColumn('x', [null, 1])], 2);
    expect(() => Preprocessor.fit(table, Int32Array.of(0))).toThrow(/"x" has no value in the training part/);
    expect(() => Preprocessor.fit(table, Int32Array.of())).toThrow(expect.objectContaining({ code: 'E_DATA' }));
    const fitted = Preprocessor.fit(table, all(2));
    expect(() => fitted.transform(new Table([categoricalColumn('x', ['a'])], 1))).toThrow(
      /"x" is of another type: expected numbers, got 1 other cells of 1, the first "a\.\.\." \(1 characters\)/,
    );
    expect(() => fitted.transform(new Table([numericColumn('xx', [1])], 1))).toThrow(
      /lacks 1 of the 1 columns.*"x" \(did you mean its "xx"\?\)/,
    );
    expect(() => Preprocessor.fromJSON({ ...fitted.toJSON(), version: 1 })).toThrow(
      expect.objectContaining({ code: 'E_DATA' }),
    );
  });
});
