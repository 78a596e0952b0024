/** What `tensorkiln predict` does: rows of a file, or images or texts of a folder, to predictions, part by part. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkKeys, checkOneOf, checkText, show } from '../arguments.js';
import {
  inferFormat,
  readImageFiles,
  readTableParts,
  Table,
  WorkerPool,
  type CsvOptions,
  type TableFormat,
  type TableInput,
} from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import { dataConfig, isImages } from './config/data-config.js';
import { loadConfig } from './config/load.js';
import { IMAGE_BATCH } from './image-rows.js';
import { loadPredictor } from './load-predictor.js';
import { openLineFile, PredictionLines, predictionFormat, type LineSink, type PredictionFormat } from './prediction-writer.js';
import type { Predictor } from './predictor.js';

export interface PredictFileOptions {
  /** Where predictions go: a file, by its ending CSV, JSON Lines or Parquet; or a function that takes the text. */
  readonly output: string | ((text: string) => Promise<void>);
  /** Default: by the ending of the output file, else CSV. */
  readonly outputFormat?: PredictionFormat;
  /**
   * Columns of the input that are written before the predictions, under other names than those. Missing cells are written empty whatever
   * they were spelled like; columns that the model reads are written as it reads them. Default none.
   */
  readonly keep?: readonly string[];
  /** Default: by the ending of the input file. */
  readonly inputFormat?: TableFormat;
  /** How a CSV input is written; default: as the data of the run, `{}` finds it out. */
  readonly csv?: CsvOptions;
  readonly device?: string;
  readonly signal?: AbortSignal;
  /** Told after each part how many rows are done. */
  readonly onProgress?: (rows: number) => void;
}

const OPTION_KEYS = ['output', 'outputFormat', 'keep', 'inputFormat', 'csv', 'device', 'signal', 'onProgress'];

export interface PredictFileResult {
  readonly rows: number;
  /** Columns of the input that the model does not know; they were passed over. */
  readonly extra: readonly string[];
  /** Rows with a category that no training row had, by column: it counted as none of the known. */
  readonly unseen: Readonly<Record<string, number>>;
  /** The file that was written. */
  readonly output: string | undefined;
}

/**
 * Predicts every row of a CSV, JSON Lines or Parquet file, every image of a folder, or every text of a folder or .tar.gz archive, with the
 * model of a finished run. Images and texts may lie in folders or not; their path is written first. Rows go in and out part by part, so the size of the file does not matter; they keep their order. The output file gets its name when it is whole.
 *
 * Columns may stand in any order, further ones are passed over, missing ones are an error that names them and the nearest name there is. A
 * cell of another type is read as the type of training where that is possible, else an error. A category that no training row had counts
 * as none of the known, and the rows are counted.
 *
 * @throws (as rejections) E_IO, E_DATA, E_USAGE, E_ABORTED; nothing is left behind then
 */
export async function predictFile(run: string, input: string, options: PredictFileOptions): Promise<PredictFileResult> {
  checkText('predictFile', 'run', run);
  checkText('predictFile', 'input', input);
  checkKeys('predictFile', options, OPTION_KEYS);
  const { output } = options;
  const keep: unknown = options.keep ?? [];
  if (!Array.isArray(keep) || !keep.every((name) => typeof name === 'string'))
    throw new TensorkilnError('E_CONFIG', `[predictFile] wrong keep: expected a list of column names, got ${show(keep)}.`);
  if (options.outputFormat !== undefined)
    checkOneOf('predictFile', 'outputFormat', options.outputFormat, ['csv', 'jsonl', 'parquet']);
  if (typeof output !== 'function') checkText('predictFile', 'output', output);
  const format = options.outputFormat ?? (typeof output === 'string' ? predictionFormat(output) : 'csv');
  if (format === 'parquet' && typeof output !== 'string')
    throw new TensorkilnError('E_USAGE', '[predict] Parquet is written to files only: expected an output file.');
  const predictor = await loadPredictor(run, options.device === undefined ? {} : { device: options.device });
  try {
    const sink = typeof output === 'string' ? await openLineFile(output, format) : streamSink(output);
    try {
      const job: Job = { predictor, sink, options, lineFormat: format === 'jsonl' ? 'jsonl' : 'csv' };
      const { columns, ...result } =
        predictor.image === undefined
          ? await predictRowsOf(run, input, job)
          : await predictImagesOf(input, job, predictor.image);
      await sink.finish(columns);
      return { ...result, output: typeof output === 'string' ? output : undefined };
    } catch (error) {
      await sink.abandon();
      throw error;
    }
  } finally {
    predictor.dispose();
  }
}

interface Job {
  readonly predictor: Predictor;
  readonly sink: LineSink;
  readonly options: PredictFileOptions;
  readonly lineFormat: 'csv' | 'jsonl';
}

type Found = Omit<PredictFileResult, 'output'> & Pick<PredictionLines, 'columns'>;

function streamSink(write: (text: string) => Promise<void>): LineSink {
  return { write, finish: () => Promise.resolve(), abandon: () => Promise.resolve() };
}

