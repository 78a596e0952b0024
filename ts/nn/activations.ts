/** Activation functions by name, applied elementwise (softmax: over the last axis). */
import * as tf from '@tensorflow/tfjs-core';

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
] as const;
export type ActivationName = (typeof ACTIVATIONS)[number];

/** Slope of leaky_relu below zero when none is given; tfjs-core's default. */
export const DEFAULT_LEAKY_RELU_ALPHA = 0.2;

/**
 * Applies an activation function.
 *
 * - linear: x; relu: max(x, 0); relu6: min(max(x, 0), 6); sigmoid: 1 / (1 + exp(-x)); tanh; softplus: log(1 + exp(x))
 * - elu: x > 0 ? x : exp(x) - 1 (Clevert, Unterthiner, Hochreiter 2016)
 * - selu: scale * (x > 0 ? x : alpha * (exp(x) - 1)) (Klambauer, Unterthiner, Mayr, Hochreiter 2017)
 * - leaky_relu: x > 0 ? x : alpha * x
 * - softmax: exp(x_i) / sum_j exp(x_j) over the last axis
 * - gelu: x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2))) (Hendrycks, Gimpel 2016), not the tanh approximation
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
      return tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)));
  }
}
