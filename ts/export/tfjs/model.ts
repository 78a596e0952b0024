/** Models as a tfjs LayersModel: a folder with model.json and weights.bin that stock tfjs-layers loads. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import type { Model, WeightDescription } from '../../nn/index.js';
import { importOptional } from '../../optional-package.js';
import { makeFolder, writeFileAtomic } from '../../write-file.js';
import { modelGraph, type LayerCall, type ModelGraph, type ValueSource } from '../model-graph.js';
import type { OutputStage } from '../output-stage.js';
import { packageVersion } from '../package-version.js';
import { makeProbes, type ModelProbe } from '../probe.js';
import { largestRowError } from '../row-error.js';
import { tfjsLayers } from './layers.js';
import type { PartSource, TfjsLayer } from './parts.js';

export interface TfjsOptions extends OutputStage {
  /** Kept in model.json under userDefinedMetadata. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface TfjsExportOptions extends TfjsOptions {
  /** Folder to write; an earlier export of that name is replaced when the new one is right, anything else is left alone. */
  readonly path: string;
  /** Rows whose outputs the exported model must repeat, for models of one input and one output. Default: rows made up for the model. */
  readonly probe?: { readonly features: Float32Array | Int32Array; readonly outputs: Float32Array };
}

/** What checking an exported model found; a model that failed the check is an error. */
export type TfjsVerification =
  | { readonly verified: true; readonly rows: number; readonly largestError: number }
  | { readonly verified: false; readonly reason: string };

/** Content of a LayersModel folder. */
export interface TfjsModel {
  readonly json: Readonly<Record<string, unknown>>;
  readonly weights: Uint8Array;
}

const KERAS_VERSION = 'tfjs-layers 4.22.0';
const MODEL_FILE = 'model.json';
const WEIGHTS_FILE = 'weights.bin';
const FILES: readonly string[] = [MODEL_FILE, WEIGHTS_FILE];
/** float32 sums in another order, relative to the largest value of a row. */
const TOLERANCE = 1e-4;

/**
 * Encodes a built model as a tfjs LayersModel. Layers that only matter while training are kept.
 *
 * @throws E_EXPORT naming the first layer or option that tfjs-layers has no counterpart for; E_USAGE before the model is built
 * @source tensorflow/tfjs `tfjs-core/src/io/types.ts`, `tfjs-layers/src/models.ts`
 */
export async function buildTfjs(model: Model, options: TfjsOptions = {}): Promise<TfjsModel> {
  return encode(await modelGraph(model), options);
}

function encode(plain: ModelGraph, options: TfjsOptions): TfjsModel {
  const graph = withOutputStage(plain, options);
  const topology = new Topology(graph);
  return {
    json: {
      format: 'layers-model',
      generatedBy: `tensorkiln ${packageVersion()}`,
      convertedBy: null,
      modelTopology: {
        class_name: 'Model',
        config: topology.config(),
        keras_version: KERAS_VERSION,
        backend: 'tensor_flow.js',
      },
      weightsManifest: [
        {
          paths: [WEIGHTS_FILE],
          weights: topology.weights.map(([name, { shape }]) => ({ name, shape, dtype: 'float32' })),
        },
      ],
      ...(options.metadata === undefined ? {} : { userDefinedMetadata: options.metadata }),
    },
    weights: concatenate(topology.weights.map(([, weight]) => weight.data)),
  };
}

/**
 * Writes a tfjs LayersModel. The folder is written under another name, loaded by tfjs-layers where that is installed, run on
 * the probe rows, and gets its name only when the outputs agree.
 *
 * @throws E_USAGE when the path holds anything but an earlier export; E_EXPORT as buildTfjs, and when tfjs-layers refuses the model or
 *         its outputs differ; E_IO, with the earlier export still in its place
 */
