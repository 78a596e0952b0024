/** A finished run as something that predicts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { categoricalColumn, numericColumn, Preprocessor, Table, type Column } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import { loadSafetensorsModel } from '../export/index.js';
import { crossEntropy, type Sequential } from '../nn/index.js';
import { SGD } from '../optim/index.js';
import { Trainer } from '../train/index.js';
import { predictProbabilities } from './probabilities.js';
import { selectDevice } from './select-device.js';

/** One row: column name to cell. null, undefined and '' stand for a missing cell, as do the texts of the run's `na_values`. */
export type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Prediction {
  /** Name of the most probable class; the first one of a tie. */
  readonly label: string;
  /** By class, in the order of `Predictor.classes`. */
  readonly probabilities: readonly number[];
}

export interface LoadPredictorOptions {
  /** auto, cpu, cuda or cuda:<number>; default TENSORKILN_DEVICE, else cpu. */
  readonly device?: string;
}

export interface PredictRowsOptions {
  readonly signal?: AbortSignal;
}

const savedPreprocessing = z.object({
  format: z.literal('tensorkiln.preprocessing'),
  version: z.literal(1),
  target: z.string(),
  classes: z.array(z.string()).min(2),
  na_values: z.array(z.string()),
  preprocessor: z.unknown(),
});

/**
 * Loads the model of a finished run, with the preprocessing it was trained with.
 *
 * @example
 * const predictor = await loadPredictor('runs/penguins');
 * const [{ label }] = await predictor.predict([{ island: 'Biscoe', bill_length_mm: 46.1 }]);
 *
 * @param run  the folder of the run, or its `export` folder alone
 * @throws (as rejections) E_IO when a file cannot be read; E_DATA when one is damaged or something else; E_DEVICE, E_NATIVE_LOAD
 */
export async function loadPredictor(run: string, options: LoadPredictorOptions = {}): Promise<Predictor> {
  const folder = await findExport(run);
  const path = join(folder, 'preprocessing.json');
  const parsed = savedPreprocessing.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success)
    throw new TensorkilnError(
      'E_DATA',
      `[predictor] ${path}: not a saved preprocessing of version 1: ${z.prettifyError(parsed.error)}`,
    );
  await selectDevice(options.device ?? process.env['TENSORKILN_DEVICE'] ?? 'cpu');
  const { classes, target, na_values: naValues, preprocessor } = parsed.data;
  const loaded = Preprocessor.fromJSON(preprocessor);
  // Runs over tables train chains only.
  const model = (await loadSafetensorsModel(join(folder, 'model.safetensors'))) as Sequential;
  return new Predictor({ model, preprocessor: loaded, classes, target, naValues });
}

async function findExport(run: string): Promise<string> {
  const tried = [join(run, 'export'), run];
  for (const folder of tried) {
    const text = await readFile(join(folder, 'preprocessing.json')).catch(() => undefined);
    if (text !== undefined) return folder;
  }
  throw new TensorkilnError(
    'E_IO',
    `[predictor] no model in ${run}: expected export/preprocessing.json and export/model.safetensors there, as a finished run leaves them.`,
  );
}

interface PredictorParts {
  readonly model: Sequential;
  readonly preprocessor: Preprocessor;
  readonly classes: readonly string[];
  readonly target: string;
  readonly naValues: readonly string[];
}

/** Predicts rows in this process. Calls may overlap: they run one after the other. */
export class Predictor {
  /** Class names. */
  readonly classes: readonly string[];
  /** Column that is predicted. */
  readonly target: string;
  readonly #preprocessor: Preprocessor;
  readonly #missing: ReadonlySet<string>;
  readonly #model: Sequential;
  readonly #optimizer = new SGD();
  readonly #trainer: Trainer;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ model, preprocessor, classes, target, naValues }: PredictorParts) {
    this.classes = classes;
    this.target = target;
    this.#preprocessor = preprocessor;
    this.#missing = new Set(['', ...naValues]);
    this.#model = model;
    this.#trainer = new Trainer({ model, loss: crossEntropy, optimizer: this.#optimizer });
  }

  /** Columns that every row must have, in the order of training. */
  get columns(): readonly { readonly name: string; readonly type: string }[] {
    return this.#preprocessor.columns.map(({ name, kind }) => ({ name, type: kind === 'numeric' ? 'numeric' : 'categorical' }));
  }

  /** The model, for `exportModel` and `evaluate`; it stays the predictor's. */
  get model(): Sequential {
    return this.#model;
  }

  /**
   * Predicts.
   *
   * @param rows  in any order of columns; columns that the model does not know are left out of account
   * @returns     one prediction per row
   * @throws (as rejections) E_DATA naming row and column for a column that is missing or a cell of another type; E_ABORTED;
   *         E_DISPOSED
   */
  async predict(rows: readonly Row[], options: PredictRowsOptions = {}): Promise<readonly Prediction[]> {
    const features = this.#preprocessor.transform(this.#toTable(rows));
    const probabilities = await this.#inTurn(() =>
      predictProbabilities(this.#trainer, features, { numClasses: this.classes.length, ...options }),
    );
    const width = this.classes.length;
    return rows.map((_, row) => {
      const own = Array.from(probabilities.subarray(row * width, (row + 1) * width));
      const best = own.reduce((found, value, index) => (value > (own[found] as number) ? index : found), 0);
      return { label: this.classes[best] as string, probabilities: own };
    });
  }

  /** Frees the model. */
  dispose(): void {
    this.#trainer.dispose();
    this.#optimizer.dispose();
    this.#model.dispose();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #toTable(rows: readonly Row[]): Table {
    const columns = this.columns.map(({ name, type }): Column => {
      const cells = rows.map((row, index) => {
        if (!Object.hasOwn(row, name)) {
          throw new TensorkilnError(
            'E_DATA',
            `[predict] row ${index} has no column "${name}": expected ${this.columns.map((column) => column.name).join(', ')}; null stands for a missing cell.`,
          );
        }
        const cell = row[name];
        return cell === null || cell === undefined || (typeof cell === 'string' && this.#missing.has(cell.trim()))
          ? null
          : cell;
      });
      if (type !== 'numeric')
        return categoricalColumn(
          name,
          cells.map((cell) => (cell === null ? null : String(cell).trim())),
        );
      return numericColumn(
        name,
        cells.map((cell, index) => {
          if (cell === null) return null;
          const value = typeof cell === 'boolean' ? NaN : Number(cell);
          if (Number.isFinite(value)) return value;
          throw new TensorkilnError(
            'E_DATA',
            `[predict] column "${name}" of row ${index} is of another type than in training: expected a finite number, got a ${typeof cell} that is none.`,
          );
        }),
      );
    });
    return new Table(columns, rows.length);
  }
}
