import type { DataEvent, PartName } from '../data/index.js';
import type { BaselineResult, Metrics } from '../evaluate/index.js';
import type { OnnxVerification } from '../export/index.js';
import type { LoadReport } from '../nn/index.js';
import type { Decision } from './config/resolve.js';
import type { Scores } from './scores.js';
import type { TargetResult } from './targets.js';
import type { StopReason, TrainingEvent } from '../train/index.js';

/** Where a run's files lie; absolute. */
export interface RunFiles {
  readonly folder: string;
  readonly config: string;
  readonly metrics: string;
  readonly history: string;
  /** The architecture with everything decided, without weights. */
  readonly architecture: string;
  readonly report: string;
  readonly markdown: string;
  /** Picture of the learning curves; there when the optional package echarts is installed. */
  readonly curves: string;
  /** Folder of what `evaluate` found later: one folder a look. */
  readonly evaluations: string;
  /** Folder of the tfjs LayersModel, there when it was asked for. */
  readonly tfjs: string;
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
  /** Undefined when the split has no validation part. */
  readonly validation: Scores | undefined;
  readonly baselines: readonly (Scores & { readonly name: BaselineResult['name'] })[];
  readonly verification: OnnxVerification;
  /** What the configuration's targets asked for; empty when it has none. */
  readonly targets: readonly TargetResult[];
  readonly files: RunFiles;
}

/** Weights of another model that this one begins with, by parameter name. */
export interface PretrainedEvent extends LoadReport {
  readonly type: 'pretrained';
  readonly path: string;
}

/** A text has been read and divided; numbers of characters. */
export interface TextEvent {
  readonly type: 'text_ready';
  readonly path: string;
  readonly vocabulary: number;
  readonly characters: Readonly<Record<PartName, number>>;
  /** Those that the training part does not hold. */
  readonly unknown: Readonly<Record<PartName, number>>;
}

/** Everything a run tells, in order: run_start, data_*, resolved, pretrained, the trainer's events, evaluated, run_end. */
export type RunEvent =
  | { readonly type: 'lock_taken_over'; readonly pid: number }
  | { readonly type: 'resolved'; readonly decisions: readonly Decision[] }
  | { readonly type: 'run_start'; readonly version: string; readonly device: string; readonly output: string }
  | DataEvent
  | TextEvent
  | PretrainedEvent
  | TrainingEvent
  | { readonly type: 'evaluated'; readonly test: Metrics; readonly baselines: readonly BaselineResult[] }
  | { readonly type: 'run_end'; readonly result: RunResult };
