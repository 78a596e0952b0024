/** What holds memory, and how much of it there may be. */
import * as tf from '@tensorflow/tfjs-core';
import type { DataType } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { TensorkilnBackend } from './backend.js';
import { getEngine, toTensorkilnError } from '../native/engine.js';

/** One living data id. Tensors that share it, such as clones and reshapes, count as one. */
export interface LivingTensor {
  /** Kernel that made it, 'write' for values written from JavaScript, 'untraced' when made before tracing began. */
  readonly op: string;
  readonly shape: readonly number[];
  readonly dtype: DataType;
  /** Bytes of its elements; a slice shares them with the tensor it was cut from. */
  readonly bytes: number;
  /** Tensors on this data id, as tfjs-core counts them. */
  readonly references: number;
  /** Milliseconds since it was made; Infinity when untraced. */
  readonly ageMs: number;
  /** JavaScript stack of its making, innermost frame first; empty when untraced. */
  readonly stack: string;
}

/** Places in a report when nothing else is asked for. */
const REPORTED_PLACES = 20;
const FRAMES_PER_PLACE = 4;

/**
 * All living tensors of the Tensorkiln backends of this environment, oldest first, and of equal age the largest first.
 *
 * Op, age and stack are known of those made while tracing was on (`traceTensors`).
 */
export function listLivingTensors(): LivingTensor[] {
  const now = performance.now();
  const living = tf
    .engine()
    .backendNames()
    .flatMap((name) => {
      const backend = tf.engine().registry[name];
      return backend instanceof TensorkilnBackend ? backend.livingRecords() : [];
    });
  return living
    .map(({ origin, shape, dtype, bytes, refCount }): LivingTensor => ({
      op: origin?.op ?? 'untraced',
      shape,
      dtype,
      bytes,
      references: refCount,
      ageMs: origin === undefined ? Infinity : now - origin.madeAt,
      stack: origin?.stack ?? '',
    }))
    .sort((a, b) => (a.ageMs === b.ageMs ? b.bytes - a.bytes : b.ageMs > a.ageMs ? 1 : -1));
}

/**
 * A text about living tensors: totals, then the places that made them, by bytes: how many, how large, how old the oldest is.
 *
 * @param options.places most places listed; default 20
 */
export function memoryReport({ places = REPORTED_PLACES }: { places?: number } = {}): string {
  const living = listLivingTensors();
  const groups = new Map<string, LivingTensor[]>();
  for (const tensor of living) {
    const key = `${tensor.op}\n${tensor.stack}`;
    groups.set(key, [...(groups.get(key) ?? []), tensor]);
  }
  const bytesOf = (tensors: readonly LivingTensor[]): number => tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const sorted = [...groups.values()].sort((a, b) => bytesOf(b) - bytesOf(a));
  const { live, cached, peak, budget } = getEngine().addon.memory();
  const lines = [
    `${String(living.length)} living tensors, ${sizeText(bytesOf(living))}; native ${sizeText(live)} live, ${sizeText(cached)} cached, ${sizeText(peak)} peak, limit ${sizeText(budget)}`,
  ];
  for (const tensors of sorted.slice(0, places)) {
    const [oldest] = tensors as [LivingTensor];
    const age = oldest.ageMs === Infinity ? '' : `, oldest ${(oldest.ageMs / 1000).toFixed(1)} s`;
    const example = `${oldest.dtype} [${oldest.shape.join(', ')}]`;
    lines.push(`${sizeText(bytesOf(tensors))} in ${String(tensors.length)} by ${oldest.op}, such as ${example}${age}`);
    const frames = oldest.stack === '' ? [] : oldest.stack.split('\n').slice(0, FRAMES_PER_PLACE);
    lines.push(...frames.map((frame) => `    ${frame}`));
  }
  if (sorted.length > places) lines.push(`and ${String(sorted.length - places)} places more`);
  return lines.join('\n');
}

/**
 * Sets how many bytes the engine may hold, living and cached, over all environments of the process; as TENSORKILN_MEMORY_LIMIT
 * does at the start.
 *
 * Below what is held, this environment waits for what is under way and gives its cached memory back to the system.
 *
 * @param bytes at least 1
 * @throws E_CONFIG when that is no positive number; E_OUT_OF_MEMORY when living tensors need more, and the limit stays as it was
 */
export function setMemoryLimit(bytes: number): void {
  if (!(Number.isFinite(bytes) && bytes >= 1)) {
    throw new TensorkilnError('E_CONFIG', `[setMemoryLimit] expected a positive number of bytes, got ${String(bytes)}.`);
  }
  try {
    getEngine().addon.setBudget(Math.floor(bytes));
  } catch (error) {
    throw toTensorkilnError(error);
  }
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${String(bytes)} B`;
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${['B', 'KB', 'MB', 'GB'][power] as string}`;
}
