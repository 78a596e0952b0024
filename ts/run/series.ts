/** Several runs of one configuration, and what they have in common. */
import { join, resolve } from 'node:path';
import { checkInteger } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { writeFileAtomic } from '../write-file.js';
import { isText } from './config/data-config.js';
import { checkTrainingConfig } from './config/load.js';
import type { TrainingConfig } from './config/schema.js';
import type { RunEvent, RunResult } from './run-events.js';
import { defaultFolder } from './run-folder.js';
import { json } from './run-results.js';
import { runTraining } from './run-training.js';
import type { Scores } from './scores.js';
import { withSnakeKeys } from './snake-case.js';

/** A run's events, and before each run which one it is. */
export type SeriesEvent =
  RunEvent | { readonly type: 'series_run'; readonly index: number; readonly of: number; readonly kind: 'repeat' | 'fold' };

/** Over several runs: standard deviation with runs - 1 in the denominator. */
export interface MeanAndDeviation {
  readonly mean: number;
  readonly deviation: number;
}

export interface SeriesResult {
  /** Those that were trained to their end, by themselves: one that `signal` ended counts nowhere. */
  readonly runs: readonly RunResult[];
  /** Runs that were to be made. */
  readonly planned: number;
  /** Whether `signal` ended the series before all of them were. */
  readonly aborted: boolean;
  /** Of the test part, by score, over `runs`; nothing without any. */
  readonly test: Readonly<Record<string, MeanAndDeviation>>;
  readonly folder: string;
}

export interface SeriesOptions {
  readonly name?: string;
  /** As for `runTraining`. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SeriesEvent) => void;
}

/** A run of a series: where it goes and what is different there. */
interface Variant {
  readonly folder: string;
  readonly change: (config: TrainingConfig) => TrainingConfig;
}

/**
 * Runs a configuration `times` times, each with other seeds for split and training: the configuration's, then the following ones.
 * Each run has a folder `repeat-<i>` inside the output folder, and `summary.json` there holds mean and deviation.
 *
 * When `signal` fires, the run that is interrupted keeps its folder but is left out of mean and deviation, and no further one begins.
 *
 * @throws as `runTraining`; runs that have ended by then stay, and for E_ABORTED also their summary
 */
export async function repeatTraining(
  config: TrainingConfig,
  times: number,
  options: SeriesOptions = {},
): Promise<SeriesResult> {
  checkInteger('repeatTraining', 'times', times, { min: 1 });
  checkTrainingConfig('repeatTraining', config);
  const variants = Array.from({ length: times }, (_, index): Variant => ({
    folder: `repeat-${index + 1}`,
    change: ({ split, training, ...rest }) => ({
      ...rest,
      split: { ...split, seed: split.seed + index },
      training: { ...training, seed: training.seed + index },
    }),
  }));
  return runSeries('repeat', config, variants, options);
}

/**
 * Cross-validation: as many runs as folds, each of which is the test part of one; with `times` above 1 all of it again with other seeds.
 * The shares of training and validation divide the other folds. Each run has a folder `fold-<i>`, or `repeat-<j>-fold-<i>`, inside the
 * output folder, and `summary.json` there holds mean and deviation. A `signal` ends it as it does `repeatTraining`.
 *
 * @param folds at least 2, at most as many as there are rows, or groups for a grouped split
 * @throws E_CONFIG for a split by time or in order, and for a separate test file; as `runTraining`
 */
export async function crossValidate(
  config: TrainingConfig,
  folds: number,
  options: SeriesOptions & { readonly times?: number } = {},
): Promise<SeriesResult> {
  const { times = 1 } = options;
  checkInteger('crossValidate', 'times', times, { min: 1 });
  checkInteger('crossValidate', 'folds', folds, { min: 2 });
  checkTrainingConfig('crossValidate', config);
  if (isText(config))
    throw new TensorkilnError('E_CONFIG', '[k-fold] a running text has no folds: expected a table or images. Use --repeat.');
  if (config.data.test_path !== undefined || config.split.method === 'time' || config.split.method === 'order') {
    const found = config.data.test_path === undefined ? `split.method ${config.split.method}` : 'data.test_path';
    throw new TensorkilnError(
      'E_CONFIG',
      `[k-fold] cross-validation makes every row a test row once: expected no ${found}. Use --repeat for several seeds instead.`,
    );
  }
  const variants = Array.from({ length: times * folds }, (_, place): Variant => {
    const [round, index] = [Math.floor(place / folds), place % folds];
    return {
      folder: times === 1 ? `fold-${index + 1}` : `repeat-${round + 1}-fold-${index + 1}`,
      change: ({ split, training, ...rest }) => ({
        ...rest,
        split: { ...split, seed: split.seed + round, fold: { index, of: folds } },
        training: { ...training, seed: training.seed + round },
      }),
    };
  });
  return runSeries('fold', config, variants, options);
}

async function runSeries(
  kind: 'repeat' | 'fold',
  config: TrainingConfig,
  variants: readonly Variant[],
  options: SeriesOptions,
): Promise<SeriesResult> {
  const folder = resolve(config.output ?? defaultFolder(options.name ?? 'run', new Date()));
  const runs: RunResult[] = [];
  const conclude = async (): Promise<SeriesResult> => {
    const test = summarize(runs.map((run) => run.test));
    const result = { planned: variants.length, aborted: runs.length < variants.length, test };
    const summary = { format: 'tensorkiln.series', version: 1, kind, runs: runs.length, ...result };
    await writeFileAtomic(join(folder, 'summary.json'), json(withSnakeKeys(summary)));
    return { runs, ...result, folder };
  };
  for (const [index, variant] of variants.entries()) {
    options.onEvent?.({ type: 'series_run', index: index + 1, of: variants.length, kind });
    let run: RunResult;
    try {
      run = await runTraining({ ...variant.change(config), output: join(folder, variant.folder) }, options);
    } catch (error) {
      if (error instanceof TensorkilnError && error.code === 'E_ABORTED' && runs.length > 0) await conclude();
      throw error;
    }
    if (run.stopReason !== 'aborted') runs.push(run);
    if (options.signal?.aborted === true) break;
  }
  return conclude();
}

/** Every score that all runs have. */
function summarize(scores: readonly Scores[]): SeriesResult['test'] {
  const all = scores as unknown as readonly Readonly<Record<string, unknown>>[];
  const names = Object.keys(all[0] ?? {}).filter(
    (name) => name !== 'rows' && all.every((one) => typeof one[name] === 'number'),
  );
  return Object.fromEntries(names.map((name) => [name, meanAndDeviation(all.map((one) => one[name] as number))]));
}

function meanAndDeviation(values: readonly number[]): MeanAndDeviation {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}
