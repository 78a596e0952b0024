/**
 * Tensorkiln: importing it registers the backend `tensorkiln-cpu` with tfjs-core and makes it the default.
 *
 * @example
 * import * as tf from '@tensorflow/tfjs-core';
 * import 'tensorkiln';
 * tf.matMul(a, b); // runs on the native engine
 */
import type {} from '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import './backend/register.js';

export { ERROR_CODES, isTensorkilnError, TensorkilnError, type ErrorCode } from './errors.js';
export { describeNative, type LoadAttempt, type NativeDescription } from './backend/native/load.js';
export { TensorkilnBackend, type BackendMemory } from './backend/backend.js';
export { compile, type CompiledStep, type StepArgument, type StepResult } from './backend/plan.js';
export {
  conv2dDilated,
  dropout,
  randomNormal,
  RandomState,
  randomUniform,
  softmaxCrossEntropy,
  type Conv2DDilatedOptions,
  type RandomNormalOptions,
  type RandomStateData,
  type RandomUniformOptions,
} from './backend/custom/index.js';
export { inspectEnvironment, type EnvironmentReport } from './backend/inspect/index.js';
export { Trainer } from './train/index.js';
export type {
  BatchSource,
  Callback,
  CallbackContext,
  CheckpointOptions,
  EarlyStopping,
  EpochRecord,
  Evaluation,
  FitOptions,
  HostBatch,
  Metric,
  ModelTrainerOptions,
  MultiDataset,
  PredictOptions,
  ReduceOnPlateau,
  StepFunctions,
  StepTrainerOptions,
  TrainerOptions,
  TrainingData,
  TrainingEvent,
  TrainingHistory,
} from './train/index.js';
export {
  evaluate,
  exportModel,
  loadConfig,
  loadPredictor,
  prepareData,
  renderConfig,
  repeatTraining,
  reproduceRun,
  runTraining,
} from './library.js';
export type { ColumnReport, DataConfig, DataCounts, DataEvent, Dataset, PrepareOptions, PreparedData } from './data/index.js';
export type { ClassificationMetrics } from './evaluate/index.js';
export type {
  EvaluateOptions,
  ExportedModel,
  ExportModelOptions,
  LoadConfigOptions,
  LoadPredictorOptions,
  Prediction,
  Predictor,
  PredictRowsOptions,
  RenderedConfig,
  RenderOptions,
  Reproduction,
  ReproduceOptions,
  Row,
  RunEvent,
  RunFiles,
  RunOptions,
  RunResult,
  SeriesEvent,
  SeriesOptions,
  SeriesResult,
  TrainingConfig,
} from './run/index.js';
