import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../../arguments.js';
import { declareOp, type Operand } from '../native/engine.js';
import { NO_HANDLE, storageOf } from '../record.js';
import { currentBackend, tensorFromHandle, tensorFromInfo } from '../tensors.js';
import { checkDType } from './checks.js';
import { randomOperand, type RandomState } from './random.js';

const FORWARD = declareOp('dropout');
const GRADIENT = declareOp('dropout_grad');

/**
 * Drops elements at random: y = x * keep / (1 - rate), keep = 1 with probability 1 - rate, else 0.
 *
 * The mask is never stored: the gradient makes it again from the random state before the call (16 bytes), as
 * dx = dy * keep / (1 - rate).
 *
 * @param x       [...] float32
 * @param rate    probability that an element is dropped, in [0, 1)
 * @param random  state to draw from; moves on. A recorded step draws a new mask at each replay.
 * @returns       x's shape, float32
 * @throws E_CONFIG for a wrong rate; E_DTYPE when x is not float32
 * @source Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, JMLR 15; scaled in training ("inverted")
 */
export function dropout<T extends tf.Tensor>(x: T, rate: number, random: RandomState): T {
  checkNumber('dropout', 'rate', rate, { min: 0, below: 1 });
  checkDType('dropout', 'x', x, ['float32']);
  const run = tf.customGrad((...args) => {
    const [input, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
    const backend = currentBackend();
    const y: Operand = { handle: NO_HANDLE, storage: storageOf('float32', 'dropout'), shape: input.shape };
    const saved: Operand = { handle: NO_HANDLE, storage: storageOf('int32', 'dropout'), shape: [4] };
    backend.engine.call(FORWARD, [backend.operand(input), randomOperand(random), y, saved], undefined, [rate]);
    save([tensorFromHandle(saved.handle, [4], 'int32')]);
    return {
      value: tensorFromHandle(y.handle, input.shape, 'float32'),
      gradFunc: (dy: tf.Tensor, tensors: tf.Tensor[]) => {
        const inputs = [dy, tensors[0] as tf.Tensor].map((tensor) => backend.operand(tensor));
        return tensorFromInfo(backend.run(GRADIENT, inputs, { shape: dy.shape, dtype: 'float32' }, undefined, [rate]), backend);
      },
    };
  });
  return run(x) as T;
}
