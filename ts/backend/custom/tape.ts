/** tfjs-core's tape of ops. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Frees what ops have saved for a gradient that was never finished: tfjs-core keeps it when a function fails half-way, until
 * the garbage collector comes by. To be called where such a failure is caught, outside any gradient.
 */
export function dropUnfinishedTape(): void {
  const { state } = tf.engine();
  if (state.gradientDepth > 0) return;
  const nodes = (state.activeTape ?? []) as readonly { readonly saved?: readonly tf.Tensor[] }[];
  for (const { saved = [] } of nodes) tf.dispose([...saved]);
  state.activeTape = [];
}
