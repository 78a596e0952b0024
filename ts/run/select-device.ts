import * as tf from '@tensorflow/tfjs-core';
import '../backend/register.js';
import { parseDevice } from '../backend/device.js';
import { TensorkilnError } from '../errors.js';

/**
 * Makes a device current and proves that it works, which loads the addon.
 *
 * @param device auto, cpu, cuda or cuda:<number>
 * @returns the name of the device: auto decided
 * @throws E_DEVICE when it is not there; E_NATIVE_LOAD or E_NATIVE_VERSION when the addon cannot be used
 */
export async function selectDevice(device: string): Promise<string> {
  const choice = parseDevice(device);
  if (choice.device !== 'cpu') {
    throw new TensorkilnError(
      'E_DEVICE',
      `[device] '${device}' is not available: this build has no CUDA device. Use cpu or auto.`,
    );
  }
  const backend = 'tensorkiln-cpu';
  await tf.setBackend(backend);
  tf.zeros([1]).dispose();
  return choice.device;
}
