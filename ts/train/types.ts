import type { HalfProducts } from '../backend/custom/autocast.js';

/** One line of a training history. Losses and metrics are means over rows. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number;
  readonly trainLoss: number;
  readonly validationLoss?: number;
  readonly validationAccuracy?: number;
  /** The trainer's further metrics on the validation rows, by name. */
  readonly validationMetrics?: Readonly<Record<string, number>>;
  /** Of the epoch's last step. */
  readonly learningRate: number;
  readonly seconds: number;
  readonly samplesPerSecond: number;
  /** Seconds of processor time of the whole process, kernels included. */
  readonly cpuSeconds: number;
  /** Memory of the whole process at the end of the epoch. */
  readonly residentBytes: number;
}

/** What ended a training run. */
export type StopReason = 'epochs' | 'early_stopping' | 'aborted' | 'max_time' | 'stopped' | 'diverged';

export interface TrainingHistory {
  readonly epochs: readonly EpochRecord[];
  /** Epoch whose weights the model holds at the end. */
  readonly bestEpoch: number;
  readonly stopReason: StopReason;
  /** Steps since training began, those before a resume included. */
  readonly steps: number;
  /** Steps of this process that were replayed without running JavaScript. */
  readonly replayedSteps: number;
  /** Steps left out because loss or gradients were not finite. */
  readonly skippedSteps: number;
  /** How often weights were taken back to the last good state. */
  readonly rollbacks: number;
  /** Rows computed at a time, where batches were cut into parts. */
  readonly microBatch?: number;
  /** Why steps of this process ran as they stand and were not compiled; absent when none did. */
  readonly notCompiled?: readonly string[];
}

/** What a piece of advice is about. */
export type AdviceTopic =
  'data' | 'overfitting' | 'underfitting' | 'gradients' | 'non_finite' | 'averaging' | 'memory' | 'speed';

/** Norms of one parameter at one step. */
export interface ParameterStatistics {
  readonly name: string;
  readonly gradientNorm: number;
  readonly weightNorm: number;
  /** Norm of what the step changed over the norm of the weights; about 1e-3 is usual. */
  readonly updateRatio: number;
  /** Share of the gradient's values that are 0. */
  readonly zeroShare: number;
}

/**
 * Events of Trainer.fit, in order: `resumed` when it goes on from a checkpoint, `start`, then per epoch `step`* and `epoch`, then
 * `end`. `checkpoint` follows what it saves; `not_compiled` comes with the first step that could not be compiled.
 */
export type TrainingEvent =
  | {
      readonly type: 'resumed';
      /** The checkpoint. */
      readonly file: string;
      /** Epoch that goes on, and its steps that are done. */
      readonly epoch: number;
      readonly step: number;
      /** Newer checkpoints that are damaged and were passed over. */
      readonly damaged: readonly { readonly file: string; readonly reason: string }[];
    }
  | {
      readonly type: 'start';
      readonly epochs: number;
      readonly stepsPerEpoch: number;
      readonly parameters: number;
      readonly rows: number;
    }
  /** Activations are stored in 16 bits, and how products of them are computed on this machine. Comes after `start`. */
  | { readonly type: 'precision'; readonly precision: 'bf16' | 'f16'; readonly products: HalfProducts }
  | {
      /** A step could not be compiled and runs as it stands. */
      readonly type: 'not_compiled';
      readonly step: 'train' | 'evaluate';
      readonly reason: string;
    }
  | { readonly type: 'step'; readonly epoch: number; readonly step: number; readonly loss: number; readonly rows: number }
  | { readonly type: 'epoch'; readonly record: EpochRecord; readonly improved: boolean }
  | { readonly type: 'learning_rate'; readonly epoch: number; readonly from: number; readonly to: number }
  | { readonly type: 'checkpoint'; readonly file: string; readonly epoch: number; readonly step: number }
  /** A step was left out. */
  | { readonly type: 'skipped'; readonly epoch: number; readonly step: number; readonly loss: number; readonly inARow: number }
  /** Weights and optimizer were taken back, and the rate lowered. */
  | {
      readonly type: 'rollback';
      readonly epoch: number;
      readonly step: number;
      /** The checkpoint's file, or the epoch of the best weights; 0 are those training began with. */
      readonly source: { readonly file: string } | { readonly epoch: number };
      readonly from: number;
      readonly to: number;
    }
  /** Memory ran out: batches are computed in parts of so many rows. */
  | { readonly type: 'micro_batch'; readonly epoch: number; readonly rows: number; readonly reason: string }
  | { readonly type: 'unfrozen'; readonly epoch: number; readonly layers: readonly string[] }
  /** With `debug`: the first op whose result was not finite. */
  | {
      readonly type: 'non_finite';
      readonly epoch: number;
      readonly step: number;
      readonly op: string;
      /** Layer that ran it; absent in the loss and on the way back. */
      readonly layer?: string;
      readonly shape: readonly number[];
      readonly isBackward: boolean;
    }
  /** With `debug`: norms of the first step of an epoch. */
  | {
      readonly type: 'gradients';
      readonly epoch: number;
      readonly norm: number;
      readonly parameters: readonly ParameterStatistics[];
    }
  /** With `debug`; on an average of the weights that comes too late, always. */
  | { readonly type: 'advice'; readonly epoch: number; readonly topic: AdviceTopic; readonly message: string }
  | { readonly type: 'end'; readonly history: TrainingHistory };
