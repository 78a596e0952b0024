/** Our backend as the current one, for tests that need the addon. */
import * as tf from '@tensorflow/tfjs-core';
import '../../ts/backend/register.js';
import { getEngine, type Engine } from '../../ts/native/engine.js';

/** The backend that TENSORKILN_DEVICE chooses for the tests: any value that begins with cuda means the GPU's. */
export const BACKEND_NAME =
  process.env['TENSORKILN_DEVICE']?.startsWith('cuda') === true ? 'tensorkiln-cuda' : 'tensorkiln-cpu';

/** Makes our backend the current one and sets the number of CPU threads (default: as started). */
export async function useNativeBackend(threads?: number): Promise<void> {
  await tf.setBackend(BACKEND_NAME);
  if (threads !== undefined) getEngine().addon.setThreads(threads);
}

/** The engine of the backend under test. */
export function engineUnderTest(): Engine {
  return getEngine(BACKEND_NAME === 'tensorkiln-cuda' ? 'cuda:0' : 'cpu');
}

/** Bits of float32 values: -0 and NaN compare as they are. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length).slice();
}
