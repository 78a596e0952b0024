/** What `tensorkiln evaluate` does: judges the model of a finished run on its test part once more, or on other rows or another text. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { checkKeys, checkText } from '../arguments.js';
import { packageVersion } from '../native/load.js';
import {
  asCategories,
  asNumbers,
  isAllNumbers,
  readTableParts,
  shownPath,
  WorkerPool,
  type CsvOptions,
  type TableInput,
} from '../data/index.js';
import { missingColumn } from '../data/table.js';
import { TensorkilnError } from '../errors.js';
import {
  classCurves,
  classificationIntervals,
  evaluateClassification,
  evaluateRegression,
  judge,
  pictureErrors,
  regressionIntervals,
  renderMarkdown,
  renderReport,
  type LearningHistory,
  type Metrics,
  type ReportInput,
  type Verdict,
} from '../evaluate/index.js';
import { makeFolder, writeFileAtomic } from '../write-file.js';
import { dataConfig, isImages, isText } from './config/data-config.js';
import { loadRunConfig } from './config/load.js';
import type { TrainingConfig } from './config/schema.js';
import { describeDataFiles } from './data-files.js';
import { evaluateText } from './language/evaluate-text.js';
import { loadPredictor } from './load-predictor.js';
import type { Predictor } from './predictor.js';
import { prepareRunData } from './run-data.js';
import type { RunFiles } from './run-events.js';
import { evaluationFolder, LOOKS_FILE, runFiles } from './run-folder.js';
import { json } from './run-results.js';
import { withSnakeKeys } from './snake-case.js';
import { judgeTargets } from './targets.js';

export interface EvaluateRunOptions {
  /** A table with the target, or for a language model a text, in place of the test part of the run. */
  readonly data?: string;
  /** How a CSV file of `data` is written; default: as the data of the run, `{}` finds it out. */
  readonly csv?: CsvOptions;
  readonly device?: string;
  readonly signal?: AbortSignal;
}

export interface EvaluatedRun {
  readonly metrics: Metrics;
  readonly verdict: Verdict;
  /** How often the test rows of the run have been looked at, this time included; undefined for other data. */
  readonly testLook: number | undefined;
  /** Rows of `data` without a target: they were left out. */
  readonly withoutTarget: number;
  /** Where metrics.json, report.md and report.html lie. */
  readonly folder: string;
}

/**
 * Judges the model of a finished run. On the test rows of the run each look is recorded in its folder, and the report warns of it: figures
 * that something was chosen by are better than the truth.
 *
 * @throws (as rejections) E_IO when the folder holds no finished run; E_DATA when the data of the run is not what it was, or other data lacks
 *         columns or has classes that the model does not know; E_ABORTED
 */
export async function evaluateRun(run: string, options: EvaluateRunOptions = {}): Promise<EvaluatedRun> {
  const files = runFiles(checkText('evaluateRun', 'run', run));
  // A misspelt `data` would be a look at the test rows.
  checkKeys('evaluateRun', options, ['data', 'csv', 'device', 'signal']);
  const config = await loadRunConfig('evaluate', files);
  if (isText(config)) return evaluateLanguageRun(run, config, options);
  const predictor = await loadPredictor(run, options.device === undefined ? {} : { device: options.device });
  try {
    const rows =
      options.data === undefined
        ? await testRows(run, config, predictor, options)
        : await otherRows(options.data, config, predictor, options);
    const judged = await judgeRows(predictor, rows);
    const facts = await factsOf(run, config, options, {
      title: predictor.target,
      rows: judged.metrics.rows,
      features: predictor.columns.map(({ name }) => name),
    });
    const input = { ...judged, ...facts, targets: judgeTargets(config.targets, judged.metrics) };
    return { ...(await conclude(run, input, options)), withoutTarget: rows.withoutTarget };
  } finally {
    predictor.dispose();
  }
}

/** As for rows, on the characters of a text. */
async function evaluateLanguageRun(run: string, config: TrainingConfig, options: EvaluateRunOptions): Promise<EvaluatedRun> {
  if (options.csv !== undefined)
    throw new TensorkilnError(
      'E_USAGE',
      '[evaluate] the run is a language model, which is judged on a running text: expected no settings of CSV (--sniff).',
    );
  if (options.data === undefined) await checkData(run, config);
  const { metrics, unknown } = await evaluateText(run, config, options);
  const facts = await factsOf(run, config, options, {
    title: 'Language',
    rows: metrics.rows,
    features: [`the ${config.data.context_length ?? 0} characters before`],
  });
  const warnings = unknown === 0 ? [] : [`${unknown} characters are none that the model knows: all count as one.`];
  const targets = judgeTargets(config.targets, metrics);
  const input: ReportInput = { ...facts, task: 'language_model', metrics, baselines: [], targets, warnings };
  return { ...(await conclude(run, input, options)), withoutTarget: 0 };
}

