/** Activation functions by name, applied elementwise (softmax: over the last axis). */
import * as tf from '@tensorflow/tfjs-core';
import { gelu, mish, silu, type FusedActivation } from '../backend/custom/activations.js';

/** Names of the activation functions. */
export const ACTIVATIONS = [
  'linear',
  'relu',
  'relu6',
  'elu',
  'selu',
  'leaky_relu',
  'sigmoid',
  'tanh',
  'softmax',
  'softplus',
  'gelu',
  'gelu_tanh',
  'silu',
  'mish',
  'softsign',
  'hard_sigmoid',
  'hard_swish',
  'log_softmax',
  'exponential',
] as const;
export type ActivationName = (typeof ACTIVATIONS)[number];

/** Slope of leaky_relu below zero when none is given; tfjs-core's default. */
export const DEFAULT_LEAKY_RELU_ALPHA = 0.2;

/** Functions that the op of dense layers applies itself. */
const WITHIN_LINEAR: Readonly<Partial<Record<ActivationName, FusedActivation>>> = {
  linear: 'none',
  relu: 'relu',
  sigmoid: 'sigmoid',
  tanh: 'tanh',
  gelu: 'gelu',
  gelu_tanh: 'geluTanh',
  silu: 'silu',
  mish: 'mish',
};

/** The name of an activation within `linear`; undefined for one that is an op of its own. */
export function fusedName(name: ActivationName): FusedActivation | undefined {
  return WITHIN_LINEAR[name];
}

/**
 * Applies an activation function.
 *
 * - linear: x; relu: max(x, 0); relu6: min(max(x, 0), 6); sigmoid: 1 / (1 + exp(-x)); tanh; softplus: log(1 + exp(x))
 * - elu: x > 0 ? x : exp(x) - 1 (Clevert, Unterthiner, Hochreiter 2016)
 * - selu: scale * (x > 0 ? x : alpha * (exp(x) - 1)) (Klambauer, Unterthiner, Mayr, Hochreiter 2017)
 * - leaky_relu: x > 0 ? x : alpha * x
 * - softmax: exp(x_i) / sum_j exp(x_j) over the last axis
 * - gelu: x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2))) (Hendrycks, Gimpel 2016), not the tanh approximation
 * - gelu_tanh: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) (Hendrycks, Gimpel 2016)
 * - silu: x * sigmoid(x) (Elfwing et al. 2017); mish: x * tanh(softplus(x)) (Misra 2019); softsign: x / (1 + |x|)
 * - hard_sigmoid: relu6(x + 3) / 6; hard_swish: x * hard_sigmoid(x) (Howard et al. 2019); exponential: exp(x)
 * - log_softmax: x - log(sum_j exp(x_j)) over the last axis
 *
 * @param name     activation
 * @param x        [...] float32; rank >= 1 for softmax
 * @param alpha    slope of leaky_relu below zero, default 0.2; ignored by the others
 * @returns        a new tensor of x's shape
 */
export function activate(name: ActivationName, x: tf.Tensor, alpha = DEFAULT_LEAKY_RELU_ALPHA): tf.Tensor {
  switch (name) {
    case 'linear':
      return tf.clone(x);
    case 'relu':
      return tf.relu(x);
    case 'relu6':
      return tf.relu6(x);
    case 'elu':
      return tf.elu(x);
    case 'selu':
      return tf.selu(x);
    case 'leaky_relu':
      return tf.leakyRelu(x, alpha);
    case 'sigmoid':
      return tf.sigmoid(x);
    case 'tanh':
      return tf.tanh(x);
    case 'softmax':
      return tf.softmax(x);
    case 'softplus':
      return tf.softplus(x);
    case 'gelu':
      return gelu(x);
    case 'gelu_tanh':
      return gelu(x, true);
    case 'silu':
      return silu(x);
    case 'mish':
      return mish(x);
    case 'softsign':
      return tf.tidy(() => tf.div(x, tf.add(tf.abs(x), 1)));
    case 'hard_sigmoid':
      return tf.tidy(() => tf.div(tf.relu6(tf.add(x, 3)), 6));
    case 'hard_swish':
      return tf.tidy(() => tf.mul(x, tf.div(tf.relu6(tf.add(x, 3)), 6)));
    case 'log_softmax':
      return tf.logSoftmax(x);
    case 'exponential':
      return tf.exp(x);
  }
}
