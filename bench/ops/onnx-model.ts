import { create, toBinary } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType, ModelProtoSchema, TensorProto_DataType } from '../../ts/export/proto/onnx_pb.js';
import type { OpCase } from './cases.js';

/** A graph of one node, or undefined where the case names none. Inputs x0, x1, ..., output y. */
export function onnxModel({ inputs, outputDims, onnx }: OpCase): Uint8Array | undefined {
  if (onnx === undefined) return undefined;
  const tensor = (name: string, dims: readonly number[]): object => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: TensorProto_DataType.FLOAT,
          shape: { dim: dims.map((dim) => ({ value: { case: 'dimValue' as const, value: BigInt(dim) } })) },
        },
      },
    },
  });
  const attribute = [
    ...(onnx.axis === undefined ? [] : [{ name: 'axis', type: AttributeProto_AttributeType.INT, i: BigInt(onnx.axis) }]),
    ...(onnx.perm === undefined
      ? []
      : [{ name: 'perm', type: AttributeProto_AttributeType.INTS, ints: onnx.perm.map(BigInt) }]),
  ];
  const model = create(ModelProtoSchema, {
    irVersion: 9n,
    opsetImport: [{ domain: '', version: 20n }],
    graph: {
      name: 'case',
      node: [{ opType: onnx.op, input: inputs.map((_, i) => `x${i}`), output: ['y'], attribute }],
      input: inputs.map(({ dims }, i) => tensor(`x${i}`, dims)),
      output: [tensor('y', outputDims)],
    },
  });
  return toBinary(ModelProtoSchema, model);
}
