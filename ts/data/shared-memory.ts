type NumericArrayConstructor<T> = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
};

/** Below this a copy costs less than what sharing saves. */
const SHARED_FROM_BYTES = 1 << 16;

/** A zeroed array; a large one lies in shared memory so that worker threads can read or fill it without a copy. */
export function allocate<T>(constructor: NumericArrayConstructor<T>, length: number): T {
  const bytes = length * constructor.BYTES_PER_ELEMENT;
  return new constructor(bytes < SHARED_FROM_BYTES ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes), 0, length);
}

/** The array itself when it lies in shared memory, else a copy that does. */
export function shared<T extends Float64Array | Float32Array | Int32Array | Uint8Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = new (array.constructor as NumericArrayConstructor<T>)(new SharedArrayBuffer(array.byteLength), 0, array.length);
  copy.set(array);
  return copy;
}

/**
 * The whole column when its parts lie one behind the other from the start of one shared buffer on, as those do that were cut from it.
 *
 * @param length all their elements
 */
export function wholeOf<T extends Float64Array | Int32Array>(parts: readonly T[], length: number): T | undefined {
  const buffer = parts[0]?.buffer;
  if (!(buffer instanceof SharedArrayBuffer)) return undefined;
  let end = 0;
  for (const part of parts) {
    if (part.buffer !== buffer || part.byteOffset !== end) return undefined;
    end += part.byteLength;
  }
  return new (parts[0]?.constructor as NumericArrayConstructor<T>)(buffer, 0, length);
}
