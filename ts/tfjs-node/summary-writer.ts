/** `tf.node.summaryFileWriter`: scalars and histograms for TensorBoard. */
import * as tf from '@tensorflow/tfjs-core';
import { EventFileWriter } from '../track/event-file.js';

/** Writes to one event file; made by summaryFileWriter. */
export class SummaryFileWriter {
  readonly #file: EventFileWriter;

  constructor(file: EventFileWriter) {
    this.#file = file;
  }

  /**
   * @param name        tag in TensorBoard
   * @param value       a number or a tensor of rank 0; kept as float32
   * @param step        an integer
   * @param description refused, as in tfjs-node
   */
  scalar(name: string, value: tf.Scalar | number, step: number, description?: string): void {
    if (description != null) throw new Error('scalar() does not support description yet');
    assertStep(step);
    this.#file.scalar(name, typeof value === 'number' ? value : numberOf(value), step);
  }

  /**
   * @param name        tag in TensorBoard
   * @param data        tensor of any shape
   * @param step        an integer
   * @param buckets     how many buckets; default 30
   * @param description Markdown shown beside the chart; default ''
   */
  histogram(name: string, data: tf.Tensor, step: number, buckets = 30, description = ''): void {
    assertStep(step);
    tf.util.assert(
      Number.isInteger(buckets) && buckets > 0,
      () => `Expected bucket count to be a strictly positive integer, but it was ${String(buckets)}`,
    );
    this.#file.histogram(name, data.dataSync(), step, { bucketCount: buckets, description });
  }

  /** Writes everything that waits to the file. */
  flush(): void {
    this.#file.flush();
  }
}

function assertStep(step: number): void {
  tf.util.assert(Number.isInteger(step), () => `step is expected to be an integer, but is instead ${String(step)}`);
}

function numberOf(value: tf.Tensor): number {
  tf.util.assert(value.rank === 0, () => `A non-scalar tensor (rank ${String(value.rank)}) is passed to writeScalarSummary()`);
  return value.dataSync()[0]!;
}

/** Two writers in one folder would make two files of one run, so a folder has one. */
const writers = new Map<string, SummaryFileWriter>();

/**
 * The writer of a folder; the same one for each call with that folder, whose options are those of the first call.
 *
 * @param logdir         folder, made if it is not there; at least one character
 * @param maxQueue       records that may wait; default 10
 * @param flushMillis    milliseconds a record may wait; default 120,000
 * @param filenameSuffix end of the file's name; default '.v2'
 * @throws E_IO when the file cannot be made
 */
export function summaryFileWriter(
  logdir: string,
  maxQueue = 10,
  flushMillis = 120_000,
  filenameSuffix = '.v2',
): SummaryFileWriter {
  tf.util.assert(
    typeof logdir === 'string' && logdir.length > 0,
    () => `Invalid logdir: ${logdir}. Expected a non-empty string for logdir.`,
  );
  const known = writers.get(logdir);
  if (known !== undefined) return known;
  const writer = new SummaryFileWriter(new EventFileWriter(logdir, { maxQueue, flushMs: flushMillis, suffix: filenameSuffix }));
  writers.set(logdir, writer);
  return writer;
}
