/** The addon as the rest of the package sees it: op calls on handles, with errors of our own class. */
import { isTensorkilnError, TensorkilnError } from '../errors.js';
import { STORAGE_DTYPES, type NativeAddon, type NumericArray, type OpInfo } from './addon.js';
import { openCuda } from './cuda.js';
import { loadNative } from './load.js';

/** A tensor of an op call: a native handle seen with a shape. `handle` -1 on an `out` operand asks for a new buffer. */
export interface Operand {
  handle: number;
  /** Storage dtype by number (STORAGE_DTYPES). */
  readonly storage: number;
  readonly shape: readonly number[];
}

/** An op that TypeScript code calls. Made by `declareOp`, resolved against the addon's own list when that is loaded. */
export interface OpRef {
  readonly name: string;
  readonly slot: number;
}

const declaredOps: OpRef[] = [];
const NO_ATTRIBUTES: readonly number[] = [];
const MAX_DIM = 0x7fffffff;
/** Most dimensions a tensor of an op call may have; kMaxRank in native/core/op_call.h. */
export const MAX_RANK = 8;

/** Names an op that this module is going to call. One the addon lacks is reported when the addon is loaded. */
export function declareOp(name: string): OpRef {
  const op = { name, slot: declaredOps.length };
  declaredOps.push(op);
  return op;
}

/**
 * Number of elements of a shape.
 *
 * @throws E_SHAPE when a dimension is not an integer in [0, 2^31 - 1] or the product is beyond 2^53 - 1
 */
export function checkedSize(shape: readonly number[]): number {
  let size = 1;
  for (let i = 0; i < shape.length; ++i) {
    const dim = shape[i] as number;
    if (!(dim >= 0 && dim <= MAX_DIM) || !Number.isInteger(dim)) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[shape] dimension ${String(i)} of [${shape.join(', ')}] cannot be used: expected an integer from 0 to ${String(MAX_DIM)}, got ${String(dim)}.`,
      );
    }
    size *= dim;
  }
  if (size > Number.MAX_SAFE_INTEGER) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[shape] [${shape.join(', ')}] has more than 2^53 - 1 elements, which cannot be counted.`,
    );
  }
  return size;
}

/** The addon of this environment behind checks and error conversion. One instance per environment: `getEngine()`. */
export class Engine {
  readonly addon: NativeAddon;
  /** Told of every stay of JavaScript in the engine while a profile is taken: name and times of performance.now(). */
  onCall: ((name: string, startMs: number, endMs: number) => void) | undefined = undefined;
  /** Told before each op call while a step is recorded. */
  onRecordedCall: (() => void) | undefined = undefined;
  readonly #ints: Int32Array;
  readonly #floats: Float64Array;
  readonly #infos = new Map<string, { index: number; info: OpInfo }>();
  /** Op number by slot of the OpRef. */
  readonly #numbers: number[] = [];

