import { TensorkilnError } from '../errors.js';
import { asCategories, asNumbers } from './cast.js';
import { fingerprint, loadPrepared, savePrepared } from './cache.js';
import { checkDataConfig, type CheckedDataConfig } from './check-config.js';
import { decideColumns, type ColumnReport, type Task } from './columns.js';
import type { Dataset } from './dataset.js';
import { partition, type SplitConfig } from './partition.js';
import type { FeatureOptions } from './feature-options.js';
import { fitNumeric } from './encodings/numeric.js';
import { fillMatrix } from './matrix-filler.js';
import { findOutliers, type OutlierOptions, type OutlierReport } from './outliers.js';
import type { PreprocessingOptions, Scaling } from './preprocessing-options.js';
import { Preprocessor } from './preprocessor.js';
import { profileTable, type ColumnProfile } from './profile.js';
import { shownPath } from './formats/connection-url.js';
import { appendRows, readTable, type TableInput } from './read-table.js';
import { countShared, hashRows, repeatedRows, type RowHashes } from './row-hash.js';
import type { Split } from './split.js';
import { findLeaks, measureDrift, type TargetColumn } from './suspects.js';
import type { TargetValues } from './encodings/target-means.js';
import { type Table, type CategoricalColumn } from './table.js';
import { treatmentOf } from './treatment.js';
import { judge, type DataVerdict } from './verdict.js';
import { WorkerPool } from './worker-pool.js';

export interface DataConfig extends TableInput {
  /** A second table of the same columns whose rows are the test part; the split then divides the first into training and validation. */
  readonly testPath?: string;
  /** As `replace`, for the second table alone. */
  readonly testReplace?: TableInput['replace'];
  /** Column with the class or value of each row. */
  readonly target: string;
  /** Default: inferred from the target. */
  readonly task?: Task;
  /** Columns whose type or treatment is not to be inferred. */
  readonly features?: Readonly<Record<string, FeatureOptions>>;
  /** Default: 70 % of the rows for training, 15 % for validation, 15 % for the test. */
  readonly split?: SplitConfig;
  /** What is not said is as in DEFAULT_PREPROCESSING. */
  readonly preprocessing?: Partial<PreprocessingOptions>;
  /** How values of a regression target are scaled for training, by the training part; default standard. */
  readonly targetScaling?: Scaling;
  /** Rows that repeat an earlier one in all feature columns and the target; default keep. */
  readonly duplicates?: 'keep' | 'drop';
  /** Default: iqr, reported. */
  readonly outliers?: OutlierOptions;
  /** Keeps prepared data in this folder, under a hash of the files and of this configuration; default: nothing is kept. */
  readonly cacheFolder?: string;
}

export type PartName = 'train' | 'validation' | 'test';

export interface DataCounts {
  /** Rows in the file, or files. */
  readonly rows: number;
  /** Rows left out because their target is missing. */
  readonly missingTarget: number;
  /** Rows that repeat an earlier one of the same file in all feature columns and the target. */
  readonly duplicates: number;
  /** Rows left out as duplicates or outliers, as configured. */
  readonly dropped: number;
  /** Rows of the test part that are also in the training part, target included. */
  readonly overlap: number;
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  /** Rows of each class in each part, in the order of `classes`. */
  readonly perClass: readonly (Readonly<Record<PartName, number>> & { readonly name: string })[];
}

/** What a regression target is scaled by, learned from the training part. */
export interface TargetScale {
  readonly shift: number;
  /** Above 0. */
  readonly scale: number;
}

/** A table made ready for training. */
export interface PreparedData {
  readonly task: Task;
  readonly train: Dataset;
  readonly validation: Dataset;
  readonly test: Dataset;
  /** Fitted on the training part alone. */
  readonly preprocessor: Preprocessor;
  /** Class names by index: sorted, numbers in numeric order; empty for regression. */
  readonly classes: readonly string[];
  /** For regression: a model is trained on (target - shift) / scale. The datasets hold the target as it is. */
  readonly targetScale: TargetScale | undefined;
  readonly columns: readonly ColumnReport[];
  readonly profiles: readonly ColumnProfile[];
  readonly counts: DataCounts;
  readonly outliers: readonly OutlierReport[];
  readonly verdict: DataVerdict;
  /** Whether training goes on although the verdict is `failed`. */
  readonly forced: boolean;
  /** Table rows (from 0, in file order, those of the second file after the first's) of each part. */
  readonly split: Split;
  readonly warnings: readonly string[];
}

/** A column as it is shown before training. */
export interface ColumnTreatment extends ColumnReport {
  /** What is done with its cells, in words for people; empty where nothing is. */
  readonly treatment: string;
}

