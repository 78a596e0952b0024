import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../../arguments.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';
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
    const outputs = [
      { shape: input.shape, dtype: 'float32' },
      { shape: [4], dtype: 'int32' },
    ] as const;
    const [y, saved] = backend.runAll(FORWARD, [backend.operand(input), randomOperand(random)], outputs, undefined, [rate]);
    save([tensorFromInfo(saved as tf.TensorInfo, backend)]);
    return {
      value: tensorFromInfo(y as tf.TensorInfo, backend),
      gradFunc: (dy: tf.Tensor, tensors: tf.Tensor[]) => {
        const inputs = [dy, tensors[0] as tf.Tensor].map((tensor) => backend.operand(tensor));
        return tensorFromInfo(backend.run(GRADIENT, inputs, { shape: dy.shape, dtype: 'float32' }, undefined, [rate]), backend);
      },
    };
  });
  return run(x) as T;
}
