import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { TensorkilnError } from '../errors.js';
import { asCategories, asNumbers } from './cast.js';
import type { ColumnType } from './columns.js';
import { fitBoolean, planBoolean } from './encodings/boolean.js';
import {
  categoricalImputation,
  categoryNames,
  countUnseen,
  fitCategorical,
  planCategorical,
  withFill,
} from './encodings/categorical.js';
import { dateNames, fitDate, planDate } from './encodings/date.js';
import { fitNumeric, numericImputation, type NumericFit } from './encodings/numeric.js';
import { applyPca, fitPca } from './encodings/pca.js';
import { savedPreprocessor, type ColumnEncoding, type PcaEncoding, type SavedPreprocessor } from './encodings/schemas.js';
import { crossFitMeans, type TargetValues } from './encodings/target-means.js';
import { fitText, planText, textNames } from './encodings/text.js';
import type { FeatureOptions } from './feature-options.js';
import { fillRows, type ColumnFill, type FillPlan } from './fill.js';
import { DEFAULT_PREPROCESSING, type PreprocessingOptions } from './preprocessing-options.js';
import { nearestName } from './nearest-name.js';
import { shared } from './shared-memory.js';
import type { Column, Table } from './table.js';
import type { WorkerPool } from './worker-pool.js';

/** A feature column and what is to be made of it. */
export interface FeatureColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly options?: FeatureOptions;
}

export interface FitOptions {
  /** Default DEFAULT_PREPROCESSING. */
  readonly preprocessing?: PreprocessingOptions;
  /** Default: every column of the table, with its kind as type. */
  readonly features?: readonly FeatureColumn[];
  /** Needed for the target encoding alone. */
  readonly target?: TargetValues;
}

/** The matrix columns that one table column became, so that a model can treat blocks apart. */
export interface FeatureBlock {
  readonly name: string;
  readonly kind: ColumnEncoding['kind'];
  readonly offset: number;
  readonly width: number;
}

/** How a table differs from the one the preprocessor was fitted on, without being refused. */
export interface InputReport {
  /** Columns of the table that are no features. */
  readonly extra: readonly string[];
  /** Columns with categories that no training row had: they count as none of the known. */
  readonly unseen: readonly { readonly name: string; readonly rows: number; readonly categories: number }[];
}

/**
 * Turns table columns into model input: imputation, encodings, scaling, principal components.
 *
 * Everything it knows comes from the rows it was fitted on; it is the same object in training, prediction and export, and saved as JSON.
 * Columns are found by name, in any order; a column of another type is read as the type of training where its cells allow that.
 */
export class Preprocessor {
  readonly columns: readonly ColumnEncoding[];
  readonly blocks: readonly FeatureBlock[];
  /** One name per column of the output: the table column's own, `column=category`, `column:token`, or `component_1`. */
  readonly featureNames: readonly string[];
  readonly pca: PcaEncoding | undefined;

  private constructor(columns: readonly ColumnEncoding[], pca: PcaEncoding | undefined) {
    this.columns = columns;
    this.pca = pca;
    const names = columns.map(namesOf);
    let offset = 0;
    this.blocks = columns.map(({ name, kind }, index) => {
      const block = { name, kind, offset, width: names[index]?.length ?? 0 };
      offset += block.width;
      return block;
    });
    this.featureNames = pca === undefined ? names.flat() : pca.components.map((_, index) => `component_${index + 1}`);
  }

  /**
   * Learns from some rows of a table.
   *
   * @param rows the training rows, at least one; no other row is looked at
   * @throws E_DATA when a column has no value among those rows or does not fit its type; E_USAGE for options that do not fit together
   */
  static fit(table: Table, rows: Int32Array, options: FitOptions = {}): Preprocessor {
    return Preprocessor.#fit(table, rows, options, new Map());
  }

