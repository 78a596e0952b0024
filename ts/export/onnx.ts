import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';

import { TensorkilnError } from '../errors.js';
import { Graph, Sequential, type Model, type ModelDescription } from '../nn/index.js';
import { writeFileAtomic } from '../write-file.js';
import { freeShapes, type FreeShapes } from './free-lengths.js';
import { chainGraph, isSameShape, modelGraph, shapeOf, type ModelGraph, type ValueSource } from './model-graph.js';
import { ELEMENT_TYPES, OnnxGraphBuilder, type GraphValue } from './onnx/graph-builder.js';
import { writeLayer } from './onnx/layers.js';
import {
  columnInputs,
  ML_DOMAIN,
  writeImageScale,
  writePreprocessing,
  type OnnxImageScale,
  type OnnxPreprocessing,
} from './onnx/preprocessing.js';
import type { OutputStage } from './output-stage.js';
import { packageVersion } from './package-version.js';
import { makeProbes } from './probe.js';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  type GraphProto,
  type ValueInfoProtoSchema,
} from './proto/onnx_pb.js';
import {
  verifyOnnx,
  verifyOnnxProbes,
  verifyOnnxTable,
  type OnnxProbe,
  type OnnxTableProbe,
  type OnnxVerification,
} from './verify-onnx.js';

/** Written into every file: what onnxruntime 1.12 and later read. */
const IR_VERSION = 8n;
const OPSET_VERSION = 17n;
/** Of ai.onnx.ml: LabelEncoder from texts to integers. */
const ML_OPSET_VERSION = 2n;

/** Protobuf readers stop at 2 GiB; the graph around the weights stays far below the rest. */
const MAX_WEIGHT_BYTES = 2 ** 31 - 2 ** 24;

export interface OnnxOptions extends OutputStage {
  /** Name of the graph; default 'model'. */
  readonly modelName?: string;
  /** Name of the input of a model with one; default: its name in the model, 'input' for a chain. Several keep their own names. */
  readonly inputName?: string;
  /** Name of the first output; default 'output'. Further ones have a number behind it: output_1, ... */
  readonly outputName?: string;
  /**
   * Puts the preprocessing of a table inside: the inputs are its columns, [N, 1] each: numbers as float32 with NaN for a missing one,
   * others as trimmed texts with '' for a missing one. Default: the input is the features.
   */
  readonly preprocessing?: OnnxPreprocessing;
  /** Puts the scaling of images inside: the input is uint8 [N, H, W, C] then. Default: the input is scaled already. */
  readonly imageScale?: OnnxImageScale;
  /** Whether sequences may have other lengths where no layer minds ('free', default), or only that of the model ('fixed'). */
  readonly lengths?: 'free' | 'fixed';
  /** Class names in output order; stored as JSON under the metadata key 'classes'. */
  readonly classes?: readonly string[];
  /** Further metadata of the file, text by key. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface OnnxExportOptions extends OnnxOptions {
  /** File to write; without it nothing is written. */
  readonly path?: string;
  /** Rows of a table whose outputs a model with its preprocessing inside must repeat before the file gets its name. */
  readonly tableProbe?: OnnxTableProbe;
  /** Rows whose outputs the exported model must repeat before the file gets its name. */
  readonly probe?: OnnxProbe;
}

export interface OnnxExport {
  readonly bytes: Uint8Array;
  readonly verification: OnnxVerification;
}

/**
 * Encodes a model as ONNX: opset 17, IR version 8; numbers are float32, tokens int32, masks bool. The batch dimension 'N' is free, and
 * the length 'T' of sequences where no layer depends on it. Images enter and leave channels last, as in our models. Dropout is left out.
 *
 * @param model  a chain as plain data, or what `modelGraph` makes of any model
 * @returns      the bytes of a .onnx file
 * @throws E_EXPORT naming a layer, option or activation that cannot be expressed, for sizes that contradict each other, and for
 *         more than 2 GiB of weights
 * @source onnx/onnx `docs/IR.md`, `docs/Operators.md`, operators of opset 17
 */
