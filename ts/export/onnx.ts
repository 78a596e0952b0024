import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';

import { TensorkilnError } from '../errors.js';
import type { ModelDescription } from '../nn/description.js';
import { writeFileAtomic } from '../write-file.js';
import { OnnxGraphBuilder, type GraphValue } from './onnx-graph.js';
import { isSameShape, writeLayer } from './onnx-layers.js';
import { columnInputs, ML_DOMAIN, writePreprocessing, type ColumnInput, type OnnxPreprocessing } from './onnx-preprocessing.js';
import { packageVersion } from './package-version.js';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  type GraphProto,
  type ValueInfoProtoSchema,
} from './proto/onnx_pb.js';
import { verifyOnnx, verifyOnnxTable, type OnnxProbe, type OnnxTableProbe, type OnnxVerification } from './verify-onnx.js';

/** Written into every file: what onnxruntime 1.12 and later read. */
const IR_VERSION = 8n;
const OPSET_VERSION = 17n;
/** Of ai.onnx.ml: LabelEncoder from texts to integers. */
const ML_OPSET_VERSION = 2n;

/** Protobuf readers stop at 2 GiB; the graph around the weights of a chain of layers stays far below the rest. */
const MAX_WEIGHT_BYTES = 2 ** 31 - 2 ** 24;

export interface OnnxOptions {
  /** Name of the graph; default 'model'. */
  readonly modelName?: string;
  /** Name of the input, [N, ...inputShape] float32; default 'input'. */
  readonly inputName?: string;
  /** Name of the output, [N, ...outputShape] float32; default 'output'. */
  readonly outputName?: string;
  /** Added behind the last layer: 'softmax' makes probabilities of a model that was trained on logits; default 'linear', nothing. */
  readonly outputActivation?: 'linear' | 'softmax';
  /**
   * Puts the preprocessing of a table inside: the inputs are its columns, [N, 1] each: numbers as float32 with NaN for a missing one,
   * others as trimmed texts with '' for a missing one. Default: the input is the features.
   */
  readonly preprocessing?: OnnxPreprocessing;
  /** For a regression trained on (target - shift) / scale: brings the output back to the unit of the target. */
  readonly outputScale?: { readonly shift: number; readonly scale: number };
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
 * Encodes a model as ONNX: opset 17, IR version 8, float32, batch dimension 'N' free. Images enter and leave channels last,
 * as in our models. Dropout is left out.
 *
 * @returns the bytes of a .onnx file
 * @throws E_EXPORT for a layer, option or activation that cannot be expressed, for sizes that contradict each other, and for
 *         more than 2 GiB of weights
 * @source onnx/onnx `docs/IR.md`, `docs/Operators.md` (Gemm 13, Conv 11, MaxPool 12, AveragePool 11, Softmax 13)
 */
export function buildOnnx(model: ModelDescription, options: OnnxOptions = {}): Uint8Array {
  checkOptions(model, options);
  const modelProto = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'tensorkiln',
    producerVersion: packageVersion(),
    opsetImport: [
      { domain: '', version: OPSET_VERSION },
      ...(options.preprocessing === undefined ? [] : [{ domain: ML_DOMAIN, version: ML_OPSET_VERSION }]),
    ],
    graph: buildGraph(model, options),
    metadataProps: Object.entries(collectMetadata(options)).map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, modelProto);
}

/**
 * Encodes a model as ONNX, checks the result on probe rows and then writes it. The file appears under its name whole and
 * only after the check, so whatever lies there is a model that was right.
 *
 * Without `probe`, or where onnxruntime-web is not installed, `verification` says that and why nothing was checked.
 *
 * @throws E_EXPORT as buildOnnx, and when the exported model disagrees with the probe; E_IO when `path` cannot be written
 */
export async function exportOnnx(model: ModelDescription, options: OnnxExportOptions = {}): Promise<OnnxExport> {
  const bytes = buildOnnx(model, options);
  const verification: OnnxVerification = await check(bytes, model, options);
  if (options.path !== undefined) await writeFileAtomic(options.path, bytes);
  return { bytes, verification };
}

function check(
  bytes: Uint8Array,
  model: ModelDescription,
  options: OnnxExportOptions,
): Promise<OnnxVerification> | OnnxVerification {
  if (options.preprocessing !== undefined && options.tableProbe !== undefined)
    return verifyOnnxTable(bytes, options.tableProbe);
  return options.preprocessing !== undefined || options.probe === undefined
    ? { verified: false, reason: 'no probe rows were given' }
    : verifyOnnx(bytes, options.probe, { inputShape: model.inputShape });
}