  /**
   * As `fit`, the numbers of a large table by worker threads, with the same result.
   *
   * @throws E_ABORTED, and as `fit`
   */
  static async fitInPool(
    table: Table,
    rows: Int32Array,
    options: FitOptions,
    { pool, signal }: PoolOptions,
  ): Promise<Preprocessor> {
    const { preprocessing = DEFAULT_PREPROCESSING } = options;
    const numeric = featuresOf(table, options).filter(({ type }) => type === 'numeric');
    if (rows.length * numeric.length < POOL_FROM_CELLS) return Preprocessor.fit(table, rows, options);
    const sharedRows = shared(rows);
    const fits = numeric.map(async (feature) => {
      const { values } = asNumbers(table.column(feature.name), 'features');
      const task = { name: feature.name, values: shared(values), rows: sharedRows, fit: numericFit(feature, preprocessing) };
      return [feature.name, await pool.run('fitNumeric', task, signal === undefined ? {} : { signal })] as const;
    });
    const pending = Promise.all(fits);
    // A worker's failure is met below; until then it must not count as unhandled.
    pending.catch(() => undefined);
    // When the workers have their tasks, this thread fits the other columns meanwhile.
    await setImmediate();
    const { target } = options;
    const others = featuresOf(table, options)
      .filter(({ type }) => type !== 'numeric')
      .map(
        (feature) => [feature.name, fitColumn(table.column(feature.name), feature, { rows, preprocessing, target })] as const,
      );
    return Preprocessor.#fit(table, rows, options, new Map([...others, ...(await pending)]));
  }

  static #fit(table: Table, rows: Int32Array, options: FitOptions, fitted: ReadonlyMap<string, ColumnEncoding>): Preprocessor {
    if (rows.length === 0)
      throw new TensorkilnError('E_DATA', '[preprocessing] no rows to fit on: expected at least one training row.');
    const { preprocessing = DEFAULT_PREPROCESSING, target } = options;
    const columns = featuresOf(table, options).map(
      (feature) => fitted.get(feature.name) ?? fitColumn(table.column(feature.name), feature, { rows, preprocessing, target }),
    );
    const plain = new Preprocessor(columns, undefined);
    if (preprocessing.pca === undefined) return plain;
    const matrix = fillPlan(plain.trainingPlan(table, rows, target), rows);
    return new Preprocessor(columns, fitPca(matrix, plain.featureNames.length, preprocessing.pca));
  }

  /** @throws E_DATA when `json` is not what `toJSON` gives */
  static fromJSON(json: unknown): Preprocessor {
    const parsed = savedPreprocessor.safeParse(json);
    if (!parsed.success) {
      throw new TensorkilnError(
        'E_DATA',
        `[preprocessing] not a saved preprocessor of version 2: ${z.prettifyError(parsed.error)}`,
      );
    }
    return new Preprocessor(parsed.data.columns, parsed.data.pca);
  }

  toJSON(): SavedPreprocessor {
    const { columns, pca } = this;
    return { format: 'tensorkiln.preprocessor', version: 2, columns: [...columns], ...(pca === undefined ? {} : { pca }) };
  }

  /**
   * The way from this table's columns to matrix columns, before principal components, as plain data.
   *
   * @throws E_DATA when the table lacks a column or has cells that its type does not allow
   */
  plan(table: Table): FillPlan {
    this.#checkColumns(table);
    const columns = this.columns.flatMap((encoding, index) =>
      planColumn(encoding, table.column(encoding.name), this.blocks[index]?.offset ?? 0),
    );
    return { width: this.#width(), columns };
  }

  /** As `plan`, for the rows the preprocessor was fitted on: the target encoding gives each row means that its own target is not in. */
  trainingPlan(table: Table, rows: Int32Array, target: TargetValues | undefined): FillPlan {
    const plan = this.plan(table);
    if (target === undefined) return plan;
    const targetBlocks = this.columns.flatMap((encoding, index) => {
      if (encoding.kind !== 'target') return [];
      const codes = withFill(asCategories(table.column(encoding.name), encoding.spell_numbers), encoding);
      const encoded = crossFitMeans(codes, { rows, count: encoding.categories.length, target });
      const offset = this.blocks[index]?.offset ?? 0;
      return encoded.map((values, output) => ({
        kind: 'numeric' as const,
        offset: offset + output,
        values,
        fill: 0,
        shift: 0,
        scale: 1,
      }));
    });
    const replaced = new Set(this.blocks.filter(({ kind }) => kind === 'target').map(({ offset }) => offset));
    return { width: plan.width, columns: [...plan.columns.filter(({ offset }) => !replaced.has(offset)), ...targetBlocks] };
  }

  /** A matrix filled by a plan as the model's input: its principal components where the preprocessor has some. */
  finish(matrix: Float32Array): Float32Array {
    return this.pca === undefined ? matrix : applyPca(this.pca, matrix);
  }

  /**
   * @param rows table rows, in the order wanted; default all
   * @returns [rows, featureNames.length] float32
   * @throws E_DATA as `plan`
   */
  transform(table: Table, rows: Int32Array = Int32Array.from({ length: table.rowCount }, (_, row) => row)): Float32Array {
    return this.finish(fillPlan(this.plan(table), rows));
  }

  /** What of a table the model will not see as it saw its training rows. @throws E_DATA when the table lacks a column */
  inspect(table: Table): InputReport {
    this.#checkColumns(table);
    const known = new Set(this.columns.map(({ name }) => name));
    const unseen = this.columns.flatMap((encoding) => {
      if (encoding.kind !== 'one_hot' && encoding.kind !== 'label' && encoding.kind !== 'target') return [];
      const count = countUnseen(encoding, table.column(encoding.name));
      return count.rows === 0 ? [] : [{ name: encoding.name, ...count }];
    });
    return { extra: table.columns.map(({ name }) => name).filter((name) => !known.has(name)), unseen };
  }

  #width(): number {
    return this.blocks.reduce((sum, { width }) => sum + width, 0);
  }

  #checkColumns(table: Table): void {
    const present = new Set(table.columns.map(({ name }) => name));
    const missing = this.columns.map(({ name }) => name).filter((name) => !present.has(name));
    if (missing.length === 0) return;
    const hints = missing.slice(0, 10).map((name) => {
      const near = nearestName(name, present);
      return near === undefined ? `"${name}"` : `"${name}" (did you mean its "${near}"?)`;
    });
    const more = missing.length > 10 ? ` and ${missing.length - 10} more` : '';
    throw new TensorkilnError(
      'E_DATA',
      `[preprocessing] the table lacks ${missing.length} of the ${this.columns.length} columns the model was trained on: expected also ${hints.join(', ')}${more}.`,
    );
  }
}

