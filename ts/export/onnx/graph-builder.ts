import { create, type MessageInitShape } from '@bufbuild/protobuf';

import type { LayerDType, WeightDescription } from '../../nn/index.js';
import {
  AttributeProto_AttributeType,
  type AttributeProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  type NodeProto,
  type TensorProto,
} from '../proto/onnx_pb.js';

/**
 * A tensor on its way through the graph. `shape` is our shape without the batch dimension, channels last; `layout` says how the
 * tensor of the graph really lies: 'rows' as in `shape`, 'channels_first' as [N, C, ...places].
 */
export interface GraphValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layout: 'rows' | 'channels_first';
  readonly dtype: LayerDType;
}

/** Attribute values: a float must be told from an integer, which JavaScript numbers do not do. */
export type AttributeValue =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string }
  | { readonly strings: readonly string[] };

export type Attributes = Readonly<Record<string, AttributeValue>>;

export const ELEMENT_TYPES: Readonly<Record<LayerDType, TensorProto_DataType>> = {
  float32: TensorProto_DataType.FLOAT,
  int32: TensorProto_DataType.INT32,
  bool: TensorProto_DataType.BOOL,
};

/** Collects nodes and constants; every name it hands out occurs once. */
export class OnnxGraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  /** Whether sequences may have other lengths than those of the shapes: what depends on a length is computed in the graph then. */
  readonly hasFreeLength: boolean;
  readonly #names = new Set<string>();
  readonly #shared = new Map<string, string>();
  readonly #derived = new WeakMap<Float32Array, Map<string, string>>();

  constructor(options: { readonly hasFreeLength?: boolean } = {}) {
    this.hasFreeLength = options.hasFreeLength ?? false;
  }

  /** Takes `wanted` if it is free, else `wanted` with a number behind it. */
  reserveName(wanted: string): string {
    let name = wanted;
    for (let count = 2; this.#names.has(name); ++count) name = `${wanted}_${count}`;
    this.#names.add(name);
    return name;
  }

  /** Adds a node with one output and returns that output's name. */
  addNode(wanted: string, opType: string, inputs: readonly string[], attributes: Attributes = {}, domain = ''): string {
    return this.addNodes(wanted, opType, inputs, { count: 1, attributes, domain })[0] as string;
  }

  /** Adds a node with several outputs and returns their names. */
  addNodes(
    wanted: string,
    opType: string,
    inputs: readonly string[],
    {
      count,
      attributes = {},
      domain = '',
    }: { readonly count: number; readonly attributes?: Attributes; readonly domain?: string },
  ): readonly string[] {
    const name = this.reserveName(wanted);
    const outputs = Array.from({ length: count }, (_, i) => this.reserveName(`${name}/output${i === 0 ? '' : `_${i}`}`));
    this.nodes.push(
      create(NodeProtoSchema, {
        name,
        opType,
        ...(domain === '' ? {} : { domain }),
        input: [...inputs],
        output: [...outputs],
        attribute: Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value)),
      }),
    );
    return outputs;
  }

  /** Adds a float32 constant and returns its name. */
  addConstant(wantedName: string, { shape, data }: WeightDescription): string {
    return this.#addTensor(wantedName, shape, TensorProto_DataType.FLOAT, littleEndianBytes(data));
  }

  /**
   * A weight of the model, or what is made of it; layers that share a weight share the constant.
   *
   * @param key  names what `change` does, equal for equal changes
   */
  addWeight(
    wantedName: string,
    weight: WeightDescription,
    key = '',
    change: (weight: WeightDescription) => WeightDescription = (same) => same,
  ): string {
    const made = this.#derived.get(weight.data) ?? new Map<string, string>();
    this.#derived.set(weight.data, made);
    const name = made.get(key) ?? this.addConstant(wantedName, change(weight));
    made.set(key, name);
    return name;
  }

  /** A float32 scalar; equal ones are one constant. */
  addScalar(wantedName: string, value: number): string {
    return this.#share(`float ${value}`, () => this.addConstant(wantedName, { shape: [], data: Float32Array.of(value) }));
  }

  /** int64 numbers, as shapes and axes want them; equal ones are one constant. Without a shape: a vector. */
  addInts(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.#share(`int64 ${values.join(',')} [${shape.join(',')}]`, () => {
      const data = BigInt64Array.from(values, BigInt);
      const name = `int64/${values.slice(0, 8).join('_')}`;
      return this.#addTensor(name, shape, TensorProto_DataType.INT64, bytesOf(data));
    });
  }

  /** int32 numbers. */
  addInt32(wantedName: string, values: readonly number[], shape: readonly number[]): string {
    return this.#addTensor(wantedName, shape, TensorProto_DataType.INT32, bytesOf(Int32Array.from(values)));
  }

  addBooleans(wantedName: string, values: readonly boolean[], shape: readonly number[]): string {
    return this.#addTensor(wantedName, shape, TensorProto_DataType.BOOL, Uint8Array.from(values, Number));
  }

  /** The value as another element type. */
  cast(wanted: string, name: string, type: TensorProto_DataType): string {
    return this.addNode(wanted, 'Cast', [name], { to: { int: type } });
  }

  reshape(wanted: string, name: string, shape: readonly number[]): string {
    return this.addNode(wanted, 'Reshape', [name, this.addInts(shape)]);
  }

  transpose(wanted: string, name: string, perm: readonly number[]): string {
    return this.addNode(wanted, 'Transpose', [name], { perm: { ints: perm } });
  }

  unsqueeze(wanted: string, name: string, axes: readonly number[]): string {
    return this.addNode(wanted, 'Unsqueeze', [name, this.addInts(axes)]);
  }

  squeeze(wanted: string, name: string, axes: readonly number[]): string {
    return this.addNode(wanted, 'Squeeze', [name, this.addInts(axes)]);
  }

  /** Size of an axis of a value while the model runs, an int64 scalar. */
  sizeOf(wanted: string, name: string, axis: number): string {
    return this.addNode(wanted, 'Gather', [this.addNode(`${wanted}/shape`, 'Shape', [name]), this.addInts([axis], [])]);
  }

  /** The same value with channels first; a transpose is inserted only when it does not lie so already. */
  toChannelsFirst(value: GraphValue, layerName: string): GraphValue {
    if (value.layout === 'channels_first') return value;
    const rank = value.shape.length;
    if (rank < 2) return { ...value, layout: 'channels_first' };
    const perm = [0, rank, ...Array.from({ length: rank - 1 }, (_, axis) => axis + 1)];
    return { ...value, name: this.transpose(`${layerName}/to_channels_first`, value.name, perm), layout: 'channels_first' };
  }

  /** The same value as its shape says, channels last. */
  toRows(value: GraphValue, layerName: string): GraphValue {
    if (value.layout === 'rows') return value;
    const rank = value.shape.length;
    if (rank < 2) return { ...value, layout: 'rows' };
    const perm = [0, ...Array.from({ length: rank - 1 }, (_, axis) => axis + 2), 1];
    return { ...value, name: this.transpose(`${layerName}/to_channels_last`, value.name, perm), layout: 'rows' };
  }

  #addTensor(
    wanted: string,
    shape: readonly number[],
    dataType: TensorProto_DataType,
    rawData: Uint8Array<ArrayBuffer>,
  ): string {
    const name = this.reserveName(wanted);
    this.initializers.push(create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType, rawData }));
    return name;
  }

  #share(key: string, make: () => string): string {
    const name = this.#shared.get(key) ?? make();
    this.#shared.set(key, name);
    return name;
  }
}

