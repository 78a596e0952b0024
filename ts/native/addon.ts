/** The native module, typed in one place. Handles are small integers; the native side owns every byte behind them. */

/** Storage dtypes by number, as in native/core/dtype.h. */
export const STORAGE_DTYPES = ['f32', 'i32', 'u8', 'f16', 'bf16'] as const;
export type StorageDType = (typeof STORAGE_DTYPES)[number];

export type NumericArray = Float32Array | Int32Array | Uint8Array;

/** One row of ops.def. */
export interface OpInfo {
  name: string;
  operands: { name: string; role: 'in' | 'out' | 'inout'; star: boolean }[];
  ints: string[];
  intsOpen: boolean;
  floats: string[];
  floatsOpen: boolean;
  dtypes: string[];
  kind: 'stream' | 'host';
}

export interface NativeMemory {
  /** Bytes of living buffers. */
  live: number;
  /** Bytes kept for reuse. */
  cached: number;
  /** Highest `live` since the last reset. */
  peak: number;
  /** Most bytes live + cached may reach, over the whole process. */
  budget: number;
  /** Living handles of this environment. */
  handles: number;
}

export interface NativeCounters {
  /** Op calls handed to the stream since the environment began. */
  enqueued: number;
  /** Op calls completed. */
  completed: number;
  /** Calls that ran on the JavaScript thread because the stream was idle and they were negligible. */
  inlined: number;
  /** Copies made because an in-place op found its buffer shared. */
  copiesOnWrite: number;
  /** Longest stay of the JavaScript thread in one native call, in milliseconds, since resetCounters. */
  longestStayMs: number;
  /** The same for the very first native call of the environment. */
  firstStayMs: number;
}

export interface PlainBlockOptions {
  /** Signs as bytes, -1 for none. */
  readonly delimiter: number;
  readonly quote: number;
  readonly decimal: number;
  readonly emptyIsMissing: boolean;
  /** Numbers that stand for a missing cell. */
  readonly missingNumbers: Float64Array;
}

export interface PlainBlock {
  readonly rows: number;
  /** Line ends; CR LF is one. */
  readonly lines: number;
  /** Integers written with a leading zero, for each column. */
  readonly leadingZeros: Int32Array;
  /** For each column of texts its distinct cells as pairs: first byte and the byte behind the last. */
  readonly distinct: readonly (Int32Array | undefined)[];
  /** Numeric cells that are no plain number, five integers each: row, column, line, first byte, the byte behind the last. */
  readonly left: Int32Array;
}

/** One call, or one chain of calls, that the stream ran. Times are of one clock, in milliseconds. */
export interface NativeProfileRecord {
  /** Op name; of a chain the names joined by '+'. */
  name: string;
  shapes: string;
  enqueuedMs: number;
  startMs: number;
  endMs: number;
  /** Every input read once, every output written once. */
  bytes: number;
  flops: number;
  /** Whether it was part of an optimised replay. */
  inPlan: boolean;
}

export interface BuildInfo {
  /** Version of the package the addon was built from. */
  version: string;
  compiler: string;
  buildType: string;
  levels: string[];
  activeLevel: string;
  cpuModel: string;
  /** How products of bfloat16 are computed: by AVX512-BF16, widened to float32, or, for tests, as AVX512-BF16 would. */
  bf16Products: 'avx512_bf16' | 'widened' | 'emulated';
  napiVersion: number;
  checkedOps: boolean;
}

/**
 * The door. Every method belongs to the calling environment (main thread or worker), which has its own in-order stream.
 *
 * Argument block, shared with native code: `ints` (Int32Array) and `floats` (Float64Array). `enqueue` reads:
 *
 *     ints: op, numOperands, numInts, numFloats,
 *           then per operand in ops.def order: handle, dtype, rank, dims...   (handle -1 on an `out` operand: allocate)
 *           then the integer attributes
 *     floats: the float attributes
 *
 * and writes the handle of every newly allocated output back into its operand's place.
 */
export interface NativeAddon {
  readonly apiVersion: number;
  buildInfo(): BuildInfo;
  ops(): OpInfo[];
  /** The environment's argument block; the same buffers on every call. */
  argumentBlock(): { ints: Int32Array; floats: Float64Array };
  enqueue(): void;

  /** New buffer holding a copy of `values`; dtype by number. */
  create(dtype: number, values: NumericArray): number;
  /** Replaces the whole content; copies on write when the storage is shared. `values` may be reused at once. */
  write(handle: number, values: NumericArray): void;
  /** Waits for the stream and copies the content into `target`, converting f16/bf16 to float32. */
  readSync(handle: number, target: NumericArray): void;
  /** As readSync, without waiting: the promise settles with `target` once the stream has filled it. */
  read(handle: number, target: NumericArray): Promise<NumericArray>;
  /** A new handle on the same storage: `count` elements from element `offset`. */
  alias(handle: number, offset: number, count: number): number;
  /** Makes `target` refer to the storage `source` refers to (same size and dtype). */
  assign(target: number, source: number): void;
  retain(handle: number): void;
  release(handle: number): void;
  /** Elements, dtype number and number of handles on the storage. */
  describe(handle: number): { size: number; dtype: number; sharers: number };

