/** Repeats a run and compares what came out. */
import { readFile } from 'node:fs/promises';
import { checkKeys, checkText } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { decodeSafetensors } from '../formats/safetensors.js';
import { describeOrigin } from '../track/run-record.js';
import { packageVersion } from '../native/load.js';
import { flatten, type Fact } from '../train/index.js';
import { loadConfig } from './config/load.js';
import type { TrainingConfig } from './config/schema.js';
import { describeDataFiles } from './data-files.js';
import type { RunEvent } from './run-events.js';
import { defaultFolder, runFiles } from './run-folder.js';
import { runTraining, wasForced } from './run-training.js';

/** Something that was different. */
export interface Difference {
  readonly what: string;
  readonly before: Fact | undefined;
  readonly now: Fact | undefined;
}

export interface Reproduction {
  /** Whether weights, losses and metrics are equal bit for bit. */
  readonly isEqual: boolean;
  /** Results that differ. */
  readonly results: readonly Difference[];
  /** Circumstances that differ: data, commit, lock file, versions, machine. */
  readonly circumstances: readonly Difference[];
  /** Folder of the repetition. */
  readonly folder: string;
}

export interface ReproduceOptions {
  /** Folder of the repetition; default `runs/reproduce-<time>`. */
  readonly output?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
}

/** Keys of a history that time and machine decide. */
const TIMINGS = /\.(seconds|samples_per_second|cpu_seconds|resident_bytes)$|^replayed_steps$/;

/**
 * Trains again with the resolved configuration of a run and compares weights, losses and metrics bit for bit, and data, commit, lock
 * file, versions and machine with those of then.
 *
 * @throws E_IO, E_CONFIG when the folder holds no finished run, and as `runTraining`
 */
export async function reproduceRun(folder: string, options: ReproduceOptions = {}): Promise<Reproduction> {
  const old = runFiles(checkText('reproduceRun', 'folder', folder));
  checkKeys('reproduceRun', options, ['output', 'signal', 'onEvent']);
  const before = { results: await readResults(folder), record: flatten(await readJson(old.record)) };
  const output = options.output ?? defaultFolder('reproduce', new Date());
  const config = await loadConfig(old.config, { output });
  const now = await describeCircumstances(config);
  await runTraining(config, {
    name: 'reproduce',
    force: await wasForced(old),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  const results = compare(before.results, await readResults(output));
  const circumstances = compare(Object.fromEntries(Object.entries(before.record).filter(([key]) => key in now)), now);
  return { isEqual: results.length === 0, results, circumstances, folder: output };
}

async function describeCircumstances(config: TrainingConfig): Promise<Readonly<Record<string, Fact>>> {
  const origin = await describeOrigin({ tensorkiln: packageVersion(), node: process.versions.node });
  return flatten({ ...origin, data: await describeDataFiles(config) });
}

/** Everything a run came to, as flat facts. */
async function readResults(folder: string): Promise<Readonly<Record<string, Fact>>> {
  const files = runFiles(folder);
  const metrics = await readJson(files.metrics);
  const history = Object.fromEntries(
    Object.entries(flatten(await readJson(files.history))).filter(([key]) => !TIMINGS.test(key)),
  );
  const weights = decodeSafetensors(await readFile(files.weights), files.weights);
  const tensors = Object.entries(weights.tensors).map(([name, { bytes }]) => [
    `weights.${name}`,
    Buffer.from(bytes).toString('base64'),
  ]);
  return {
    ...flatten(metrics, 'metrics'),
    ...flatten(history, 'history'),
    ...(Object.fromEntries(tensors) as Record<string, string>),
  };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_IO', `[reproduce] cannot read ${path}: ${reason}. Expected the folder of a finished run.`, {
      cause,
    });
  }
}

function compare(before: Readonly<Record<string, Fact>>, now: Readonly<Record<string, Fact>>): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => !Object.is(before[key], now[key]))
    .map((what) => ({ what, before: shorten(before[what]), now: shorten(now[what]) }));
}

/** Weights are long; that they differ is what matters. */
function shorten(fact: Fact | undefined): Fact | undefined {
  return typeof fact === 'string' && fact.length > 80 ? `${fact.slice(0, 16)}...` : fact;
}
