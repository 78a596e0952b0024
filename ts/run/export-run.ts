/** The model files of a run. */
import { basename, dirname, extname, join } from 'node:path';
import type { SavedPreprocessor } from '../data/index.js';
import { errorCodeOf } from '../errors.js';
import { buildOnnx, exportOnnx, exportSafetensors, modelGraph, type OnnxVerification } from '../export/index.js';
import type { Model } from '../nn/index.js';
import type { Trainer } from '../train/index.js';
import { writeFileAtomic } from '../write-file.js';
import { meaningOf } from './judge-run.js';
import { predictRows } from './predict-rows.js';
import type { RunData } from './run-data.js';
import type { RunFiles } from './run-events.js';

/** Most rows the exported model is verified on. */
const PROBE_ROWS = 1024;
/** Most values of those rows together: images are checked on fewer. */
const PROBE_VALUES = 1 << 20;
/** Most floating-point operations for them, seconds in onnxruntime-web: large models are checked on fewer. */
const PROBE_FLOPS = 2e10;

export interface ExportedRun {
  readonly name: string;
  readonly target: string;
  readonly data: RunData;
  readonly files: RunFiles;
}

/**
 * Writes the model as safetensors, as its architecture alone, and as ONNX where that can express it: probabilities of the classes, or the
 * number in the unit of the target.
 *
 * @returns how the ONNX file was checked; `verified: false` with the layer that ONNX cannot express, when there is one: then there is no file
 * @throws E_EXPORT when an exported model disagrees with the one in memory; E_IO
 */
export async function exportRun(run: ExportedRun, model: Model, trainer: Trainer): Promise<OnnxVerification> {
  const { data, files } = run;
  await exportSafetensors(model, files.weights);
  await writeFileAtomic(files.architecture, `${JSON.stringify(model.toJSON(), null, 2)}\n`);
  const isClassification = data.task === 'classification';
  const options = {
    modelName: run.name,
    inputName: inputNameFor(model),
    outputName: isClassification ? 'probabilities' : 'prediction',
    ...(isClassification ? { outputActivation: 'softmax' as const, classes: data.classes } : {}),
    ...(data.targetScale === undefined ? {} : { outputScale: data.targetScale }),
    metadata: { features: JSON.stringify(data.featureNames), target: run.target },
  };
  try {
    buildOnnx(await modelGraph(model), options);
  } catch (error) {
    if (errorCodeOf(error) !== 'E_EXPORT') throw error;
    return { verified: false, reason: error instanceof Error ? error.message : String(error) };
  }
  const features = probeRows(data, model);
  const probe = { features, outputs: await predictRows(trainer, features, meaningOf(data)) };
  const { verification } = await exportOnnx(model, { ...options, path: files.model, probe });
  await writeVocabulary(files.model, data.preprocessor?.toJSON());
  return verification;
}

/**
 * For a model of tokens writes the vocabulary beside it, `model.vocabulary.json`: how a text is cut into tokens, and the number of each.
 *
 * @returns the path of the file, or undefined for any other model
 * @throws E_IO
 */
export async function writeVocabulary(
  modelPath: string,
  preprocessor: SavedPreprocessor | undefined,
): Promise<string | undefined> {
  const [column, ...others] = preprocessor?.columns ?? [];
  if (column?.kind !== 'sequence' || others.length > 0) return undefined;
  const { name, level, lowercase, length, padding, truncation, vocabulary } = column;
  const path = join(dirname(modelPath), `${basename(modelPath, extname(modelPath))}.vocabulary.json`);
  const content = {
    format: 'tensorkiln.vocabulary',
    version: 1,
    ...{ column: name, level, lowercase, length, padding, truncation },
    padding_token: 0,
    unknown_token: 1,
    tokens: Object.fromEntries(vocabulary.map((token, place) => [token, place + 2])),
  };
  await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
  return path;
}

/** What the input of an exported model is called: tokens are numbers of the vocabulary, anything else is features. */
export function inputNameFor(model: Model): string {
  return model.inputDType === 'int32' ? 'tokens' : 'features';
}

/** Rows of features from all parts, at most PROBE_ROWS: small tables are checked on every row. */
function probeRows({ test, validation, train }: RunData, model: Model): Float32Array {
  const width = train.featureShape.reduce((product, size) => product * size, 1);
  const rows = Math.max(1, Math.floor(Math.min(PROBE_ROWS, PROBE_VALUES / width, PROBE_FLOPS / model.countFlops())));
  const parts = [test, validation, train].map(({ features }) => features);
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  const features = new Float32Array(Math.min(rows * width, total));
  let filled = 0;
  for (const part of parts) {
    const taken = part.subarray(0, features.length - filled);
    features.set(taken, filled);
    filled += taken.length;
  }
  return features;
}