/** What a report of any task says of the run and of this look at it. */
async function factsOf(
  run: string,
  config: TrainingConfig,
  { data }: EvaluateRunOptions,
  judged: { readonly title: string; readonly rows: number; readonly features: readonly string[] },
): Promise<Pick<ReportInput, 'title' | 'history' | 'testLook' | 'run'>> {
  const files = runFiles(run);
  const shown = shownPath(data ?? config.data.path);
  return {
    title: `${judged.title} from ${basename(shown)}`,
    history: await readHistory(files.history),
    ...(data === undefined ? { testLook: (await countLooks(files.evaluations)) + 2 } : {}),
    run: {
      finishedAt: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
      seeds: { split: config.split.seed, training: config.training.seed },
      versions: { tensorkiln: packageVersion(), node: process.versions.node },
      rows: { [data === undefined ? 'test' : 'evaluated']: judged.rows },
      features: judged.features,
      details: { run, data: shown },
    },
  };
}

async function conclude(
  run: string,
  input: ReportInput,
  { data }: EvaluateRunOptions,
): Promise<Omit<EvaluatedRun, 'withoutTarget'>> {
  const verdict = judge(input);
  const { metrics, testLook: look } = input;
  const folder = await writeEvaluation(runFiles(run), input, { look, data, verdict });
  return { metrics, verdict, testLook: look, folder };
}

interface JudgedRows {
  /** [rows, outputs] of the model */
  readonly outputs: Float32Array;
  /** Class indices or numbers. */
  readonly targets: ArrayLike<number>;
  readonly withoutTarget: number;
}

/** The test part as the run had it. */
async function testRows(
  run: string,
  config: TrainingConfig,
  predictor: Predictor,
  { signal }: EvaluateRunOptions,
): Promise<JudgedRows> {
  await checkData(run, config);
  const stop = signal === undefined ? {} : { signal };
  const { test } = await prepareRunData(config, { force: true, ...stop });
  return { outputs: await predictor.predictFeatures(test.features, stop), targets: test.targets, withoutTarget: 0 };
}

const fileDigest = z.object({ sha256: z.string().nullable() });
const runRecord = z.object({ data: fileDigest.extend({ others: z.record(z.string(), fileDigest).default({}) }) });

/** @throws E_DATA when a file of the data is another than the run read: its test rows would be others */
async function checkData(run: string, config: TrainingConfig): Promise<void> {
  const saved = runRecord.safeParse(await readJson(runFiles(run).record));
  if (!saved.success) return;
  const { data: before } = saved.data;
  const { others, ...own } = await describeDataFiles(config);
  const changed = [
    { ...own, was: before.sha256 },
    ...Object.entries(others).map(([key, file]) => ({ ...file, was: before.others[key]?.sha256 ?? null })),
  ].find(({ sha256, was }) => was !== null && was !== sha256);
  if (changed === undefined) return;
  throw new TensorkilnError(
    'E_DATA',
    `[evaluate] ${changed.path} is not the data of the run any more: its test rows would be others. ` +
      'Name the rows to judge by --data, or put the file back.',
  );
}

/** Rows of another table, read part by part. */
async function otherRows(
  path: string,
  config: TrainingConfig,
  predictor: Predictor,
  options: EvaluateRunOptions,
): Promise<JudgedRows> {
  if (isImages(config)) {
    throw new TensorkilnError(
      'E_USAGE',
      '[evaluate] --data is not built for images: leave it out to judge the test images again.',
    );
  }
  const { csv: trained, naValues, replace, lags } = dataConfig(config);
  const csv = options.csv ?? trained;
  const input: TableInput = {
    path,
    ...(naValues === undefined ? {} : { naValues }),
    ...(csv === undefined ? {} : { csv }),
    ...(replace === undefined ? {} : { replace }),
    ...(lags === undefined ? {} : { lags }),
  };
  const isNumber = predictor.task === 'regression';
  const kinds = Object.fromEntries([
    ...predictor.columns.map(({ name, type }) => [name, type === 'numeric' ? 'numeric' : 'text'] as const),
    [predictor.target, isNumber ? 'numeric' : 'text'] as const,
  ]);
  const stop = options.signal === undefined ? {} : { signal: options.signal };
  const pool = new WorkerPool();
  const outputs: Float32Array[] = [];
  const targets: number[] = [];
  let withoutTarget = 0;
  try {
    for await (const { table, names } of readTableParts(input, { pool, kinds, ...stop })) {
      if (!names.includes(predictor.target)) throw missingColumn('evaluate', predictor.target, names);
      const values = targetsOf(table.column(predictor.target), predictor);
      const predicted = table.rowCount === 0 ? new Float32Array(0) : await predictor.predictTable(table, stop);
      const width = predictor.outputs;
      const kept = Int32Array.from(values.keys()).filter((row) => !Number.isNaN(values[row]));
      withoutTarget += values.length - kept.length;
      const part = new Float32Array(kept.length * width);
      kept.forEach((row, index) => {
        part.set(predicted.subarray(row * width, (row + 1) * width), index * width);
        targets.push(values[row] as number);
      });
      outputs.push(part);
    }
  } finally {
    await pool.close();
  }
  const all = new Float32Array(targets.length * predictor.outputs);
  outputs.reduce((offset, part) => {
    all.set(part, offset);
    return offset + part.length;
  }, 0);
  return { outputs: all, targets, withoutTarget };
}

