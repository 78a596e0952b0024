/** Writes TensorBoard event files: what `tensorboard --logdir` reads. Needs no backend. */
import { appendFileSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { TensorkilnError } from '../errors.js';
import { histogramBuckets } from './histogram.js';
import { DataClass, DataType, EventSchema, type Summary_ValueSchema } from './proto/event_pb.js';
import { frameRecord } from './record.js';

export interface EventFileOptions {
  /** Records that may wait before they are written; default 10. */
  readonly maxQueue?: number;
  /** Milliseconds a record may wait; default 120,000. The timer does not keep the process alive. */
  readonly flushMs?: number;
  /** End of the file's name; default ''. */
  readonly suffix?: string;
}

export interface HistogramOptions {
  /** At least 1; default 30. */
  readonly bucketCount?: number;
  /** Markdown that TensorBoard shows beside the chart; default ''. */
  readonly description?: string;
}

type Value = MessageInitShape<typeof Summary_ValueSchema>;

const openWriters = new Set<EventFileWriter>();
process.on('exit', () => {
  for (const writer of openWriters) writer.flush();
});

/**
 * Appends scalars and histograms to one new event file in a folder.
 *
 * Writing is synchronous and happens when the queue is full, after `flushMs`, on `flush` and `close`, and when the process ends
 * by itself.
 *
 * @source tensorflow/tensorboard, tensorboard/compat/proto/event.proto and summary/writer/event_file_writer.py
 */
export class EventFileWriter {
  /** Path of the file. */
  readonly path: string;
  readonly #maxQueue: number;
  readonly #flushMs: number;
  readonly #describedTags = new Set<string>();
  #file: number | undefined;
  #queue: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param folder made if it is not there
   * @throws E_IO when the file cannot be made
   */
  constructor(folder: string, options: EventFileOptions = {}) {
    this.#maxQueue = options.maxQueue ?? 10;
    this.#flushMs = options.flushMs ?? 120_000;
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
    const stem = path.join(folder, `events.out.tfevents.${seconds}.${hostname()}.${String(process.pid)}`);
    const opened = attempt(stem, () => {
      mkdirSync(folder, { recursive: true });
      return openNew(stem, options.suffix ?? '');
    });
    this.path = opened.path;
    this.#file = opened.file;
    openWriters.add(this);
    this.#append(0, { case: 'fileVersion', value: 'brain.Event:2' });
  }

  /**
   * @param value kept as float32; NaN and infinities are allowed
   * @param step  an integer
   * @throws E_USAGE for a step that is not an integer, E_CLOSED after close, E_IO when a write fails
   */
  scalar(tag: string, value: number, step: number): void {
    this.#summary(step, { tag, value: { case: 'simpleValue', value } });
  }

  /**
   * @param values any number of values; those that are not finite are left out
   * @param step   an integer
   * @throws as scalar, and E_USAGE for a bucket count that is not a positive integer
   */
  histogram(tag: string, values: ArrayLike<number>, step: number, options: HistogramOptions = {}): void {
    const { bucketCount = 30, description = '' } = options;
    if (!Number.isSafeInteger(bucketCount) || bucketCount < 1) {
      throw new TensorkilnError('E_USAGE', `[histogram] bucketCount: expected a positive integer, got ${String(bucketCount)}.`);
    }
    const rows = histogramBuckets(values, bucketCount);
    const content = new Uint8Array(rows.length * 8);
    const view = new DataView(content.buffer);
    rows.forEach((row, index) => view.setFloat64(8 * index, row, true));
    const tensor = {
      dtype: DataType.DT_DOUBLE,
      tensorShape: { dim: [{ size: BigInt(rows.length / 3) }, { size: 3n }] },
      tensorContent: content,
    };
    // The plugin is named once per tag and file; its content is a message whose only field, the version, is 0.
    const metadata = { pluginData: { pluginName: 'histograms' }, summaryDescription: description, dataClass: DataClass.TENSOR };
    this.#summary(step, {
      tag,
      value: { case: 'tensor', value: tensor },
      ...(this.#describedTags.has(tag) ? {} : { metadata }),
    });
    this.#describedTags.add(tag);
  }

  /** Writes what waits. Does nothing after close. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const descriptor = this.#file;
    if (descriptor === undefined || this.#queue.length === 0) return;
    const records = Buffer.concat(this.#queue);
    attempt(this.path, () => appendFileSync(descriptor, records));
    this.#queue = [];
  }

  /** Writes what waits and closes the file. A second call does nothing. */
  close(): void {
    this.flush();
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    openWriters.delete(this);
  }

  #summary(step: number, value: Value): void {
    if (!Number.isSafeInteger(step)) {
      throw new TensorkilnError('E_USAGE', `[${value.tag ?? 'summary'}] step: expected an integer, got ${String(step)}.`);
    }
    this.#append(step, { case: 'summary', value: { value: [value] } });
  }

  #append(step: number, what: MessageInitShape<typeof EventSchema>['what']): void {
    if (this.#file === undefined) throw new TensorkilnError('E_CLOSED', `[event file] ${this.path} has been closed.`);
    const event = create(EventSchema, { wallTime: Date.now() / 1000, step: BigInt(step), ...(what && { what }) });
    this.#queue.push(frameRecord(toBinary(EventSchema, event)));
    if (this.#queue.length > this.#maxQueue) {
      this.flush();
    } else {
      this.#timer ??= setTimeout(() => this.flush(), this.#flushMs).unref();
    }
  }
}

/** Opens a file of a name that no writer, of this process or another, has taken. */
function openNew(stem: string, suffix: string): { path: string; file: number } {
  for (let count = 0; ; count++) {
    const name = `${stem}.${String(count)}${suffix}`;
    try {
      return { path: name, file: openSync(name, 'ax') };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}

function attempt<T>(file: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError('E_IO', `[event file] cannot write ${file}: ${reason}.`, { cause });
  }
}
