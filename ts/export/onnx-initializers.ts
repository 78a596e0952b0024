/** The weights of an ONNX model. */
import { fromBinary } from '@bufbuild/protobuf';
import { TensorkilnError } from '../errors.js';
import { toFloat32, type FloatEncoding } from '../formats/half-floats.js';
import type { WeightDescription } from '../nn/description.js';
import { ModelProtoSchema, TensorProto_DataType, type TensorProto } from './proto/onnx_pb.js';

const ENCODINGS: Readonly<Record<number, FloatEncoding | undefined>> = {
  [TensorProto_DataType.FLOAT]: 'f32',
  [TensorProto_DataType.DOUBLE]: 'f64',
  [TensorProto_DataType.FLOAT16]: 'f16',
  [TensorProto_DataType.BFLOAT16]: 'bf16',
};
/** Field of TensorProto with float32 values in place of raw bytes: `repeated float float_data = 4 [packed]`. */
const FLOAT_DATA = 4;

/** Bytes of a tensor's values; of `float_data`, which our own part of the format does not name, what was kept of it. */
function bytesOf({ rawData, $unknown = [] }: TensorProto): Uint8Array {
  if (rawData.length > 0) return rawData;
  const packed = $unknown
    .filter(({ no }) => no === FLOAT_DATA)
    .map(({ data }) => {
      // A length as varint, then the numbers.
      let start = 0;
      while (((data[start] ?? 0) & 0x80) !== 0) start++;
      return data.subarray(start + 1);
    });
  return Buffer.concat(packed);
}

/**
 * The float tensors among a model's initialisers, by name.
 *
 * @param content  bytes of an .onnx file
 * @param place    names the file in errors
 * @throws E_DATA when it is no ONNX model or a tensor's values lie in another file
 */
export function readOnnxInitializers(content: Uint8Array, place: string): Record<string, WeightDescription> {
  let tensors: readonly TensorProto[];
  try {
    tensors = fromBinary(ModelProtoSchema, content).graph?.initializer ?? [];
  } catch (error) {
    throw new TensorkilnError('E_DATA', `[${place}] is no ONNX model: ${(error as Error).message}.`, { cause: error });
  }
  return Object.fromEntries(
    tensors.flatMap((tensor): [string, WeightDescription][] => {
      const encoding = ENCODINGS[tensor.dataType];
      if (encoding === undefined) return [];
      const shape = tensor.dims.map(Number);
      const data = toFloat32(encoding, bytesOf(tensor));
      const size = shape.reduce((a, b) => a * b, 1);
      if (data.length !== size) {
        throw new TensorkilnError(
          'E_DATA',
          `[${place}] initialiser '${tensor.name}' has ${data.length} values for shape [${shape.join(', ')}]: expected ${size} in the file itself.`,
        );
      }
      return [[tensor.name, { shape, data }]];
    }),
  );
}
