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
export { listLivingTensors, memoryReport, setMemoryLimit, type LivingTensor } from './backend/memory.js';
export { traceTensors } from './backend/origin.js';
export { compile, type CompiledStep, type CompileOptions, type StepArgument, type StepResult } from './backend/plan.js';
export {
  chromeTrace,
  measureLimits,
  profileExecution,
  profileTable,
  type ExecutionProfile,
  type JavaScriptSpan,
  type MachineLimits,
  type ProfileRow,
} from './backend/profiler.js';
export {
  autocast,
  PRECISIONS,
  storageDType,
  type Precision,
  attention,
  batchNormFixed,
  batchNormTrain,
  binaryCrossEntropy,
  channelPrelu,
  clipByGlobalNorm,
  clipByValue,
  conv2dDilated,
  dropout,
  embedding,
  gelu,
  globalNorm,
  groupNorm,
  gru,
  instanceNorm,
  layerNorm,
  linear,
  lstm,
  mish,
  randomNormal,
  RandomState,
  randomUniform,
  residualLayerNorm,
  residualRmsNorm,
  rmsNorm,
  rnn,
  scaleTensors,
  silu,
  softmaxCrossEntropy,
  type AttentionOptions,
  type BatchNormOptions,
  type BatchNormTrainOptions,
  type BinaryCrossEntropyOptions,
  type ChannelNormOptions,
  type Conv2DDilatedOptions,
  type DeviceNumber,
  type EmbeddingOptions,
  type FusedActivation,
  type GlobalNorm,
  type GruOptions,
  type LinearOptions,
  type LstmOptions,
  type LstmResult,
  type RandomNormalOptions,
  type RandomStateData,
  type RandomUniformOptions,
  type RecurrentWeights,
  type ResidualNorm,
  type RnnOptions,
  type RowNormOptions,
  type SequenceOptions,
  type SequenceResult,
  type SoftmaxCrossEntropyOptions,
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
  crossValidate,
  evaluate,
  exportModel,
  loadConfig,
  loadPredictor,
  predictFile,
  prepareData,
  profileTraining,
  renderConfig,
  repeatTraining,
  reproduceRun,
  runTraining,
} from './library.js';
export type { ColumnReport, DataConfig, DataCounts, DataEvent, Dataset, PrepareOptions, PreparedData } from './data/index.js';
export type { ClassificationMetrics, Metrics, RegressionMetrics } from './evaluate/index.js';
export type {
  ClassPrediction,
  EvaluatedRun,
  EvaluateOptions,
  EvaluateRunOptions,
  ExportedModel,
  ExportFormat,
  ExportModelOptions,
  ExportRunOptions,
  LoadConfigOptions,
  LoadPredictorOptions,
  NumberPrediction,
  PredictFileOptions,
  PredictFileResult,
  Prediction,
  Predictor,
  PredictRowsOptions,
  ProfileTrainingOptions,
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
  TrainingProfile,
} from './run/index.js';
