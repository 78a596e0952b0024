/** The files that say what a run came to. */
import { basename } from 'node:path';
import { packageVersion } from '../native/load.js';
import {
  judge,
  renderMarkdown,
  renderReport,
  renderTrainingCurves,
  type ReportFacts,
  type ReportInput,
} from '../evaluate/index.js';
import { errorCodeOf } from '../errors.js';
import type { OnnxVerification } from '../export/index.js';
import type { Model } from '../nn/index.js';
import type { TrainingHistory } from '../train/index.js';
import { writeFileAtomic } from '../write-file.js';
import type { ResolvedConfig } from './config/resolve.js';
import type { Judgement } from './judge-run.js';
import type { RunData } from './run-data.js';
import type { RunFiles } from './run-events.js';
import { withSnakeKeys } from './snake-case.js';
import type { TargetResult } from './targets.js';

export interface FinishedRun {
  readonly config: ResolvedConfig;
  readonly configText: string;
  readonly data: RunData;
  readonly files: RunFiles;
}

/** What training and judging gave. */
export interface Outcome {
  readonly model: Model;
  readonly history: TrainingHistory;
  readonly judgement: Judgement;
  readonly verification: OnnxVerification;
  readonly targets: readonly TargetResult[];
}

/** Writes preprocessing, history, reports, the picture of the curves and metrics, the last one last. @throws E_IO */
export async function writeResults(run: FinishedRun, outcome: Outcome): Promise<void> {
  const { data, files } = run;
  const { judgement, history } = outcome;
  await writeFileAtomic(files.preprocessing, json(describePreprocessing(run)));
  await writeFileAtomic(files.history, json(withSnakeKeys(history)));
  const input = reportInput(run, outcome);
  await writeFileAtomic(files.report, await renderReport(input));
  await writeFileAtomic(files.markdown, renderMarkdown(input));
  await writeCurves(files, history);
  const metrics = {
    task: judgement.task,
    test: judgement.test,
    ...(judgement.validation === undefined ? {} : { validation: judgement.validation }),
    intervals: judgement.intervals,
    ...(judgement.task === 'classification' ? { curves: judgement.curves } : {}),
    baselines: Object.fromEntries(judgement.baselines.map((baseline) => [baseline.name, baseline.metrics])),
    rows: data.counts,
    data: { verdict: data.verdict, forced: data.forced, outliers: data.outliers },
    bestEpoch: history.bestEpoch,
    stopReason: history.stopReason,
    onnxVerification: outcome.verification,
    targets: outcome.targets,
    // Later looks at the same rows are counted by `tensorkiln evaluate`.
    testLook: 1,
    verdict: judge(input),
  };
  await writeFileAtomic(files.metrics, json(withSnakeKeys(metrics)));
}

/** What turns rows of a table, or images, into the model's input, and its output into an answer. */
function describePreprocessing({ config, data }: FinishedRun): unknown {
  const { images, preprocessor, targetScale } = data;
  return {
    format: 'tensorkiln.preprocessing',
    version: 1,
    task: data.task,
    target: config.data.target,
    classes: data.classes,
    ...(targetScale === undefined ? {} : { target_scale: targetScale }),
    na_values: config.data.na_values,
    feature_names: data.featureNames,
    ...(preprocessor === undefined ? {} : { preprocessor: preprocessor.toJSON() }),
    ...(images === undefined ? {} : { image: { shape: images.set.shape, ...images.scale } }),
  };
}

/** The picture of the learning curves, which needs the optional package echarts and at least one epoch. */
export async function writeCurves(files: RunFiles, history: TrainingHistory): Promise<void> {
  if (history.epochs.length === 0) return;
  try {
    await writeFileAtomic(files.curves, await renderTrainingCurves(history));
  } catch (error) {
    if (errorCodeOf(error) !== 'E_EXPORT') throw error;
  }
}

function reportInput(run: FinishedRun, outcome: Outcome): ReportInput {
  const { judgement } = outcome;
  const facts = reportFacts(run, outcome);
  if (judgement.task === 'classification') {
    const { task, test, baselines, intervals, curves } = judgement;
    return { ...facts, task, metrics: test, baselines, intervals, curves };
  }
  const { test, baselines, intervals, picture, task } = judgement;
  return { ...facts, task, metrics: test, baselines, intervals, picture };
}

function reportFacts(
  { config, configText, data }: FinishedRun,
  { model, history, verification, targets }: Outcome,
): ReportFacts {
  return {
    title: `${config.data.target} from ${basename(config.data.path)}`,
    run: {
      finishedAt: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
      configText,
      seeds: { split: config.split.seed, training: config.training.seed },
      versions: { tensorkiln: packageVersion(), node: process.versions.node },
      rows: {
        train: data.counts.train,
        validation: data.counts.validation,
        test: data.counts.test,
        'without target': data.counts.missingTarget,
      },
      features: data.featureNames,
      modelSummary: model.summary(),
      details: {
        data: config.data.path,
        device: config.device,
        parameters: String(model.countParameters().total),
        'ONNX export': verification.verified
          ? `verified on ${verification.rows} rows, largest relative error ${verification.largestError.toExponential(1)}`
          : `not verified: ${verification.reason}`,
      },
    },
    history,
    targets,
    columns: data.columns,
    ...(data.forced ? { dataFailures: messagesOf(data, 'failed') } : {}),
    warnings: [...data.warnings, ...messagesOf(data, 'warning')],
  };
}

/** Checks whose warnings stand beside the columns already, or among the warnings of the preparation. */
const TOLD_ELSEWHERE: ReadonlySet<string> = new Set(['columns', 'identifiers', 'numbers', 'target']);

function messagesOf({ verdict }: FinishedRun['data'], level: 'warning' | 'failed'): readonly string[] {
  return verdict.checks
    .filter((check) => check.level === level && (level === 'failed' || !TOLD_ELSEWHERE.has(check.id)))
    .map(({ message }) => message);
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
