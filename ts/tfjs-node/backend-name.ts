/** `tf.setBackend('tensorflow')`, as programs for tfjs-node may say. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from '../backend/backend.js';
import { registerKernels } from '../backend/kernels/table.js';

const NAME = 'tensorflow';

/** Registers the CPU backend under tfjs-node's name too, below its own so that nothing chooses it by itself. */
export function registerTensorflowName(): void {
  if (tf.engine().backendNames().includes(NAME)) return;
  registerKernels(NAME);
  tf.registerBackend(NAME, () => new TensorkilnBackend(NAME), 0);
}
