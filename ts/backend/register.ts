/**
 * Registers the backends, their kernels, and tfjs-core's gradients, as a side effect of being imported.
 *
 * Everything is synchronous and nothing native is loaded. TENSORKILN_DEVICE (auto, cpu, cuda, cuda:n) chooses the default
 * device; a device that is absent throws E_DEVICE when it is used, an unknown value throws E_CONFIG here.
 */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from './backend.js';
import { parseDevice } from './device.js';
import { registerKernels } from './kernels/table.js';
import { compileStockUpdates } from './stock-updates.js';
import { CPU_BACKEND, CUDA_BACKEND } from './tensors.js';
import { assertSingleTfjs, registerGradients } from './tfjs.js';

/** Above every stock backend: the highest of those is 3. */
const PRIORITY = 10;

function isTaken(name: string): boolean {
  return tf.engine().backendNames().includes(name);
}

/**
 * Makes 'tensorkiln-cuda' stand for a GPU; tensors of the GPU it stood for before are gone.
 *
 * @param index     number of the GPU
 * @param preferred whether it goes before the CPU where tfjs-core chooses a backend by itself; else that never happens
 */
export function registerCuda(index: number, preferred: boolean): void {
  if (isTaken(CUDA_BACKEND)) tf.removeBackend(CUDA_BACKEND);
  const create = (): TensorkilnBackend => new TensorkilnBackend(CUDA_BACKEND, `cuda:${index}`);
  tf.registerBackend(CUDA_BACKEND, create, preferred ? PRIORITY + 1 : 0);
}

function register(): void {
  assertSingleTfjs();
  const { device, index } = parseDevice(process.env['TENSORKILN_DEVICE']);
  registerGradients();
  compileStockUpdates();
  registerKernels(CPU_BACKEND);
  // tfjs-core warns about a name that is taken; a second load of this module keeps the first one's factory.
  if (!isTaken(CPU_BACKEND)) {
    tf.registerBackend(CPU_BACKEND, () => new TensorkilnBackend(CPU_BACKEND), PRIORITY);
  }
  registerKernels(CUDA_BACKEND);
  if (!isTaken(CUDA_BACKEND)) registerCuda(index, device === 'cuda');
  // A backend that is in use already stays so without this. The factories are synchronous, and so is the switch.
  void tf.setBackend(device === 'cuda' ? CUDA_BACKEND : CPU_BACKEND);
}

register();