  /** @throws E_NATIVE_VERSION when the addon lacks an op that was declared */
  constructor(addon: NativeAddon) {
    this.addon = addon;
    const { ints, floats } = addon.argumentBlock();
    this.#ints = ints;
    this.#floats = floats;
    addon.ops().forEach((info, index) => this.#infos.set(info.name, { index, info }));
    const missing = declaredOps.filter((op) => !this.#infos.has(op.name)).map((op) => op.name);
    if (missing.length > 0) {
      throw new TensorkilnError(
        'E_NATIVE_VERSION',
        `[native] the addon lacks the op(s) ${missing.join(', ')}. Run \`npm rebuild tensorkiln\` to build the one of this version.`,
      );
    }
  }

  /** What ops.def says about an op. @throws E_NATIVE_VERSION when the addon lacks it */
  info(op: OpRef): OpInfo {
    return this.#lookUp(op).info;
  }

  /** Whether the op takes these operand dtypes, one letter each as in ops.def: takes(abs, 'ii'). */
  takes(op: OpRef, letters: string): boolean {
    return this.info(op).dtypes.includes(letters);
  }

  /**
   * Hands an op call to the stream.
   *
   * @param op       the op
   * @param operands all operands in ops.def order, the members of starred groups one after the other; the handle of each
   *                 newly allocated output is written into its operand
   * @param ints     integer attributes in ops.def order
   * @param floats   float attributes in ops.def order
   * @throws E_USAGE when an integer attribute is none; E_SHAPE, E_DTYPE, E_INDEX, E_OUT_OF_MEMORY, E_RECORDING as the addon
   *         reports them
   */
  call(
    op: OpRef,
    operands: readonly Operand[],
    ints: readonly number[] = NO_ATTRIBUTES,
    floats: readonly number[] = NO_ATTRIBUTES,
  ): void {
    const start = this.onCall === undefined ? 0 : performance.now();
    if (this.onRecordedCall !== undefined) this.onRecordedCall();
    const block = this.#ints;
    const number = this.#numbers[op.slot] ?? this.#lookUp(op).index;
    block[0] = number;
    block[1] = operands.length;
    block[2] = ints.length;
    block[3] = floats.length;
    let at = 4;
    for (let i = 0; i < operands.length; ++i) {
      const operand = operands[i] as Operand;
      const shape = operand.shape;
      if (shape.length > MAX_RANK) throw rankError(op, shape);
      block[at] = operand.handle;
      block[at + 1] = operand.storage;
      block[at + 2] = shape.length;
      at += 3;
      for (let d = 0; d < shape.length; ++d) {
        const dim = shape[d] as number;
        if (dim !== (dim | 0) || dim < 0) checkedSize(shape);
        block[at++] = dim;
      }
    }
    for (let i = 0; i < ints.length; ++i) {
      const value = ints[i] as number;
      // A typed array would take 1.5 for 1 and NaN for 0.
      if (value !== (value | 0)) throw attributeError(op, value);
      block[at++] = value;
    }
    // Writes beyond a typed array are dropped without a word, so the length is checked afterwards, once.
    if (at > block.length || floats.length > this.#floats.length) this.#blockTooSmall(op, operands.length);
    for (let i = 0; i < floats.length; ++i) this.#floats[i] = floats[i] as number;
    try {
      this.addon.enqueue();
    } catch (error) {
      throw toTensorkilnError(error);
    }
    at = 4;
    for (let i = 0; i < operands.length; ++i) {
      const operand = operands[i] as Operand;
      if (operand.handle < 0) operand.handle = block[at] as number;
      at += 3 + operand.shape.length;
    }
    if (this.onCall !== undefined) this.onCall(op.name, start, performance.now());
  }

  /** New buffer with a copy of `values`. @throws E_OUT_OF_MEMORY */
  create(storage: number, values: NumericArray): number {
    try {
      return this.addon.create(storage, values);
    } catch (error) {
      throw toTensorkilnError(error);
    }
  }

  /** Replaces the content of a buffer. */
  write(handle: number, values: NumericArray): void {
    try {
      this.addon.write(handle, values);
    } catch (error) {
      throw toTensorkilnError(error);
    }
  }

  /** Waits for the stream and returns the content; f16 and bf16 come as float32. */
  readSync(handle: number, storage: number, size: number): NumericArray {
    const target = arrayFor(storage, size);
    try {
      this.addon.readSync(handle, target);
    } catch (error) {
      throw toTensorkilnError(error);
    }
    return target;
  }

  /** As readSync without waiting: the array is allocated now and the promise settles with it. */
  async read(handle: number, storage: number, size: number): Promise<NumericArray> {
    const target = arrayFor(storage, size);
    try {
      return await this.addon.read(handle, target);
    } catch (error) {
      throw toTensorkilnError(error);
    }
  }

  /** New handle on `count` elements from element `offset` of the same storage. */
  alias(handle: number, offset: number, count: number): number {
    try {
      return this.addon.alias(handle, offset, count);
    } catch (error) {
      throw toTensorkilnError(error);
    }
  }

  release(handle: number): void {
    this.addon.release(handle);
  }

  /** Blocks until everything enqueued so far has run. @throws what a call reported */
  sync(): void {
    try {
      this.addon.sync();
    } catch (error) {
      throw toTensorkilnError(error);
    }
  }

  /** Settles when everything enqueued so far has run. @throws what a call reported */
  async settled(): Promise<void> {
    try {
      await this.addon.settled();
    } catch (error) {
      throw toTensorkilnError(error);
    }
  }

  #lookUp(op: OpRef): { index: number; info: OpInfo } {
    const found = this.#infos.get(op.name);
    if (found === undefined) {
      throw new TensorkilnError(
        'E_NATIVE_VERSION',
        `[native] the addon lacks the op ${op.name}. Run \`npm rebuild tensorkiln\`.`,
      );
    }
    this.#numbers[op.slot] = found.index;
    return found;
  }

  #blockTooSmall(op: OpRef, count: number): never {
    throw new TensorkilnError(
      'E_INTERNAL',
      `[${op.name}] the arguments of one call do not fit the argument block (${String(count)} operands, ${String(this.#ints.length)} places).`,
    );
  }
}

/** Where an engine's tensors live: the CPU, or GPU number n as `cuda:n`. */
export type EngineDevice = 'cpu' | `cuda:${number}`;

const engines = new Map<EngineDevice, Engine>();

/**
 * The engine of this environment on a device; loads the addon at the first call.
 *
 * @throws E_NATIVE_LOAD, E_NATIVE_VERSION; E_DEVICE, E_CONFIG when a GPU cannot be used
 */
export function getEngine(device: EngineDevice = 'cpu'): Engine {
  let engine = engines.get(device);
  if (engine === undefined) {
    try {
      engine = new Engine(device === 'cpu' ? loadNative() : openCuda(Number(device.slice('cuda:'.length))));
    } catch (error) {
      throw toTensorkilnError(error);
    }
    engines.set(device, engine);
  }
  return engine;
}

/** Number of a storage dtype. */
export function storageNumber(name: (typeof STORAGE_DTYPES)[number]): number {
  return STORAGE_DTYPES.indexOf(name);
}

function rankError(op: OpRef, shape: readonly number[]): TensorkilnError {
  return new TensorkilnError(
    'E_SHAPE',
    `[${op.name}] takes tensors of up to ${String(MAX_RANK)} dimensions, got one of ${String(shape.length)}: [${shape.join(', ')}].`,
  );
}

function attributeError(op: OpRef, value: number): TensorkilnError {
  return new TensorkilnError(
    'E_USAGE',
    `[${op.name}] takes 32-bit integers for its strides, windows, positions and axes, got ${String(value)}.`,
  );
}

function arrayFor(storage: number, size: number): NumericArray {
  const name = STORAGE_DTYPES[storage];
  return name === 'i32' ? new Int32Array(size) : name === 'u8' ? new Uint8Array(size) : new Float32Array(size);
}

/** The native error as our class: same code and message, the JavaScript stack of the caller, the original as `cause`. */
export function toTensorkilnError(error: unknown): unknown {
  if (!isTensorkilnError(error) || error instanceof TensorkilnError) return error;
  return new TensorkilnError((error as TensorkilnError).code, (error as Error).message, { cause: error });
}