export function buildOnnx(model: ModelDescription | ModelGraph, options: OnnxOptions = {}): Uint8Array {
  const graph = 'calls' in model ? model : chainGraph(model);
  const outputShape = 'calls' in model ? shapeOf(graph, graph.outputs[0] as ValueSource) : model.outputShape;
  checkOptions(graph, outputShape, options);
  const modelProto = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'tensorkiln',
    producerVersion: packageVersion(),
    opsetImport: [
      { domain: '', version: OPSET_VERSION },
      ...(options.preprocessing === undefined ? [] : [{ domain: ML_DOMAIN, version: ML_OPSET_VERSION }]),
    ],
    graph: buildGraph(graph, outputShape, options),
    metadataProps: Object.entries(collectMetadata(options)).map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, modelProto);
}

/**
 * Encodes a model as ONNX, checks the result on probe rows and then writes it. The file appears under its name whole and
 * only after the check, so whatever lies there is a model that was right.
 *
 * A model that is at hand is checked on rows made up for it, unless `probe` brings others: batches of two sizes, and another length
 * where lengths are free. For plain data without `probe`, or where onnxruntime-web is not installed, `verification` says that and
 * why nothing was checked.
 *
 * @throws E_EXPORT as buildOnnx, and when the exported model disagrees with the probe; E_IO when `path` cannot be written
 */
export async function exportOnnx(model: Model | ModelDescription, options: OnnxExportOptions = {}): Promise<OnnxExport> {
  const graph = isModel(model) ? await modelGraph(model) : chainGraph(model);
  const bytes = buildOnnx(isModel(model) ? graph : model, options);
  const verification = await check(bytes, graph, isModel(model) ? model : undefined, options);
  if (options.path !== undefined) await writeFileAtomic(options.path, bytes);
  return { bytes, verification };
}

function isModel(model: Model | ModelDescription): model is Model {
  return model instanceof Sequential || model instanceof Graph;
}

function check(
  bytes: Uint8Array,
  graph: ModelGraph,
  model: Model | undefined,
  options: OnnxExportOptions,
): Promise<OnnxVerification> | OnnxVerification {
  const { preprocessing, tableProbe, probe } = options;
  if (preprocessing !== undefined) {
    return tableProbe === undefined
      ? { verified: false, reason: 'no probe rows were given' }
      : verifyOnnxTable(bytes, tableProbe);
  }
  const [input, ...others] = graph.inputs;
  if (probe !== undefined && input !== undefined) {
    if (others.length + graph.outputs.length > 1)
      throw new TensorkilnError(
        'E_USAGE',
        `[onnx] a probe is for a model with one input and one output, this one has ${graph.inputs.length} and ${graph.outputs.length}: ` +
          'leave it out, rows are made up then.',
      );
    const inputDType = options.imageScale === undefined ? input.dtype : 'uint8';
    return verifyOnnx(bytes, probe, { inputShape: input.shape, inputDType });
  }
  if (model === undefined || options.imageScale !== undefined) return { verified: false, reason: 'no probe rows were given' };
  return checkMadeUp(bytes, model, graph, options);
}

async function checkMadeUp(
  bytes: Uint8Array,
  model: Model,
  graph: ModelGraph,
  options: OnnxExportOptions,
): Promise<OnnxVerification> {
  const probes = await makeProbes(model, graph, { stage: options, free: freeSizes(graph, options) });
  return await verifyOnnxProbes(bytes, probes, inputNames(graph, options));
}

/** Names in the file by those in the model. */
function inputNames({ inputs }: ModelGraph, { inputName }: OnnxOptions): ReadonlyMap<string, string> {
  return new Map(inputs.map(({ name }) => [name, inputs.length === 1 ? (inputName ?? name) : name]));
}

function outputNames({ outputs }: ModelGraph, { outputName = 'output' }: OnnxOptions): readonly string[] {
  return outputs.map((_, index) => (index === 0 ? outputName : `${outputName}_${index}`));
}

