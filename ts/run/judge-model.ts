/** `evaluate` and `exportModel` of the library: what a run does at its end, for a model at hand. */
import { checkKeys, checkObject, checkOneOf, checkText, omitKeys, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { evaluateClassification, evaluateRegression, type Metrics } from '../evaluate/index.js';
import {
  exportOnnx,
  exportSafetensors,
  exportTfjs,
  type OnnxExportOptions,
  type OnnxVerification,
  type TfjsExportOptions,
  type TfjsVerification,
} from '../export/index.js';
import { crossEntropy, Layer, type Model } from '../nn/index.js';
import { SGD } from '../optim/index.js';
import { Trainer } from '../train/index.js';
import type { Dataset } from '../data/index.js';
import { predictRows, type OutputMeaning } from './predict-rows.js';
import { Predictor } from './predictor.js';

export interface EvaluateOptions {
  /** Class names by index; default those of the predictor, else '0', '1', ... */
  readonly classes?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Judges a model on rows it has not learned from, by every metric of its task: a classifier for class indices (Int32Array), a regression
 * for numbers (Float32Array).
 *
 * @param model  a built model whose output is logits [N, C] or a number [N, 1], or a predictor
 * @param data   features as the model takes them, and class indices or numbers
 * @throws (as rejections) E_CONFIG for what is no model or no option; E_SHAPE, E_DATA, E_INDEX when data and model do not fit; E_USAGE before the model is built; E_ABORTED
 */
export async function evaluate(model: Model | Predictor, data: Dataset, options: EvaluateOptions = {}): Promise<Metrics> {
  checkKeys('evaluate', options, ['classes', 'signal']);
  checkModel('evaluate', model);
  checkObject('evaluate data', data);
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const network = model instanceof Predictor ? model.model : model;
  const meaning = meaningFor(model, data);
  const outputs =
    model instanceof Predictor
      ? await model.predictFeatures(data.features, signal)
      : await withTrainer(network, (trainer) => predictRows(trainer, data.features, meaning, signal));
  if (meaning.task === 'regression') return evaluateRegression(outputs, data.targets);
  const own = model instanceof Predictor ? model.classes : Array.from({ length: meaning.outputs }, (_, index) => String(index));
  return evaluateClassification(outputs, data.targets, options.classes ?? own);
}

function checkModel(place: string, model: unknown): void {
  if (model instanceof Predictor || model instanceof Layer) return;
  throw new TensorkilnError('E_CONFIG', `[${place}] wrong model: expected a model or a predictor, got ${show(model)}.`);
}

function meaningFor(model: Model | Predictor, { targets }: Dataset): OutputMeaning {
  if (model instanceof Predictor) return { task: model.task, outputs: model.outputs };
  const [outputs = 0] = model.outputShape;
  const task = targets instanceof Int32Array ? 'classification' : 'regression';
  if (model.outputShape.length === 1 && (task === 'classification' ? outputs >= 2 : outputs === 1)) return { task, outputs };
  const wanted =
    task === 'classification'
      ? 'logits [N, C] with C >= 2 for class indices'
      : 'one number [N, 1] for targets that are numbers';
  throw new TensorkilnError(
    'E_SHAPE',
    `[evaluate] the model does not fit the targets: expected ${wanted}, got [N, ${model.outputShape.join(', ')}].`,
  );
}

export type ExportModelOptions =
  | ({ readonly format: 'onnx'; readonly path: string } & Omit<OnnxExportOptions, 'path'>)
  | ({ readonly format: 'tfjs' } & TfjsExportOptions)
  | { readonly format: 'safetensors'; readonly path: string; readonly metadata?: Readonly<Record<string, string>> };

export interface ExportedModel {
  readonly path: string;
  /** How the file was checked before it got its name. */
  readonly verification: OnnxVerification | TfjsVerification | { readonly verified: true };
}

/**
 * Writes a built model to a file or folder, whole or not at all.
 *
 * ONNX is run in onnxruntime-web, a tfjs LayersModel in tfjs-layers, each where it is installed, on `probe` rows or on some made up for the
 * model; safetensors is read back and compared.
 *
 * @throws (as rejections) E_CONFIG for another format, and without a path; E_EXPORT for what the format cannot express or when the check fails; E_IO; E_USAGE
 *         before the model is built
 */
export async function exportModel(model: Model | Predictor, options: ExportModelOptions): Promise<ExportedModel> {
  checkModel('exportModel', model);
  checkObject('exportModel', options);
  checkOneOf('exportModel', 'format', options.format, ['onnx', 'tfjs', 'safetensors']);
  const path = checkText('exportModel', 'path', options.path);
  const network = model instanceof Predictor ? model.model : model;
  switch (options.format) {
    case 'safetensors':
      await exportSafetensors(network, path, options.metadata);
      return { path, verification: { verified: true } };
    case 'tfjs':
      return { path, verification: await exportTfjs(network, omitKeys(options, 'format')) };
    case 'onnx': {
      const { verification } = await exportOnnx(network, omitKeys(options, 'format'));
      return { path, verification };
    }
  }
}

async function withTrainer<T>(model: Model, run: (trainer: Trainer) => Promise<T>): Promise<T> {
  const optimizer = new SGD();
  const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
  try {
    return await run(trainer);
  } finally {
    trainer.dispose();
    optimizer.dispose();
  }
}
