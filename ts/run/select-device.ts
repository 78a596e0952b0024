import * as tf from '@tensorflow/tfjs-core';
import { parseDevice } from '../backend/device.js';
import { registerCuda } from '../backend/register.js';
import { CPU_BACKEND, CUDA_BACKEND } from '../backend/tensors.js';

/**
 * Makes a device current and proves that it works, which loads the addon.
 *
 * @param device auto, cpu, cuda or cuda:<number>; undefined for that of TENSORKILN_DEVICE, else cpu
 * @returns the name of the device: auto decided
 * @throws E_CONFIG for another name; E_DEVICE when it is not there; E_NATIVE_LOAD or E_NATIVE_VERSION when the addon cannot be used
 */
export async function selectDevice(device: string | undefined): Promise<string> {
  const choice = device === undefined ? parseDevice(process.env['TENSORKILN_DEVICE']) : parseDevice(device, 'device');
  if (choice.device === 'cuda') registerCuda(choice.index, true);
  await tf.setBackend(choice.device === 'cuda' ? CUDA_BACKEND : CPU_BACKEND);
  tf.zeros([1]).dispose();
  return choice.device;
}