function freeSizes(graph: ModelGraph, { lengths = 'free' }: OnnxOptions): FreeShapes {
  if (lengths === 'free') return freeShapes(graph);
  return {
    inputs: new Map(graph.inputs.map(({ name, shape }) => [name, shape])),
    outputs: graph.outputs.map((output) => shapeOf(graph, output)),
    lengths: new Map(),
  };
}

function checkOptions(graph: ModelGraph, outputShape: readonly number[], options: OnnxOptions): void {
  const { modelName = 'model', classes, inputName } = options;
  const [input = ''] = inputNames(graph, options).values();
  const names = [...inputNames(graph, options).values(), ...outputNames(graph, options)];
  if (modelName === '' || names.includes('') || new Set(names).size < names.length) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] names must not be empty, and input and output need different ones: got model '${modelName}', ` +
        `input '${input}', output '${outputNames(graph, options)[0] ?? ''}'.`,
    );
  }
  const isSingle = graph.inputs.length === 1 && graph.outputs.length === 1;
  const { preprocessing, imageScale, outputActivation = 'linear', outputScale } = options;
  if (imageScale !== undefined) checkImageScale(graph, imageScale);
  if (
    !isSingle &&
    (preprocessing !== undefined || outputScale !== undefined || outputActivation !== 'linear' || classes !== undefined)
  )
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] preprocessing, outputActivation, outputScale and classes are for models with one input and one output: got ${graph.inputs.length} and ${graph.outputs.length}.`,
    );
  if (graph.inputs.length > 1 && inputName !== undefined)
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] inputName is for models with one input: this one keeps ${graph.inputs.map(({ name }) => name).join(', ')}.`,
    );
  const outputSize = outputShape.at(-1);
  if (classes !== undefined && classes.length !== outputSize) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] class names do not fit the output: expected ${outputSize} for shape [${outputShape.join(',')}], ` +
        `got ${classes.length}.`,
    );
  }
  // Weights that are shared stand in the file once.
  const weights = new Set(graph.calls.flatMap((call) => Object.values(call.weights).map(({ data }) => data)));
  const weightBytes = [...weights].reduce((total, { byteLength }) => total + byteLength, 0);
  if (weightBytes > MAX_WEIGHT_BYTES) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] the weights do not fit into one file: expected at most ${MAX_WEIGHT_BYTES} bytes, got ${weightBytes}. ` +
        'safetensors has no such limit.',
    );
  }
}

function checkImageScale({ inputs: [input, ...others] }: ModelGraph, { mean, deviation }: OnnxImageScale): void {
  const channels = input?.shape[2];
  const fits = [mean, deviation].every((values) => values.length === channels);
  if (others.length === 0 && input?.shape.length === 3 && fits) return;
  throw new TensorkilnError(
    'E_EXPORT',
    `[onnx] imageScale is for models with one input of images, one mean and deviation per channel: got input ` +
      `[${input?.shape.join(',') ?? ''}], ${mean.length} means and ${deviation.length} deviations.`,
  );
}

function collectMetadata(options: OnnxOptions): Record<string, string> {
  const metadata = { ...options.metadata };
  if (options.classes !== undefined) metadata['classes'] = JSON.stringify(options.classes);
  return metadata;
}

function buildGraph(model: ModelGraph, outputShape: readonly number[], options: OnnxOptions): GraphProto {
  const { modelName = 'model', preprocessing, imageScale } = options;
  const free = freeSizes(model, options);
  const graph = new OnnxGraphBuilder({ hasFreeLength: free.lengths.size > 0 });
  const names = inputNames(model, options);
  const columns = preprocessing === undefined ? undefined : columnInputs(preprocessing);
  for (const name of columns?.map((column) => column.name) ?? names.values()) graph.reserveName(name);
  const outputs = outputNames(model, options).map((name) => graph.reserveName(name));

  const inputs = new Map(
    model.inputs.map(({ name, shape, dtype }): [string, GraphValue] => [
      name,
      preprocessing !== undefined
        ? writePreprocessing(graph, preprocessing, shape[0] ?? 0)
        : imageScale !== undefined
          ? writeImageScale(graph, names.get(name) as string, shape, imageScale)
          : { name: names.get(name) as string, shape, layout: 'rows', dtype },
    ]),
  );
  const calls: (readonly GraphValue[])[] = [];
  const read = (source: ValueSource): GraphValue =>
    ('input' in source ? inputs.get(source.input) : calls[source.call]?.[source.output]) as GraphValue;
  for (const call of model.calls) calls.push(writeLayer(graph, call.inputs.map(read), call));

  const results = model.outputs.map((output, index) => graph.toRows(read(output), outputs[index] as string));
  const first = results[0] as GraphValue;
  if (!isSameShape(first.shape, outputShape)) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] the layers give output shape [${first.shape.join(',')}], the model says [${outputShape.join(',')}].`,
    );
  }
  const staged = results.map((value, index) => writeStage(graph, value, outputs[index] as string, options));
  nameOutputs(
    graph,
    staged.map(({ name }) => name),
    outputs,
  );
  return create(GraphProtoSchema, {
    name: modelName,
    node: graph.nodes,
    initializer: graph.initializers,
    input:
      columns?.map(({ name, type }) =>
        describeTensor(name, [1], type === 'float' ? TensorProto_DataType.FLOAT : TensorProto_DataType.STRING),
      ) ??
      model.inputs.map(({ name, shape, dtype }) =>
        describeTensor(
          names.get(name) as string,
          free.inputs.get(name) ?? shape,
          imageScale === undefined ? ELEMENT_TYPES[dtype] : TensorProto_DataType.UINT8,
        ),
      ),
    output: staged.map(({ shape, dtype }, index) =>
      describeTensor(outputs[index] as string, free.outputs[index] ?? shape, ELEMENT_TYPES[dtype]),
    ),
  });
}

