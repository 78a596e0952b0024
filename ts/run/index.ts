/** From a configuration to a finished run, and what can be done with one. */
export { loadConfig, type LoadConfigOptions } from './config/load.js';
export type { Decision, ResolvedConfig } from './config/resolve.js';
export type { TrainingConfig } from './config/schema.js';
export { evaluate, exportModel, type EvaluateOptions, type ExportedModel, type ExportModelOptions } from './judge-model.js';
export { evaluateRun, type EvaluatedRun, type EvaluateRunOptions } from './evaluate-run.js';
export { EXPORT_FORMATS, type ExportFormat } from './export-format-names.js';
export { exportRunAs, type ExportRunOptions } from './export-formats.js';
export { predictFile, type PredictFileOptions, type PredictFileResult } from './predict-file.js';
export { loadPredictor, type LoadPredictorOptions } from './load-predictor.js';
export {
  Predictor,
  type ClassPrediction,
  type NumberPrediction,
  type Prediction,
  type PredictRowsOptions,
  type Row,
} from './predictor.js';
export { loadTextGenerator, type GenerateOptions, type TextGenerator } from './language/text-generator.js';
export { planPicture } from './plan-picture.js';
export { profileTraining, type ProfileTrainingOptions, type TrainingProfile } from './profile-training.js';
export { renderConfig, type RenderedConfig, type RenderOptions } from './render-config.js';
export { reproduceRun, type Difference, type Reproduction, type ReproduceOptions } from './reproduce.js';
export type { RunEvent, RunFiles, RunResult } from './run-events.js';
export { runTraining, type RunOptions } from './run-training.js';
export type { ClassificationScores, LanguageScores, RegressionScores, Scores } from './scores.js';
export {
  crossValidate,
  repeatTraining,
  type MeanAndDeviation,
  type SeriesEvent,
  type SeriesOptions,
  type SeriesResult,
} from './series.js';
export type { TargetResult } from './targets.js';
