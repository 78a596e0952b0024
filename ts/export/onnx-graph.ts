import { create, type MessageInitShape } from '@bufbuild/protobuf';

import type { WeightDescription } from '../nn/description.js';
import {
  AttributeProto_AttributeType,
  type AttributeProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  type NodeProto,
  type TensorProto,
} from './proto/onnx_pb.js';

/**
 * A tensor on its way through the graph. `shape` is our shape without the batch dimension, channels last for images;
 * `layout` says how the tensor of the graph really lies: 'rows' as in `shape`, 'nchw' as [N,C,H,W].
 */
export interface GraphValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layout: 'rows' | 'nchw';
}

/** Attribute values: a float must be told from an integer, which JavaScript numbers do not do. */
export type AttributeValue =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly strings: readonly string[] };

/** Collects nodes and constants; every name it hands out occurs once. */
export class OnnxGraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #names = new Set<string>();

  /** Takes `wanted` if it is free, else `wanted` with a number behind it. */
  reserveName(wanted: string): string {
    let name = wanted;
    for (let count = 2; this.#names.has(name); ++count) name = `${wanted}_${count}`;
    this.#names.add(name);
    return name;
  }

  /** Adds a node with one output and returns that output's name. */
  addNode(
    name: string,
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain = '',
  ): string {
    const output = this.reserveName(`${name}/output`);
    this.nodes.push(
      create(NodeProtoSchema, {
        name,
        opType,
        ...(domain === '' ? {} : { domain }),
        input: [...inputs],
        output: [output],
        attribute: Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value)),
      }),
    );
    return output;
  }

  /** Adds a float32 constant and returns its name. */
  addConstant(wantedName: string, weight: WeightDescription): string {
    const name = this.reserveName(wantedName);
    this.initializers.push(
      create(TensorProtoSchema, {
        name,
        dims: weight.shape.map(BigInt),
        dataType: TensorProto_DataType.FLOAT,
        rawData: littleEndianBytes(weight.data),
      }),
    );
    return name;
  }

  /** Adds a float32 scalar and returns its name. */
  addScalar(wantedName: string, value: number): string {
    return this.addConstant(wantedName, { shape: [], data: Float32Array.of(value) });
  }

  /** The same image with channels first; inserts a transpose only when it does not lie so already. */
  toChannelsFirst(value: GraphValue, layerName: string): GraphValue {
    if (value.layout === 'nchw') return value;
    const node = this.reserveName(`${layerName}/to_nchw`);
    const name = this.addNode(node, 'Transpose', [value.name], { perm: { ints: [0, 3, 1, 2] } });
    return { ...value, name, layout: 'nchw' };
  }

  /** The same tensor as its shape says, channels last. */
  toRows(value: GraphValue, layerName: string): GraphValue {
    if (value.layout === 'rows') return value;
    const node = this.reserveName(`${layerName}/to_nhwc`);
    const name = this.addNode(node, 'Transpose', [value.name], { perm: { ints: [0, 2, 3, 1] } });
    return { ...value, name, layout: 'rows' };
  }
}

function encodeAttribute(name: string, value: AttributeValue): MessageInitShape<typeof AttributeProtoSchema> {
  if ('float' in value) return { name, f: value.float, type: AttributeProto_AttributeType.FLOAT };
  if ('int' in value) return { name, i: BigInt(value.int), type: AttributeProto_AttributeType.INT };
  if ('strings' in value) {
    return { name, strings: value.strings.map((text) => Buffer.from(text)), type: AttributeProto_AttributeType.STRINGS };
  }
  return { name, ints: value.ints.map(BigInt), type: AttributeProto_AttributeType.INTS };
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

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
