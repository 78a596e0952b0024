import { z } from 'zod';
import { TensorkilnError } from '../errors.js';
import { fillRows, type FillPlan, type NumericFill, type OneHotFill } from './fill.js';
import {
  DEFAULT_PREPROCESSING,
  meanAndDeviation,
  noTrainingValue,
  numericFill,
  type PreprocessingOptions,
} from './preprocessing-options.js';
import type { CategoricalColumn, NumericColumn, Table } from './table.js';

/** What was learned about a numeric column: a missing cell becomes `fill`, then (x - mean) / scale. */
const numericEncoding = z.strictObject({
  kind: z.literal('numeric'),
  name: z.string(),
  fill: z.number(),
  mean: z.number(),
  scale: z.number().positive(),
});

/** What was learned about a categorical column: a missing cell becomes `fill`, then one column per category; an unseen category is all zeros. */
const oneHotEncoding = z.strictObject({
  kind: z.literal('one_hot'),
  name: z.string(),
  fill: z.string(),
  categories: z.array(z.string()).min(1),
});

const savedPreprocessor = z.strictObject({
  format: z.literal('tensorkiln.preprocessor'),
  version: z.literal(1),
  columns: z.array(z.discriminatedUnion('kind', [numericEncoding, oneHotEncoding])).min(1),
});

export type NumericEncoding = z.infer<typeof numericEncoding>;
export type OneHotEncoding = z.infer<typeof oneHotEncoding>;
export type ColumnEncoding = NumericEncoding | OneHotEncoding;
/** The plain-data form of a Preprocessor, as saved beside an exported model. */
export type SavedPreprocessor = z.infer<typeof savedPreprocessor>;

/**
 * Turns table columns into model input: imputation, then standard scaling of numbers and one-hot coding of categories.
 *
 * Everything it knows comes from the rows it was fitted on. Scaling statistics are those of the imputed column, with the deviation over n,
 * and a constant column is only shifted. One-hot columns are not scaled.
 */
export class Preprocessor {
  readonly columns: readonly ColumnEncoding[];
  /** One name per matrix column: the column's own, or `column=category`. */
  readonly featureNames: readonly string[];

  private constructor(columns: readonly ColumnEncoding[]) {
    this.columns = columns;
    this.featureNames = columns.flatMap((column) =>
      column.kind === 'numeric' ? [column.name] : column.categories.map((category) => `${column.name}=${category}`),
    );
  }

  /**
   * Learns from some rows of a table.
   *
   * @param rows the training rows, at least one; no other row is looked at
   * @throws E_DATA when a column has no value among those rows
   */
  static fit(table: Table, rows: Int32Array, options: PreprocessingOptions = DEFAULT_PREPROCESSING): Preprocessor {
    if (rows.length === 0)
      throw new TensorkilnError('E_DATA', '[preprocessing] no rows to fit on: expected at least one training row.');
    return new Preprocessor(
      table.columns.map((column) =>
        column.kind === 'numeric' ? fitNumeric(column, rows, options) : fitOneHot(column, rows, options),
      ),
    );
  }

  /** @throws E_DATA when `json` is not what `toJSON` gives */
  static fromJSON(json: unknown): Preprocessor {
    const parsed = savedPreprocessor.safeParse(json);
    if (!parsed.success) {
      throw new TensorkilnError(
        'E_DATA',
        `[preprocessing] not a saved preprocessor of version 1: ${z.prettifyError(parsed.error)}`,
      );
    }
    return new Preprocessor(parsed.data.columns);
  }

  toJSON(): SavedPreprocessor {
    return { format: 'tensorkiln.preprocessor', version: 1, columns: [...this.columns] };
  }

  /**
   * The way from this table's columns to matrix columns, as plain data.
   *
   * @throws E_DATA when the table lacks a column or has it with another type
   */
  plan(table: Table): FillPlan {
    const columns: (NumericFill | OneHotFill)[] = [];
    let offset = 0;
    for (const encoding of this.columns) {
      const column = table.column(encoding.name);
      if (encoding.kind === 'numeric') {
        if (column.kind !== 'numeric') throw wrongKind(encoding.name, 'numeric', column.kind);
        columns.push({
          kind: 'numeric',
          offset,
          values: column.values,
          fill: encoding.fill,
          shift: encoding.mean,
          scale: encoding.scale,
        });
        offset += 1;
      } else {
        if (column.kind !== 'categorical') throw wrongKind(encoding.name, 'categorical', column.kind);
        const slotOf = new Map(encoding.categories.map((category, slot) => [category, slot]));
        const slots = Int32Array.from(column.categories, (category) => slotOf.get(category) ?? -1);
        columns.push({ kind: 'one_hot', offset, codes: column.codes, slots, missingSlot: slotOf.get(encoding.fill) ?? -1 });
        offset += encoding.categories.length;
      }
    }
    return { width: offset, columns };
  }

  /**
   * @param rows table rows, in the order wanted; default all
   * @returns [rows, featureNames.length] float32
   * @throws E_DATA as `plan`
   */
  transform(table: Table, rows: Int32Array = Int32Array.from({ length: table.rowCount }, (_, row) => row)): Float32Array {
    const plan = this.plan(table);
    const out = new Float32Array(rows.length * plan.width);
    fillRows(plan, rows, out, { from: 0, to: rows.length });
    return out;
  }
}

function fitNumeric(column: NumericColumn, rows: Int32Array, options: PreprocessingOptions): NumericEncoding {
  const cells = Float64Array.from(rows, (row) => column.values[row] ?? NaN);
  const fill = numericFill(
    column.name,
    cells.filter((value) => !Number.isNaN(value)),
    options.numericImputation,
  );
  if (options.scaling === 'none') return { kind: 'numeric', name: column.name, fill, mean: 0, scale: 1 };
  const { mean, deviation } = meanAndDeviation(cells.map((value) => (Number.isNaN(value) ? fill : value)));
  return { kind: 'numeric', name: column.name, fill, mean, scale: deviation === 0 ? 1 : deviation };
}

function fitOneHot(column: CategoricalColumn, rows: Int32Array, options: PreprocessingOptions): OneHotEncoding {
  const counts = new Map<string, number>();
  let missing = 0;
  for (const row of rows) {
    const category = column.categories[column.codes[row] ?? -1];
    if (category === undefined) missing++;
    else counts.set(category, (counts.get(category) ?? 0) + 1);
  }
  const imputation = options.categoricalImputation;
  if (typeof imputation === 'object' && missing > 0)
    counts.set(imputation.constant, (counts.get(imputation.constant) ?? 0) + missing);
  if (counts.size === 0) throw noTrainingValue(column.name);
  const categories = column.categories.filter((category) => counts.has(category));
  if (typeof imputation === 'object') {
    if (counts.has(imputation.constant) && !categories.includes(imputation.constant)) categories.push(imputation.constant);
    return { kind: 'one_hot', name: column.name, fill: imputation.constant, categories };
  }
  // The first of equals in category order, so that the result does not depend on the order of rows.
  const fill = categories.reduce((best, category) => ((counts.get(category) ?? 0) > (counts.get(best) ?? 0) ? category : best));
  return { kind: 'one_hot', name: column.name, fill, categories };
}

function wrongKind(name: string, expected: string, found: string): TensorkilnError {
  return new TensorkilnError(
    'E_DATA',
    `[preprocessing] column "${name}" has another type than in training: expected ${expected}, got ${found}.`,
  );
}
