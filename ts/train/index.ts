/** The training loop. */
export { Trainer, type EarlyStopping, type Evaluation, type FitOptions, type TrainerOptions } from './trainer.js';
export type { EpochRecord, StopReason, TrainingEvent, TrainingHistory } from './types.js';
