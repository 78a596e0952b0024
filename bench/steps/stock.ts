/** Training steps as a program for tfjs-core alone writes them: nothing here is of Tensorkiln, so the same code runs on any backend. */
import * as tf from '@tensorflow/tfjs-core';
import type { StepSubject } from './models.js';

/** Weights of a layer: uniform within ±sqrt(6 / (in + out)), zero biases. */
function layer(shape: number[], seed: number): [tf.Variable, tf.Variable] {
  const outputs = shape.at(-1) as number;
  const inputs = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const limit = Math.sqrt(6 / (inputs + outputs));
  return [tf.variable(tf.randomUniform(shape, -limit, limit, 'float32', seed)), tf.variable(tf.zeros([outputs]))];
}

const dense = (x: tf.Tensor, [kernel, bias]: readonly tf.Variable[]): tf.Tensor =>
  tf.add(tf.matMul(x as tf.Tensor2D, kernel as tf.Tensor as tf.Tensor2D), bias as tf.Tensor);

function convolve(x: tf.Tensor, [kernel, bias]: readonly tf.Variable[]): tf.Tensor {
  const maps = tf.conv2d(x as tf.Tensor4D, kernel as tf.Tensor as tf.Tensor4D, 1, 'same');
  return tf.maxPool(tf.relu(tf.add<tf.Tensor4D>(maps, bias as tf.Tensor)), 2, 2, 'valid');
}

interface StockModel {
  readonly input: number[];
  readonly forward: (x: tf.Tensor) => tf.Tensor;
  /** Multiply-adds of one forward pass. */
  readonly products: number;
}

const STOCK: Readonly<Record<string, () => StockModel>> = {
  'stock-mlp': () => {
    const [a, b, c] = [layer([784, 512], 1), layer([512, 256], 2), layer([256, 10], 3)];
    return {
      input: [128, 784],
      forward: (x) => dense(tf.relu(dense(tf.relu(dense(x, a)), b)), c),
      products: 128 * (784 * 512 + 512 * 256 + 256 * 10),
    };
  },
  'stock-lenet': () => {
    const [a, b] = [layer([5, 5, 1, 32], 1), layer([5, 5, 32, 64], 2)];
    const [c, d] = [layer([3136, 128], 3), layer([128, 10], 4)];
    return {
      input: [64, 28, 28, 1],
      forward: (x) => dense(tf.relu(dense(tf.reshape(convolve(convolve(x, a), b), [-1, 3136]), c)), d),
      products: 64 * (28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 3136 * 128 + 128 * 10),
    };
  },
};

export const isStock = (name: string): boolean => name in STOCK;

/** A model with its data; a step is what `tf.train.adam(...).minimize` does, outside any compiled step. */
export function makeStockSubject(name: string): StepSubject {
  const make = STOCK[name];
  if (make === undefined) throw new Error(`no stock model '${name}': expected one of ${Object.keys(STOCK).join(', ')}`);
  const { input, forward, products } = make();
  const x = tf.randomUniform(input, -1, 1, 'float32', 5);
  const classes = Int32Array.from({ length: input[0] as number }, (_, i) => (i * 7919) % 10);
  const labels = tf.oneHot(tf.tensor1d(classes, 'int32'), 10).toFloat();
  const optimizer = tf.train.adam(1e-3);
  return {
    step: () => optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, forward(x)), true) as tf.Tensor,
    programs: () => [],
    flops: 6 * products,
  };
}
