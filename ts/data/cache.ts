import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { writeFileAtomic } from '../write-file.js';
import type { Dataset } from './dataset.js';
import { Preprocessor } from './preprocessor.js';
import type { DataConfig, DataEvent, PreparedData } from './prepare.js';
import { formatOf } from './read-table.js';
import { allocate } from './shared-memory.js';

/** Grows with everything that changes what is prepared from the same file and configuration. */
const CACHE_VERSION = 2;
const DIGEST_BYTES = 32;
const PARTS = ['train', 'validation', 'test'] as const;

/**
 * What prepared data depends on, as one hash: the bytes of the files and every setting. Undefined where that cannot be told: databases
 * on a server, and folders.
 */
export async function fingerprint(config: DataConfig): Promise<string | undefined> {
  const { cacheFolder, path, testPath, ...settings } = config;
  if (cacheFolder === undefined || (config.format ?? formatOf(path)) === 'postgres') return undefined;
  const hash = createHash('sha256').update(JSON.stringify([CACHE_VERSION, process.versions.v8, settings]));
  for (const file of testPath === undefined ? [path] : [path, testPath]) {
    const state = await stat(file).catch(() => undefined);
    // A file that is not there is met, and named, by whoever reads it.
    if (state?.isFile() !== true) return undefined;
    hash.update(`\n${state.size}\n`);
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  }
  return hash.digest('hex');
}

/** Prepared data and what was told while it was made. */
export interface CachedData {
  readonly data: PreparedData;
  readonly events: readonly DataEvent[];
}

/** Prepared data from the cache; undefined when it is not there, or when the file is damaged: then it is made anew. */
export async function loadPrepared(folder: string, key: string): Promise<CachedData | undefined> {
  const bytes = await readFile(cachePath(folder, key)).catch(() => undefined);
  if (bytes === undefined || bytes.length < DIGEST_BYTES + 4) return undefined;
  const body = bytes.subarray(0, bytes.length - DIGEST_BYTES);
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(body.length))) return undefined;
  const headerBytes = body.readUInt32LE(0);
  const header = deserialize(body.subarray(4, 4 + headerBytes)) as Header;
  const arrays = new ArrayReader(body, 4 + headerBytes);
  const datasets = header.datasets.map((shape): Dataset => {
    const features = arrays.take(Float32Array, shape.size * shape.featureShape.reduce((product, dim) => product * dim, 1));
    const targets =
      header.data.task === 'classification' ? arrays.take(Int32Array, shape.size) : arrays.take(Float32Array, shape.size);
    return { ...shape, features, targets };
  });
  const rows = header.datasets.map(({ size }) => arrays.take(Int32Array, size));
  const [train, validation, test] = datasets as [Dataset, Dataset, Dataset];
  const [trainRows, validationRows, testRows] = rows as [Int32Array, Int32Array, Int32Array];
  const preprocessor = Preprocessor.fromJSON(header.preprocessor);
  const split = { train: trainRows, validation: validationRows, test: testRows };
  return { data: { ...header.data, train, validation, test, split, preprocessor }, events: header.events };
}

/** @throws E_IO when the folder cannot be written to */
export async function savePrepared(folder: string, key: string, { data, events }: CachedData): Promise<void> {
  const { train, validation, test, split, preprocessor, ...rest } = data;
  const parts = { train, validation, test };
  const header: Header = {
    data: rest,
    preprocessor: preprocessor.toJSON(),
    events,
    datasets: PARTS.map((part) => ({
      size: parts[part].size,
      featureShape: parts[part].featureShape,
      targetShape: parts[part].targetShape,
    })),
  };
  const text = serialize(header);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const arrays = [...PARTS.flatMap((part) => [parts[part].features, parts[part].targets]), ...PARTS.map((part) => split[part])];
  const body = Buffer.concat([
    length,
    text,
    ...arrays.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)),
  ]);
  await writeFileAtomic(cachePath(folder, key), Buffer.concat([body, createHash('sha256').update(body).digest()]));
}

interface Header {
  readonly data: Omit<PreparedData, 'train' | 'validation' | 'test' | 'split' | 'preprocessor'>;
  readonly preprocessor: unknown;
  readonly events: readonly DataEvent[];
  readonly datasets: readonly Pick<Dataset, 'size' | 'featureShape' | 'targetShape'>[];
}

function cachePath(folder: string, key: string): string {
  return join(folder, `${key}.prepared`);
}

/** Takes arrays off a buffer one after the other; copies, since an array must start at a multiple of its element's size. */
class ArrayReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  take<T extends Float32Array | Int32Array>(
    type: { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBufferLike, offset: number, length: number): T },
    length: number,
  ): T {
    const array = allocate(type, length);
    new Uint8Array(array.buffer).set(this.#bytes.subarray(this.#at, this.#at + array.byteLength));
    this.#at += array.byteLength;
    return array;
  }
}
