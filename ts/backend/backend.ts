/** The tfjs-core backend: data ids on native handles. Kernels live in kernels/, the engine in native/. */
// Not the global one, which test frameworks take away or hold back.
import { setImmediate } from 'node:timers';
import { backend_util, engine as tfjsEngine, KernelBackend, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { declareOp, getEngine, type Engine, type EngineDevice, type Operand, type OpRef } from '../native/engine.js';
import type { AutocastScope } from './autocast.js';
import { assertSingleTfjs } from './tfjs.js';
import { callSite, isTracing, originOf } from './origin.js';
import type { NumericArray } from '../native/addon.js';
import { NativeDataId, NO_HANDLE, RecordList, sameShape, storageOf, TensorRecord, toStorageArray } from './record.js';

type BackendValues = backend_util.BackendValues;

const CAST = declareOp('cast');

/** Int32 data of up to this many elements keeps a host copy for index checks. */
const MIRROR_LIMIT = 4096;

/** Sees an op's results: its name, the kernel of tfjs that called it, if one did, and what it made. */
export type OpWatch = (op: string, kernel: string | undefined, outputs: readonly TensorInfo[]) => void;

/** `tf.memory()` of this backend: tfjs-core's own figures plus exact native ones, in bytes. */
export interface BackendMemory {
  unreliable: boolean;
  reasons?: string[];
  native: { live: number; cached: number; peak: number };
}

/** Elements up to which a tensor counts as small: at most 16 KB each, so that those not registered yet hold a megabyte at most. */
const YOUNG_SIZE = 4096;
const YOUNG_COUNT = 64;

/**
 * Runs tfjs-core on the native engine.
 *
 * Identity and Reshape share the data id, as tfjs-core demands; slices of leading axes and the like make a new data id whose
 * handle shares the storage of the old one. In-place ops see both kinds of sharing and copy first (`makeUnique` in
 * tensors.ts, copy-on-write in the engine). Data ids that are forgotten are reclaimed after garbage collection. The addon is loaded at first use;
 * when it cannot be, that use throws E_NATIVE_LOAD.
 */
export class TensorkilnBackend extends KernelBackend {
  /** Name under which it is registered. */
  readonly name: string;
  readonly #device: EngineDevice;
  #engine: Engine | undefined;
  #disposed = false;
  #lastSerial = 0;
  #kernel: string | undefined = undefined;
  #autocast: AutocastScope | undefined = undefined;
  #watch: OpWatch | undefined = undefined;
  readonly #records = new RecordList();
  /** Records of data ids that other backends made and tfjs-core moved here. */
  readonly #foreign = new WeakMap<object, TensorRecord>();
  /**
   * Asked for every buffer that JavaScript writes while a step is recorded: a handle to use in its place, undefined for a new
   * buffer with the values.
   */
  onHostWrite: ((values: NumericArray) => number | undefined) | undefined = undefined;
  /** Told why a step cannot be recorded, which then goes on unrecorded; without it, the step ends with that error. */
  onRefusal: ((reason: TensorkilnError) => void) | undefined = undefined;
  /** Told of every buffer that JavaScript writes while a step is recorded. */
  onHostData: (() => void) | undefined = undefined;
  readonly #reclaim = new FinalizationRegistry<TensorRecord>((record) => {
    if (this.#records.has(record)) this.#free(record);
  });
  /**
   * Data ids of small tensors made in this turn of the event loop, the last YOUNG_COUNT of them. Most are disposed before they
   * leave it and are never registered for reclaiming, which costs more than a small op. A forgotten one can be reclaimed from
   * the next turn on, as without it: reclaiming happens between turns.
   */
  readonly #young: (NativeDataId | undefined)[] = [];
  #youngCount = 0;

  /**
   * @param name   name under which it is registered
   * @param device where its tensors live; default the CPU
   */
  constructor(name: string, device: EngineDevice = 'cpu') {
    super();
    this.name = name;
    this.#device = device;
  }

  /** The engine. @throws E_NATIVE_LOAD, E_NATIVE_VERSION, E_DISPOSED */
  get engine(): Engine {
    if (this.#disposed) throw new TensorkilnError('E_DISPOSED', `[${this.name}] this backend has been disposed.`);
    return (this.#engine ??= this.#firstUse());
  }

  // --- what kernels use ---

  /**
   * The record behind a tensor; fetches it from another backend when it lives there.
   *
   * @throws E_DISPOSED when the tensor is gone, E_RECORDING when it would have to be fetched inside a recorded step
   */
  record(info: TensorInfo): TensorRecord {
    return this.#find(info.dataId) ?? this.#fetch(info.dataId);
  }

  /** The native handle behind a tensor whose data lives here; undefined for all others. Moves nothing. */
  handleIfHere(info: TensorInfo): number | undefined {
    const record = this.#find(info.dataId);
    return record === undefined || record.handle === NO_HANDLE ? undefined : record.handle;
  }

  /** Storage dtype by number of a tensor whose data lives here; undefined for all others. Moves nothing. */
  storageIfHere(info: TensorInfo): number | undefined {
    const record = this.#find(info.dataId);
    return record === undefined || record.handle === NO_HANDLE ? undefined : record.storage;
  }

  /** The tensor as an operand of an op call, optionally seen with another shape of the same size. @throws E_DTYPE, E_DISPOSED */
  operand(info: TensorInfo, shape: readonly number[] = info.shape): Operand {
    const record = this.record(info);
    if (record.handle === NO_HANDLE) storageOf(record.dtype, this.name);
    return sameShape(record.shape, shape) ? record : { handle: record.handle, storage: record.storage, shape };
  }

  /**
   * Runs an op with one new output.
   *
   * @param op       the op
   * @param inputs   its inputs in ops.def order
   * @param output   shape and dtype of the result; `nativeShape` when the op sees it with another shape of the same size
   * @param ints     integer attributes
   * @param floats   float attributes
   */
  run(
    op: OpRef,
    inputs: readonly Operand[],
    output: { shape: readonly number[]; dtype: DataType; nativeShape?: readonly number[] },
    ints?: readonly number[],
    floats?: readonly number[],
  ): TensorInfo {
    if (this.#autocast !== undefined || this.#watch !== undefined)
      return this.runAll(op, inputs, [output], ints, floats)[0] as TensorInfo;
    const record = new TensorRecord(output.shape, output.dtype, storageOf(output.dtype, op.name));
    if (output.nativeShape === undefined) {
      this.engine.call(op, [...inputs, record], ints, floats);
    } else {
      const view: Operand = { handle: NO_HANDLE, storage: record.storage, shape: output.nativeShape };
      this.engine.call(op, [...inputs, view], ints, floats);
      record.handle = view.handle;
    }
    return this.#publish(record);
  }

  /** As `run`, for an op with several outputs. */
  runAll(
    op: OpRef,
    inputs: readonly Operand[],
    outputs: readonly { shape: readonly number[]; dtype: DataType; nativeShape?: readonly number[] }[],
    ints?: readonly number[],
    floats?: readonly number[],
  ): TensorInfo[] {
    const records = outputs.map(({ shape, dtype }) => new TensorRecord(shape, dtype, storageOf(dtype, op.name)));
    const operands = records.map((record, i) => {
      const shape = outputs[i]?.nativeShape ?? record.shape;
      return { handle: NO_HANDLE, storage: record.storage, shape };
    });
    const scope = this.#autocast;
    if (scope === undefined) this.engine.call(op, [...inputs, ...operands], ints, floats);
    else this.#callCast(scope, op, inputs, records, operands, ints, floats);
    const results = records.map((record, i) => {
      record.handle = (operands[i] as Operand).handle;
      return this.#publish(record);
    });
    this.#watch?.(op.name, this.#kernel, results);
    return results;
  }

  /** Calls `watch` after every op with outputs that a synchronous function runs. */
  withWatch<Result>(watch: OpWatch, fn: () => Result): Result {
    const before = this.#watch;
    this.#watch = watch;
    try {
      return fn();
    } finally {
      this.#watch = before;
    }
  }

  /** A call within a scope of mixed precision, which decides how float inputs and outputs are stored. */
  #callCast(
    scope: AutocastScope,
    op: OpRef,
    inputs: readonly Operand[],
    records: readonly TensorRecord[],
    operands: { handle: number; storage: number; shape: readonly number[] }[],
    ints?: readonly number[],
    floats?: readonly number[],
  ): void {
    const loans: number[] = [];
    try {
      const seen = scope.inputs(op, inputs, loans);
      const specs = this.engine.info(op).operands;
      records.forEach((record, i) => {
        if (record.dtype !== 'float32') return;
        // Outputs come last in every op that is called here.
        const name = specs[specs.length - records.length + i]?.name ?? '';
        record.storage = (operands[i] as Operand & { storage: number }).storage = scope.output(op, seen, name, record.shape);
      });
      this.engine.call(op, [...seen, ...operands], ints, floats);
    } finally {
      for (const handle of loans) this.engine.release(handle);
    }
  }

  /** The scope of mixed precision, if any. */
  get autocast(): AutocastScope | undefined {
    return this.#autocast;
  }

  /** Runs a synchronous function within a scope of mixed precision, or with undefined outside any. */
  withAutocast<Result>(scope: AutocastScope | undefined, fn: () => Result): Result {
    const before = this.#autocast;
    this.#autocast = scope;
    try {
      return fn();
    } finally {
      this.#autocast = before;
      scope?.dispose();
    }
  }

  /** Gives a record that is stored in 16 bits float32 storage, for a variable, whose values are changed in place. */
  widen(record: TensorRecord): void {
    const wide: Operand = { handle: NO_HANDLE, storage: storageOf('float32', this.name), shape: record.shape };
    this.engine.call(CAST, [record, wide]);
    this.engine.release(record.handle);
    record.handle = wide.handle;
    record.storage = wide.storage;
  }

  /** A new tensor on `count` elements of the same storage from element `offset`. Strings and complex64 come as a whole. */
  alias(info: TensorInfo, shape: readonly number[] = info.shape, offset = 0): TensorInfo {
    const source = this.record(info);
    const record = new TensorRecord(shape, info.dtype, source.storage);
    if (source.strings !== undefined) {
      record.strings = source.strings;
    } else if (source.real !== undefined && source.imag !== undefined) {
      record.real = this.alias(source.real, shape);
      record.imag = this.alias(source.imag, shape);
    } else {
      record.handle = this.engine.alias(source.handle, offset, record.size);
      if (source.mirror?.length === record.size) record.mirror = source.mirror;
    }
    return this.#publish(record);
  }

  /** The same data under another shape of the same size: no new data id, one more reference to the one there is. */
  share(info: TensorInfo, shape: readonly number[] = info.shape): TensorInfo {
    this.record(info).refCount++;
    return { dataId: info.dataId, shape: shape as number[], dtype: info.dtype };
  }

  /** A complex64 tensor of two float32 tensors of its shape; they stay the caller's. */
  complex(real: TensorInfo, imag: TensorInfo): TensorInfo {
    const record = new TensorRecord(real.shape, 'complex64', NO_HANDLE);
    record.real = this.alias(real);
    record.imag = this.alias(imag);
    return this.#publish(record);
  }

  /**
   * A tensor that takes over a handle of the engine: from now on the backend releases it.
   *
   * @param storage  storage dtype by number; default that of the dtype
   */
  adopt(handle: number, shape: readonly number[], dtype: DataType, storage?: number): TensorInfo {
    const record = new TensorRecord(shape, dtype, storage ?? storageOf(dtype, this.name));
    record.handle = handle;
    return this.#publish(record);
  }

  /** Writes values into a new tensor. @throws E_SHAPE when there are not exactly as many as the shape has elements */
  makeTensorInfo(shape: number[], dtype: DataType, values: BackendValues): TensorInfo {
    return { dataId: this.write(values, shape, dtype), shape, dtype };
  }

  /** @throws E_DISPOSED when the tensor is gone. Fetches nothing: one of another backend counts as living. */
  assertLiving(info: TensorInfo, place: string): void {
    if (this.#find(info.dataId) === undefined && !tfjsEngine().state.tensorInfo.has(info.dataId)) {
      throw new TensorkilnError('E_DISPOSED', `[${place}] the tensor of shape [${info.shape.join(', ')}] has been disposed.`);
    }
  }

  /** Says that a kernel runs from now on; what it makes carries its name. The point in time that `discardSince` takes. */
  enter(kernel: string): number {
    this.#kernel = kernel;
    return this.#lastSerial;
  }

  /** Says that the kernel has ended. */
  leave(): void {
    this.#kernel = undefined;
  }

  /** The records of all living data ids, in the order of their making. */
  livingRecords(): TensorRecord[] {
    return this.#records.toArray();
  }

  /** Frees every tensor that a kernel has made since the mark and did not hand out: its caller got an error in their place. */
  discardSince(mark: number): void {
    for (const record of this.#records.toArray()) {
      if (record.serial > mark && this.#records.has(record)) this.#free(record);
    }
  }

  /** Gives up a tensor made inside a kernel. */
  disposeIntermediate(info: TensorInfo): void {
    this.disposeData(info.dataId);
  }

  // --- what tfjs-core calls ---

  override write(values: BackendValues, shape: number[], dtype: DataType): NativeDataId {
    const dataId = new NativeDataId(this.#store(values, shape, dtype));
    this.#reclaimWhenForgotten(dataId);
    return dataId;
  }

  override move(dataId: object, values: BackendValues, shape: number[], dtype: DataType, refCount: number): void {
    this.#refuseWhileRecording('moving a tensor from another backend');
    const record = this.#store(values, shape, dtype);
    record.refCount = refCount;
    // It was made elsewhere, and long before: the kernel that fetched it must not discard it.
    record.serial = 0;
    for (const part of [record.real, record.imag]) if (part !== undefined) this.record(part).serial = 0;
    if (dataId instanceof NativeDataId) dataId.record = record;
    else this.#foreign.set(dataId, record);
    this.#reclaim.register(dataId, record);
  }

  /** The copy is ordered at the call, before anything that is enqueued later; only its end is awaited. */
  override async read(dataId: object): Promise<BackendValues> {
    this.#refuseWhileRecording('data()');
    return this.#read(this.#living(dataId));
  }

  override readSync(dataId: object): BackendValues {
    this.#refuseWhileRecording('dataSync()');
    const record = this.#living(dataId);
    if (record.strings !== undefined) return record.strings;
    if (record.real !== undefined && record.imag !== undefined) {
      return backend_util.mergeRealAndImagArrays(
        this.readSync(record.real.dataId) as Float32Array,
        this.readSync(record.imag.dataId) as Float32Array,
      );
    }
    return this.engine.readSync(record.handle, record.storage, record.size);
  }

  override disposeData(dataId: object, force = false): boolean {
    const record = this.#find(dataId);
    if (record === undefined) return true;
    record.refCount--;
    if (!force && record.refCount > 0) return false;
    this.#free(record);
    return true;
  }

  override refCount(dataId: object): number {
    return this.#find(dataId)?.refCount ?? 0;
  }

  override incRef(dataId: object): void {
    const record = this.#find(dataId);
    if (record !== undefined) record.refCount++;
  }

  override numDataIds(): number {
    return this.#records.size;
  }

  override memory(): BackendMemory {
    const { live, cached, peak } = this.#engine?.addon.memory() ?? { live: 0, cached: 0, peak: 0 };
    return { unreliable: false, native: { live, cached, peak } };
  }

  override timerAvailable(): boolean {
    return true;
  }

  /**
   * Time of everything `f` enqueues, from an idle stream to an idle stream. tfjs-core's profiler needs the results of `f` when
   * this returns, so the wait before it blocks.
   */
  override async time(f: () => void): Promise<{ kernelMs: number }> {
    const { engine } = this;
    engine.sync();
    const start = performance.now();
    f();
    await engine.settled();
    return { kernelMs: performance.now() - start };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  /** Releases every handle. The engine stays for later backends, and reads under way still settle. */
  override dispose(): void {
    for (const record of this.#records.toArray()) {
      this.#records.delete(record);
      if (record.handle !== NO_HANDLE) this.#engine?.release(record.handle);
      record.handle = NO_HANDLE;
    }
    this.#disposed = true;
  }

  // --- data ids ---

  /** A second copy of tfjs-core may have been loaded since the backend was registered. */
  #firstUse(): Engine {
    assertSingleTfjs();
    return getEngine(this.#device);
  }

  #store(values: BackendValues, shape: readonly number[], dtype: DataType): TensorRecord {
    if (dtype === 'complex64') {
      const { real, imag } = backend_util.splitRealAndImagArrays(values as Float32Array);
      const record = new TensorRecord(shape, dtype, NO_HANDLE);
      record.real = this.makeTensorInfo([...shape], 'float32', real);
      record.imag = this.makeTensorInfo([...shape], 'float32', imag);
      return this.#list(record);
    }
    if (dtype === 'string') {
      const record = new TensorRecord(shape, dtype, NO_HANDLE);
      record.strings = values as Uint8Array[];
      return this.#list(record);
    }
    const storage = storageOf(dtype, this.name);
    const record = new TensorRecord(shape, dtype, storage);
    const array = toStorageArray(values as ArrayLike<number>, storage);
    if (array.length !== record.size) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[${this.name}] a tensor of shape [${shape.join(', ')}] takes ${String(record.size)} values, got ${String(array.length)}.`,
      );
    }
    if (this.onHostData !== undefined) this.onHostData();
    record.handle = this.onHostWrite?.(array) ?? this.engine.create(storage, array);
    if (dtype === 'int32' && array.length <= MIRROR_LIMIT) record.mirror = Int32Array.from(array);
    return this.#list(record);
  }

  #list(record: TensorRecord): TensorRecord {
    record.serial = ++this.#lastSerial;
    if (isTracing()) record.origin = originOf(this.#kernel ?? 'write');
    this.#records.add(record);
    return record;
  }

  #publish(record: TensorRecord): TensorInfo {
    this.#list(record);
    const dataId = new NativeDataId(record);
    this.#reclaimWhenForgotten(dataId);
    return { dataId, shape: record.shape as number[], dtype: record.dtype };
  }

  #reclaimWhenForgotten(dataId: NativeDataId): void {
    if (dataId.record.size > YOUNG_SIZE) {
      this.#reclaim.register(dataId, dataId.record);
      return;
    }
    if (this.#youngCount === 0) setImmediate(() => this.#registerYoung()).unref();
    const place = this.#youngCount++ % YOUNG_COUNT;
    if (this.#youngCount > YOUNG_COUNT) this.#registerOne(this.#young[place]);
    this.#young[place] = dataId;
  }

  #registerYoung(): void {
    const count = Math.min(this.#youngCount, YOUNG_COUNT);
    for (let place = 0; place < count; ++place) {
      this.#registerOne(this.#young[place]);
      this.#young[place] = undefined;
    }
    this.#youngCount = 0;
  }

  #registerOne(dataId: NativeDataId | undefined): void {
    if (dataId !== undefined && this.#records.has(dataId.record)) this.#reclaim.register(dataId, dataId.record);
  }

  #free(record: TensorRecord): void {
    this.#records.delete(record);
    if (record.handle !== NO_HANDLE) {
      this.engine.release(record.handle);
      record.handle = NO_HANDLE;
    }
    if (record.real !== undefined) this.disposeData(record.real.dataId, true);
    if (record.imag !== undefined) this.disposeData(record.imag.dataId, true);
  }

  /** The record of a data id that lives here. */
  #find(dataId: object): TensorRecord | undefined {
    const record = dataId instanceof NativeDataId ? dataId.record : this.#foreign.get(dataId);
    return record !== undefined && this.#records.has(record) ? record : undefined;
  }

  #living(dataId: object): TensorRecord {
    const record = this.#find(dataId);
    if (record === undefined) throw this.#gone();
    return record;
  }

  #fetch(dataId: object): TensorRecord {
    if (!tfjsEngine().state.tensorInfo.has(dataId)) throw this.#gone();
    if (this.#engine?.addon.isRecording() === true) {
      const { line } = callSite();
      this.refuseRecording(
        `[compile] the op ${this.#kernel ?? 'under way'} was given a tensor of another backend, which no replay would fetch. ` +
          `Make the tensor after tf.setBackend('${this.name}'), or clone it there before the step.${line === undefined ? '' : ` At ${line}.`}`,
      );
    }
    tfjsEngine().moveData(this, dataId);
    return this.#living(dataId);
  }

  #gone(): TensorkilnError {
    return new TensorkilnError(
      'E_DISPOSED',
      `[${this.name}] a tensor was used after it had been disposed, or after its backend had been.`,
    );
  }

  async #read(record: TensorRecord): Promise<BackendValues> {
    if (record.strings !== undefined) return record.strings;
    if (record.real !== undefined && record.imag !== undefined) {
      const parts = [this.#read(this.#living(record.real.dataId)), this.#read(this.#living(record.imag.dataId))];
      const [real, imag] = (await Promise.all(parts)) as [Float32Array, Float32Array];
      return backend_util.mergeRealAndImagArrays(real, imag);
    }
    return this.engine.read(record.handle, record.storage, record.size);
  }

  #refuseWhileRecording(what: string): void {
    if (this.#engine?.addon.isRecording() !== true) return;
    const { line } = callSite();
    const place = line === undefined ? '' : ` At ${line}.`;
    this.refuseRecording(
      this.#kernel === undefined
        ? `[compile] ${what} inside a recorded step cannot be replayed. Return the tensor from the step and read it outside.${place}`
        : `[compile] the op ${this.#kernel} needs values on the host (${what}), so a recorded step cannot hold it. Do it before or after the step.${place}`,
    );
  }

  /**
   * Says that the step under way cannot be recorded: ends the recording when the step may go on without one.
   *
   * @throws E_RECORDING with the message otherwise
   */
  refuseRecording(message: string): void {
    const error = new TensorkilnError('E_RECORDING', message);
    if (this.onRefusal === undefined) throw error;
    this.engine.addon.recordAbort();
    this.onRefusal(error);
  }
}