export async function exportTfjs(model: Model, options: TfjsExportOptions): Promise<TfjsVerification> {
  await checkReplaceable(options.path);
  const graph = await modelGraph(model);
  const content = encode(graph, options);
  const temporary = `${options.path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await makeFolder(dirname(options.path));
    await makeFolder(temporary);
    await writeFileAtomic(join(temporary, WEIGHTS_FILE), content.weights);
    await writeFileAtomic(join(temporary, MODEL_FILE), `${JSON.stringify(content.json)}\n`);
    const probes =
      options.probe === undefined ? await makeProbes(model, graph, { stage: options }) : [asProbe(options.probe, graph)];
    const verification = await verify(temporary, probes);
    await replaceFolder(temporary, options.path);
    return verification;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** @throws E_USAGE unless there is nothing, or nothing but files of an earlier export: what else lies there is the user's */
async function checkReplaceable(path: string): Promise<void> {
  let found: readonly string[];
  try {
    found = await readdir(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR') throw ioError(path, cause);
    throw new TensorkilnError('E_USAGE', `[tfjs] ${path} is a file: expected a new folder, or that of an earlier export.`);
  }
  const other = found.filter((name) => !FILES.includes(name));
  if (other.length === 0) return;
  throw new TensorkilnError(
    'E_USAGE',
    `[tfjs] ${path} holds other files (${other.length}, one is "${other[0] ?? ''}"): expected a new folder, or one with nothing but ` +
      `${FILES.join(' and ')}, which would be replaced. Name a folder inside it.`,
  );
}

/** Takes away only the files of an export, so that one that came in the meantime stays. */
async function replaceFolder(from: string, to: string): Promise<void> {
  const aside = `${from}.old`;
  try {
    const wasThere = await rename(to, aside).then(
      () => true,
      (cause: unknown) => {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw cause;
      },
    );
    try {
      await rename(from, to);
    } catch (cause) {
      if (wasThere) await rename(aside, to);
      throw cause;
    }
    if (!wasThere) return;
    for (const name of FILES) await rm(join(aside, name), { force: true });
    await rmdir(aside);
  } catch (cause) {
    throw ioError(to, cause);
  }
}

function ioError(path: string, cause: unknown): TensorkilnError {
  return new TensorkilnError(
    'E_IO',
    `[tfjs] cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}.`,
    {
      cause,
    },
  );
}

function withOutputStage(graph: ModelGraph, { outputActivation = 'linear', outputScale }: OutputStage): ModelGraph {
  if (outputActivation === 'linear' && outputScale === undefined) return graph;
  const [output] = graph.outputs;
  const shape = output === undefined || 'input' in output ? undefined : graph.calls[output.call]?.outputShapes[output.output];
  if (output === undefined || shape === undefined || graph.outputs.length > 1) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[tfjs] the model has ${graph.outputs.length} outputs: expected one to bring to its unit.`,
    );
  }
  const stage: Pick<LayerCall, 'type' | 'name' | 'config' | 'weights'> =
    outputScale === undefined
      ? { type: 'activation', name: 'probabilities', config: { activation: outputActivation }, weights: {} }
      : {
          type: 'dense',
          name: 'to_unit',
          config: { activation: 'linear' },
          weights: unitWeights(outputScale, shape.at(-1) ?? 1),
        };
  const calls = [...graph.calls, { ...stage, inputShapes: [shape], outputShapes: [shape], inputs: [output] }];
  return { ...graph, calls, outputs: [{ call: calls.length - 1, output: 0 }] };
}

/** y = x * scale + shift as a dense layer. */
function unitWeights({ shift, scale }: { shift: number; scale: number }, size: number): LayerCall['weights'] {
  const kernel = new Float32Array(size * size);
  for (let i = 0; i < size; ++i) kernel[i * size + i] = scale;
  return {
    kernel: { shape: [size, size], data: kernel },
    bias: { shape: [size], data: new Float32Array(size).fill(shift) },
  };
}

/** Where a value is in tfjs's terms: layer, which use of it, which output. */
type TfjsValue = readonly [layer: string, node: number, tensor: number];

/** One tfjs layer with all its uses. */
interface Placed extends TfjsLayer {
  readonly name: string;
  readonly nodes: (readonly TfjsValue[])[];
}

class Topology {
  readonly #graph: ModelGraph;
  readonly #layers = new Map<string, Placed>();
  readonly #names = new Set<string>();
  readonly #inputs = new Map<string, string>();
  /** Outputs of each call. */
  readonly #values: (readonly TfjsValue[])[] = [];

  constructor(graph: ModelGraph) {
    this.#graph = graph;
    for (const { name } of graph.inputs) this.#inputs.set(name, this.#freeName(name));
    for (const call of graph.calls) this.#place(call);
  }

