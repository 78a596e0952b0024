/** `evaluate` and `exportModel` of the library: what a run does at its end, for a model at hand. */
import { omitKeys } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { evaluateClassification, type ClassificationMetrics } from '../evaluate/index.js';
import { exportOnnx, exportSafetensors, type OnnxExportOptions, type OnnxVerification } from '../export/index.js';
import { crossEntropy, type Sequential } from '../nn/index.js';
import { SGD } from '../optim/index.js';
import { Trainer } from '../train/index.js';
import type { Dataset } from '../data/index.js';
import { Predictor } from './predictor.js';
import { predictProbabilities } from './probabilities.js';

export interface EvaluateOptions {
  /** Class names by index; default those of the predictor, else '0', '1', ... */
  readonly classes?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Judges a classifier on rows it has not learned from: accuracy, precision, recall, F1, log loss, confusion matrix.
 *
 * @param model  a built model whose output is logits [N, C], or a predictor
 * @param data   features as the model takes them, and class indices
 * @throws (as rejections) E_SHAPE, E_DATA, E_INDEX when data and model do not fit; E_USAGE before the model is built; E_ABORTED
 */
export async function evaluate(
  model: Sequential | Predictor,
  data: Dataset,
  options: EvaluateOptions = {},
): Promise<ClassificationMetrics> {
  const network = model instanceof Predictor ? model.model : model;
  const [numClasses] = network.outputShape;
  if (network.outputShape.length !== 1 || numClasses === undefined || numClasses < 2) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[evaluate] the model is no classifier: expected logits [N, C] with C >= 2, got [N, ${network.outputShape.join(', ')}].`,
    );
  }
  const classes =
    options.classes ??
    (model instanceof Predictor ? model.classes : Array.from({ length: numClasses }, (_, index) => String(index)));
  const probabilities = await withTrainer(network, (trainer) =>
    predictProbabilities(trainer, data.features, {
      numClasses,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }),
  );
  return evaluateClassification(probabilities, data.targets, classes);
}

export type ExportModelOptions =
  | ({ readonly format: 'onnx'; readonly path: string } & Omit<OnnxExportOptions, 'path'>)
  | { readonly format: 'safetensors'; readonly path: string; readonly metadata?: Readonly<Record<string, string>> };

export interface ExportedModel {
  readonly path: string;
  /** How the file was checked before it got its name. */
  readonly verification: OnnxVerification | { readonly verified: true };
}

/**
 * Writes a built model to a file, whole or not at all.
 *
 * ONNX is run on `probe` rows in onnxruntime-web where that is installed; safetensors is read back and compared.
 *
 * @throws (as rejections) E_EXPORT for what the format cannot express or when the check fails; E_IO; E_USAGE before the model is built
 */
export async function exportModel(model: Sequential | Predictor, options: ExportModelOptions): Promise<ExportedModel> {
  const network = model instanceof Predictor ? model.model : model;
  if (options.format === 'safetensors') {
    await exportSafetensors(network, options.path, options.metadata);
    return { path: options.path, verification: { verified: true } };
  }
  const { verification } = await exportOnnx(network.describe(), omitKeys(options, 'format'));
  return { path: options.path, verification };
}

async function withTrainer<T>(model: Sequential, run: (trainer: Trainer) => Promise<T>): Promise<T> {
  const optimizer = new SGD();
  const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
  try {
    return await run(trainer);
  } finally {
    trainer.dispose();
    optimizer.dispose();
  }
}
