/** One line of a training history. Losses and metrics are means over rows. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number;
  readonly trainLoss: number;
  readonly validationLoss?: number;
  readonly validationAccuracy?: number;
  readonly learningRate: number;
  readonly seconds: number;
  readonly samplesPerSecond: number;
}

/** What ended a training run. */
export type StopReason = 'epochs' | 'early_stopping' | 'aborted';

export interface TrainingHistory {
  readonly epochs: readonly EpochRecord[];
  /** Epoch whose weights the model holds at the end. */
  readonly bestEpoch: number;
  readonly stopReason: StopReason;
  readonly steps: number;
  readonly replayedSteps: number;
}

/** Events of Trainer.fit, in order: start, then per epoch `step`* and `epoch`, then end. */
export type TrainingEvent =
  | { readonly type: 'start'; readonly epochs: number; readonly stepsPerEpoch: number; readonly parameters: number }
  | { readonly type: 'step'; readonly epoch: number; readonly step: number; readonly loss: number }
  | { readonly type: 'epoch'; readonly record: EpochRecord; readonly improved: boolean }
  | { readonly type: 'end'; readonly history: TrainingHistory };