/** What prepareData tells while it works, in this order; warnings come as they arise. */
export type DataEvent =
  | { readonly type: 'data_read'; readonly path: string; readonly rows: number; readonly columns: number }
  | { readonly type: 'data_warning'; readonly message: string }
  | { readonly type: 'data_columns'; readonly columns: readonly ColumnTreatment[] }
  | { readonly type: 'data_verdict'; readonly verdict: DataVerdict; readonly forced: boolean }
  | { readonly type: 'data_ready'; readonly counts: DataCounts; readonly features: number };

export interface PrepareOptions {
  /** Go on although the verdict is `failed`; the result says so. Default false. */
  readonly force?: boolean;
  /** Matrices with at least this many cells are filled by worker threads; default POOL_FROM_CELLS. */
  readonly poolFromCells?: number;
  /** Worker threads; default: what the machine or container gives. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: DataEvent) => void;
}

/**
 * From a table to three datasets of float32 features and int32 classes or float32 values: reads, infers columns, leaves rows without a
 * target out (counted), splits, judges, fits the preprocessor on the training part, fills the matrices.
 *
 * The same file, config and seed give the same bits on every machine.
 *
 * @throws E_CONFIG for a key or value that is none of these; E_IO when the file cannot be read; E_DATA when it cannot be used for this, or the verdict is `failed` without `force`; E_USAGE
 *         for invalid shares or seed; E_ABORTED
 */
export async function prepareData(config: DataConfig, options: PrepareOptions = {}): Promise<PreparedData> {
  const checked = checkDataConfig(config, options);
  const { cacheFolder = '' } = checked;
  const key = await fingerprint(checked);
  const cached = key === undefined ? undefined : await loadPrepared(cacheFolder, key);
  // What was once forced must be forced again.
  if (cached !== undefined && (!cached.data.forced || options.force === true)) {
    for (const event of cached.events) options.onEvent?.(event);
    return cached.data;
  }
  const pool = new WorkerPool(options.threads);
  const events: DataEvent[] = [];
  const onEvent = (event: DataEvent): void => {
    events.push(event);
    options.onEvent?.(event);
  };
  try {
    const data = await new Preparation(checked, { ...options, onEvent }, pool).run();
    if (key !== undefined) await savePrepared(cacheFolder, key, { data, events });
    return data;
  } finally {
    await pool.close();
  }
}

/** What was read and decided. */
interface Loaded {
  readonly table: Table;
  /** Rows of the first file; those of a second follow. */
  readonly firstRows: number;
  readonly profiles: readonly ColumnProfile[];
  readonly task: Task;
  readonly columns: readonly ColumnReport[];
  readonly disguised: readonly string[];
  readonly target: TargetColumn;
}

class Preparation {
  readonly #config: CheckedDataConfig;
  readonly #options: PrepareOptions;
  readonly #pool: WorkerPool;
  readonly #warnings: string[] = [];

  constructor(config: CheckedDataConfig, options: PrepareOptions, pool: WorkerPool) {
    this.#config = config;
    this.#options = options;
    this.#pool = pool;
  }

  async run(): Promise<PreparedData> {
    const config = this.#config;
    const loaded = await this.#load();
    const { table, task, columns, profiles, disguised, target } = loaded;
    const featureColumns = columns.filter(({ role }) => role === 'feature');
    const hashes = hashRows(
      [...featureColumns.map(({ name }) => table.column(name)), table.column(config.target)],
      table.rowCount,
    );
    const { parts, counts, outliers } = this.#divide(loaded, hashes);
    this.#checkParts(counts);
    const verdict = judge({
      task,
      columns,
      profiles,
      disguised,
      rows: counts.rows,
      missingTarget: counts.missingTarget,
      classes: counts.perClass.map(({ name, train, validation, test }) => ({ name, rows: train + validation + test })),
      duplicates: counts.duplicates,
      overlap: counts.overlap,
      testRows: counts.test,
      outliers,
      leaks: findLeaks(table, parts.train, columns, target),
      drift: measureDrift(table, parts.train, columns, { target, splitByTime: config.split.method === 'time' }),
    });
    const { signal } = this.#options;
    const fitOptions = {
      preprocessing: config.preprocessing,
      features: featureColumns.map(({ name, type }) => ({ name, type, options: config.features?.[name] ?? {} })),
      target: targetValues(target, config.target),
    };
    const inPool = { pool: this.#pool, ...(signal === undefined ? {} : { signal }) };
    const preprocessor = await Preprocessor.fitInPool(table, parts.train, fitOptions, inPool);
    this.#emit({
      type: 'data_columns',
      columns: columns.map((column) => ({ ...column, treatment: treatmentOf(column, preprocessor, config.preprocessing) })),
    });
    const forced = this.#pronounce(verdict);
    const data = await this.#fill(loaded, parts, preprocessor);
    this.#emit({ type: 'data_ready', counts, features: preprocessor.featureNames.length });
    const classes = target.task === 'classification' ? target.classes : [];
    const warnings = this.#warnings;
    return {
      task,
      ...data,
      preprocessor,
      classes,
      targetScale: this.#targetScale(target, parts.train),
      columns,
      profiles,
      counts,
      outliers,
      verdict,
      forced,
      split: parts,
      warnings,
    };
  }

