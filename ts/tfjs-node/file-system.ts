/** `file://` for models: a folder with model.json and weights.bin, as tfjs-node reads and writes it. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { makeFolder, writeFileAtomic } from '../write-file.js';

const SCHEME = 'file://';

/**
 * Saves to a folder and loads from files.
 *
 * Saving: `path` is a folder, made if it is not there. Loading: `path` is a model.json, whose weight files lie beside it; or two
 * files, a binary graph (.pb) and its weights manifest. Files are written whole or not at all, the weights first.
 */
export class NodeFileSystem implements tf.io.IOHandler {
  static readonly URL_SCHEME = SCHEME;
  readonly MODEL_JSON_FILENAME = 'model.json';
  readonly WEIGHTS_BINARY_FILENAME = 'weights.bin';
  readonly MODEL_BINARY_FILENAME = 'tensorflowjs.pb';
  protected readonly path: string | string[];

  constructor(location: string | string[]) {
    if (Array.isArray(location)) {
      tf.util.assert(
        location.length === 2,
        () => `file paths must have a length of 2, (actual length is ${String(location.length)}).`,
      );
      this.path = location.map((part) => path.resolve(part));
    } else {
      this.path = path.resolve(location);
    }
  }

  /** @throws E_USAGE for several paths or a binary graph, E_IO when a file cannot be written or `path` is a file */
  async save(artifacts: tf.io.ModelArtifacts): Promise<tf.io.SaveResult> {
    if (Array.isArray(this.path)) throw new TensorkilnError('E_USAGE', 'Cannot perform saving to multiple paths.');
    if (artifacts.modelTopology instanceof ArrayBuffer) {
      const message = 'NodeFileSystem.save() does not support saving model topology in binary format yet.';
      throw new TensorkilnError('E_USAGE', message);
    }
    await ensureFolder(this.path);
    const { weightSpecs = [], weightData = new ArrayBuffer(0), ...rest } = artifacts;
    const model = { ...rest, weightsManifest: [{ paths: [this.WEIGHTS_BINARY_FILENAME], weights: weightSpecs }] };
    const weights = tf.io.CompositeArrayBuffer.join(weightData);
    await writeFileAtomic(path.join(this.path, this.WEIGHTS_BINARY_FILENAME), new Uint8Array(weights));
    await writeFileAtomic(path.join(this.path, this.MODEL_JSON_FILENAME), JSON.stringify(model));
    return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
  }

  /** @throws E_IO when a file is missing or not a file, E_DATA when it is not what it should be */
  async load(): Promise<tf.io.ModelArtifacts> {
    return Array.isArray(this.path) ? this.#loadBinary(this.path[0]!, this.path[1]!) : this.#loadJson(this.path);
  }

  async #loadBinary(graph: string, manifestFile: string): Promise<tf.io.ModelArtifacts> {
    if (!(await isFile(graph, 'Topology Path'))) throw ioError('File specified for topology is not a file!', graph);
    if (!(await isFile(manifestFile, 'Weight Manifest Path'))) {
      throw ioError('File specified for the weight manifest is not a file!', manifestFile);
    }
    const modelTopology = bufferOf([await readFile(graph)]);
    const manifest = parseJson(manifestFile, await readFile(manifestFile, 'utf8')) as tf.io.WeightsManifestConfig;
    const [weightSpecs, weightData] = await readWeights(manifest, manifestFile);
    return { modelTopology, weightSpecs, weightData };
  }

  async #loadJson(file: string): Promise<tf.io.ModelArtifacts> {
    if (!(await isFile(file, 'Path'))) {
      throw ioError('The path to load from must be a file. Loading from a directory is not supported.', file);
    }
    const model = parseJson(file, await readFile(file, 'utf8')) as tf.io.ModelJSON;
    return tf.io.getModelArtifactsForJSON(model, (manifest) => readWeights(manifest, file));
  }
}

/** Makes a handler of a folder to save to, or of one or two files to load from; see NodeFileSystem. */
export function fileSystem(location: string | string[]): NodeFileSystem {
  return new NodeFileSystem(location);
}

/** The handler for `file://` addresses; null for any other, so that tfjs asks the next router. */
export const fileSystemRouter = routeFile as Parameters<typeof tf.io.registerLoadRouter>[0]; // whose type leaves the null out

function routeFile(url: string | string[]): NodeFileSystem | null {
  const urls = Array.isArray(url) ? url : [url];
  if (!urls.every((one) => typeof one === 'string' && one.startsWith(SCHEME))) return null;
  const locations = urls.map((one) => one.slice(SCHEME.length));
  return new NodeFileSystem(Array.isArray(url) ? locations : locations[0]!);
}

/**
 * All weight files of a manifest, one after the other.
 *
 * @throws E_DATA for a manifest that is none, or that names a file outside the folder of the model
 */
async function readWeights(
  manifest: tf.io.WeightsManifestConfig,
  file: string,
): Promise<[tf.io.WeightsManifestEntry[], ArrayBuffer]> {
  if (!Array.isArray(manifest)) throw new TensorkilnError('E_DATA', `[load] ${file}: the weights manifest is not a list.`);
  const folder = path.dirname(file);
  const buffers: Buffer[] = [];
  const specs: tf.io.WeightsManifestEntry[] = [];
  for (const group of manifest) {
    for (const name of group.paths) {
      const weightFile = path.join(folder, name);
      if (path.relative(folder, weightFile).startsWith('..')) {
        throw new TensorkilnError('E_DATA', `[load] ${file} names a weight file outside its folder: ${name}.`);
      }
      if (!(await isFile(weightFile, 'Weight file'))) throw ioError('Weight file is not a file!', weightFile);
      buffers.push(await readFile(weightFile));
    }
    specs.push(...group.weights);
  }
  return [specs, bufferOf(buffers)];
}

function bufferOf(buffers: readonly Buffer[]): ArrayBuffer {
  const joined = new Uint8Array(buffers.reduce((size, buffer) => size + buffer.length, 0));
  let at = 0;
  for (const buffer of buffers) {
    joined.set(buffer, at);
    at += buffer.length;
  }
  return joined.buffer;
}

async function isFile(file: string, what: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw new TensorkilnError('E_IO', `${what} ${file} does not exist: loading failed`, { cause });
    }
    throw cause;
  }
}

async function ensureFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
      const message = `Path ${folder} exists as a file. The path must be nonexistent or point to a directory.`;
      throw new TensorkilnError('E_IO', message, { cause });
    }
    throw new TensorkilnError('E_IO', `[save] cannot make ${folder}: ${String(cause)}.`, { cause });
  }
}

function parseJson(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new TensorkilnError('E_DATA', `[load] ${file} is not JSON.`, { cause });
  }
}

function ioError(message: string, file: string): TensorkilnError {
  return new TensorkilnError('E_IO', `${message} (${file})`);
}
