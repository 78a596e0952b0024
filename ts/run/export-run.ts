/** The model files of a run. */
import { errorCodeOf } from '../errors.js';
import { buildOnnx, exportOnnx, exportSafetensors, type OnnxVerification } from '../export/index.js';
import type { Model, ModelDescription } from '../nn/index.js';
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
    inputName: 'features',
    outputName: isClassification ? 'probabilities' : 'prediction',
    ...(isClassification ? { outputActivation: 'softmax' as const, classes: data.classes } : {}),
    metadata: { features: JSON.stringify(data.featureNames), target: run.target },
  };
  if (!('describe' in model)) return { verified: false, reason: 'a graph of layers is not written as ONNX' };
  const description = withTargetScale(model.describe(), data);
  try {
    buildOnnx(description, options);
  } catch (error) {
    if (errorCodeOf(error) !== 'E_EXPORT') throw error;
    return { verified: false, reason: error instanceof Error ? error.message : String(error) };
  }
  const features = probeRows(data);
  const probe = { features, outputs: await predictRows(trainer, features, meaningOf(data)) };
  const { verification } = await exportOnnx(description, { ...options, path: files.model, probe });
  return verification;
}

/** For regression a last layer that turns what the model was trained on into the unit of the target. */
function withTargetScale(model: ModelDescription, { targetScale }: RunData): ModelDescription {
  if (targetScale === undefined) return model;
  const unscale = {
    type: 'dense',
    name: 'target_scale',
    config: { units: 1, activation: 'linear', useBias: true },
    inputShape: [1],
    outputShape: [1],
    weights: {
      kernel: { shape: [1, 1], data: Float32Array.of(targetScale.scale) },
      bias: { shape: [1], data: Float32Array.of(targetScale.shift) },
    },
  };
  return { ...model, layers: [...model.layers, unscale] };
}

/** Rows of features from all parts, at most PROBE_ROWS: small tables are checked on every row. */
function probeRows({ test, validation, train }: RunData): Float32Array {
  const width = train.featureShape.reduce((product, size) => product * size, 1);
  const rows = Math.max(1, Math.min(PROBE_ROWS, Math.floor(PROBE_VALUES / width)));
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