function checkOptions(model: ModelDescription, options: OnnxOptions): void {
  const { inputName = 'input', outputName = 'output', modelName = 'model', classes } = options;
  if (modelName === '' || inputName === '' || outputName === '' || inputName === outputName) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] names must not be empty, and input and output need different ones: got model '${modelName}', ` +
        `input '${inputName}', output '${outputName}'.`,
    );
  }
  const outputSize = model.outputShape.at(-1);
  if (classes !== undefined && classes.length !== outputSize) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] class names do not fit the output: expected ${outputSize} for shape [${model.outputShape.join(',')}], ` +
        `got ${classes.length}.`,
    );
  }
  const weightBytes = model.layers
    .flatMap((layer) => Object.values(layer.weights))
    .reduce((total, weight) => total + weight.data.byteLength, 0);
  if (weightBytes > MAX_WEIGHT_BYTES) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] the weights do not fit into one file: expected at most ${MAX_WEIGHT_BYTES} bytes, got ${weightBytes}.`,
    );
  }
}

function collectMetadata(options: OnnxOptions): Record<string, string> {
  const metadata = { ...options.metadata };
  if (options.classes !== undefined) metadata['classes'] = JSON.stringify(options.classes);
  return metadata;
}

function buildGraph(model: ModelDescription, options: OnnxOptions): GraphProto {
  const { inputName = 'input', outputName = 'output', modelName = 'model', outputActivation = 'linear' } = options;
  const graph = new OnnxGraphBuilder();
  const { preprocessing } = options;
  const columns = preprocessing === undefined ? undefined : columnInputs(preprocessing);
  for (const { name } of columns ?? [{ name: inputName }]) graph.reserveName(name);
  graph.reserveName(outputName);
  let value: GraphValue =
    preprocessing === undefined
      ? { name: inputName, shape: model.inputShape, layout: 'rows' }
      : writePreprocessing(graph, preprocessing, model.inputShape[0] ?? 0);
  for (const layer of model.layers) value = writeLayer(graph, value, layer);
  value = graph.toRows(value, outputName);
  if (!isSameShape(value.shape, model.outputShape)) {
    throw new TensorkilnError(
      'E_EXPORT',
      `[onnx] the layers give output shape [${value.shape.join(',')}], the model says [${model.outputShape.join(',')}].`,
    );
  }
  if (outputActivation === 'softmax') {
    value = { ...value, name: graph.addNode(`${outputName}/softmax`, 'Softmax', [value.name], { axis: { int: -1 } }) };
  }
  if (options.outputScale !== undefined) {
    const { shift, scale } = options.outputScale;
    const scaled = graph.addNode(`${outputName}/scale`, 'Mul', [value.name, graph.addScalar(`${outputName}/unit`, scale)]);
    value = {
      ...value,
      name: graph.addNode(`${outputName}/shift`, 'Add', [scaled, graph.addScalar(`${outputName}/origin`, shift)]),
    };
  }
  nameOutput(graph, value.name, outputName);
  return create(GraphProtoSchema, {
    name: modelName,
    node: graph.nodes,
    initializer: graph.initializers,
    input:
      columns === undefined
        ? [describeTensor(inputName, model.inputShape)]
        : columns.map(({ name, type }) => describeTensor(name, [1], type)),
    output: [describeTensor(outputName, model.outputShape)],
  });
}

/** Gives the last value its public name; a model without any node still needs one between input and output. */
function nameOutput(graph: OnnxGraphBuilder, valueName: string, outputName: string): void {
  const last = graph.nodes.find((node) => node.output[0] === valueName);
  if (last === undefined) {
    graph.nodes.push(
      create(NodeProtoSchema, { name: 'identity', opType: 'Identity', input: [valueName], output: [outputName] }),
    );
  } else {
    last.output[0] = outputName;
  }
}

function describeTensor(
  name: string,
  shape: readonly number[],
  type: ColumnInput['type'] = 'float',
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const batch = { value: { case: 'dimParam' as const, value: 'N' } };
  const sizes = shape.map((size) => ({ value: { case: 'dimValue' as const, value: BigInt(size) } }));
  const elemType = type === 'float' ? TensorProto_DataType.FLOAT : TensorProto_DataType.STRING;
  const tensorType = { elemType, shape: { dim: [batch, ...sizes] } };
  return { name, type: { value: { case: 'tensorType', value: tensorType } } };
}
