import { TensorkilnError } from '../../errors.js';
import { elementsOf, readBytes, type ElementType, type NumericTensor } from './bytes.js';

const TYPES: Readonly<Record<number, ElementType>> = {
  0x08: 'uint8',
  0x09: 'int8',
  0x0b: 'int16',
  0x0c: 'int32',
  0x0d: 'float32',
  0x0e: 'float64',
};

/**
 * Reads an IDX file, plain or gzip: two zero bytes, element type, number of dimensions, sizes as 32-bit integers, data, all big-endian.
 *
 * @throws E_IO; E_DATA when it is no IDX file, or is cut off
 * @source LeCun, Cortes, Burges, "The MNIST database of handwritten digits"
 */
export async function readIdx(path: string): Promise<NumericTensor> {
  const bytes = await readBytes(path);
  const type = TYPES[bytes[2] ?? -1];
  const rank = bytes[3] ?? 0;
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || type === undefined || rank === 0) {
    throw new TensorkilnError(
      'E_DATA',
      `[idx] ${path}: not an IDX file: expected two zero bytes, a known element type and a rank of at least 1 at its start.`,
    );
  }
  const header = 4 + 4 * rank;
  if (bytes.length < header)
    throw new TensorkilnError(
      'E_DATA',
      `[idx] ${path}: the file is cut off: expected ${header} bytes of header, got ${bytes.length}.`,
    );
  const shape = Array.from({ length: rank }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis));
  return { shape, data: elementsOf(bytes.subarray(header), type, { shape, littleEndian: false, place: `[idx] ${path}` }) };
}