function fillPlan(plan: FillPlan, rows: Int32Array): Float32Array {
  const out = new Float32Array(rows.length * plan.width);
  fillRows(plan, rows, out, { from: 0, to: rows.length });
  return out;
}

interface PoolOptions {
  readonly pool: WorkerPool;
  readonly signal?: AbortSignal;
}

/** Below this many cells the numbers are fitted sooner than worker threads start. */
const POOL_FROM_CELLS = 4_000_000;

interface ColumnFitContext {
  readonly rows: Int32Array;
  readonly preprocessing: PreprocessingOptions;
  readonly target: TargetValues | undefined;
}

const DEFAULT_BUCKETS = 32;

function fitColumn(column: Column, feature: FeatureColumn, context: ColumnFitContext): ColumnEncoding {
  const { rows, preprocessing, target } = context;
  const { name, options = {} } = feature;
  switch (feature.type) {
    case 'numeric':
      return fitNumeric(name, asNumbers(column, 'features').values, rows, numericFit(feature, preprocessing));
    case 'boolean':
      return fitBoolean(column, rows);
    case 'date':
      return fitDate(column, rows, {
        ...numericFit(feature, preprocessing),
        order: options.dateOrder,
        groups: options.dateParts,
      });
    case 'text':
      return fitText(column, rows, options.text);
    case 'categorical':
      return fitCategorical(column, rows, {
        encoding: options.encoding ?? preprocessing.encoding ?? 'one_hot',
        imputation: categoricalImputation(name, options.imputation ?? preprocessing.categoricalImputation),
        buckets: options.buckets ?? DEFAULT_BUCKETS,
        target,
      });
  }
}

function numericFit({ name, options = {} }: FeatureColumn, preprocessing: PreprocessingOptions): NumericFit {
  return {
    imputation: numericImputation(name, options.imputation ?? preprocessing.numericImputation),
    scaling: options.scaling ?? preprocessing.scaling,
  };
}

function featuresOf(table: Table, { features }: FitOptions): readonly FeatureColumn[] {
  return features ?? table.columns.map((column) => ({ name: column.name, type: column.kind }));
}

function namesOf(encoding: ColumnEncoding): readonly string[] {
  switch (encoding.kind) {
    case 'numeric':
    case 'boolean':
      return [encoding.name];
    case 'date':
      return dateNames(encoding);
    case 'bag':
    case 'sequence':
      return textNames(encoding);
    default:
      return categoryNames(encoding);
  }
}

function planColumn(encoding: ColumnEncoding, column: Column, offset: number): readonly ColumnFill[] {
  switch (encoding.kind) {
    case 'numeric': {
      const { fill, shift, scale } = encoding;
      return [{ kind: 'numeric', offset, values: asNumbers(column, 'preprocessing').values, fill, shift, scale }];
    }
    case 'boolean':
      return [planBoolean(encoding, column, offset)];
    case 'date':
      return planDate(encoding, column, offset);
    case 'bag':
    case 'sequence':
      return [planText(encoding, column, offset)];
    default:
      return [planCategorical(encoding, column, offset)];
  }
}
