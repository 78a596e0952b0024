/** Our backend as the current one, for tests that need the addon. */
import * as tf from '@tensorflow/tfjs-core';
import '../../ts/backend/register.js';
import { getEngine } from '../../ts/backend/native/engine.js';

/** Makes our CPU backend the current one and sets the number of threads (default: as started). */
export async function useNativeBackend(threads?: number): Promise<void> {
  await tf.setBackend('tensorkiln-cpu');
  if (threads !== undefined) getEngine().addon.setThreads(threads);
}

/** Bits of float32 values: -0 and NaN compare as they are. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length).slice();
}
