import { TensorkilnError } from '../errors.js';
import { decideColumns, type ColumnReport, type FeatureType } from './columns.js';
import type { Dataset } from './dataset.js';
import { MatrixFiller, type MatrixFillerOptions } from './matrix-filler.js';
import type { PreprocessingOptions } from './preprocessing-options.js';
import { Preprocessor } from './preprocessor.js';
import { openTable, type ColumnRequest } from './read-table.js';
import { splitRows, type Split, type SplitOptions } from './split.js';
import { sortCategories, Table, type CategoricalColumn } from './table.js';

export interface DataConfig {
  /** CSV file. */
  readonly path: string;
  /** Column with the class of each row. */
  readonly target: string;
  /** Spellings of a missing cell; default DEFAULT_NA_VALUES. */
  readonly naValues?: readonly string[];
  /** Columns whose type is not to be inferred. */
  readonly features?: Readonly<Record<string, FeatureType>>;
  readonly split: SplitOptions;
  readonly preprocessing: PreprocessingOptions;
}

export type PartName = 'train' | 'validation' | 'test';

export interface DataCounts {
  /** Rows in the file. */
  readonly rows: number;
  /** Rows left out because their target is missing. */
  readonly missingTarget: number;
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  /** Rows of each class in each part, in the order of `classes`. */
  readonly perClass: readonly (Readonly<Record<PartName, number>> & { readonly name: string })[];
}

/** A table made ready for training a classifier. */
export interface PreparedData {
  readonly train: Dataset;
  readonly validation: Dataset;
  readonly test: Dataset;
  /** Fitted on the training part alone. */
  readonly preprocessor: Preprocessor;
  /** Class names by index: sorted, numbers in numeric order. */
  readonly classes: readonly string[];
  readonly columns: readonly ColumnReport[];
  readonly counts: DataCounts;
  /** Table rows (from 0, in file order) of each part. */
  readonly split: Split;
  readonly warnings: readonly string[];
}

/** What prepareData tells while it works, in this order; warnings come as they arise. */
export type DataEvent =
  | { readonly type: 'data_read'; readonly path: string; readonly rows: number; readonly columns: number }
  | { readonly type: 'data_warning'; readonly message: string }
  | { readonly type: 'data_ready'; readonly counts: DataCounts; readonly features: number };

export interface PrepareOptions extends MatrixFillerOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: DataEvent) => void;
}

/**
 * From a CSV file to three datasets of float32 features and int32 classes: reads, infers columns, drops rows without a target (counted),
 * splits, fits the preprocessor on the training part, fills the matrices.
 *
 * The same file, config and seed give the same bits on every machine.
 *
 * @throws E_IO when the file cannot be read; E_DATA when it cannot be used for this; E_USAGE for invalid shares or seed; E_ABORTED
 */
export async function prepareData(config: DataConfig, options: PrepareOptions = {}): Promise<PreparedData> {
  const emit = options.onEvent ?? ((): void => undefined);
  const warnings: string[] = [];
  const warn = (message: string): void => {
    warnings.push(message);
    emit({ type: 'data_warning', message });
  };

  const { table, target, columns, missingTarget } = await readColumns(config, options, { emit, warn });
  const labeled = Int32Array.from(target.codes.keys()).filter((row) => (target.codes[row] ?? -1) >= 0);
  const labels = labeled.map((row) => target.codes[row] ?? 0);
  const parts = mapParts(splitRows(labels, config.split), (rows) => rows.map((index) => labeled[index] ?? 0));
  const counts = countRows(parts, target, { rows: table.rowCount, missingTarget });
  checkParts(counts, config, warn);

  const preprocessor = Preprocessor.fit(table, parts.train, config.preprocessing);
  const plan = preprocessor.plan(table);
  const filler = new MatrixFiller(options);
  try {
    const dataset = async (rows: Int32Array): Promise<Dataset> => ({
      size: rows.length,
      featureShape: [plan.width],
      features: await filler.fill(plan, rows, options.signal),
      targets: rows.map((row) => target.codes[row] ?? 0),
      targetShape: [],
    });
    const [train, validation, test] = [await dataset(parts.train), await dataset(parts.validation), await dataset(parts.test)];
    emit({ type: 'data_ready', counts, features: plan.width });
    return { train, validation, test, preprocessor, classes: target.categories, columns, counts, split: parts, warnings };
  } finally {
    await filler.close();
  }
}