  /** Blocks until the stream is empty; throws what a call reported. */
  sync(): void;
  /** Settles when everything enqueued so far has run; rejects with what a call reported. */
  settled(): Promise<void>;

  recordBegin(): void;
  /** Ends the recording. `args` are the handles that later replays replace, `outputs` those they return afresh. */
  recordEnd(args: Int32Array, outputs: Int32Array): number;
  recordAbort(): void;
  isRecording(): boolean;
  /** Handles of the plan that were neither arguments nor made inside the recording, in order of first use. */
  planCaptures(plan: number): Int32Array;
  /** Enqueues the plan on new arguments; returns the handles of fresh outputs. */
  planReplay(plan: number, args: Int32Array): Int32Array;
  /** Lets the plan work on `replacement` in place of planCaptures(plan)[index]; same size and dtype. */
  planRebind(plan: number, index: number, replacement: number): void;
  planText(plan: number): string;
  /** Fingerprint of everything recorded, bytes of host writes included: equal for two recordings of the same step. */
  planFingerprint(plan: number): string;
  /**
   * Replaces the plain replay by an optimised one with the same bits; `fast` allows other rounding. False when the plan holds
   * what the optimiser cannot express; it is replayed as recorded then.
   */
  planOptimize(plan: number, fast: boolean): boolean;
  /** The optimised form for people; empty before planOptimize. */
  planOptimizedText(plan: number): string;
  planDispose(plan: number): void;
  /** Runs a list in the text form on named buffers of this environment: {"%0": handle}; returns the handles of all values. */
  runText(text: string, inputs: Record<string, number>): Record<string, number>;

  /** Keeps a record of every call from now on; waits for the queue. Gives the present time of the records' clock in ms. */
  profileBegin(): number;
  /** Waits for the queue and gives the records since profileBegin in the order of running. */
  profileEnd(): NativeProfileRecord[];

  memory(): NativeMemory;
  resetPeak(): void;
  /** Sets the process-wide budget in bytes; gives the cache back first when that is below what is held. */
  setBudget(bytes: number): void;
  /** Returns cached memory to the system. */
  trim(): void;
  threads(): number;
  setThreads(count: number): void;
  counters(): NativeCounters;
  resetCounters(): void;

  /** Line ends of a text; CR LF is one. */
  countLineEnds(bytes: Uint8Array): number;
  /**
   * Parses a block of a delimited table into `columns`, each with a place for each line end: doubles for numbers (NaN = missing), 32-bit
   * integers for texts (index of a distinct cell), undefined for a column that is skipped. Undefined when a cell is quoted or a record
   * has another number of cells than there are columns.
   *
   * @param bytes whole records; the last byte is a line end
   */
  parsePlainBlock(
    bytes: Uint8Array,
    columns: readonly (Float64Array | Int32Array | undefined)[],
    options: PlainBlockOptions,
  ): PlainBlock | undefined;

  /**
   * Of the cells of some rows of a column: how many are missing (NaN), the least and the greatest of the others. In the passes below a
   * missing cell counts as `fill`, and not at all where that is NaN.
   */
  numberRange(values: Float64Array, rows: Int32Array, fill: number): Float64Array;
  /** The sum of the cells less `shift`, taken in the order of the rows. */
  numberSum(values: Float64Array, rows: Int32Array, fill: number, shift: number): number;
  /** The sum of the squares of the cells less `shift`. */
  numberSquares(values: Float64Array, rows: Int32Array, fill: number, shift: number): number;
  /** Counts cells by the whole part of (cell - minimum) * factor; cells that do not count by the last counter. */
  countNumberBuckets(
    values: Float64Array,
    rows: Int32Array,
    fill: number,
    minimum: number,
    factor: number,
    counts: Int32Array,
  ): void;
  /** The cells of the bucket `wanted` that are not missing, as far as there is room; returns how many. Buckets go from 0 to `buckets`. */
  takeNumberBucket(
    values: Float64Array,
    rows: Int32Array,
    fill: number,
    minimum: number,
    factor: number,
    buckets: number,
    wanted: number,
    taken: Float64Array,
  ): number;
  /** Of a whole column: how many cells are missing, the least and the greatest of the others, how many of them are integers. */
  profileNumbers(values: Float64Array): Float64Array;

  /** The same door once more for GPU number `index`; limit in bytes, 0 for 90 % of the device memory that is free. */
  openCuda(library: string, index: number, limit: number): NativeAddon;
}
