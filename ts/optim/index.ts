/** Optimizers. */
export { Adam, AdamW, type AdamOptions } from './adam.js';
export { Optimizer, type NamedGradients, type NamedVariables, type OptimizerState, type SlotData } from './optimizer.js';
export { SGD, type SGDOptions } from './sgd.js';
export {
  constantSchedule,
  cosineSchedule,
  exponentialSchedule,
  stepSchedule,
  withWarmup,
  type Progress,
  type Schedule,
} from './schedules.js';
