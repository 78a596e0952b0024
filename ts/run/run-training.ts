import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { omitKeys } from '../arguments.js';
import { packageVersion } from '../backend/native/load.js';
import { prepareData, type PreparedData } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import {
  evaluateClassification,
  logisticBaseline,
  majorityBaseline,
  renderReport,
  type ClassificationBaseline,
  type ClassificationMetrics,
} from '../evaluate/index.js';
import { exportOnnx, exportSafetensors, type OnnxVerification } from '../export/index.js';
import type { Sequential } from '../nn/index.js';
import { describeOrigin, fileDigest, type RunOrigin } from '../track/run-record.js';
import { flatten, Trainer, type CheckpointOptions, type TrainingHistory } from '../train/index.js';
import { writeFileAtomic } from '../write-file.js';
import { buildLoss, buildModel, buildOptimizer } from './build-model.js';
import { dataConfig, imageTransforms } from './config/data-config.js';
import { configText, resolveConfig, type ResolvedConfig } from './config/resolve.js';
import type { TrainingConfig } from './config/schema.js';
import { classWeights, fitOptions } from './fit-options.js';
import { RunLock } from './lock.js';
import { predictProbabilities } from './probabilities.js';
import { scoresOf, type RunEvent, type RunFiles, type RunResult } from './run-events.js';
import { createRunFolder, defaultFolder, runFiles } from './run-folder.js';
import { RunLog } from './run-log.js';
import { selectDevice } from './select-device.js';
import { withSnakeKeys } from './snake-case.js';
import { TensorBoardLog } from './tensorboard.js';
import { judgeTargets } from './targets.js';

export interface RunOptions {
  /** Names the exported graph, and the folder unless the config has an output; default 'run'. */
  readonly name?: string;
  /** Goes on from the newest whole checkpoint in the output folder; from the beginning when there is none. Default false. */
  readonly resume?: boolean;
  /** Ends training after the running step. What was learned so far is judged and saved, and the history says aborted. */
  readonly signal?: AbortSignal;
  /** Train although the data failed its validation; recorded in the results. Default false. */
  readonly force?: boolean;
  readonly onEvent?: (event: RunEvent) => void;
}

/** Most rows the exported model is verified on. */
const PROBE_ROWS = 1024;

/**
 * The whole way from a table to an exported, judged model: prepare, train, evaluate, export, write.
 *
 * Everything is checked that can be before training starts: the device, the output folder, the data. The folder belongs to one run
 * at a time. Each file of the run is written whole or not at all; metrics.json comes last, so that a folder holding it is complete.
 *
 * @throws E_DEVICE, E_NATIVE_LOAD, E_IO, E_DATA, E_CONFIG before training; E_USAGE when another run has the folder, when it holds one
 *         that has not ended and `resume` is not set, or when that one had other data or another configuration; E_DIVERGED,
 *         E_OUT_OF_MEMORY, E_IO while training; E_EXPORT, E_IO after it; E_ABORTED when `signal` fires before training has begun
 */
export async function runTraining(config: TrainingConfig, options: RunOptions = {}): Promise<RunResult> {
  if (imageTransforms(config.augmentation).length > 0) {
    throw new TensorkilnError(
      'E_CONFIG',
      '[config] augmentation.enabled is true, but training on images from a configuration is not built yet: expected false for a table.',
    );
  }
  const { name = 'run', resume = false, force = false, onEvent } = options;
  const files = runFiles(config.output ?? defaultFolder(name, new Date()));
  const device = await selectDevice(config.device ?? process.env['TENSORKILN_DEVICE'] ?? 'cpu');
  await createRunFolder(files);
  const lock = await RunLock.acquire(files.folder);
  try {
    const log = new RunLog(files.log, { append: resume });
    const tensorboard = config.logging.tensorboard ? new TensorBoardLog(files.tensorboard) : undefined;
    const emit = (event: RunEvent): void => {
      log.event(event);
      tensorboard?.event(event);
      onEvent?.(event);
    };
    try {
      if (lock.takenOver !== undefined) emit({ type: 'lock_taken_over', pid: lock.takenOver });
      emit({ type: 'run_start', version: packageVersion(), device, output: files.folder });
      const result = await prepareAndTrain(config, { name, device, files, emit, resume, force, ...pickSignal(options) });
      emit({ type: 'run_end', result });
      return result;
    } catch (error) {
      log.failure(error);
      throw error;
    } finally {
      tensorboard?.close();
      log.close();
    }
  } finally {
    await lock.release();
  }
}