  #targetScale(target: TargetColumn, rows: Int32Array): TargetScale | undefined {
    if (target.task !== 'regression') return undefined;
    const { target: name, targetScaling: scaling = 'standard' } = this.#config;
    const { shift, scale } = fitNumeric(name, target.values, rows, { imputation: 'mean', scaling });
    return { shift, scale };
  }

  #emit(event: DataEvent): void {
    this.#options.onEvent?.(event);
  }

  #warn(message: string): void {
    this.#warnings.push(message);
    this.#emit({ type: 'data_warning', message });
  }

  async #load(): Promise<Loaded> {
    const { target: name, features = {}, split, testPath, task: wanted } = this.#config;
    const first = await this.#read(this.#config);
    const profiles = await profileTable(first, this.#pool);
    const reserved = split.by === undefined ? [] : [split.by];
    const { task, columns, warnings, disguised } = decideColumns(profiles, {
      target: name,
      features,
      reserved: split.method === 'grouped' ? reserved : [],
      ...(wanted === undefined ? {} : { task: wanted }),
    });
    warnings.forEach((message) => {
      this.#warn(message);
    });
    let table = first;
    if (testPath !== undefined) {
      const { testReplace } = this.#config;
      const second = await this.#read({
        ...this.#config,
        path: testPath,
        ...(testReplace === undefined ? {} : { replace: testReplace }),
      });
      table = appendRows(first, second, `test file ${testPath}`);
    }
    const target = targetColumn(table, name, task);
    return { table, firstRows: first.rowCount, profiles, task, columns, disguised, target };
  }

  async #read(input: TableInput): Promise<Table> {
    const { features = {} } = this.#config;
    const numeric = Object.entries(features).filter(([, { type }]) => type === 'numeric');
    const { signal } = this.#options;
    const table = await readTable(input, {
      pool: this.#pool,
      kinds: Object.fromEntries(numeric.map(([name]) => [name, 'numeric' as const])),
      ...(signal === undefined ? {} : { signal }),
    });
    this.#emit({ type: 'data_read', path: shownPath(input.path), rows: table.rowCount, columns: table.columns.length });
    return table;
  }

  #divide(loaded: Loaded, hashes: RowHashes): { parts: Split; counts: DataCounts; outliers: readonly OutlierReport[] } {
    const { table, firstRows, target } = loaded;
    const { duplicates, outliers: outlierOptions = { method: 'iqr' }, target: name } = this.#config;
    const hasTarget = (row: number): boolean =>
      target.task === 'classification' ? (target.codes[row] as number) >= 0 : !Number.isNaN(target.values[row]);
    const all = Int32Array.from({ length: table.rowCount }, (_, row) => row);
    const labeled = all.filter(hasTarget);
    const missingTarget = all.length - labeled.length;
    if (missingTarget > 0)
      this.#warn(`${missingTarget} of ${all.length} rows have no value in the target "${name}" and are left out.`);
    const own = labeled.filter((row) => row < firstRows);
    const repeats = repeatedRows(hashes, own);
    const repeated = new Set(duplicates === 'drop' ? repeats : []);
    const usable = own.filter((row) => !repeated.has(row));
    const second = table.rowCount > firstRows ? labeled.filter((row) => row >= firstRows) : undefined;
    const split = partition(table, usable, { split: this.#config.split, target, test: second });
    const { reports, parts } = this.#outliers(loaded, split, outlierOptions);
    const dropped = repeated.size + split.train.length - parts.train.length;
    if (dropped > 0)
      this.#warn(
        `${dropped} rows are dropped as configured: ${repeated.size} duplicates, ${dropped - repeated.size} outliers.`,
      );
    const perClass = target.task === 'classification' ? countClasses(parts, target) : [];
    const counts = {
      rows: table.rowCount,
      missingTarget,
      duplicates: repeats.length,
      dropped,
      overlap: countShared(hashes, parts.test, parts.train),
      train: parts.train.length,
      validation: parts.validation.length,
      test: parts.test.length,
      perClass,
    };
    return { parts, counts, outliers: reports };
  }

  #outliers(
    { table, columns }: Loaded,
    split: Split,
    options: OutlierOptions,
  ): { reports: readonly OutlierReport[]; parts: Split } {
    const outside = new Set<number>();
    const reports: OutlierReport[] = [];
    for (const { name, role, type } of columns) {
      const column = role === 'feature' && type === 'numeric' ? asNumbers(table.column(name), 'features') : undefined;
      if (column === undefined) continue;
      const { report, rows } = findOutliers(column, split.train, options);
      reports.push(report);
      if (options.action === 'drop') for (const row of rows) outside.add(row);
    }
    return { reports, parts: { ...split, train: split.train.filter((row) => !outside.has(row)) } };
  }

  #checkParts(counts: DataCounts): void {
    const { split, testPath } = this.#config;
    for (const part of ['train', 'validation', 'test'] as const) {
      const wanted = part === 'test' && (testPath !== undefined || split.fold !== undefined) ? 1 : split[part];
      if (counts[part] === 0 && wanted > 0) {
        throw new TensorkilnError(
          'E_DATA',
          `[split] too few rows: the ${part} part (${wanted} of ${counts.rows - counts.missingTarget} rows with a target) is empty.`,
        );
      }
      const absent = counts.perClass.filter((entry) => entry[part] === 0).map((entry) => `"${entry.name}"`);
      if (counts[part] > 0 && absent.length > 0)
        this.#warn(`The ${part} part has no row of class ${absent.slice(0, 10).join(', ')}.`);
    }
  }

  /** @returns whether training goes on against the verdict */
  #pronounce(verdict: DataVerdict): boolean {
    const forced = verdict.status === 'failed' && this.#options.force === true;
    this.#emit({ type: 'data_verdict', verdict, forced });
    if (verdict.status !== 'failed' || forced) return forced;
    const failed = verdict.checks.filter(({ level }) => level === 'failed').map(({ message }) => message);
    throw new TensorkilnError(
      'E_DATA',
      `[data] the data failed its validation: ${failed.join(' ')} To train all the same, use --force, in code the option force.`,
    );
  }

  async #fill(
    { table, target }: Loaded,
    parts: Split,
    preprocessor: Preprocessor,
  ): Promise<{ readonly train: Dataset; readonly validation: Dataset; readonly test: Dataset }> {
    const { poolFromCells, signal } = this.#options;
    const plan = preprocessor.plan(table);
    const trainingPlan = preprocessor.trainingPlan(table, parts.train, targetValues(target, this.#config.target));
    const dataset = async (rows: Int32Array, isTraining: boolean): Promise<Dataset> => {
      const matrix = await fillMatrix(isTraining ? trainingPlan : plan, rows, {
        pool: this.#pool,
        ...(poolFromCells === undefined ? {} : { poolFromCells }),
        ...(signal === undefined ? {} : { signal }),
      });
      return {
        size: rows.length,
        featureShape: [preprocessor.featureNames.length],
        features: preprocessor.finish(matrix),
        targets: targetsOf(target, rows),
        targetShape: [],
      };
    };
    return {
      train: await dataset(parts.train, true),
      validation: await dataset(parts.validation, false),
      test: await dataset(parts.test, false),
    };
  }
}

function targetColumn(table: Table, name: string, task: Task): TargetColumn {
  const column = table.column(name);
  if (task === 'regression') return { task, values: asNumbers(column, 'data.target').values };
  const { codes, categories }: CategoricalColumn = asCategories(column);
  return { task, codes, classes: categories };
}

function targetsOf(target: TargetColumn, rows: Int32Array): Int32Array | Float32Array {
  return target.task === 'classification'
    ? rows.map((row) => target.codes[row] as number)
    : Float32Array.from(rows, (row) => target.values[row] as number);
}

/** What the target encoding takes means of: each class but, for two, only the second. */
function targetValues(target: TargetColumn, name: string): TargetValues {
  if (target.task === 'regression') return { names: [name], values: [target.values] };
  const named = target.classes.map((className, label) => ({ className, label }));
  const kept = named.length === 2 ? named.slice(1) : named;
  return {
    names: kept.map(({ className }) => className),
    values: kept.map(({ label }) => Float64Array.from(target.codes, (code) => (code === label ? 1 : 0))),
  };
}

function countClasses(
  parts: Split,
  { codes, classes }: Extract<TargetColumn, { task: 'classification' }>,
): DataCounts['perClass'] {
  const perClass = classes.map((name) => ({ name, train: 0, validation: 0, test: 0 }));
  for (const part of ['train', 'validation', 'test'] as const) {
    for (const row of parts[part]) {
      const count = perClass[codes[row] ?? -1];
      if (count !== undefined) count[part]++;
    }
  }
  return perClass;
}