function encodeAttribute(name: string, value: AttributeValue): MessageInitShape<typeof AttributeProtoSchema> {
  if ('float' in value) return { name, f: value.float, type: AttributeProto_AttributeType.FLOAT };
  if ('int' in value) return { name, i: BigInt(value.int), type: AttributeProto_AttributeType.INT };
  if ('string' in value) return { name, s: Buffer.from(value.string), type: AttributeProto_AttributeType.STRING };
  if ('strings' in value) {
    return { name, strings: value.strings.map((text) => Buffer.from(text)), type: AttributeProto_AttributeType.STRINGS };
  }
  return { name, ints: value.ints.map(BigInt), type: AttributeProto_AttributeType.INTS };
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Integers as the format wants them on every host. */
function bytesOf(values: Int32Array | BigInt64Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.byteLength);
  const view = new DataView(bytes.buffer);
  values.forEach((value: number | bigint, i: number) => {
    if (typeof value === 'bigint') view.setBigInt64(i * BigInt64Array.BYTES_PER_ELEMENT, value, true);
    else view.setInt32(i * Int32Array.BYTES_PER_ELEMENT, value, true);
  });
  return bytes;
}

/** The values as the format wants them on every host; a view of the caller's memory where no change is needed. */
function littleEndianBytes(values: Float32Array): Uint8Array<ArrayBuffer> {
  if (HOST_IS_LITTLE_ENDIAN && values.buffer instanceof ArrayBuffer) {
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const bytes = new Uint8Array(values.byteLength);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setFloat32(i * Float32Array.BYTES_PER_ELEMENT, value, true));
  return bytes;
}