interface ReadColumns {
  /** The feature columns. */
  readonly table: Table;
  readonly target: CategoricalColumn;
  readonly columns: readonly ColumnReport[];
  readonly missingTarget: number;
}

async function readColumns(
  config: DataConfig,
  options: PrepareOptions,
  hooks: { readonly emit: (event: DataEvent) => void; readonly warn: (message: string) => void },
): Promise<ReadColumns> {
  const source = await openTable(config.path, {
    ...(config.naValues === undefined ? {} : { naValues: config.naValues }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  try {
    hooks.emit({ type: 'data_read', path: config.path, rows: source.rowCount, columns: source.profiles.length });
    const { columns, warnings } = decideColumns(source.profiles, config.target, config.features);
    warnings.forEach(hooks.warn);
    const features = columns.filter((column) => column.role === 'feature');
    const requests = features.map((column): ColumnRequest => ({ name: column.name, kind: column.type }));
    const read = await source.read([...requests, { name: config.target, kind: 'categorical' }]);
    const target = read.column(config.target);
    if (target.kind !== 'categorical')
      throw new TensorkilnError('E_INTERNAL', '[data] the target was read with the wrong type.');
    const missingTarget = target.codes.reduce((count, code) => count + (code < 0 ? 1 : 0), 0);
    if (missingTarget > 0)
      hooks.warn(`${missingTarget} of ${source.rowCount} rows have no value in the target "${target.name}" and are left out.`);
    const table = new Table(
      features.map((column) => read.column(column.name)),
      source.rowCount,
    );
    return { table, target: mergeNumberSpellings(target), columns, missingTarget };
  } finally {
    source.close();
  }
}

/** Labels that are all numbers count as equal when the numbers are: 1 and 1.0 are one class. */
function mergeNumberSpellings(column: CategoricalColumn): CategoricalColumn {
  const numbers = column.categories.map(Number);
  if (!numbers.every(Number.isFinite)) return column;
  const categories = sortCategories([...new Set(numbers.map(String))]);
  const merged = numbers.map((value) => categories.indexOf(String(value)));
  return { ...column, codes: column.codes.map((code) => merged[code] ?? -1), categories };
}

function mapParts(split: Split, map: (rows: Int32Array) => Int32Array): Split {
  return { train: map(split.train), validation: map(split.validation), test: map(split.test) };
}

function countRows(
  parts: Split,
  target: CategoricalColumn,
  file: { readonly rows: number; readonly missingTarget: number },
): DataCounts {
  const perClass = target.categories.map((name) => ({ name, train: 0, validation: 0, test: 0 }));
  for (const part of ['train', 'validation', 'test'] as const) {
    for (const row of parts[part]) {
      const count = perClass[target.codes[row] ?? -1];
      if (count !== undefined) count[part]++;
    }
  }
  return { ...file, train: parts.train.length, validation: parts.validation.length, test: parts.test.length, perClass };
}

function checkParts(counts: DataCounts, config: DataConfig, warn: (message: string) => void): void {
  for (const part of ['train', 'validation', 'test'] as const) {
    if (counts[part] === 0 && config.split[part] > 0) {
      throw new TensorkilnError(
        'E_DATA',
        `[split] too few rows: the ${part} part (${config.split[part]} of ${counts.rows - counts.missingTarget} rows with a target) is empty.`,
      );
    }
    const absent = counts.perClass.filter((entry) => entry[part] === 0).map((entry) => `"${entry.name}"`);
    if (counts[part] > 0 && absent.length > 0) warn(`The ${part} part has no row of class ${absent.slice(0, 10).join(', ')}.`);
  }
}
