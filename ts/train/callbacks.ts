/** Code of the user's own that runs while a model is trained. */
import type { EpochRecord, TrainingHistory } from './types.js';

/** What a callback may see and do. */
export interface CallbackContext {
  /** Epoch that runs, counted from 1; 0 before the first. */
  readonly epoch: number;
  /** Steps done since training began. */
  readonly step: number;
  /** Setting it takes effect from the next step on; a schedule sets it anew at each step. */
  learningRate: number;
  /** Ends training after the running step, with stop reason 'stopped'. */
  stop(): void;
}

/** Hooks in the order they are called; each may be asynchronous and is awaited, except `onStep`. An error ends training. */
export interface Callback {
  /** Key of its state in checkpoints; needed when it has one. */
  readonly name?: string;
  onStart?(context: CallbackContext): void | Promise<void>;
  onEpochStart?(context: CallbackContext): void | Promise<void>;
  /** After a step's loss is known, which may be after the next one has been enqueued. */
  onStep?(context: CallbackContext, result: { readonly epoch: number; readonly step: number; readonly loss: number }): void;
  onEpochEnd?(context: CallbackContext, record: EpochRecord): void | Promise<void>;
  onEnd?(context: CallbackContext, history: TrainingHistory): void | Promise<void>;
  /** What a resumed run must know, as plain data. */
  getState?(): unknown;
  setState?(state: unknown): void;
}
