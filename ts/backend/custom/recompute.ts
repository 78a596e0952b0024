/** Forward passes that keep nothing and are run again for their gradient. */
import * as tf from '@tensorflow/tfjs-core';
import { currentBackend, makeUnique } from '../tensors.js';

export interface RecomputeParts {
  /** Variables that get a gradient. */
  readonly variables: readonly tf.Variable[];
  /** Variables that the function changes in place: random states and running statistics. */
  readonly states: readonly tf.Variable[];
}

/** Gives a variable the storage of a tensor; unlike `restoreVariable` within recorded steps too, which repeat it. */
function putBack(variable: tf.Variable, source: tf.Tensor): void {
  const backend = currentBackend();
  backend.engine.addon.assign(makeUnique(variable), backend.operand(source).handle);
}

/**
 * Computes y = f(x) and keeps only x for the gradient, which runs `f` again: less memory for more time. Values and gradients are
 * those of `f` itself, bit for bit: for the second run the states are as they were before the first, and afterwards as they had
 * become.
 *
 * @param f       a function of x, of `variables` and of `states`, and of nothing else that changes
 * @param inputs  float32 tensors
 * @source Chen, Xu, Zhang, Guestrin 2016, arXiv:1604.06174
 */
export function recomputed(
  f: (inputs: readonly tf.Tensor[]) => tf.Tensor,
  inputs: readonly tf.Tensor[],
  { variables, states }: RecomputeParts,
): tf.Tensor {
  const count = inputs.length;
  const run = tf.customGrad((...args) => {
    const save = args.at(-1) as unknown as tf.GradSaveFunc;
    const xs = args.slice(0, count) as tf.Tensor[];
    const before = states.map((state) => tf.clone(state as tf.Tensor));
    const value = f(xs);
    save([...xs, ...before]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [again, starts] = [saved.slice(0, count), saved.slice(count)];
        const { state } = tf.engine();
        const [tape, after] = [state.activeTape, states.map((variable) => tf.clone(variable as tf.Tensor))];
        try {
          states.forEach((variable, i) => putBack(variable, starts[i] as tf.Tensor));
          const targets = [...again, ...(variables as readonly tf.Tensor[])];
          const { grads } = tf.engine().gradients(() => f(again), targets, dy, true);
          // tfjs-core takes an absent gradient of customGrad for an error.
          return targets.map((target, i) => grads[i] ?? tf.zerosLike(target));
        } finally {
          states.forEach((variable, i) => putBack(variable, after[i] as tf.Tensor));
          // tfjs-core ends its tape with the inner gradient, in the middle of the outer one.
          state.activeTape = tape;
        }
      },
    };
  });
  return run(...inputs, ...(variables as readonly tf.Tensor[]));
}