  /** Trainable weights in the order of the layers, then the others, as tfjs-layers saves them. */
  get weights(): readonly (readonly [name: string, weight: WeightDescription])[] {
    const all = [...this.#layers.values()].flatMap((layer) =>
      layer.weights.map(([name, weight, trainable]) => ({ name: `${layer.name}/${name}`, weight, trainable })),
    );
    return [...all.filter((one) => one.trainable), ...all.filter((one) => !one.trainable)].map(({ name, weight }) => [
      name,
      weight,
    ]);
  }

  config(): Readonly<Record<string, unknown>> {
    const inputs = this.#graph.inputs.map(({ name, shape, dtype }) => ({
      name: this.#inputs.get(name),
      class_name: 'InputLayer',
      config: { batch_input_shape: [null, ...shape], dtype, sparse: false, name: this.#inputs.get(name) },
      inbound_nodes: [],
    }));
    const layers = [...this.#layers.values()].map(({ name, className, config, nodes }) => ({
      name,
      class_name: className,
      config: { name, trainable: true, ...config },
      inbound_nodes: nodes.map((sources) => sources.map((source) => [...source, {}])),
    }));
    return {
      name: 'model',
      layers: [...inputs, ...layers],
      input_layers: inputs.map(({ name }) => [name, 0, 0]),
      output_layers: this.#graph.outputs.map((output) => this.#valueOf(output)),
    };
  }

  #place(call: LayerCall): void {
    const inputs = call.inputs.map((input) => this.#valueOf(input));
    const made: TfjsValue[] = [];
    // A call without any layer passes its input on.
    let results: readonly TfjsValue[] = inputs.slice(0, call.outputShapes.length);
    tfjsLayers(call).forEach((layer, part) => {
      const read = (source: PartSource): TfjsValue =>
        (typeof source === 'object' ? inputs[source.input] : (made[part + source] ?? inputs[0])) as TfjsValue;
      const sources = this.#apart(layer.from?.map(read) ?? (part === 0 ? inputs : [made[part - 1] as TfjsValue]), call.name);
      const key = `${call.name}#${part}`;
      const placed = this.#layers.get(key) ?? { ...layer, name: this.#freeName(call.name), nodes: [] };
      this.#layers.set(key, placed);
      const node = placed.nodes.push(sources) - 1;
      made.push([placed.name, node, 0]);
      results = call.outputShapes.map((_, output) => [placed.name, node, output]);
    });
    this.#values.push(results);
  }

  /** tfjs-layers frees a value too early that one layer takes twice: the second time it takes a copy. */
  #apart(sources: readonly TfjsValue[], name: string): readonly TfjsValue[] {
    return sources.map((source, index) => {
      const isRepeated = sources.slice(0, index).some((other) => other.join() === source.join());
      if (!isRepeated) return source;
      const copy = this.#freeName(`${name}_copy`);
      const config = { activation: 'linear' };
      this.#layers.set(`${copy}#copy`, { className: 'Activation', config, weights: [], name: copy, nodes: [[source]] });
      return [copy, 0, 0];
    });
  }

  #valueOf(source: ValueSource): TfjsValue {
    if ('input' in source) return [this.#inputs.get(source.input) as string, 0, 0];
    return this.#values[source.call]?.[source.output] as TfjsValue;
  }

  /** Names of tfjs are letters, digits and a few signs; a slash would part layer and weight. */
  #freeName(wanted: string): string {
    const base = wanted.replaceAll(/[^A-Za-z0-9_.-]/g, '_').replace(/^[^A-Za-z0-9.]/, 'layer$&');
    let name = base;
    for (let count = 2; this.#names.has(name); ++count) name = `${base}_${count}`;
    this.#names.add(name);
    return name;
  }
}

function concatenate(parts: readonly Float32Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const part of parts) {
    for (const value of part) {
      view.setFloat32(offset, value, true);
      offset += Float32Array.BYTES_PER_ELEMENT;
    }
  }
  return bytes;
}

