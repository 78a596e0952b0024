/** What a piece of work spends its time on: per op, and as a trace with lanes for JavaScript, queue and kernels. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import type { NativeProfileRecord } from '../native/addon.js';
import { currentBackend } from './tensors.js';

/** What the machine can do at most, measured with its own kernels. */
export interface MachineLimits {
  /** Multiply-adds counted as two, per second: a product of 768x768 matrices. */
  readonly flopsPerSecond: number;
  /** Bytes read and written per second: adding arrays of 16 MB. */
  readonly bytesPerSecond: number;
}

/** All runs of one op, or of one chain of fused ops. */
export interface ProfileRow {
  /** Op name; of a chain the names joined by '+'. */
  readonly name: string;
  readonly calls: number;
  /** Time in the kernel, milliseconds. */
  readonly ms: number;
  /** Every input read once, every output written once. */
  readonly bytes: number;
  readonly flops: number;
  /** The time the machine would need at its limits (computing or moving bytes, whichever takes longer) over the time taken. */
  readonly shareOfLimit: number;
}

/** Time that JavaScript spent in one call of the engine. */
export interface JavaScriptSpan {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

export interface ExecutionProfile {
  /** Wall time until everything enqueued had run, milliseconds. */
  readonly wallMs: number;
  /** Time in kernels, milliseconds. */
  readonly kernelMs: number;
  /** By op, longest first. */
  readonly rows: readonly ProfileRow[];
  /** Every call in the order of running; times in milliseconds since the beginning. */
  readonly records: readonly NativeProfileRecord[];
  readonly javascript: readonly JavaScriptSpan[];
  readonly limits: MachineLimits;
}

let isProfiling = false;

/**
 * Runs `work` and keeps a record of every op call that it enqueues, in compiled steps as well. On a GPU the times of kernels are
 * those of their launches.
 *
 * @param work     what to profile; awaited when it returns a promise
 * @param options  `limits`: of the machine, when they are known already; default measured first (about 0.1 s)
 * @throws E_USAGE when a profile is under way; what `work` throws
 */
export async function profileExecution(
  work: () => unknown,
  options: { readonly limits?: MachineLimits } = {},
): Promise<ExecutionProfile> {
  if (isProfiling) throw new TensorkilnError('E_USAGE', '[profile] a profile is under way already: profiles cannot be nested.');
  const { engine } = currentBackend();
  const limits = options.limits ?? measureLimits();
  const javascript: JavaScriptSpan[] = [];
  isProfiling = true;
  const nativeStart = engine.addon.profileBegin();
  const start = performance.now();
  engine.onCall = (name, startMs, endMs) => void javascript.push({ name, startMs: startMs - start, endMs: endMs - start });
  let wallMs: number;
  let records: NativeProfileRecord[];
  try {
    await work();
    await engine.settled();
    wallMs = performance.now() - start;
  } finally {
    engine.onCall = undefined;
    isProfiling = false;
    records = engine.addon.profileEnd();
  }
  const shifted = records.map((record) => ({
    ...record,
    enqueuedMs: record.enqueuedMs - nativeStart,
    startMs: record.startMs - nativeStart,
    endMs: record.endMs - nativeStart,
  }));
  const rows = rowsOf(shifted, limits);
  return { wallMs, kernelMs: rows.reduce((sum, { ms }) => sum + ms, 0), rows, records: shifted, javascript, limits };
}

function rowsOf(records: readonly NativeProfileRecord[], limits: MachineLimits): ProfileRow[] {
  const sums = new Map<string, { calls: number; ms: number; bytes: number; flops: number; least: number }>();
  for (const { name, startMs, endMs, bytes, flops } of records) {
    const sum = sums.get(name) ?? { calls: 0, ms: 0, bytes: 0, flops: 0, least: 0 };
    sum.calls++;
    sum.ms += endMs - startMs;
    sum.bytes += bytes;
    sum.flops += flops;
    sum.least += 1e3 * Math.max(flops / limits.flopsPerSecond, bytes / limits.bytesPerSecond);
    sums.set(name, sum);
  }
  return [...sums]
    .map(([name, { calls, ms, bytes, flops, least }]) => ({
      name,
      calls,
      ms,
      bytes,
      flops,
      shareOfLimit: ms === 0 ? 0 : least / ms,
    }))
    .sort((a, b) => b.ms - a.ms);
}

/** Measures what the machine can do at most; takes about 0.1 s and waits. */
export function measureLimits(): MachineLimits {
  const { engine } = currentBackend();
  const best = (make: () => tf.Tensor): number => {
    let least = Infinity;
    for (let i = 0; i < 7; ++i) {
      engine.sync();
      const start = performance.now();
      const result = make();
      engine.sync();
      least = Math.min(least, performance.now() - start);
      result.dispose();
    }
    return least / 1e3;
  };
  const side = 768;
  const length = 1 << 22;
  return tf.tidy(() => {
    const a: tf.Tensor2D = tf.fill([side, side], 0.5);
    const x = tf.fill([length], 0.5);
    return {
      flopsPerSecond: (2 * side ** 3) / best(() => tf.matMul(a, a)),
      bytesPerSecond: (12 * length) / best(() => tf.add(x, x)),
    };
  });
}

/** A profile as a table: ops, longest first, with calls, time, operations, bytes, and their share of the time in kernels and of the machine's limit. */
export function profileTable({ wallMs, kernelMs, rows, limits }: ExecutionProfile): string {
  const header = ['ms', 'share', 'calls', 'MFLOP', 'MB', 'GFLOP/s', 'GB/s', 'of limit', 'op'];
  const cells = rows.map(({ name, calls, ms, bytes, flops, shareOfLimit }) => [
    ms.toFixed(3),
    `${((100 * ms) / kernelMs).toFixed(1)} %`,
    String(calls),
    (flops / 1e6).toFixed(2),
    (bytes / 1e6).toFixed(2),
    (flops / ms / 1e6).toFixed(1),
    (bytes / ms / 1e6).toFixed(1),
    `${(100 * shareOfLimit).toFixed(0)} %`,
    name,
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padStart(widths[i] as number))).join('  ');
  const outside = Math.max(0, wallMs - kernelMs);
  return [
    `${wallMs.toFixed(2)} ms, ${kernelMs.toFixed(2)} ms of it in kernels (${((100 * outside) / wallMs).toFixed(1)} % outside); ` +
      `limits: ${(limits.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s, ${(limits.bytesPerSecond / 1e9).toFixed(0)} GB/s`,
    line(header),
    ...cells.map(line),
    '',
  ].join('\n');
}

/**
 * A profile in the trace event format of Chrome (chrome://tracing, ui.perfetto.dev): lanes for JavaScript, queue and kernels.
 *
 * @source "Trace Event Format", Google 2016
 */
export function chromeTrace({ records, javascript }: ExecutionProfile): string {
  const lanes = ['JavaScript', 'queue', 'kernels'];
  const span = (tid: number, name: string, startMs: number, endMs: number, args?: object): object => ({
    name,
    ph: 'X',
    pid: 1,
    tid,
    ts: startMs * 1e3,
    dur: Math.max(0, endMs - startMs) * 1e3,
    ...(args === undefined ? {} : { args }),
  });
  const events = [
    ...lanes.map((name, tid) => ({ name: 'thread_name', ph: 'M', pid: 1, tid, args: { name } })),
    ...javascript.map(({ name, startMs, endMs }) => span(0, name, startMs, endMs)),
    ...queueSpans(records).map(({ name, startMs, endMs }) => span(1, name, startMs, endMs)),
    ...records.map(({ name, shapes, startMs, endMs, bytes, flops }) => span(2, name, startMs, endMs, { shapes, bytes, flops })),
  ];
  return `${JSON.stringify({ traceEvents: events, displayTimeUnit: 'ms' })}\n`;
}

/** Times in which something waited in the queue, without overlap; a plan waits as one. */
function queueSpans(records: readonly NativeProfileRecord[]): JavaScriptSpan[] {
  const spans: JavaScriptSpan[] = [];
  let seen = -Infinity;
  let busyUntil = -Infinity;
  for (const { name, enqueuedMs, startMs, inPlan } of records) {
    if (enqueuedMs === seen) continue;
    seen = enqueuedMs;
    const from = Math.max(enqueuedMs, busyUntil);
    if (startMs > from) spans.push({ name: inPlan ? 'plan' : name, startMs: from, endMs: startMs });
    busyUntil = Math.max(busyUntil, startMs);
  }
  return spans;
}
