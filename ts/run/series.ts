/** Several runs of one configuration, and what they have in common. */
import { join, resolve } from 'node:path';
import { writeFileAtomic } from '../write-file.js';
import type { TrainingConfig } from './config/schema.js';
import { defaultFolder } from './run-folder.js';
import type { RunEvent, RunResult, Scores } from './run-events.js';
import { runTraining } from './run-training.js';

/** A run's events, and before each run which one it is. */
export type SeriesEvent = RunEvent | { readonly type: 'series_run'; readonly index: number; readonly of: number };

type ScoreName = Exclude<keyof Scores, 'rows'>;

export interface SeriesResult {
  readonly runs: readonly RunResult[];
  /** Of the test part: mean over the runs, and standard deviation with runs - 1 in the denominator. */
  readonly test: Readonly<Record<ScoreName, { readonly mean: number; readonly deviation: number }>>;
  readonly folder: string;
}

export interface SeriesOptions {
  readonly name?: string;
  /** As for `runTraining`. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SeriesEvent) => void;
}

const SCORES = ['accuracy', 'balancedAccuracy', 'macroF1', 'logLoss'] as const satisfies readonly ScoreName[];

/**
 * Runs a configuration `times` times, each with other seeds for split and training: the configuration's, then the following ones.
 * Each run has a folder `repeat-<i>` inside the output folder, and `summary.json` there holds mean and deviation.
 *
 * @throws as `runTraining`; runs that have ended by then stay
 */
export async function repeatTraining(
  config: TrainingConfig,
  times: number,
  options: SeriesOptions = {},
): Promise<SeriesResult> {
  const folder = resolve(config.output ?? defaultFolder(options.name ?? 'run', new Date()));
  const runs: RunResult[] = [];
  for (let index = 0; index < times; ++index) {
    options.onEvent?.({ type: 'series_run', index: index + 1, of: times });
    runs.push(
      await runTraining(
        {
          ...config,
          split: { ...config.split, seed: config.split.seed + index },
          training: { ...config.training, seed: config.training.seed + index },
          output: join(folder, `repeat-${index + 1}`),
        },
        options,
      ),
    );
    if (options.signal?.aborted === true) break;
  }
  const test = Object.fromEntries(
    SCORES.map((score) => [score, describe(runs.map((run) => run.test[score]))]),
  ) as SeriesResult['test'];
  await writeFileAtomic(join(folder, 'summary.json'), `${JSON.stringify(summary(runs, test), null, 2)}\n`);
  return { runs, test, folder };
}

function summary(runs: readonly RunResult[], test: SeriesResult['test']): unknown {
  return {
    format: 'tensorkiln.series',
    version: 1,
    runs: runs.length,
    test: {
      accuracy: test.accuracy,
      balanced_accuracy: test.balancedAccuracy,
      macro_f1: test.macroF1,
      log_loss: test.logLoss,
    },
  };
}

function describe(values: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}
