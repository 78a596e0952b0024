/** Optimizers. */
export { Adam, AdamW, type AdamOptions } from './adam.js';
export { type AveragingOptions, type LookaheadOptions } from './averaging.js';
export { type Clipping } from './clipping.js';
export { GradScaler, type GradScalerOptions, type GradScalerState } from './grad-scaler.js';
export { Muon, type MuonGroup, type MuonOptions } from './muon.js';
export {
  Optimizer,
  type ApplyOptions,
  type BindOptions,
  type NamedGradients,
  type NamedVariables,
  type OptimizerOptions,
} from './optimizer.js';
export { type OptimizerState, type SlotData, type StepProgress } from './optimizer-state.js';
export { type ParameterGroup } from './parameter-groups.js';
export { SGD, type SGDOptions } from './sgd.js';
export { cosineRestartsSchedule, cyclicSchedule, oneCycleSchedule, type OneCycleOptions } from './cyclic-schedules.js';
export { ReduceOnPlateauRate, type PlateauOptions, type PlateauState } from './plateau.js';
export {
  chainedSchedule,
  constantSchedule,
  cosineSchedule,
  exponentialSchedule,
  inverseSqrtSchedule,
  linearSchedule,
  multiStepSchedule,
  polynomialSchedule,
  sequentialSchedule,
  stepSchedule,
  withWarmup,
  type Progress,
  type Schedule,
  type ScheduleUnit,
} from './schedules.js';
export {
  Adadelta,
  Adagrad,
  Adamax,
  LAMB,
  Lion,
  NAdam,
  RMSProp,
  type AdagradOptions,
  type NAdamOptions,
  type RMSPropOptions,
  type RuleOptions,
} from './update-rules.js';
