/**
 * Registers the backend, its kernels, and tfjs-core's gradients, as a side effect of being imported.
 *
 * Everything is synchronous and nothing native is loaded. TENSORKILN_DEVICE (auto, cpu, cuda, cuda:n) chooses the default
 * device; a device that is absent throws E_DEVICE when it is used, an unknown value throws E_CONFIG here.
 */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from './backend.js';
import { AbsentDeviceBackend, parseDevice } from './device.js';
import { registerKernels } from './kernels/table.js';
import { CPU_BACKEND } from './tensors.js';
import { assertSingleTfjs, registerGradients } from './tfjs.js';

/** Name of the CUDA backend. */
export const CUDA_BACKEND = 'tensorkiln-cuda';
/** Above every stock backend: the highest of those is 3. */
const PRIORITY = 10;

function isTaken(name: string): boolean {
  return tf.engine().backendNames().includes(name);
}

function register(): void {
  assertSingleTfjs();
  const variable = process.env['TENSORKILN_DEVICE'];
  const { device } = parseDevice(variable);
  registerGradients();
  registerKernels(CPU_BACKEND);
  // tfjs-core warns about a name that is taken; a second load of this module keeps the first one's factory.
  if (!isTaken(CPU_BACKEND)) {
    tf.registerBackend(CPU_BACKEND, () => new TensorkilnBackend(CPU_BACKEND), PRIORITY);
  }
  if (device === 'cuda' && !isTaken(CUDA_BACKEND)) {
    const absent = new AbsentDeviceBackend(variable as string);
    registerKernels(CUDA_BACKEND, absent.kernelFunc);
    tf.registerBackend(CUDA_BACKEND, () => absent, PRIORITY + 1);
  }
  // A backend that is in use already stays so without this. The factories are synchronous, and so is the switch.
  void tf.setBackend(device === 'cuda' ? CUDA_BACKEND : CPU_BACKEND);
}

register();