/** Probabilities of logits, or the unit of the target. */
function writeStage(graph: OnnxGraphBuilder, value: GraphValue, name: string, options: OnnxOptions): GraphValue {
  const { outputActivation = 'linear', outputScale } = options;
  const active =
    outputActivation === 'softmax'
      ? { ...value, name: graph.addNode(`${name}/softmax`, 'Softmax', [value.name], { axis: { int: -1 } }) }
      : value;
  if (outputScale === undefined) return active;
  const { shift, scale } = outputScale;
  const scaled = graph.addNode(`${name}/scale`, 'Mul', [active.name, graph.addScalar(`${name}/unit`, scale)]);
  return { ...active, name: graph.addNode(`${name}/shift`, 'Add', [scaled, graph.addScalar(`${name}/origin`, shift)]) };
}

/** Gives values their public names; an input that is an output too, or a value that is two outputs, goes through a node of its own. */
function nameOutputs(graph: OnnxGraphBuilder, values: readonly string[], outputs: readonly string[]): void {
  const renamed = new Set<string>();
  values.forEach((value, index) => {
    const output = outputs[index] as string;
    const isMade = graph.nodes.some((node) => node.output.includes(value));
    if (!isMade || renamed.has(value)) {
      const source = renamed.has(value) ? (outputs[values.indexOf(value)] as string) : value;
      const name = graph.reserveName(`${output}/identity`);
      graph.nodes.push(create(NodeProtoSchema, { name, opType: 'Identity', input: [source], output: [output] }));
      return;
    }
    renamed.add(value);
    for (const node of graph.nodes) {
      node.output = node.output.map((name) => (name === value ? output : name));
      node.input = node.input.map((name) => (name === value ? output : name));
    }
  });
}

type TensorInfo = MessageInitShape<typeof ValueInfoProtoSchema>;

function describeTensor(name: string, shape: readonly (number | string)[], elemType: TensorProto_DataType): TensorInfo {
  const sizes = ['N', ...shape].map((size) =>
    typeof size === 'string'
      ? { value: { case: 'dimParam' as const, value: size } }
      : { value: { case: 'dimValue' as const, value: BigInt(size) } },
  );
  return { name, type: { value: { case: 'tensorType', value: { elemType, shape: { dim: sizes } } } } };
}
