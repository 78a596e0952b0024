/** Where tensors live: layers take only those of the current backend. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from '../backend/backend.js';
import { TensorkilnError } from '../errors.js';

/**
 * Checks that a tensor lives on the current backend. tfjs-core would otherwise move it at every call, synchronously.
 *
 * @param place  names the layer in errors
 * @param what   names the tensor in errors
 * @throws E_DISPOSED when the tensor has been disposed; E_DEVICE naming both backends
 */
export function checkHome(place: string, what: string, tensor: tf.Tensor): void {
  if (tensor.isDisposed) throw new TensorkilnError('E_DISPOSED', `[${place}] ${what} has been disposed.`);
  const home = tf.engine().state.tensorInfo.get(tensor.dataId)?.backend;
  if (home === tf.backend()) return;
  const { registry } = tf.engine();
  const from = Object.keys(registry).find((name) => registry[name] === home);
  throw new TensorkilnError(
    'E_DEVICE',
    `[${place}] ${what} lives on backend '${from ?? 'removed'}', but the current one is '${tf.getBackend()}'. Make it after tf.setBackend.`,
  );
}

/**
 * Checks that the current backend is ours: layers compute with ops that others lack.
 *
 * @throws E_DEVICE naming the current backend
 */
export function checkBackend(place: string): void {
  if (tf.backend() instanceof TensorkilnBackend) return;
  throw new TensorkilnError(
    'E_DEVICE',
    `[${place}] layers compute on a Tensorkiln backend: expected 'tensorkiln-cpu' or 'tensorkiln-cuda', the current one is '${tf.getBackend()}'.`,
  );
}
