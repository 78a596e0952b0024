/**
 * The safetensors format: a header of 8 bytes of length and JSON, then one buffer of little-endian, row-major values.
 *
 * @source safetensors/safetensors README.md, "Format"; `safetensors/src/tensor.rs` for what a reader must refuse
 */
import { TensorkilnError } from '../errors.js';

/** dtypes of the format with their bits per value. */
const BITS = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
} as const;
export type SafetensorsDType = keyof typeof BITS;

/** One tensor of a file. */
export interface SafetensorsEntry {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** The values' bytes, little-endian and row-major. */
  readonly bytes: Uint8Array;
}

export interface SafetensorsFile {
  readonly tensors: Readonly<Record<string, SafetensorsEntry>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Longest header that readers take. */
export const MAX_HEADER_BYTES = 100_000_000;
const LENGTH_BYTES = 8;
const METADATA = '__metadata__';

/** A float32 or int32 tensor as an entry; shares the array's memory. */
export function safetensorsEntry(values: Float32Array | Int32Array, shape: readonly number[]): SafetensorsEntry {
  return {
    dtype: values instanceof Float32Array ? 'F32' : 'I32',
    shape,
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

/** The values of an F32 entry, copied. @throws E_DATA when it has another dtype */
export function float32Of(name: string, { dtype, bytes }: SafetensorsEntry): Float32Array {
  if (dtype !== 'F32')
    throw new TensorkilnError('E_DATA', `[safetensors] wrong dtype of tensor "${name}": expected F32, got ${dtype}.`);
  return new Float32Array(bytes.slice().buffer);
}

/**
 * Encodes tensors. Their values lie in order of falling alignment and then of name, so that each starts at a multiple of its
 * size; the header is padded with spaces to a multiple of 8 bytes.
 *
 * @throws E_SHAPE when bytes and shape of a tensor disagree; E_EXPORT for a reserved name or a header beyond 100 MB
 */
export function encodeSafetensors({ tensors, metadata }: SafetensorsFile): Uint8Array {
  const names = Object.keys(tensors).sort(byAlignment(tensors));
  let end = 0;
  const header: Record<string, unknown> = Object.keys(metadata).length === 0 ? {} : { [METADATA]: metadata };
  for (const name of names) {
    const { dtype, shape, bytes } = tensors[name] as SafetensorsEntry;
    if (name === METADATA) throw new TensorkilnError('E_EXPORT', `[safetensors] a tensor cannot be named ${METADATA}.`);
    const expected = byteLength(dtype, shape);
    if (bytes.length !== expected) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[safetensors] wrong size of tensor "${name}": expected ${String(expected)} bytes for ${dtype} [${shape.join(', ')}], got ${bytes.length}.`,
      );
    }
    // defineProperty: a tensor named __proto__ is a tensor like any other.
    Object.defineProperty(header, name, {
      value: { dtype, shape, data_offsets: [end, end + bytes.length] },
      enumerable: true,
    });
    end += bytes.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES)
    throw new TensorkilnError(
      'E_EXPORT',
      `[safetensors] the header has ${headerBytes} bytes: at most ${MAX_HEADER_BYTES} can be read.`,
    );
  const file = new Uint8Array(LENGTH_BYTES + headerBytes + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, LENGTH_BYTES, LENGTH_BYTES + headerBytes);
  file.set(text, LENGTH_BYTES);
  let position = LENGTH_BYTES + headerBytes;
  for (const name of names) {
    const { bytes } = tensors[name] as SafetensorsEntry;
    file.set(bytes, position);
    position += bytes.length;
  }
  return file;
}

/**
 * Decodes a file; entries are views of `content`.
 *
 * @param place  names the file in errors
 * @throws E_DATA for anything that is no whole, well-formed file: cut short, holes, overlaps, bytes behind the end, names twice
 */
export function decodeSafetensors(content: Uint8Array, place: string): SafetensorsFile {
  // A Buffer's own slice and subarray are views and Buffers again; entries are plain arrays.
  const file = new Uint8Array(content.buffer, content.byteOffset, content.length);
  const fail = (what: string): never => {
    throw new TensorkilnError('E_DATA', `[safetensors] ${place}: ${what}.`);
  };
  if (file.length < LENGTH_BYTES) fail(`expected at least ${LENGTH_BYTES} bytes, got ${file.length}`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) fail(`expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${length}`);
  const start = LENGTH_BYTES + Number(length);
  if (start > file.length) fail(`the header ends at byte ${start}, the file at ${file.length}`);
  const text = decodeText(file.subarray(LENGTH_BYTES, start)) ?? fail('the header is not UTF-8');
  if (!text.startsWith('{')) fail('the header is not a JSON object');
  let header: Readonly<Record<string, unknown>>;
  try {
    header = parseUniqueKeys(text);
  } catch (cause) {
    throw new TensorkilnError(
      'E_DATA',
      `[safetensors] ${place}: the header is not JSON: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { cause },
    );
  }
  const tensors = new Map<string, SafetensorsEntry>();
  const ranges: (readonly [number, number, string])[] = [];
  let metadata: Readonly<Record<string, string>> = {};
  const buffer = file.subarray(start);
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) {
      if (!isTextMap(value)) fail(`${METADATA} is no map of texts`);
      metadata = value as Readonly<Record<string, string>>;
      continue;
    }
    const entry = readEntry(value) ?? fail(`tensor "${name}" needs dtype, shape and data_offsets`);
    const [from, to] = entry.range;
    const expected = byteLength(entry.dtype, entry.shape);
    if (from > to || to > buffer.length) fail(`tensor "${name}" lies at bytes ${from} to ${to} of ${buffer.length}`);
    if (to - from !== expected) fail(`tensor "${name}" has ${to - from} bytes: expected ${String(expected)}`);
    ranges.push([from, to, name]);
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, bytes: buffer.subarray(from, to) });
  }
  let end = 0;
  for (const [from, to, name] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end) fail(`tensor "${name}" starts at byte ${from} of the buffer: expected ${end}`);
    end = to;
  }
  if (end !== buffer.length) fail(`the buffer has ${buffer.length} bytes: expected ${end}`);
  return { tensors: Object.fromEntries(tensors), metadata };
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** JSON whose objects hold each key once; JSON.parse would keep the last of several. @throws SyntaxError */
function parseUniqueKeys(text: string): Record<string, unknown> {
  const parsed = JSON.parse(text) as Record<string, unknown>;
  let depth = 0;
  const names = new Set<string>();
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    const [token] = match;
    if (token === '{' || token === '[') ++depth;
    else if (token === '}' || token === ']') --depth;
    else if (depth === 1 && match[1] !== undefined) {
      const name = JSON.parse(token.slice(0, token.length - match[1].length)) as string;
      if (names.has(name)) throw new SyntaxError(`the name "${name}" stands twice`);
      names.add(name);
    }
  }
  return parsed;
}

function isTextMap(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === 'string')
  );
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(
  value: unknown,
):
  | { readonly dtype: SafetensorsDType; readonly shape: readonly number[]; readonly range: readonly [number, number] }
  | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { dtype, shape, data_offsets: range } = value as Readonly<Record<string, unknown>>;
  if (typeof dtype !== 'string' || !Object.hasOwn(BITS, dtype)) return undefined;
  if (!Array.isArray(shape) || !shape.every(isCount)) return undefined;
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount)) return undefined;
  return { dtype: dtype as SafetensorsDType, shape, range: range as unknown as [number, number] };
}

function byteLength(dtype: SafetensorsDType, shape: readonly number[]): number {
  return (shape.reduce((product, dim) => product * dim, 1) * BITS[dtype]) / 8;
}

function byAlignment(tensors: SafetensorsFile['tensors']): (a: string, b: string) => number {
  const bits = (name: string): number => BITS[(tensors[name] as SafetensorsEntry).dtype];
  return (a, b) => bits(b) - bits(a) || (a < b ? -1 : 1);
}
