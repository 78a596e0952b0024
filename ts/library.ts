/**
 * The way from data to a model as library calls: no console output, no process.exit, AbortSignal, progress by events.
 *
 * What a call needs is loaded at the first call: a tfjs script that only wants the backend does not wait for it.
 */
import type { DataConfig, Dataset, PreparedData, PrepareOptions } from './data/index.js';
import type { Metrics } from './evaluate/index.js';
import type { Model } from './nn/index.js';
import type {
  EvaluatedRun,
  EvaluateOptions,
  EvaluateRunOptions,
  ExportedModel,
  ExportModelOptions,
  ExportRunOptions,
  LoadConfigOptions,
  LoadPredictorOptions,
  PredictFileOptions,
  PredictFileResult,
  Predictor,
  ProfileTrainingOptions,
  RenderedConfig,
  RenderOptions,
  Reproduction,
  ReproduceOptions,
  RunOptions,
  RunResult,
  SeriesOptions,
  SeriesResult,
  TextGenerator,
  TrainingConfig,
  TrainingProfile,
} from './run/index.js';

/** From a table to data sets that a Trainer takes: see `prepareData` of tensorkiln/data. */
export async function prepareData(config: DataConfig, options: PrepareOptions = {}): Promise<PreparedData> {
  return (await import('./data/index.js')).prepareData(config, options);
}

/** A checked configuration from a YAML file: see docs/config.md. @throws E_CONFIG listing every problem with its place */
export async function loadConfig(file: string, options: LoadConfigOptions = {}): Promise<TrainingConfig> {
  return (await import('./run/index.js')).loadConfig(file, options);
}

/** The configuration a run would use, every "auto" decided. Writes nothing. */
export async function renderConfig(config: TrainingConfig, options: RenderOptions = {}): Promise<RenderedConfig> {
  return (await import('./run/index.js')).renderConfig(config, options);
}

/** What `tensorkiln plan` and `tensorkiln profile` do: training steps of a configuration under the profiler. Writes nothing. */
export async function profileTraining(config: TrainingConfig, options: ProfileTrainingOptions = {}): Promise<TrainingProfile> {
  return (await import('./run/index.js')).profileTraining(config, options);
}

/**
 * What `tensorkiln train` does: prepares, trains, judges, exports and writes a run folder.
 *
 * @throws (as rejections) E_CONFIG, E_DATA, E_DEVICE, E_IO, E_USAGE before training; E_DIVERGED, E_OUT_OF_MEMORY, E_IO while it
 *         goes on; E_EXPORT, E_IO after it; E_ABORTED when `signal` fires before training has begun
 */
export async function runTraining(config: TrainingConfig, options: RunOptions = {}): Promise<RunResult> {
  return (await import('./run/index.js')).runTraining(config, options);
}

/** What `tensorkiln train --repeat` does: several runs with other seeds, their mean and deviation. */
export async function repeatTraining(
  config: TrainingConfig,
  times: number,
  options: SeriesOptions = {},
): Promise<SeriesResult> {
  return (await import('./run/index.js')).repeatTraining(config, times, options);
}

/** Cross-validation of a configuration: mean and deviation of the test scores of all folds. */
export async function crossValidate(
  config: TrainingConfig,
  folds: number,
  options: SeriesOptions & { readonly times?: number } = {},
): Promise<SeriesResult> {
  return (await import('./run/index.js')).crossValidate(config, folds, options);
}

/** What `tensorkiln reproduce` does: trains again as a finished run did and compares bit for bit. */
export async function reproduceRun(folder: string, options: ReproduceOptions = {}): Promise<Reproduction> {
  return (await import('./run/index.js')).reproduceRun(folder, options);
}

/**
 * Loads the model of a finished run, with the preprocessing it was trained with.
 *
 * @example
 * const predictor = await loadPredictor('runs/penguins');
 * const [answer] = await predictor.predict([{ island: 'Biscoe', bill_length_mm: 46.1 }]);
 * if (answer !== undefined && 'label' in answer) use(answer.label, answer.probabilities);
 *
 * @param run  the folder of the run, or its `export` folder alone
 * @throws (as rejections) E_IO when a file cannot be read; E_DATA when one is damaged or something else; E_DEVICE, E_NATIVE_LOAD
 */
export async function loadPredictor(run: string, options: LoadPredictorOptions = {}): Promise<Predictor> {
  return (await import('./run/index.js')).loadPredictor(run, options);
}

/**
 * Loads the language model of a finished run: what `tensorkiln generate` writes with.
 *
 * @example
 * const generator = await loadTextGenerator('runs/shakespeare');
 * const text = await generator.generate('ROMEO:', { length: 200, seed: 1 });
 *
 * @throws (as rejections) E_IO, E_DATA, E_DEVICE, E_NATIVE_LOAD
 */
export async function loadTextGenerator(run: string, options: { readonly device?: string } = {}): Promise<TextGenerator> {
  return (await import('./run/index.js')).loadTextGenerator(run, options);
}

/**
 * What `tensorkiln predict` does: every row of a CSV, JSON Lines or Parquet file, or every image of a folder, part by part, so that the
 * size does not matter.
 *
 * @throws (as rejections) E_IO, E_DATA, E_USAGE, E_ABORTED; nothing is left behind then
 */
export async function predictFile(run: string, input: string, options: PredictFileOptions): Promise<PredictFileResult> {
  return (await import('./run/index.js')).predictFile(run, input, options);
}

/**
 * What `tensorkiln evaluate` does: judges the model of a finished run on its test rows once more, which is recorded, or on other rows.
 *
 * @throws (as rejections) E_IO, E_DATA, E_ABORTED
 */
export async function evaluateRun(run: string, options: EvaluateRunOptions = {}): Promise<EvaluatedRun> {
  return (await import('./run/index.js')).evaluateRun(run, options);
}

/**
 * What `tensorkiln export` does: the model of a finished run as ONNX, tfjs LayersModel or safetensors.
 *
 * @throws (as rejections) E_EXPORT naming a layer that the format cannot express, or when the check fails; E_IO
 */
export async function exportRunAs(run: string, options: ExportRunOptions): Promise<ExportedModel> {
  return (await import('./run/index.js')).exportRunAs(run, options);
}

/**
 * Judges a model on rows it has not learned from, by every metric of its task: a classifier for class indices (Int32Array), a regression
 * for numbers (Float32Array).
 *
 * @param model  a built model whose output is logits [N, C] or a number [N, 1], or a predictor
 * @param data   features as the model takes them, and class indices or numbers
 * @throws (as rejections) E_SHAPE, E_DATA, E_INDEX when data and model do not fit; E_USAGE before the model is built; E_ABORTED
 */
export async function evaluate(model: Model | Predictor, data: Dataset, options: EvaluateOptions = {}): Promise<Metrics> {
  return (await import('./run/index.js')).evaluate(model, data, options);
}

/**
 * Writes a built model as ONNX, tfjs LayersModel or safetensors, checked before the file gets its name.
 *
 * @throws (as rejections) E_EXPORT for what the format cannot express or when the check fails; E_IO; E_USAGE before the model is built
 */
export async function exportModel(model: Model | Predictor, options: ExportModelOptions): Promise<ExportedModel> {
  return (await import('./run/index.js')).exportModel(model, options);
}
