/** The training loop. */
export { epochOrder } from './batches.js';
export type { Callback, CallbackContext } from './callbacks.js';
export { flatten, type Fact, type Facts } from './checkpoint/facts.js';
export type { DivergenceOptions, NonFiniteOptions } from './guard.js';
export type { Evaluation } from './judge.js';
export { suggestRate, type RateFinding, type RateFinderOptions } from './rate-finder.js';
export type {
  CheckpointOptions,
  EarlyStopping,
  FitOptions,
  ModelTrainerOptions,
  ReduceOnPlateau,
  StepTrainerOptions,
  TrainerOptions,
} from './options.js';
export type { ProfileOptions, StepProfile } from './profile-steps.js';
export type { Metric, StepFunctions } from './steps.js';
export type { TfjsModel } from './trainable.js';
export { loadPretrained, replaceHead, type PretrainedOptions } from './transfer.js';
export { setTrainable, type Unfreezing } from './unfreeze.js';
export { Trainer, type PredictOptions } from './trainer.js';
export type {
  BatchSource,
  HostBatch,
  MultiDataset,
  PassOptions,
  RowArray,
  TrainingData,
  TypedValues,
  WeightedDataset,
} from './training-data.js';
export type { AdviceTopic, EpochRecord, ParameterStatistics, StopReason, TrainingEvent, TrainingHistory } from './types.js';
