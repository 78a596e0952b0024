/** Models as safetensors: weights, with the architecture as metadata. */
import { readFile } from 'node:fs/promises';
import { TensorkilnError } from '../errors.js';
import { decodeSafetensors, encodeSafetensors, float32Of, safetensorsEntry } from '../formats/safetensors.js';
import { modelFromJSON, type Model } from '../nn/model.js';
import { writeFileAtomic } from '../write-file.js';

const FORMAT = 'tensorkiln.model';

/**
 * Writes a built model. Weights are float32 under their parameter names, row-major; dense kernels are [in, out], convolution
 * kernels [height, width, in, out]. The file is read back and compared before it gets its name.
 *
 * @throws E_USAGE before the model is built; E_IO when the file cannot be written or reads back differently
 */
export async function exportSafetensors(
  model: Model,
  path: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const weights = await model.getWeights();
  const bytes = encodeSafetensors({
    tensors: Object.fromEntries(
      Object.entries(weights).map(([name, { data, shape }]) => [name, safetensorsEntry(data, shape)]),
    ),
    metadata: { ...metadata, format: FORMAT, version: '1', model: JSON.stringify(model.toJSON()) },
  });
  await writeFileAtomic(path, bytes, {
    verify: async (temporary) => {
      const written = await readFile(temporary);
      if (!written.equals(bytes)) throw new Error('the file reads back differently than it was written');
      decodeSafetensors(written, path);
    },
  });
}

/**
 * Reads a model that `exportSafetensors` wrote, built and with its weights.
 *
 * @throws E_IO when the file cannot be read; E_DATA when it is damaged or holds something else
 */
export async function loadSafetensorsModel(path: string): Promise<Model> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new TensorkilnError(
      'E_IO',
      `[model] cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
      {
        cause,
      },
    );
  });
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  if (metadata['format'] !== FORMAT || metadata['version'] !== '1') {
    throw new TensorkilnError(
      'E_DATA',
      `[model] ${path}: expected ${FORMAT} version 1, got ${String(metadata['format'])} version ${String(metadata['version'])}.`,
    );
  }
  const model = modelFromJSON(JSON.parse(metadata['model'] ?? 'null'));
  try {
    model.setWeights(
      Object.fromEntries(
        Object.entries(tensors).map(([name, entry]) => [name, { shape: entry.shape, data: float32Of(name, entry) }]),
      ),
    );
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}