interface Place {
  readonly name: string;
  readonly device: string;
  readonly files: RunFiles;
  readonly resume: boolean;
  readonly force: boolean;
  readonly emit: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
}

async function prepareAndTrain(config: TrainingConfig, place: Place): Promise<RunResult> {
  const { files, emit, device } = place;
  const data = await prepareData(dataConfig(config), { onEvent: emit, force: place.force, ...pickSignal(place) });
  if (data.task === 'regression') {
    throw new TensorkilnError(
      'E_CONFIG',
      `[run] the target "${config.data.target}" is a number: training for regression from a configuration is not built yet.`,
    );
  }
  if (place.signal?.aborted === true) {
    throw new TensorkilnError('E_ABORTED', '[run] cancelled before training began: there is nothing to save.', {
      cause: place.signal.reason,
    });
  }
  const { config: resolved, decisions } = resolveConfig(config, data, { output: files.folder, device });
  emit({ type: 'resolved', decisions });
  const text = configText(resolved, decisions, packageVersion());
  const run: Run = { ...place, config: resolved, configText: text, data };
  // A run that goes on keeps the files it began with: the trainer refuses to go on with another configuration.
  if (!place.resume || !existsSync(files.config)) {
    await refuseUnfinished(files);
    await writeFileAtomic(files.config, text);
    await writeFileAtomic(files.record, json(await describeRun(run)));
  }
  return trainAndJudge(run);
}

/** Checked here so that not even the configuration of a run that can be resumed is overwritten. */
async function refuseUnfinished(files: RunFiles): Promise<void> {
  const unfinished = await Trainer.findUnfinished(files.checkpoints);
  if (unfinished === undefined) return;
  throw new TensorkilnError(
    'E_USAGE',
    `[run] ${files.folder} holds a run that has not ended (${unfinished}): resume it with --resume, choose another folder with --output, or remove it.`,
  );
}

/** The content of run.json. */
async function describeRun({ config }: Run): Promise<unknown> {
  const origin: RunOrigin = await describeOrigin({ tensorkiln: packageVersion(), node: process.versions.node });
  return {
    format: 'tensorkiln.run',
    version: 1,
    started_at: new Date().toISOString(),
    seeds: { split: config.split.seed, training: config.training.seed },
    device: config.device,
    data: { path: config.data.path, sha256: await fileDigest(config.data.path) },
    ...origin,
  };
}

interface Run extends Place {
  readonly config: ResolvedConfig;
  readonly configText: string;
  readonly data: PreparedData;
}

/** What training and judging gave. */
interface Outcome {
  readonly model: Sequential;
  readonly history: TrainingHistory;
  readonly test: ClassificationMetrics;
  readonly validation: ClassificationMetrics;
  readonly baselines: readonly ClassificationBaseline[];
  readonly verification: OnnxVerification;
  readonly targets: RunResult['targets'];
}

