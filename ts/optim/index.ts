/** Optimizers. */
export { Adam, AdamW, type AdamOptions } from './adam.js';
export { type Clipping } from './clipping.js';
export { Muon, type MuonOptions } from './muon.js';
export {
  Optimizer,
  type NamedGradients,
  type NamedVariables,
  type OptimizerOptions,
  type OptimizerState,
  type SlotData,
} from './optimizer.js';
export { type ParameterGroup } from './parameter-groups.js';
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
