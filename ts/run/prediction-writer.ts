/** Predictions on their way to a file or a stream. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { writeParquetFromCsv, type Column, type ParquetColumnType, type Table } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import { makeFolder } from '../write-file.js';
import type { Predictor } from './predictor.js';

export type PredictionFormat = 'csv' | 'jsonl' | 'parquet';

/** What files of predictions end with, and the format it stands for. */
const FORMAT_OF_ENDING: Readonly<Record<string, PredictionFormat>> = {
  '': 'csv',
  '.csv': 'csv',
  '.txt': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.parquet': 'parquet',
  '.pq': 'parquet',
};

/** The format a name stands for; CSV for one without an ending. @throws E_USAGE for an ending of no format that is written */
export function predictionFormat(path: string): PredictionFormat {
  const ending = extname(path).toLowerCase();
  const format = Object.hasOwn(FORMAT_OF_ENDING, ending) ? FORMAT_OF_ENDING[ending] : undefined;
  if (format !== undefined) return format;
  throw new TensorkilnError(
    'E_USAGE',
    `[predict] wrong ending of the output file ${path}: expected .csv, .jsonl or .parquet, got ${ending}. Predictions are written in one of these formats.`,
  );
}

/** Columns of the input that are written before the predictions. */
export interface KeptColumns {
  /** Rows with the columns to keep; undefined when none are. */
  readonly table: Table | undefined;
  readonly rows: number;
}

/** Turns rows of outputs into lines of text. */
export class PredictionLines {
  readonly #predictor: Predictor;
  readonly #keep: readonly string[];
  readonly #format: 'csv' | 'jsonl';
  /** Kinds of cells that a kept column had so far. */
  readonly #kinds = new Map<string, Set<ParquetColumnType>>();

  /** @throws E_USAGE when two columns would have one name */
  constructor(predictor: Predictor, keep: readonly string[], format: 'csv' | 'jsonl') {
    this.#predictor = predictor;
    this.#keep = keep;
    this.#format = format;
    const { names } = this;
    const repeated = names.find((name, place) => names.indexOf(name) !== place);
    if (repeated === undefined) return;
    throw new TensorkilnError(
      'E_USAGE',
      `[predict] two columns would be named "${repeated}": expected columns to keep that are named once and not as the predictions ` +
        `are. Rename the column of the input, or leave it out.`,
    );
  }

  /** Names of what is written, in order. */
  get names(): readonly string[] {
    const { task, classes } = this.#predictor;
    const own = task === 'regression' ? ['prediction'] : ['prediction', ...classes.map((name) => `probability_${name}`)];
    return [...this.#keep, ...own];
  }

  /** The columns with what their cells are; of those kept that is known when all rows are written. */
  get columns(): readonly (readonly [name: string, type: ParquetColumnType])[] {
    return this.names.map((name, place) => {
      if (place > this.#keep.length || (place === this.#keep.length && this.#predictor.task === 'regression'))
        return [name, 'number'];
      const kinds = this.#kinds.get(name);
      return [name, kinds?.has('number') === true && !kinds.has('text') ? 'number' : 'text'];
    });
  }

  /** The line above all others; none for JSON Lines. */
  head(): string {
    return this.#format === 'csv' ? `${this.names.map(csvCell).join(',')}\n` : '';
  }

  lines(outputs: Float32Array, kept: KeptColumns): string {
    const { names } = this;
    const columns = this.#keep.map((name) => kept.table?.column(name));
    for (const column of columns) this.#note(column);
    let text = '';
    for (let row = 0; row < kept.rows; ++row) {
      const cells: (string | number | null)[] = columns.map((column) => {
        if (column === undefined) return null;
        if (column.kind === 'numeric') return Number.isNaN(column.values[row]) ? null : (column.values[row] as number);
        return column.categories[column.codes[row] as number] ?? null;
      });
      const prediction = this.#predictor.describe(outputs, row);
      if ('value' in prediction) cells.push(shortest(prediction.value));
      else cells.push(prediction.label, ...prediction.probabilities.map(shortest));
      text +=
        this.#format === 'csv'
          ? `${cells.map((cell) => (cell === null ? '' : csvCell(String(cell)))).join(',')}\n`
          : `${JSON.stringify(Object.fromEntries(names.map((name, index) => [name, cells[index]])))}\n`;
    }
    return text;
  }

  #note(column: Column | undefined): void {
    // Nothing but missing cells tells nothing.
    if (column === undefined || (column.kind === 'categorical' && column.categories.length === 0)) return;
    const kinds = this.#kinds.get(column.name) ?? new Set();
    this.#kinds.set(column.name, kinds.add(column.kind === 'numeric' ? 'number' : 'text'));
  }
}

/** A float32 with the fewest digits that give it back. */
function shortest(value: number): number {
  for (let digits = 6; digits <= 8; ++digits) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Where lines go. */
export interface LineSink {
  write(text: string): Promise<void>;
  /** Everything was written: the file gets its name. @param columns what was written, for formats with types */
  finish(columns: PredictionLines['columns']): Promise<void>;
  /** Nothing is left behind. */
  abandon(): Promise<void>;
}

/** A file that gets its name when it is whole. @throws E_IO */
export async function openLineFile(path: string, format: PredictionFormat): Promise<LineSink> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const fail = (cause: unknown): never => {
    throw new TensorkilnError(
      'E_IO',
      `[predict] cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
      {
        cause,
      },
    );
  };
  let file: FileHandle;
  try {
    await makeFolder(dirname(path));
    file = await open(temporary, 'wx');
  } catch (cause) {
    return fail(cause);
  }
  return {
    write: async (text) => {
      await file.writeFile(text).catch(fail);
    },
    finish: async (columns) => {
      await file.sync().catch(fail);
      await file.close();
      if (format === 'parquet') {
        const columnar = `${temporary}.parquet`;
        await writeParquetFromCsv(temporary, columnar, columns);
        await rename(columnar, path).catch(fail);
        await rm(temporary, { force: true });
      } else await rename(temporary, path).catch(fail);
    },
    abandon: async () => {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      await rm(`${temporary}.parquet`, { force: true });
    },
  };
}
