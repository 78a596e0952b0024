import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { createGunzip } from 'node:zlib';
import { TensorkilnError } from '../../errors.js';
import { shownPath } from '../formats/connection-url.js';

/** Bytes of UTF-8 text, read in order. Close it when done. */
export interface ByteSource {
  /** Bytes of the file on disk, before decompression. */
  readonly sizeBytes: number;
  /** Fills `into` as far as there are bytes left; returns how many were written, fewer than asked only at the end. */
  read(into: Uint8Array): Promise<number>;
  /** @throws E_DATA when the file is not the one that was opened any more: its size or time of change differ */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** What makes one version of a file: compared before and after it is read. */
interface FileState {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

/**
 * Opens a text file, decompressed when it is gzip, decoded to UTF-8 when it is not, without its byte order mark.
 *
 * @param encoding default: what a byte order mark says, else utf-8, which is passed through unchecked
 * @throws E_IO when the file cannot be read; E_USAGE for an unknown encoding. Reading throws E_DATA for bytes that the encoding does not
 *         allow and for gzip that is damaged or cut off
 */
export async function openText(path: string, encoding?: string): Promise<ByteSource> {
  const before = await fileState(path);
  const start = await readStart(path);
  const gzip = start[0] === 0x1f && start[1] === 0x8b;
  const checkUnchanged = async (): Promise<void> => {
    const after = await fileState(path);
    if (after.size === before.size && after.mtimeNs === before.mtimeNs && after.ino === before.ino) return;
    throw new TensorkilnError(
      'E_DATA',
      `[read] ${path} changed while it was read: expected ${before.size} bytes of one version, got ${after.size}. Run again when nothing writes to it.`,
    );
  };
  const sizeBytes = Number(before.size);
  const marked = gzip ? undefined : markedEncoding(start);
  const wanted = normalEncoding(encoding);
  if (!gzip && (wanted === undefined || wanted === 'utf-8') && (marked === undefined || marked === 'utf-8')) {
    const source = await openPlain(path, marked === 'utf-8' ? 3 : 0);
    return { sizeBytes, ...source, checkUnchanged };
  }
  const raw: Readable = createReadStream(path, { highWaterMark: 1 << 20 });
  const source = new StreamSource(decode(gzip ? gunzip(raw, path) : chunksOf(raw), path, wanted ?? marked), raw);
  return { sizeBytes, read: (into) => source.read(into), checkUnchanged, close: () => source.close() };
}

async function fileState(path: string): Promise<FileState> {
  try {
    const state = await stat(path, { bigint: true });
    if (state.isDirectory()) throw new TensorkilnError('E_IO', `[read] ${path} is a folder: expected a file.`);
    return state;
  } catch (cause) {
    throw readError(path, cause);
  }
}

/** Any error of reading a file as one of ours. */
export function readError(path: string, cause: unknown): TensorkilnError {
  if (cause instanceof TensorkilnError) return cause;
  const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  const reason = missing ? 'there is no such file' : cause instanceof Error ? cause.message : String(cause);
  return new TensorkilnError('E_IO', `[read] cannot read ${shownPath(path)}: ${reason}.`, { cause });
}

async function readStart(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = new Uint8Array(4);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw readError(path, cause);
  }
}

function markedEncoding(start: Uint8Array): string | undefined {
  if (start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) return 'utf-8';
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf-16le';
  if (start[0] === 0xfe && start[1] === 0xff) return 'utf-16be';
  return undefined;
}

/** The name TextDecoder gives the encoding. */
function normalEncoding(encoding: string | undefined): string | undefined {
  if (encoding === undefined) return undefined;
  try {
    return new TextDecoder(encoding).encoding;
  } catch (cause) {
    throw new TensorkilnError(
      'E_USAGE',
      `[read] unknown encoding ${JSON.stringify(encoding)}: expected a name such as utf-8, utf-16le or windows-1252.`,
      { cause },
    );
  }
}

async function openPlain(path: string, skip: number): Promise<Pick<ByteSource, 'read' | 'close'>> {
  const file = await open(path, 'r');
  let position = skip;
  return {
    read: async (into) => {
      let filled = 0;
      while (filled < into.length) {
        const { bytesRead } = await file.read(into, filled, into.length - filled, position);
        if (bytesRead === 0) break;
        filled += bytesRead;
        position += bytesRead;
      }
      return filled;
    },
    close: () => file.close(),
  };
}

async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield chunk as Uint8Array;
}

/** Decompresses; a stream that ends early or fails its checksum is an error with the place. */
async function* gunzip(stream: Readable, path: string): AsyncGenerator<Uint8Array> {
  const unzipped = stream.pipe(createGunzip());
  stream.on('error', (error) => unzipped.destroy(error));
  let sizeBytes = 0;
  try {
    for await (const chunk of unzipped) {
      sizeBytes += (chunk as Uint8Array).length;
      yield chunk as Uint8Array;
    }
  } catch (cause) {
    const short = cause instanceof Error && 'code' in cause && cause.code === 'Z_BUF_ERROR';
    throw new TensorkilnError(
      'E_DATA',
      `[gzip] ${path}: the compressed file is ${short ? 'cut off' : 'damaged'}: expected a whole gzip stream, got ${sizeBytes} good bytes. Copy it again.`,
      { cause },
    );
  }
}

async function* decode(
  chunks: AsyncGenerator<Uint8Array>,
  path: string,
  encoding: string | undefined,
): AsyncGenerator<Uint8Array> {
  let decoder: TextDecoder | undefined;
  const encoder = new TextEncoder();
  let position = 0;
  for await (const chunk of chunks) {
    decoder ??= new TextDecoder(encoding ?? markedEncoding(chunk) ?? 'utf-8', { fatal: true });
    yield encoder.encode(decodeChunk(decoder, chunk, path, position));
    position += chunk.length;
  }
  if (decoder !== undefined) yield encoder.encode(decodeChunk(decoder, undefined, path, position));
}

function decodeChunk(decoder: TextDecoder, chunk: Uint8Array | undefined, path: string, position: number): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch (cause) {
    throw new TensorkilnError(
      'E_DATA',
      `[read] ${path}: not ${decoder.encoding} text near byte ${position}: expected that encoding. Set data.csv.encoding to the file's own.`,
      { cause },
    );
  }
}

/** Bytes of a sequence of chunks. */
class StreamSource {
  readonly #chunks: AsyncGenerator<Uint8Array>;
  readonly #raw: Readable;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncGenerator<Uint8Array>, raw: Readable) {
    this.#chunks = chunks;
    this.#raw = raw;
  }

  async read(into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) break;
        this.#rest = next.value;
      }
      const taken = this.#rest.subarray(0, into.length - filled);
      into.set(taken, filled);
      filled += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
    }
    return filled;
  }

  close(): Promise<void> {
    this.#raw.destroy();
    return Promise.resolve();
  }
}