async function trainAndJudge(run: Run): Promise<RunResult> {
  const { config, data } = run;
  const model = buildModel(config, data.train.featureShape);
  const optimizer = buildOptimizer(config);
  const weights = classWeights(config, data);
  const trainer = new Trainer({
    model,
    loss: buildLoss(config),
    optimizer,
    seed: config.training.seed,
    ...(weights === undefined ? {} : { classWeights: weights }),
  });
  try {
    const checkpoints = checkpointOptions(run);
    const history = await trainer.fit(data.train, {
      ...fitOptions(config),
      validation: data.validation,
      onEvent: run.emit,
      ...(checkpoints === undefined ? {} : { checkpoints, resume: run.resume }),
      ...pickSignal(run),
    });
    const numClasses = data.classes.length;
    const test = evaluateClassification(
      await predictProbabilities(trainer, data.test.features, { numClasses }),
      data.test.targets,
      data.classes,
    );
    const validation = evaluateClassification(
      await predictProbabilities(trainer, data.validation.features, { numClasses }),
      data.validation.targets,
      data.classes,
    );
    const baselines = [
      await logisticBaseline(data.train, data.test, data.classes),
      majorityBaseline(data.train, data.test, data.classes),
    ];
    run.emit({ type: 'evaluated', test, baselines });
    const verification = await exportModel(run, model, trainer);
    const targets = judgeTargets(config.targets, test);
    const outcome: Outcome = { model, history, test, validation, baselines, verification, targets };
    await writeResults(run, outcome);
    return {
      stopReason: history.stopReason,
      bestEpoch: history.bestEpoch,
      test: scoresOf(test),
      validation: scoresOf(validation),
      baselines: baselines.map((baseline) => ({ name: baseline.name, ...scoresOf(baseline.metrics) })),
      verification,
      targets,
      files: run.files,
    };
  } finally {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

/** Nothing when the configuration wants no checkpoints. What does not change the result is no part of the facts. */
function checkpointOptions({ config, files, resume }: Run): CheckpointOptions | undefined {
  const { checkpoint_every: every, keep_checkpoints: keep } = config.logging;
  if (every === false) {
    if (resume) throw new TensorkilnError('E_USAGE', '[run] nothing to resume: logging.checkpoint_every is false.');
    return undefined;
  }
  return {
    folder: files.checkpoints,
    every: typeof every === 'number' ? { epochs: every } : every,
    keep,
    facts: flatten(omitKeys(config, 'output', 'device', 'logging', 'targets')),
  };
}

/** Rows of features from all parts, at most PROBE_ROWS: small tables are checked on every row. */
function probeRows({ test, validation, train }: PreparedData, width: number): Float32Array {
  const parts = [test, validation, train].map(({ features }) => features);
  const features = new Float32Array(
    Math.min(
      PROBE_ROWS * width,
      parts.reduce((sum, { length }) => sum + length, 0),
    ),
  );
  let filled = 0;
  for (const part of parts) {
    const taken = part.subarray(0, features.length - filled);
    features.set(taken, filled);
    filled += taken.length;
  }
  return features;
}

async function exportModel(run: Run, model: Sequential, trainer: Trainer): Promise<OnnxVerification> {
  const { data, files } = run;
  const features = probeRows(data, data.preprocessor.featureNames.length);
  const probe = { features, outputs: await predictProbabilities(trainer, features, { numClasses: data.classes.length }) };
  const { verification } = await exportOnnx(model.describe(), {
    path: files.model,
    modelName: run.name,
    inputName: 'features',
    outputName: 'probabilities',
    outputActivation: 'softmax',
    classes: data.classes,
    metadata: { features: JSON.stringify(data.preprocessor.featureNames), target: run.config.data.target },
    probe,
  });
  await exportSafetensors(model, files.weights);
  return verification;
}

async function writeResults(run: Run, outcome: Outcome): Promise<void> {
  const { config, data, files } = run;
  const preprocessing = {
    format: 'tensorkiln.preprocessing',
    version: 1,
    target: config.data.target,
    classes: data.classes,
    na_values: config.data.na_values,
    feature_names: data.preprocessor.featureNames,
    preprocessor: data.preprocessor.toJSON(),
  };
  await writeFileAtomic(files.preprocessing, json(preprocessing));
  await writeFileAtomic(files.history, json(withSnakeKeys(outcome.history)));
  await writeFileAtomic(files.report, await report(run, outcome));
  const metrics = {
    test: outcome.test,
    validation: outcome.validation,
    baselines: Object.fromEntries(outcome.baselines.map((baseline) => [baseline.name, baseline.metrics])),
    rows: data.counts,
    data: { verdict: data.verdict, forced: data.forced, outliers: data.outliers },
    bestEpoch: outcome.history.bestEpoch,
    stopReason: outcome.history.stopReason,
    onnxVerification: outcome.verification,
    targets: outcome.targets,
  };
  await writeFileAtomic(files.metrics, json(withSnakeKeys(metrics)));
}

function report(run: Run, { model, history, test, baselines, verification }: Outcome): Promise<string> {
  const { config, data } = run;
  return renderReport({
    task: 'classification',
    title: `${config.data.target} from ${basename(config.data.path)}`,
    run: {
      finishedAt: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
      configText: run.configText,
      seeds: { split: config.split.seed, training: config.training.seed },
      versions: { tensorkiln: packageVersion(), node: process.versions.node },
      rows: {
        train: data.counts.train,
        validation: data.counts.validation,
        test: data.counts.test,
        'without target': data.counts.missingTarget,
      },
      features: data.preprocessor.featureNames,
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
    metrics: test,
    baselines,
    columns: data.columns,
    warnings: data.warnings,
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function pickSignal({ signal }: { readonly signal?: AbortSignal }): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
