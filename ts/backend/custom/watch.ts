/** Looking at the results of ops as they are made. */
import * as tf from '@tensorflow/tfjs-core';
import { declareOp } from '../../native/engine.js';
import { currentBackend } from '../tensors.js';

const NORM = declareOp('multi_norm');

/** Begins the names of scopes that layers open. */
export const LAYER_SCOPE = 'layer ';

/** One op that has been called. */
export interface WatchedCall {
  /** Kernel of tfjs, or our op. */
  readonly op: string;
  /** Type and path of the layer that called it; undefined outside layers. */
  readonly layer: string | undefined;
  /** Shape of its first result. */
  readonly shape: readonly number[];
  /** Whether it belongs to a gradient. */
  readonly isBackward: boolean;
  /** Whether all float32 results are finite. Waits for the engine. */
  isFinite(): boolean;
}

/** Calls `visit` for every op that a synchronous function runs. For finding faults: each answer of `isFinite` waits. */
export function watchOps<Result>(visit: (call: WatchedCall) => void, fn: () => Result): Result {
  const backend = currentBackend();
  let isVisiting = false;
  return backend.withWatch((op, kernel, outputs) => {
    if (isVisiting) return;
    isVisiting = true;
    try {
      const { scopeStack, activeScope } = tf.engine().state;
      const names = [...scopeStack, activeScope].map(({ name }) => name as string | undefined);
      const scope = names.findLast((name) => name?.startsWith(LAYER_SCOPE) === true);
      visit({
        op: kernel ?? op,
        layer: scope?.slice(LAYER_SCOPE.length),
        shape: outputs[0]?.shape ?? [],
        // So tfjs-core names the scope in which it runs gradients.
        isBackward: names.includes('backward'),
        isFinite: () =>
          outputs
            .filter(({ dtype, shape }) => dtype === 'float32' && shape.every((dim) => dim > 0))
            .every((output) => {
              const [, finite] = backend.runAll(
                NORM,
                [backend.operand(output)],
                [
                  { shape: [], dtype: 'float32' },
                  { shape: [], dtype: 'bool' },
                ],
              ) as [tf.TensorInfo, tf.TensorInfo];
              return backend.readSync(finite.dataId)[0] === 1;
            }),
      });
    } finally {
      isVisiting = false;
    }
  }, fn);
}
