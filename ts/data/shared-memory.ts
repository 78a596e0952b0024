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