function asProbe({ features, outputs }: NonNullable<TfjsExportOptions['probe']>, graph: ModelGraph): ModelProbe {
  const [input, ...others] = graph.inputs;
  if (input === undefined || others.length + graph.outputs.length > 1)
    throw new TensorkilnError(
      'E_USAGE',
      `[tfjs] a probe is for a model with one input and one output, this one has ${graph.inputs.length} and ${graph.outputs.length}: ` +
        'leave it out, rows are made up then.',
    );
  const { name, dtype, shape } = input;
  const rows = features.length / shape.reduce((product, size) => product * size, 1);
  const data = dtype === 'float32' ? Float32Array.from(features) : Int32Array.from(features);
  return { rows, inputs: [{ name, dtype, shape: [rows, ...shape], data }], outputs: [outputs] };
}

async function verify(folder: string, probes: readonly ModelProbe[]): Promise<TfjsVerification> {
  const layers = await importOptional('@tensorflow/tfjs-layers', () => import('@tensorflow/tfjs-layers'));
  if (layers === undefined) {
    return { verified: false, reason: '@tensorflow/tfjs-layers is not installed (npm install @tensorflow/tfjs-layers@4.22.0)' };
  }
  const core = await import('@tensorflow/tfjs-core');
  let loaded: Awaited<ReturnType<typeof layers.loadLayersModel>> | undefined;
  try {
    loaded = await layers.loadLayersModel(fileHandler(folder));
    let [rows, largestError] = [0, 0];
    for (const probe of probes) {
      const inputs = probe.inputs.map(({ data, shape, dtype }) =>
        core.tensor(data, [...shape], dtype as 'float32' | 'int32' | 'bool'),
      );
      const outputs = [loaded.predict(inputs, { batchSize: probe.rows })].flat();
      const actual = await Promise.all(outputs.map(async (output) => Float32Array.from(await output.data())));
      core.dispose([...inputs, ...outputs]);
      for (const [index, expected] of probe.outputs.entries()) {
        const error = actual[index] === undefined ? Infinity : largestRowError(actual[index], expected, probe.rows);
        largestError = Math.max(largestError, error);
      }
      rows += probe.rows;
    }
    if (!(largestError <= TOLERANCE)) {
      throw new TensorkilnError(
        'E_EXPORT',
        `[tfjs] the exported model differs from the model in memory: expected at most ${TOLERANCE} of a row's largest ` +
          `magnitude, got ${largestError} over ${rows} rows.`,
      );
    }
    return { verified: true, rows, largestError };
  } catch (cause) {
    if (cause instanceof TensorkilnError) throw cause;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_EXPORT', `[tfjs] tfjs-layers cannot load the exported model: ${text}`, { cause });
  } finally {
    loaded?.dispose();
  }
}

/**
 * Reads what lies in a folder; tfjs-core itself reads no files. Layers get other names: two variables of one name cannot live
 * in one engine, and the model that was exported may well be alive.
 */
function fileHandler(folder: string): tf.io.IOHandler {
  return {
    load: async () => {
      const text = await readFile(join(folder, MODEL_FILE), 'utf8');
      const json = withPrefix(JSON.parse(text) as LayersJson, `verify_${randomBytes(6).toString('hex')}_`);
      const weights = await readFile(join(folder, WEIGHTS_FILE));
      return {
        modelTopology: json.modelTopology,
        format: 'layers-model',
        weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
        weightData: new Uint8Array(weights).buffer,
      };
    },
  };
}

type Reference = [layer: string, ...rest: unknown[]];

/** The parts of a model.json that name layers. */
interface LayersJson {
  readonly modelTopology: {
    readonly config: {
      readonly layers: {
        name: string;
        readonly config: { name: string };
        readonly inbound_nodes: readonly Reference[][];
      }[];
      readonly input_layers: readonly Reference[];
      readonly output_layers: readonly Reference[];
    };
  };
  readonly weightsManifest: readonly { readonly weights: (tf.io.WeightsManifestEntry & { name: string })[] }[];
}

/** Puts a text before the name of every layer. */
function withPrefix(json: LayersJson, prefix: string): LayersJson {
  const { layers, input_layers: inputs, output_layers: outputs } = json.modelTopology.config;
  for (const layer of layers) {
    layer.name = prefix + layer.name;
    layer.config.name = layer.name;
  }
  for (const reference of [...layers.flatMap((layer) => layer.inbound_nodes.flat()), ...inputs, ...outputs]) {
    reference[0] = prefix + reference[0];
  }
  for (const weight of json.weightsManifest.flatMap((group) => group.weights)) weight.name = prefix + weight.name;
  return json;
}
