/** Weights of other models: read from files of other tools, brought into our names and layouts, loaded by name. */
import { readFile } from 'node:fs/promises';
import { checkBoolean, checkInteger, checkKeys, checkOneOf, show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { readOnnxInitializers } from '../export/onnx-initializers.js';
import { decodeSafetensors } from '../formats/safetensors.js';
import { toFloat32, type FloatEncoding } from '../formats/half-floats.js';
import type { WeightDescription } from '../nn/description.js';
import { Layer, type UnaryLayer } from '../nn/layer.js';
import type { LoadReport } from '../nn/layer-weights.js';
import { layerFromJSON } from '../nn/registry.js';
import { Sequential } from '../nn/sequential.js';
import { mapWeights, type Weights } from './foreign-weights.js';
import { toTrainable, type TfjsModel } from './trainable.js';

export interface PretrainedOptions {
  /** Default: what the content looks like. */
  readonly format?: 'safetensors' | 'onnx';
  /** Replacements in the source's names, one after the other, before they are matched, such as [/^model\./, '']. Default none. */
  readonly rename?: readonly (readonly [pattern: string | RegExp, replacement: string])[];
  /** Whether anything missing, extra or of another shape is an error. Default false. */
  readonly strict?: boolean;
}

/** The float tensors of a safetensors file. */
function readSafetensors(content: Uint8Array, place: string): Weights {
  const { tensors } = decodeSafetensors(content, place);
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([name, { dtype, shape, bytes }]): [string, WeightDescription][] => {
      const encoding = ({ F32: 'f32', F64: 'f64', F16: 'f16', BF16: 'bf16' } as Readonly<Record<string, FloatEncoding>>)[dtype];
      return encoding === undefined ? [] : [[name, { shape, data: toFloat32(encoding, bytes) }]];
    }),
  );
}

/** The first bytes of a safetensors file: a length, then the brace of its header. */
function looksLikeSafetensors(content: Uint8Array): boolean {
  return content.length > 8 && content[8] === '{'.charCodeAt(0) && content[7] === 0;
}

/**
 * Loads weights of another model by name: from a safetensors or ONNX file (a path or its bytes), or from a `tf.LayersModel`.
 * PyTorch's names (`block.0.weight`) and layouts ([out, in, ...], gates, packed projections) are brought into ours, so are those of Keras; 16-bit and double
 * values become float32. What is missing, extra or of another shape is listed, and left as it was.
 *
 * @param model    built
 * @returns        names that were loaded, missing, extra, and of another shape
 * @throws (as rejections) E_DATA when nothing fits, with `strict` when anything does not, or when the file is damaged; E_IO;
 *         E_CONFIG; E_USAGE before the model is built
 */
export async function loadPretrained(
  model: Layer,
  source: string | Uint8Array | TfjsModel,
  options: PretrainedOptions = {},
): Promise<LoadReport> {
  checkKeys('loadPretrained', options, ['format', 'rename', 'strict']);
  const strict = checkBoolean('loadPretrained', 'strict', options.strict ?? false);
  if (!((model as unknown) instanceof Layer))
    throw new TensorkilnError('E_CONFIG', `[loadPretrained] wrong model: expected a model or layer, got ${show(model)}.`);
  const known = new Map(model.parameters().map(({ name, variable }) => [name, variable.shape]));
  const weights = await readSource(source, options.format);
  return model.loadWeights(mapWeights(weights, known, options.rename), { strict });
}

async function readSource(source: string | Uint8Array | TfjsModel, format: PretrainedOptions['format']): Promise<Weights> {
  if (typeof source !== 'string' && !(source instanceof Uint8Array)) {
    if (!Array.isArray((source as Partial<TfjsModel> | null | undefined)?.weights)) {
      const what = 'expected the path of a safetensors or ONNX file, its bytes, or a tf.LayersModel';
      throw new TensorkilnError('E_CONFIG', `[loadPretrained] wrong source: ${what}, got ${show(source)}.`);
    }
    return readTfjs(source);
  }
  const place = typeof source === 'string' ? source : 'loadPretrained';
  const content = typeof source === 'string' ? await readWeightFile(source) : source;
  if (content.length === 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[${place}] the file is empty: expected weights as safetensors or ONNX. Fetch it again.`,
    );
  }
  const kind = checkOneOf('loadPretrained', 'format', format ?? (looksLikeSafetensors(content) ? 'safetensors' : 'onnx'), [
    'safetensors',
    'onnx',
  ]);
  if (kind === 'safetensors') return readSafetensors(content, place);
  try {
    return readOnnxInitializers(content, place);
  } catch (error) {
    if (format !== undefined || !(error instanceof TensorkilnError) || !error.message.includes('is no ONNX model')) throw error;
    throw new TensorkilnError('E_DATA', `[${place}] is no safetensors file and no ONNX model: expected one of the two.`, {
      cause: error,
    });
  }
}

async function readWeightFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new TensorkilnError('E_IO', `[loadPretrained] cannot read ${path}: ${(error as Error).message}.`, { cause: error });
  }
}

async function readTfjs(model: TfjsModel): Promise<Weights> {
  const entries = toTrainable(model)
    .parameters()
    .map(async ({ name, variable }): Promise<[string, WeightDescription]> => {
      return [name, { shape: [...variable.shape], data: Float32Array.from(await variable.data<'float32'>()) }];
    });
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * A new model with the body of another and a head of its own: all layers but the last ones, with their weights, then `head`.
 * The other model stays as it is.
 *
 * @param model    built
 * @param head     layers that take the body's output, at least one
 * @param options  `drop`: layers of the model that are left out at its end, >= 1; default 1. `freeze`: whether the body is not
 *                 trained (see `setTrainable` and `unfreeze` of fit); default false. `seed` of the head's initial weights
 * @throws (as rejections) E_CONFIG for wrong options; E_SHAPE when the head does not fit; E_USAGE before the model is built
 */
export async function replaceHead(
  model: Sequential,
  head: readonly UnaryLayer[],
  options: { readonly drop?: number; readonly freeze?: boolean; readonly seed?: number } = {},
): Promise<Sequential> {
  checkKeys('replaceHead', options, ['drop', 'freeze', 'seed']);
  const drop = checkInteger('replaceHead', 'drop', options.drop ?? 1, { min: 1 });
  const freeze = checkBoolean('replaceHead', 'freeze', options.freeze ?? false);
  const given: unknown = head;
  if (!Array.isArray(given) || given.length === 0 || !given.every((layer) => layer instanceof Layer))
    throw new TensorkilnError('E_CONFIG', `[replaceHead] wrong head: expected a list of layers, got ${show(head)}.`);
  if (drop >= model.layers.length) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[replaceHead] wrong drop: expected fewer than the model's ${model.layers.length} layers, got ${show(drop)}.`,
    );
  }
  const kept = model.layers.slice(0, -drop);
  const body = kept.map((layer) => {
    const copy = layerFromJSON(layer.toJSON()) as UnaryLayer;
    if (freeze) copy.trainable = false;
    return copy;
  });
  const result = new Sequential({ layers: [...body, ...head], ...(options.seed === undefined ? {} : { seed: options.seed }) });
  result.build(model.inputShape);
  const weights = Object.assign({}, ...(await Promise.all(kept.map((layer) => layer.getWeights())))) as Weights;
  if (Object.keys(weights).length > 0) result.loadWeights(weights);
  return result;
}
