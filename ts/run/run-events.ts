import type { DataEvent } from '../data/index.js';
import type { ClassificationBaseline, ClassificationMetrics } from '../evaluate/index.js';
import type { OnnxVerification } from '../export/index.js';
import type { Decision } from './config/resolve.js';
import type { TargetResult } from './targets.js';
import type { StopReason, TrainingEvent } from '../train/index.js';

/** How a model fared, without the parts that only a report needs. */
export interface Scores {
  readonly rows: number;
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  readonly logLoss: number;
}

/** Where a run's files lie; absolute. */
export interface RunFiles {
  readonly folder: string;
  readonly config: string;
  readonly metrics: string;
  readonly history: string;
  readonly report: string;
  readonly model: string;
  /** Weights and architecture, what loadPredictor reads. */
  readonly weights: string;
  readonly preprocessing: string;
  readonly log: string;
  /** Where the run comes from: commit, versions, machine. */
  readonly record: string;
  /** Folder of TensorBoard event files, there when the configuration wants them. */
  readonly tensorboard: string;
  /** Folder of checkpoints. */
  readonly checkpoints: string;
}

/** What a run ends with. */
export interface RunResult {
  readonly stopReason: StopReason;
  readonly bestEpoch: number;
  readonly test: Scores;
  readonly validation: Scores;
  readonly baselines: readonly (Scores & { readonly name: ClassificationBaseline['name'] })[];
  readonly verification: OnnxVerification;
  /** What the configuration's targets asked for; empty when it has none. */
  readonly targets: readonly TargetResult[];
  readonly files: RunFiles;
}

/** Everything a run tells, in order: run_start, data_*, resolved, the trainer's events, evaluated, run_end. */
export type RunEvent =
  | { readonly type: 'lock_taken_over'; readonly pid: number }
  | { readonly type: 'resolved'; readonly decisions: readonly Decision[] }
  | { readonly type: 'run_start'; readonly version: string; readonly device: string; readonly output: string }
  | DataEvent
  | TrainingEvent
  | { readonly type: 'evaluated'; readonly test: ClassificationMetrics; readonly baselines: readonly ClassificationBaseline[] }
  | { readonly type: 'run_end'; readonly result: RunResult };

export function scoresOf(metrics: ClassificationMetrics): Scores {
  const { rows, accuracy, balancedAccuracy, macroF1, logLoss } = metrics;
  return { rows, accuracy, balancedAccuracy, macroF1, logLoss };
}
