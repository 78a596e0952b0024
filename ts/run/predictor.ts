/** A finished run as something that predicts. */
import { show } from '../arguments.js';
import { parseNumber } from '../data/csv/numbers.js';
import {
  categoricalColumn,
  numericColumn,
  Table,
  type Column,
  type ImageScale,
  type Preprocessor,
  type TargetScale,
  type Task,
} from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import { crossEntropy, type Model } from '../nn/index.js';
import { SGD } from '../optim/index.js';
import { Trainer } from '../train/index.js';
import { predictRows } from './predict-rows.js';

/** One row: column name to cell. null and undefined stand for a missing cell, as do the texts of the run's `na_values`, by default '' too. */
export type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** What a classifier says of a row. */
export interface ClassPrediction {
  /** Name of the most probable class; the first one of a tie. */
  readonly label: string;
  /** By class, in the order of `Predictor.classes`. */
  readonly probabilities: readonly number[];
}

/** What a regression says of a row, in the unit of the target. */
export interface NumberPrediction {
  readonly value: number;
}

export type Prediction = ClassPrediction | NumberPrediction;

export interface PredictRowsOptions {
  readonly signal?: AbortSignal;
}

/** How images become a model's input. */
export interface ImageInputShape extends ImageScale {
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
}

export interface PredictorParts {
  readonly task: Task;
  readonly model: Model;
  /** Undefined for images. */
  readonly preprocessor: Preprocessor | undefined;
  readonly image: ImageInputShape | undefined;
  /** Empty for regression. */
  readonly classes: readonly string[];
  readonly targetScale: TargetScale | undefined;
  readonly target: string;
  readonly naValues: readonly string[];
}

/** Predicts rows in this process. Calls may overlap: they run one after the other. */
export class Predictor {
  readonly task: Task;
  /** Class names; empty for regression. */
  readonly classes: readonly string[];
  /** Column that is predicted. */
  readonly target: string;
  /** Texts that stand for a missing cell. */
  readonly naValues: readonly string[];
  /** For models of images: what they must be brought to. */
  readonly image: ImageInputShape | undefined;
  readonly #preprocessor: Preprocessor | undefined;
  readonly #missing: ReadonlySet<string>;
  readonly #model: Model;
  readonly #targetScale: TargetScale | undefined;
  readonly #optimizer = new SGD();
  readonly #trainer: Trainer;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ task, model, preprocessor, image, classes, targetScale, target, naValues }: PredictorParts) {
    this.task = task;
    this.classes = classes;
    this.target = target;
    this.naValues = naValues;
    this.image = image;
    this.#preprocessor = preprocessor;
    this.#targetScale = targetScale;
    this.#missing = new Set(naValues.map((text) => text.trim()));
    this.#model = model;
    this.#trainer = new Trainer({ model, loss: crossEntropy, optimizer: this.#optimizer });
  }

  /** Columns that every row must have, in the order of training; none for images. */
  get columns(): readonly { readonly name: string; readonly type: 'numeric' | 'categorical' }[] {
    return (this.#preprocessor?.columns ?? []).map(({ name, kind }) => ({
      name,
      type: kind === 'numeric' ? 'numeric' : 'categorical',
    }));
  }

  /** What makes rows of a table the model's input. @throws E_USAGE for a model of images */
  get preprocessor(): Preprocessor {
    if (this.#preprocessor !== undefined) return this.#preprocessor;
    throw new TensorkilnError(
      'E_USAGE',
      '[predict] the model was trained on images: expected a folder of images, got rows of a table.',
    );
  }

  /** Outputs of a row: a probability per class, or one number. */
  get outputs(): number {
    return this.task === 'classification' ? this.classes.length : 1;
  }

  /** For a regression what its raw output is scaled by. */
  get targetScale(): TargetScale | undefined {
    return this.#targetScale;
  }

  /** The model, for `exportModel` and `evaluate`; it stays the predictor's. */
  get model(): Model {
    return this.#model;
  }

  /**
   * Predicts.
   *
   * @param rows  in any order of columns; columns that the model does not know are left out of account, categories that no training
   *              row had count as none of the known
   * @returns     one prediction per row
   * @throws (as rejections) E_DATA naming row and column for a column that is missing or a cell of another type; E_USAGE for a model of
   *         images; E_ABORTED; E_DISPOSED
   */
  async predict(rows: readonly Row[], options: PredictRowsOptions = {}): Promise<readonly Prediction[]> {
    const outputs = await this.predictTable(this.#toTable(rows), options);
    return rows.map((_, row) => this.describe(outputs, row));
  }

  /**
   * Predicts the rows of a table.
   *
   * @returns [rows, outputs]: probabilities of the classes, or the number in the unit of the target
   * @throws (as rejections) as `predict`
   */
  predictTable(table: Table, options: PredictRowsOptions = {}): Promise<Float32Array> {
    return this.predictFeatures(this.preprocessor.transform(table), options);
  }

  /**
   * Predicts what has been made ready for the model.
   *
   * @param features [rows, ...inputShape]
   * @returns        as `predictTable`
   */
  predictFeatures(features: Float32Array, options: PredictRowsOptions = {}): Promise<Float32Array> {
    const meaning = { task: this.task, outputs: this.outputs, targetScale: this.#targetScale };
    return this.#inTurn(() => predictRows(this.#trainer, features, meaning, options));
  }

  /** One row of outputs in words. */
  describe(outputs: Float32Array, row: number): Prediction {
    if (this.task === 'regression') return { value: outputs[row] as number };
    const width = this.classes.length;
    const own = Array.from(outputs.subarray(row * width, (row + 1) * width));
    const best = own.reduce((found, value, index) => (value > (own[found] as number) ? index : found), 0);
    return { label: this.classes[best] as string, probabilities: own };
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
    checkRows(rows);
    const columns = this.columns.map(({ name, type }): Column => {
      const cells = rows.map((row, index) => {
        if (!Object.hasOwn(row, name)) {
          throw new TensorkilnError(
            'E_DATA',
            `[predict] row ${index} has no column "${name}": expected ${this.columns.map((column) => column.name).join(', ')}; null stands for a missing cell.`,
          );
        }
        const cell = row[name];
        if ((typeof cell === 'object' && cell !== null) || typeof cell === 'function' || typeof cell === 'symbol') {
          throw new TensorkilnError(
            'E_DATA',
            `[predict] column "${name}" of row ${index} holds no cell: expected a text, a number, true, false or null, got ${show(cell)}.`,
          );
        }
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
          // As in a table: Number would make 0 of an empty text, and 16 of "0x10".
          const value = typeof cell === 'string' ? parseNumber(cell.trim()) : typeof cell === 'boolean' ? NaN : cell;
          if (value !== undefined && Number.isFinite(value)) return value;
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

/** Checks what callers without types may give in place of rows. @throws E_DATA */
function checkRows(rows: unknown): void {
  if (!Array.isArray(rows))
    throw new TensorkilnError(
      'E_DATA',
      `[predict] wrong rows: expected a list of rows, got ${show(rows)}. Put a single row into a list.`,
    );
  const index = rows.findIndex((row) => typeof row !== 'object' || row === null);
  if (index >= 0)
    throw new TensorkilnError(
      'E_DATA',
      `[predict] wrong row ${index}: expected an object of column names and cells, got ${show(rows[index])}.`,
    );
}
