/** One step of each recurrent cell, from its share of the input's product. */
import * as tf from '@tensorflow/tfjs-core';

/** State of a cell: [h] or [h, c], each [N, H]. */
export type CellState = readonly tf.Tensor[];

export interface CellWeights {
  /** [H, gates * H]. */
  readonly recurrent: tf.Tensor;
  /** [H] bias of the candidate's recurrent part; GRU with resetAfter only. */
  readonly recurrentBias?: tf.Tensor;
  readonly units: number;
}

/** (x W + b) of one step [N, gates * H], state -> next state. */
export type Cell = (product: tf.Tensor, state: CellState, weights: CellWeights) => CellState;

function gate(x: tf.Tensor, index: number, units: number, count = 1): tf.Tensor {
  return tf.slice(x, [0, index * units], [x.shape[0], count * units]);
}

/**
 * c = f c + i g; h = o tanh(c); gates in the order i, f, g, o, sigmoids but for g = tanh.
 *
 * @source Hochreiter, Schmidhuber 1997, with the forget gate of Gers et al. 2000; gate order of Keras
 */
export const lstmCell: Cell = (product, [h, c], { recurrent, units }) => {
  const sum = tf.add(product, tf.matMul(h as tf.Tensor, recurrent));
  const [i, f, o] = [0, 1, 3].map((index) => tf.sigmoid(gate(sum, index, units))) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const next = tf.add(tf.mul(f, c as tf.Tensor), tf.mul(i, tf.tanh(gate(sum, 2, units))));
  return [tf.mul(o, tf.tanh(next)), next];
};

function gruCell(product: tf.Tensor, h: tf.Tensor, weights: CellWeights, isResetAfter: boolean): CellState {
  const { recurrent, recurrentBias, units } = weights;
  const [gatesKernel, candidateKernel] = [gate(recurrent, 0, units, 2), gate(recurrent, 2, units)];
  const gates = tf.sigmoid(tf.add(gate(product, 0, units, 2), tf.matMul(h, gatesKernel)));
  const [z, r] = [gate(gates, 0, units), gate(gates, 1, units)];
  const fromInput = gate(product, 2, units);
  let fromState: tf.Tensor;
  if (isResetAfter) {
    const state = tf.matMul(h, candidateKernel);
    fromState = tf.mul(r, recurrentBias === undefined ? state : tf.add(state, recurrentBias));
  } else fromState = tf.matMul(tf.mul(r, h), candidateKernel);
  const candidate = tf.tanh(tf.add(fromInput, fromState));
  return [tf.add(candidate, tf.mul(z, tf.sub(h, candidate)))];
}

/**
 * h = z h + (1 - z) g with g = tanh(x W + b + r (h R + b')): the reset gate acts after the product, as in cuDNN and PyTorch.
 * Gates in the order z, r, g, as in Keras.
 *
 * @source Cho et al. 2014, arXiv:1406.1078
 */
export const gruResetAfterCell: Cell = (product, [h], weights) => gruCell(product, h as tf.Tensor, weights, true);

/** As gruResetAfterCell with g = tanh(x W + b + (r h) R), the form of the paper. */
export const gruResetBeforeCell: Cell = (product, [h], weights) => gruCell(product, h as tf.Tensor, weights, false);

/** h = tanh(x W + b + h R). @source Elman 1990 */
export const tanhCell: Cell = (product, [h], { recurrent }) => [tf.tanh(tf.add(product, tf.matMul(h as tf.Tensor, recurrent)))];

/** h = relu(x W + b + h R). @source Le, Jaitly, Hinton 2015, arXiv:1504.00941 */
export const reluCell: Cell = (product, [h], { recurrent }) => [tf.relu(tf.add(product, tf.matMul(h as tf.Tensor, recurrent)))];

/**
 * Runs a cell over a sequence.
 *
 * @param products  x W + b of all steps, [N, T, gates * H]
 * @param options   `mask` bool [N, T]: a step that does not count leaves the state as it is and has output 0; `isReverse`: from
 *                  the last step to the first, outputs staying at their steps
 * @returns         outputs [N, H] per step, in the order of time, and the last state
 */
export function runCell(
  cell: Cell,
  products: tf.Tensor,
  options: {
    readonly weights: CellWeights;
    readonly numStates: number;
    readonly mask: tf.Tensor | undefined;
    readonly isReverse: boolean;
  },
): { outputs: tf.Tensor[]; state: CellState } {
  const { weights, numStates, mask, isReverse } = options;
  const [batch, steps] = products.shape as [number, number];
  const zeros = tf.zeros([batch, weights.units]);
  let state: CellState = Array.from({ length: numStates }, () => zeros);
  const inputs = tf.unstack(products, 1);
  const outputs: tf.Tensor[] = [];
  for (let n = 0; n < steps; ++n) {
    const t = isReverse ? steps - 1 - n : n;
    const next = cell(inputs[t] as tf.Tensor, state, weights);
    if (mask === undefined) {
      state = next;
      outputs[t] = next[0] as tf.Tensor;
    } else {
      const counts = tf.tile(tf.slice(mask, [0, t], [batch, 1]), [1, weights.units]);
      outputs[t] = tf.where(counts, next[0] as tf.Tensor, zeros);
      state = next.map((value, i) => tf.where(counts, value, state[i] as tf.Tensor));
    }
  }
  return { outputs, state };
}