async function predictRowsOf(run: string, input: string, job: Job): Promise<Found> {
  const { predictor, sink, options, lineFormat } = job;
  const { signal } = options;
  const format = options.inputFormat ?? (await inferFormat(input));
  if (format === 'text_folder') checkTakesTexts(predictor, input);
  const wanted = options.keep ?? [];
  const keep = format === 'text_folder' ? ['path', ...wanted.filter((name) => name !== 'path')] : wanted;
  const lines = new PredictionLines(predictor, keep, lineFormat);
  const kinds = Object.fromEntries([
    ...keep.map((name) => [name, 'text'] as const),
    ...predictor.columns.map(({ name, type }) => [name, type === 'numeric' ? 'numeric' : 'text'] as const),
  ]);
  const pool = new WorkerPool();
  const unseen: Record<string, number> = {};
  let extra: readonly string[] | undefined;
  let rows = 0;
  try {
    const parts = readTableParts(await inputFor(run, input, job), {
      pool,
      kinds,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const { table, names } of parts) {
      if (extra === undefined) {
        extra = checkNames(predictor, names, keep);
        await sink.write(lines.head());
      }
      if (table.rowCount === 0) continue;
      for (const column of predictor.preprocessor.inspect(table).unseen) {
        unseen[column.name] = (unseen[column.name] ?? 0) + column.rows;
      }
      const outputs = await predictor.predictTable(table, signal === undefined ? {} : { signal });
      await sink.write(lines.lines(outputs, { table, rows: table.rowCount }));
      rows += table.rowCount;
      options.onProgress?.(rows);
    }
  } finally {
    await pool.close();
  }
  if (extra === undefined) await sink.write(lines.head());
  return { rows, extra: extra ?? [], unseen, columns: lines.columns };
}

/** @throws E_USAGE where the model reads other columns than folders of texts have */
function checkTakesTexts({ columns }: Predictor, input: string): void {
  const lacking = columns.map(({ name }) => name).filter((name) => name !== 'text');
  if (lacking.length === 0) return;
  throw new TensorkilnError(
    'E_USAGE',
    `[predict] ${input}: a folder of texts has one column to predict from, "text", and the model was trained on ${lacking.slice(0, 10).join(', ')}${lacking.length > 10 ? ', ...' : ''}: expected a CSV, JSON Lines or Parquet file with these columns.`,
  );
}

/** How the input is read: as the data of the run was, as far as that is known and makes sense for another file. */
async function inputFor(run: string, input: string, { predictor, options }: Job): Promise<TableInput> {
  const own = {
    path: input,
    naValues: predictor.naValues,
    ...(options.inputFormat === undefined ? {} : { format: options.inputFormat }),
  };
  const file = join(run, 'config.resolved.yaml');
  if (!existsSync(file)) return { ...own, ...(options.csv === undefined ? {} : { csv: options.csv }) };
  const config = await loadConfig(file);
  if (isImages(config)) return own;
  const { csv: trained, replace = {}, lags } = dataConfig(config);
  const csv = options.csv ?? trained;
  // Only what the model reads: columns that are merely kept stay as they are, and the target may be absent.
  const read = new Set([...predictor.columns.map(({ name }) => name), ...Object.keys(lags ?? {})]);
  const cells = Object.fromEntries(Object.entries(replace).filter(([name]) => read.has(name)));
  return {
    ...own,
    ...(csv === undefined ? {} : { csv }),
    ...(lags === undefined ? {} : { lags }),
    ...(Object.keys(cells).length === 0 ? {} : { replace: cells }),
  };
}

/** @returns the columns that the model does not know. @throws E_DATA for those it lacks */
function checkNames(predictor: Predictor, names: readonly string[], keep: readonly string[]): readonly string[] {
  const empty = new Table(
    names.map((name) => ({ kind: 'numeric', name, values: new Float64Array(0) })),
    0,
  );
  const { extra } = predictor.preprocessor.inspect(empty);
  // The error of the table lists what there is.
  for (const name of keep) empty.column(name);
  return extra.filter((name) => name !== predictor.target && !keep.includes(name));
}

async function predictImagesOf(input: string, job: Job, image: NonNullable<Predictor['image']>): Promise<Found> {
  const { predictor, sink, options, lineFormat } = job;
  if (!(await isFolder(input)))
    throw new TensorkilnError('E_USAGE', `[predict] ${input}: the model was trained on images: expected a folder of images.`);
  if ((options.keep ?? []).length > 0)
    throw new TensorkilnError('E_USAGE', '[predict] images have no columns to keep: the file name is written anyway.');
  const lines = new PredictionLines(predictor, ['file'], lineFormat);
  await sink.write(lines.head());
  let rows = 0;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  for await (const batch of readImageFiles(input, { ...image, batchSize: IMAGE_BATCH, ...signal })) {
    const outputs = await predictor.predictFeatures(batch.features, signal);
    const codes = Int32Array.from(batch.paths, (_, index) => index);
    const table = new Table([{ kind: 'categorical', name: 'file', codes, categories: batch.paths }], batch.paths.length);
    await sink.write(lines.lines(outputs, { table, rows: batch.paths.length }));
    rows += batch.paths.length;
    options.onProgress?.(rows);
  }
  if (rows === 0) throw new TensorkilnError('E_DATA', `[predict] ${input}: no images in this folder or those below it.`);
  return { rows, extra: [], unseen: {}, columns: lines.columns };
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
