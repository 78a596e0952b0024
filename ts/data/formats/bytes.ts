import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { TensorkilnError } from '../../errors.js';
import { readError } from '../csv/byte-source.js';

const unzip = promisify(gunzip);

/** A file's bytes, decompressed when it is gzip. @throws E_IO; E_DATA for gzip that is cut off or damaged */
export async function readBytes(path: string): Promise<Buffer> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await unzip(bytes);
  } catch (cause) {
    const short = cause instanceof Error && 'code' in cause && cause.code === 'Z_BUF_ERROR';
    throw new TensorkilnError(
      'E_DATA',
      `[gzip] ${path}: the compressed file is ${short ? 'cut off' : 'damaged'}: expected a whole gzip stream, got ${bytes.length} bytes. Copy it again.`,
      { cause },
    );
  }
}

export type NumericArray =
  Uint8Array | Int8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

/** A dense array of numbers, row-major. */
export interface NumericTensor {
  readonly shape: readonly number[];
  readonly data: NumericArray;
}

/** The element types of array files, by what they hold. */
export const ELEMENTS = {
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export type ElementType = keyof typeof ELEMENTS;

/**
 * Elements from raw bytes, turned to this machine's byte order.
 *
 * @param place how messages name the file
 * @throws E_DATA when there are fewer or more bytes than the shape needs
 */
export function elementsOf(
  bytes: Buffer,
  type: ElementType,
  layout: { readonly shape: readonly number[]; readonly littleEndian: boolean; readonly place: string },
): NumericArray {
  const Elements = ELEMENTS[type];
  const count = layout.shape.reduce((product, dim) => product * dim, 1);
  const expected = count * Elements.BYTES_PER_ELEMENT;
  if (bytes.length !== expected) {
    throw new TensorkilnError(
      'E_DATA',
      `${layout.place}: the file is ${bytes.length < expected ? 'cut off' : 'too long'}: expected ${expected} bytes of data for shape ` +
        `[${layout.shape.join(', ')}] of ${type}, got ${bytes.length}. Copy it again.`,
    );
  }
  // A copy starts at a multiple of every element size; a slice of the file need not.
  const copy = new Uint8Array(bytes);
  if (!layout.littleEndian && Elements.BYTES_PER_ELEMENT > 1) swap(copy, Elements.BYTES_PER_ELEMENT);
  return new Elements(copy.buffer);
}

function swap(bytes: Uint8Array, size: number): void {
  for (let start = 0; start < bytes.length; start += size) bytes.subarray(start, start + size).reverse();
}
