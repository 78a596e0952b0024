import { TensorkilnError } from '../../errors.js';
import { elementsOf, readBytes, type ElementType, type NumericTensor } from './bytes.js';

const TYPES: Readonly<Record<string, ElementType>> = {
  u1: 'uint8',
  b1: 'uint8',
  i1: 'int8',
  i2: 'int16',
  u2: 'uint16',
  i4: 'int32',
  u4: 'uint32',
  f4: 'float32',
  f8: 'float64',
};
const MAGIC = '\x93NUMPY';

/**
 * Reads a .npy file of format version 1 to 3, plain or gzip: numbers in C order. Booleans become 0 and 1; 64-bit integers become float64,
 * and one beyond 2^53 is an error.
 *
 * @throws E_IO; E_DATA when it is no .npy file, is cut off, or holds what is not listed here
 * @source NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays"
 */
export async function readNpy(path: string): Promise<NumericTensor> {
  const bytes = await readBytes(path);
  const place = `[npy] ${path}`;
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== MAGIC)
    throw new TensorkilnError('E_DATA', `${place}: not a .npy file: expected the bytes 93 4E 55 4D 50 59 at its start.`);
  const wide = (bytes[6] ?? 1) >= 2;
  const start = wide ? 12 : 10;
  const end = start + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString('utf8', start, end);
  const descr = /'descr'\s*:\s*'([<>|=])([a-z])(\d+)'/.exec(header);
  const shapeText = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (bytes.length < end || descr === null || shapeText === undefined)
    throw new TensorkilnError(
      'E_DATA',
      `${place}: unknown header: expected descr of a plain number type, fortran_order and shape.`,
    );
  if (/'fortran_order'\s*:\s*True/.test(header))
    throw new TensorkilnError(
      'E_DATA',
      `${place}: the array is in Fortran order: expected C order. Save it with numpy.ascontiguousarray.`,
    );
  const shape = shapeText
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const layout = { shape, littleEndian: descr[1] !== '>', place };
  const code = `${descr[2] ?? ''}${descr[3] ?? ''}`;
  const data = bytes.subarray(end);
  if (code === 'i8' || code === 'u8') return { shape, data: readInt64(data, code, layout) };
  const type = TYPES[code];
  if (type === undefined)
    throw new TensorkilnError(
      'E_DATA',
      `${place}: unknown element type ${code}: expected one of ${Object.keys(TYPES).join(', ')}, i8, u8.`,
    );
  return { shape, data: elementsOf(data, type, layout) };
}

function readInt64(
  bytes: Buffer,
  code: 'i8' | 'u8',
  layout: { readonly shape: readonly number[]; readonly littleEndian: boolean; readonly place: string },
): Float64Array {
  // float64 has the size of a 64-bit integer, so its bytes come out checked and in this machine's order.
  const { buffer } = elementsOf(bytes, 'float64', layout);
  const integers = code === 'i8' ? new BigInt64Array(buffer) : new BigUint64Array(buffer);
  return Float64Array.from(integers, (value) => {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new TensorkilnError(
      'E_DATA',
      `${layout.place}: an integer is beyond 2^53: expected numbers that float64 holds exactly.`,
    );
  });
}
