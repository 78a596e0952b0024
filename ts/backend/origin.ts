/** Where tensors come from, for leak listings: kept per data id while tracing is on, at no cost while it is off. */
import { fileURLToPath } from 'node:url';
import { env } from '@tensorflow/tfjs-core';

/** The making of one data id. */
export interface Origin {
  /** The kernel that made it; 'write' for values written from JavaScript. */
  readonly op: string;
  /** JavaScript stack of the caller, innermost frame first, without the frames of this backend and of tfjs-core. */
  readonly stack: string;
  /** performance.now() when it was made. */
  readonly madeAt: number;
}

/** Deep enough to leave tfjs-core's layers and reach the program. */
const STACK_FRAMES = 40;
const FOLDER = new URL('.', import.meta.url);
/** Frames are named by URL or by path, as the module was loaded. */
const OWN_FRAMES = [FOLDER.href, fileURLToPath(FOLDER), 'tf-core.node.js', '/tfjs-core/', 'node:internal'];

const variable = process.env['TENSORKILN_TRACE_TENSORS'];
let isOn = variable !== undefined && variable !== '' && variable !== '0';

/**
 * Switches the tracing of tensors on or off: op and JavaScript stack of each tensor made from now on are kept for
 * `listLivingTensors` and `memoryReport`. TENSORKILN_TRACE_TENSORS=1 switches it on from the start, and `tf.enableDebugMode()` as
 * well. A traced op takes some ten microseconds more.
 */
export function traceTensors(on = true): void {
  isOn = on;
}

/** Whether tensors are traced: by traceTensors, the variable, or tfjs-core's debug mode. */
export function isTracing(): boolean {
  return isOn || env().getBool('DEBUG');
}

/** The origin of a data id made now. */
export function originOf(op: string): Origin {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = STACK_FRAMES;
  const lines = (new Error('origin').stack ?? '').split('\n').slice(1);
  Error.stackTraceLimit = stackTraceLimit;
  const program = lines.filter((line) => !OWN_FRAMES.some((part) => line.includes(part)));
  return { op, stack: program.map((line) => line.trim()).join('\n'), madeAt: performance.now() };
}

/** Frames of this package: where a program's own code ends. */
const PACKAGE = new URL('..', import.meta.url);
const PACKAGE_FRAMES = [PACKAGE.href, fileURLToPath(PACKAGE), 'tfjs-gradients.js', ...OWN_FRAMES];

/** File, line and column at the end of a frame. */
const POSITION = /\(?((?:file:\/\/)?\/[^()]+:\d+:\d+|[^\s()]+:\d+:\d+)\)?$/;

/** Names of functions of tfjs-core on the way here, innermost first, and the first line of the program itself. */
export interface CallSite {
  readonly functions: readonly string[];
  /** File, line and column; undefined when no frame is the program's. */
  readonly line: string | undefined;
}

/** Runs `body`; errors made in it know their place in the program, however deep they were made. */
export function withDeepStacks<Result>(body: () => Result): Result {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = STACK_FRAMES;
  try {
    return body();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** A place in the program, read later: taking it is cheap, its text is made only when it is asked for. */
export function markSite(): Error {
  return withDeepStacks(() => new Error('site'));
}

/** What a mark says. */
export function readSite(mark: Error): CallSite {
  const frames = (mark.stack ?? '').split('\n').slice(1);
  // Frames without a position, such as that of Array.map, are nobody's.
  const first = frames.findIndex((frame) => POSITION.test(frame) && !PACKAGE_FRAMES.some((part) => frame.includes(part)));
  const inner = first < 0 ? frames : frames.slice(0, first);
  const functions = inner.flatMap((frame) => /^\s*at (?:\w+\.)?(\w+?)_? \(/.exec(frame)?.[1] ?? []);
  const line = POSITION.exec(frames[first] ?? '')?.[1];
  return { functions, line: line?.replace('file://', '') };
}

/** Where the program is now. */
export function callSite(): CallSite {
  return readSite(markSite());
}
