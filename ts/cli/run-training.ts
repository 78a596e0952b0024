import { basename } from 'node:path';
import { packageVersion } from '../backend/native/load.js';
import { prepareData, type PreparedData } from '../data/index.js';
import { TensorkilnError } from '../errors.js';
import {
  evaluateClassification,
  logisticBaseline,
  majorityBaseline,
  renderReport,
  type BaselineResult,
  type ClassificationMetrics,
} from '../evaluate/index.js';
import { exportOnnx, type OnnxVerification } from '../export/index.js';
import { crossEntropy, type Sequential } from '../nn/index.js';
import { Trainer, type TrainingHistory } from '../train/index.js';
import { writeFileAtomic } from '../write-file.js';
import { buildModel, buildOptimizer } from './build-model.js';
import { dataConfig, imageTransforms } from './config/data-config.js';
import { configText, resolveConfig, type ResolvedConfig } from './config/resolve.js';
import type { TrainingConfig } from './config/schema.js';
import { scoresOf, type RunEvent, type RunFiles, type RunResult } from './run-events.js';
import { createRunFolder, defaultFolder, runFiles } from './run-folder.js';
import { RunLog } from './run-log.js';
import { selectDevice } from './select-device.js';
import { withSnakeKeys } from './snake-case.js';

export interface RunOptions {
  /** Names the exported graph, and the folder unless the config has an output; default 'run'. */
  readonly name?: string;
  /** Ends training after the running step. What was learned so far is judged and saved, and the history says aborted. */
  readonly signal?: AbortSignal;
  /** Train although the data failed its validation; recorded in the results. Default false. */
  readonly force?: boolean;
  readonly onEvent?: (event: RunEvent) => void;
}

/** Most rows the exported model is verified on. */
const PROBE_ROWS = 1024;
const PREDICT_BATCH = 1024;

/**
 * The whole way from a table to an exported, judged model: prepare, train, evaluate, export, write.
 *
 * Everything is checked that can be before training starts: the device, the output folder, the data. Each file of the run is written whole
 * or not at all; metrics.json comes last, so that a folder holding it is complete.
 *
 * @throws E_DEVICE, E_NATIVE_LOAD, E_IO, E_DATA before training; E_DIVERGED, E_OUT_OF_MEMORY while training; E_EXPORT, E_IO after it;
 *         E_ABORTED when `signal` fires before training has begun
 */
export async function runTraining(config: TrainingConfig, options: RunOptions = {}): Promise<RunResult> {
  if (imageTransforms(config.augmentation).length > 0) {
    throw new TensorkilnError(
      'E_CONFIG',
      '[config] augmentation.enabled is true, but training on images from a configuration is not built yet: expected false for a table.',
    );
  }
  const name = options.name ?? 'run';
  const files = runFiles(config.output ?? defaultFolder(name, new Date()));
  const device = await selectDevice(config.device ?? process.env['TENSORKILN_DEVICE'] ?? 'cpu');
  await createRunFolder(files);
  const log = new RunLog(files.log);
  const emit = (event: RunEvent): void => {
    log.event(event);
    options.onEvent?.(event);
  };
  try {
    emit({ type: 'run_start', version: packageVersion(), device, output: files.folder });
    const data = await prepareData(dataConfig(config), {
      onEvent: emit,
      force: options.force ?? false,
      ...pickSignal(options),
    });
    if (data.task === 'regression') {
      throw new TensorkilnError(
        'E_CONFIG',
        `[run] the target "${config.data.target}" is a number: training for regression from a configuration is not built yet.`,
      );
    }
    if (options.signal?.aborted === true) {
      throw new TensorkilnError('E_ABORTED', '[run] cancelled before training began: there is nothing to save.', {
        cause: options.signal.reason,
      });
    }
    const resolved = resolveConfig(config, data, { output: files.folder, device });
    await writeFileAtomic(files.config, configText(resolved, packageVersion()));
    const result = await trainAndJudge({ name, config: resolved, data, files, emit, ...pickSignal(options) });
    emit({ type: 'run_end', result });
    return result;
  } catch (error) {
    log.failure(error);
    throw error;
  } finally {
    log.close();
  }
}

interface Run {
  readonly name: string;
  readonly config: ResolvedConfig;
  readonly data: PreparedData;
  readonly files: RunFiles;
  readonly emit: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
}

/** What training and judging gave. */
interface Outcome {
  readonly model: Sequential;
  readonly history: TrainingHistory;
  readonly test: ClassificationMetrics;
  readonly validation: ClassificationMetrics;
  readonly baselines: readonly BaselineResult[];
  readonly verification: OnnxVerification;
}

async function trainAndJudge(run: Run): Promise<RunResult> {
  const { config, data } = run;
  const model = buildModel(config, data.classes.length);
  const optimizer = buildOptimizer(config);
  const trainer = new Trainer({ model, loss: crossEntropy, optimizer, seed: config.training.seed });
  try {
    const { patience, min_delta: minDelta } = config.training.early_stopping;
    const history = await trainer.fit(data.train, {
      validation: data.validation,
      epochs: config.training.epochs,
      batchSize: config.training.batch_size,
      earlyStopping: { patience, minDelta, restoreBest: true },
      onEvent: run.emit,
      ...pickSignal(run),
    });
    const testProbabilities = await predictProbabilities(trainer, data.test.features, data.classes.length);
    const test = evaluateClassification(testProbabilities, data.test.targets, data.classes);
    const validation = evaluateClassification(
      await predictProbabilities(trainer, data.validation.features, data.classes.length),
      data.validation.targets,
      data.classes,
    );
    const baselines = [
      await logisticBaseline(data.train, data.test, data.classes),
      majorityBaseline(data.train, data.test, data.classes),
    ];
    run.emit({ type: 'evaluated', test, baselines });
    const verification = await exportModel(run, model, trainer);
    const outcome: Outcome = { model, history, test, validation, baselines, verification };
    await writeResults(run, outcome);
    return {
      stopReason: history.stopReason,
      bestEpoch: history.bestEpoch,
      test: scoresOf(test),
      validation: scoresOf(validation),
      baselines: baselines.map((baseline) => ({ name: baseline.name, ...scoresOf(baseline.metrics) })),
      verification,
      files: run.files,
    };
  } finally {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

/** [rows, classes] probabilities: softmax of the logits, in float64, rounded once to float32 as the exported model's are. */
async function predictProbabilities(trainer: Trainer, features: Float32Array, numClasses: number): Promise<Float32Array> {
  const values = await trainer.predict(features, { batchSize: PREDICT_BATCH });
  for (let start = 0; start < values.length; start += numClasses) {
    const row = values.subarray(start, start + numClasses);
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Float64Array.from(row, (logit) => Math.exp(logit - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    row.set(powers.map((power) => power / sum));
  }
  return values;
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
  const probe = { features, outputs: await predictProbabilities(trainer, features, data.classes.length) };
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
  };
  await writeFileAtomic(files.metrics, json(withSnakeKeys(metrics)));
}

function report(run: Run, { model, history, test, baselines, verification }: Outcome): Promise<string> {
  const { config, data } = run;
  return renderReport({
    title: `${config.data.target} from ${basename(config.data.path)}`,
    run: {
      finishedAt: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
      configText: configText(config, packageVersion()),
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
