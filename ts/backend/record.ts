/** What a backend keeps per tensor data: the native handle and tfjs's bookkeeping. */
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { checkedSize, storageNumber, type Operand } from '../native/engine.js';
import type { NumericArray } from '../native/addon.js';
import type { Origin } from './origin.js';

const FLOAT32 = storageNumber('f32');
const INT32 = storageNumber('i32');
const BOOL = storageNumber('u8');
const HALVES = new Set([storageNumber('f16'), storageNumber('bf16')]);
/** Handle of a record that holds no native buffer: not made yet, freed, string or complex64. */
export const NO_HANDLE = -1;

/** Whether a storage dtype by number has 16 bits: float32 tensors made within a scope of mixed precision. */
export function isHalf(storage: number): boolean {
  return HALVES.has(storage);
}

/** Storage dtype of a logical dtype. @throws E_DTYPE for string and complex64, which have no single buffer */
export function storageOf(dtype: DataType, place: string): number {
  switch (dtype) {
    case 'float32':
      return FLOAT32;
    case 'int32':
      return INT32;
    case 'bool':
      return BOOL;
    default:
      throw new TensorkilnError('E_DTYPE', `[${place}] takes float32, int32 or bool tensors, got ${dtype}.`);
  }
}

/**
 * The state of one data id, and at the same time an operand of op calls.
 *
 * It never refers back to its data id, so that a forgotten data id can be collected while its record is still listed.
 */
export class TensorRecord implements Operand {
  handle = NO_HANDLE;
  storage: number;
  readonly shape: readonly number[];
  readonly dtype: DataType;
  readonly size: number;
  /** Grows with every record of the backend; 0 for tensors fetched from another one. */
  serial = 0;
  /** Neighbours in the list of living records; `list` is the list it is in. */
  previous: TensorRecord | undefined = undefined;
  next: TensorRecord | undefined = undefined;
  list: RecordList | undefined = undefined;
  /** Tensors on this data id, as tfjs-core counts them. */
  refCount = 1;
  /** Id of the variable that the handle belongs to, as `makeUnique` last saw it; plans know the variable by that handle. */
  owner: number | undefined = undefined;
  /** Where it was made; kept while tensors are traced. */
  origin: Origin | undefined = undefined;
  /** Copy of small int32 data written from JavaScript, so that wrong indices can be named at once. */
  mirror: Int32Array | undefined = undefined;
  /** UTF-8 bytes of a string tensor. */
  strings: Uint8Array[] | undefined = undefined;
  /** Parts of a complex64 tensor; owned by it. */
  real: TensorInfo | undefined = undefined;
  imag: TensorInfo | undefined = undefined;

  /** Bytes of the elements; those of a complex64 tensor lie in its parts. */
  get bytes(): number {
    if (this.strings !== undefined) return this.strings.reduce((sum, { length }) => sum + length, 0);
    if (this.real !== undefined) return 0;
    return this.storage === BOOL ? this.size : isHalf(this.storage) ? 2 * this.size : 4 * this.size;
  }

  /** A record without a buffer yet. @throws E_SHAPE */
  constructor(shape: readonly number[], dtype: DataType, storage: number) {
    this.shape = shape;
    this.dtype = dtype;
    this.storage = storage;
    this.size = checkedSize(shape);
  }
}

/** The living records of a backend in the order in which they were added. A Set costs a small op a tenth of its time. */
export class RecordList {
  #first: TensorRecord | undefined = undefined;
  #last: TensorRecord | undefined = undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(record: TensorRecord): boolean {
    return record.list === this;
  }

  /** Adds a record that is in no list. */
  add(record: TensorRecord): void {
    record.list = this;
    record.previous = this.#last;
    if (this.#last === undefined) this.#first = record;
    else this.#last.next = record;
    this.#last = record;
    this.#size += 1;
  }

  delete(record: TensorRecord): void {
    if (record.list !== this) return;
    const { previous, next } = record;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    record.list = record.previous = record.next = undefined;
    this.#size -= 1;
  }

  toArray(): TensorRecord[] {
    const records: TensorRecord[] = [];
    for (let record = this.#first; record !== undefined; record = record.next) records.push(record);
    return records;
  }
}

/** A data id made by this backend. tfjs-core hands it back as an opaque object. */
export class NativeDataId {
  record: TensorRecord;

  constructor(record: TensorRecord) {
    this.record = record;
  }
}

/** The values as the array type of a storage dtype, without a copy when they have it already. */
export function toStorageArray(values: ArrayLike<number>, storage: number): NumericArray {
  if (storage === FLOAT32) return values instanceof Float32Array ? values : Float32Array.from(values);
  if (storage === INT32) return values instanceof Int32Array ? values : Int32Array.from(values);
  return values instanceof Uint8Array ? values : Uint8Array.from(values, (value) => (value === 0 ? 0 : 1));
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; ++i) if (a[i] !== b[i]) return false;
  return true;
}
