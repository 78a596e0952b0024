import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { omitKeys } from '../arguments.js';
import { packageVersion } from '../native/load.js';
import { TensorkilnError } from '../errors.js';
import { SGD } from '../optim/index.js';
import { describeOrigin, type RunOrigin } from '../track/run-record.js';
import { flatten, Trainer, type CheckpointOptions } from '../train/index.js';
import { writeFileAtomic } from '../write-file.js';
import { buildLoss, buildOptimizer } from './build-model.js';
import { buildTrainer, prepareModel } from './build-trainer.js';
import { checkTrainingConfig } from './config/load.js';
import { configText, resolveConfig, type ResolvedConfig } from './config/resolve.js';
import type { TrainingConfig } from './config/schema.js';
import { describeDataFiles } from './data-files.js';
import { exportRun } from './export-run.js';
import { fitOptions } from './fit-options.js';
import { judgeRun } from './judge-run.js';
import { finishLanguageModel } from './language/finish-language.js';
import { RunLock } from './lock.js';
import { prepareAnyData, TrainingRows, type AnyData } from './run-data.js';
import type { RunEvent, RunFiles, RunResult } from './run-events.js';
import { createRunFolder, defaultFolder, removeEarlierResults, runFiles } from './run-folder.js';
import { RunLog } from './run-log.js';
import { json, writeResults } from './run-results.js';
import { scoresOf } from './scores.js';
import { selectDevice } from './select-device.js';
import { judgeTargets } from './targets.js';
import { TensorBoardLog } from './tensorboard.js';

export interface RunOptions {
  /** Names the exported graph, and the folder unless the config has an output; default 'run'. */
  readonly name?: string;
  /** Goes on from the newest whole checkpoint in the output folder; from the beginning when there is none. Default false. */
  readonly resume?: boolean;
  /** Ends training after the running step. What was learned so far is judged and saved, and the history says aborted. */
  readonly signal?: AbortSignal;
  /** Train although the data failed its validation; recorded in run.json and the results. Default false, with `resume` what the run
   *  began with. */
  readonly force?: boolean;
  readonly onEvent?: (event: RunEvent) => void;
}

/**
 * The whole way from data to an exported, judged model: prepare, train, evaluate, export, write.
 *
 * Everything is checked that can be before training starts: the device, the output folder, the data. The folder belongs to one run
 * at a time. Each file of the run is written whole or not at all; metrics.json comes last, so that a folder holding it is complete.
 *
 * @throws E_DEVICE, E_NATIVE_LOAD, E_IO, E_DATA, E_CONFIG before training; E_USAGE when another run has the folder, when it holds one
 *         that has not ended and `resume` is not set, or when that one had other data or another configuration; E_DIVERGED,
 *         E_OUT_OF_MEMORY, E_IO while training; E_EXPORT, E_IO after it; E_ABORTED when `signal` fires before training has begun
 */
export async function runTraining(config: TrainingConfig, options: RunOptions = {}): Promise<RunResult> {
  checkTrainingConfig('runTraining', config);
  const { name = 'run', resume = false, onEvent } = options;
  const files = runFiles(config.output ?? defaultFolder(name, new Date()));
  const force = options.force === true || (resume && (await wasForced(files)));
  const device = await selectDevice(config.device);
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
  const data = await prepareAnyData(config, { onEvent: emit, force: place.force, ...pickSignal(place) });
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
    await removeEarlierResults(files);
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
async function describeRun({ config, data }: Run): Promise<unknown> {
  const origin: RunOrigin = await describeOrigin({ tensorkiln: packageVersion(), node: process.versions.node });
  return {
    format: 'tensorkiln.run',
    version: 1,
    started_at: new Date().toISOString(),
    forced: 'forced' in data && data.forced,
    seeds: { split: config.split.seed, training: config.training.seed },
    device: config.device,
    data: await describeDataFiles(config),
    ...origin,
  };
}

/** Whether the run in a folder was begun with data that had failed its validation. */
export async function wasForced(files: RunFiles): Promise<boolean> {
  const text = await readFile(files.record, 'utf8').catch(() => '{}');
  try {
    return (JSON.parse(text) as { readonly forced?: unknown }).forced === true;
  } catch {
    // A record that is damaged allows nothing.
    return false;
  }
}

interface Run extends Place {
  readonly config: ResolvedConfig;
  readonly configText: string;
  readonly data: AnyData;
}

async function trainAndJudge(run: Run): Promise<RunResult> {
  const { config, data, files, name } = run;
  const model = await prepareModel(config, data, run.emit);
  const optimizer = buildOptimizer(config);
  const rows = new TrainingRows(config, data);
  const trainer = buildTrainer(config, data, { model, optimizer });
  let judging: Trainer | undefined;
  try {
    const checkpoints = checkpointOptions(run);
    const history = await trainer.fit(rows.train, {
      ...fitOptions(config),
      ...(rows.validation === undefined ? {} : { validation: rows.validation }),
      onEvent: run.emit,
      ...(checkpoints === undefined ? {} : { checkpoints, resume: run.resume }),
      ...pickSignal(run),
    });
    if (data.task === 'language_model') return await finishLanguageModel({ ...run, data, model, history });
    // What is exported computes in float32, so that is what is judged.
    judging =
      config.training.precision === 'float32'
        ? trainer
        : new Trainer({ model, loss: buildLoss(config, data.task), optimizer: new SGD(), seed: config.training.seed });
    const judgement = await judgeRun(judging, data);
    const { test, validation, baselines } = judgement;
    run.emit({ type: 'evaluated', test, baselines });
    const verification = await exportRun({ name, target: config.data.target, data, files }, model, judging);
    const targets = judgeTargets(config.targets, test);
    await writeResults({ ...run, data }, { model, history, judgement, verification, targets });
    return {
      stopReason: history.stopReason,
      bestEpoch: history.bestEpoch,
      test: scoresOf(test),
      validation: validation === undefined ? undefined : scoresOf(validation),
      baselines: baselines.map((baseline) => ({ ...scoresOf(baseline.metrics), name: baseline.name })),
      verification,
      targets,
      files,
    };
  } finally {
    if (judging !== trainer) judging?.dispose();
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
    await rows.close();
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

function pickSignal({ signal }: { readonly signal?: AbortSignal }): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