/** Class indices or numbers; NaN where the target is missing. @throws E_DATA for classes that the model does not know */
function targetsOf(column: Parameters<typeof asNumbers>[0], { task, classes, target }: Predictor): Float64Array {
  if (task === 'regression') return asNumbers(column, 'evaluate').values;
  // Spelled as in training, where a target of nothing but numbers has classes such as 1 for 1.0.
  const spelled = isAllNumbers({ kind: 'categorical', name: target, codes: new Int32Array(0), categories: classes });
  const { codes: found, categories } = asCategories(column, spelled);
  const codeOf = new Map(classes.map((name, code) => [name, code]));
  const codes = categories.map((category) => codeOf.get(category) ?? failUnknown(target, classes));
  return Float64Array.from(found, (code) => (code < 0 ? NaN : (codes[code] as number)));
}

function failUnknown(target: string, classes: readonly string[]): never {
  const known = classes.slice(0, 10).join(', ');
  throw new TensorkilnError(
    'E_DATA',
    `[evaluate] column "${target}" has a class that the model does not know: expected one of ${known}${classes.length > 10 ? ', ...' : ''}.`,
  );
}

type Judged =
  | Pick<Extract<ReportInput, { task: 'classification' }>, 'task' | 'metrics' | 'baselines' | 'intervals' | 'curves'>
  | Pick<Extract<ReportInput, { task: 'regression' }>, 'task' | 'metrics' | 'baselines' | 'intervals' | 'picture'>;

async function judgeRows({ task, classes }: Predictor, { outputs, targets }: JudgedRows): Promise<Judged> {
  if (task === 'regression') {
    return {
      task,
      metrics: evaluateRegression(outputs, targets),
      baselines: [],
      intervals: await regressionIntervals(outputs, targets),
      picture: pictureErrors(outputs, targets),
    };
  }
  return {
    task,
    metrics: evaluateClassification(outputs, targets, classes),
    baselines: [],
    intervals: await classificationIntervals(outputs, targets, classes),
    curves: classCurves(outputs, targets, classes),
  };
}

const looks = z.object({ looks: z.array(z.object({ at: z.string(), rows: z.int() })) });

async function countLooks(folder: string): Promise<number> {
  return (await readLooks(folder)).length;
}

async function readLooks(folder: string): Promise<z.output<typeof looks>['looks']> {
  const parsed = looks.safeParse(await readJson(join(folder, LOOKS_FILE)).catch(() => undefined));
  return parsed.success ? parsed.data.looks : [];
}

async function writeEvaluation(
  files: RunFiles,
  input: ReportInput,
  { look, data, verdict }: { look: number | undefined; data: string | undefined; verdict: Verdict },
): Promise<string> {
  const now = new Date();
  const at = now.toISOString();
  const folder = files.evaluations;
  const own = evaluationFolder(files, now, look);
  await makeFolder(folder);
  // Recorded before anything can be seen.
  if (look !== undefined) {
    const before = await readLooks(folder);
    await writeFileAtomic(join(folder, LOOKS_FILE), json({ looks: [...before, { at, rows: input.metrics.rows }] }));
  }
  await writeFileAtomic(join(own, 'report.html'), await renderReport(input));
  await writeFileAtomic(join(own, 'report.md'), renderMarkdown(input));
  const { task, metrics, targets } = input;
  const intervals = 'intervals' in input ? { intervals: input.intervals } : {};
  const found = { task, metrics, ...intervals, targets, testLook: look ?? null, data: data ?? null, verdict, at };
  await writeFileAtomic(join(own, 'metrics.json'), json(withSnakeKeys(found)));
  return own;
}

const savedHistory = z.object({
  best_epoch: z.int(),
  stop_reason: z.enum(['epochs', 'early_stopping', 'aborted', 'max_time', 'stopped', 'diverged']),
  epochs: z.array(
    z.object({
      epoch: z.int(),
      train_loss: z.number().nullable(),
      validation_loss: z.number().nullish(),
      validation_accuracy: z.number().nullish(),
      seconds: z.number().optional(),
    }),
  ),
});

async function readHistory(path: string): Promise<LearningHistory> {
  const { epochs, best_epoch: bestEpoch, stop_reason: stopReason } = savedHistory.parse(await readJson(path));
  return {
    bestEpoch,
    stopReason,
    epochs: epochs.map((point) => ({
      epoch: point.epoch,
      trainLoss: point.train_loss ?? NaN,
      ...(point.validation_loss == null ? {} : { validationLoss: point.validation_loss }),
      ...(point.validation_accuracy == null ? {} : { validationAccuracy: point.validation_accuracy }),
      ...(point.seconds === undefined ? {} : { seconds: point.seconds }),
    })),
  };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_IO', `[evaluate] cannot read ${path}: ${reason}. Expected the folder of a finished run.`, {
      cause,
    });
  }
}
