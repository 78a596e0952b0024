import type * as Tfjs from '@tensorflow/tfjs-core';
import { type BenchmarkCase, fixedValues, type PreparedCase } from '../harness/case.js';

const SUMS = { relative: 1e-5, reason: 'float32 sums in another order' } as const;

/** A case whose work is one expression of tensors made beforehand. */
function expression(
  inputs: readonly (readonly [shape: number[], seed: number])[],
  compute: (tf: typeof Tfjs, tensors: Tfjs.Tensor[]) => Tfjs.Tensor,
): BenchmarkCase['prepare'] {
  return (tf) => {
    const tensors = inputs.map(([shape, seed]) => tf.tensor(fixedValues(tf.util.sizeFromShape(shape), seed), shape));
    const run = (): Float32Array => {
      const result = tf.tidy(() => compute(tf, tensors));
      // Read outside tidy, which walks every element of what its function returns.
      const values = result.dataSync<'float32'>();
      result.dispose();
      return values;
    };
    return Promise.resolve({ run });
  };
}

function matmul(size: number): BenchmarkCase {
  return {
    name: `matmul ${size}x${size}x${size}`,
    work: { amount: 2 * size ** 3, unit: 'flop' },
    tolerance: SUMS,
    prepare: expression(
      [
        [[size, size], 1],
        [[size, size], 2],
      ],
      (tf, [a, b]) => tf.matMul(a as Tfjs.Tensor2D, b as Tfjs.Tensor2D),
    ),
  };
}

const conv2d: BenchmarkCase = {
  name: 'conv2d 2x28x28x32, 5x5, 64 filters, same',
  work: { amount: 2 * 2 * 28 * 28 * 64 * 5 * 5 * 32, unit: 'flop' },
  tolerance: SUMS,
  prepare: expression(
    [
      [[2, 28, 28, 32], 3],
      [[5, 5, 32, 64], 4],
    ],
    (tf, [x, filter]) => tf.conv2d(x as Tfjs.Tensor4D, filter as Tfjs.Tensor4D, 1, 'same'),
  ),
};

const elementwise: BenchmarkCase = {
  name: 'relu(x * y + z), 1M elements',
  // Each op reads its operands and writes its result: 3 + 3 + 2 arrays.
  work: { amount: 8 * 4 * 2 ** 20, unit: 'byte' },
  tolerance: { relative: 1e-6, reason: 'one rounding per op on both sides' },
  prepare: expression(
    [
      [[1024, 1024], 5],
      [[1024, 1024], 6],
      [[1024, 1024], 7],
    ],
    (tf, [x, y, z]) => tf.relu(tf.add(tf.mul(x!, y!), z!)),
  ),
};

const softmax: BenchmarkCase = {
  name: 'softmax 1024x1000',
  work: { amount: 2 * 4 * 1024 * 1000, unit: 'byte' },
  tolerance: { relative: 1e-5, reason: 'float32 exp and sums in another order' },
  prepare: expression([[[1024, 1000], 8]], (tf, [x]) => tf.softmax(x!)),
};

const adam: BenchmarkCase = {
  name: 'Adam step, 8 parameters, 1.3M elements',
  // Parameter, gradient and both moments are read, all but the gradient written.
  work: { amount: 7 * 4 * 4 * (512 * 512 + 65536), unit: 'byte' },
  tolerance: { relative: 1e-4, reason: 'a few steps; each divides by the root of a running mean' },
  prepare: async (tf, subject): Promise<PreparedCase> => {
    const shapes = [0, 1, 2, 3].flatMap(() => [[512, 512], [65536]]);
    const values = (seed: number): Tfjs.Tensor[] =>
      shapes.map((shape, i) => tf.tensor(fixedValues(tf.util.sizeFromShape(shape), seed + i), shape));
    const variables = Object.fromEntries(values(10).map((value, i) => [`p${i}`, tf.variable(value, true, `p${i}`)]));
    const gradients = Object.fromEntries(values(30).map((value, i) => [`p${i}`, value as Tfjs.Variable]));
    const step = await adamStep(tf, subject, variables, gradients);
    return {
      run: (): Float32Array => {
        step();
        // Reading one value waits for the step without adding a copy of everything.
        return tf.tidy(() => tf.slice(tf.reshape(variables['p0']!, [-1]), 0, 1).dataSync<'float32'>());
      },
      result: () => Float32Array.from(Object.values(variables).flatMap((variable) => [...variable.dataSync<'float32'>()])),
    };
  },
};

/** The optimizer a user of each backend would take: the stock one, and ours, which updates in place. */
async function adamStep(
  tf: typeof Tfjs,
  subject: 'tensorkiln' | 'stock',
  variables: Record<string, Tfjs.Variable>,
  gradients: Record<string, Tfjs.Variable>,
): Promise<() => void> {
  if (subject === 'stock') {
    const optimizer = tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
    return () => optimizer.applyGradients(gradients);
  }
  const { Adam } = await import('tensorkiln/optim');
  const optimizer = new Adam({ learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
  optimizer.bind(variables);
  return () => optimizer.apply(gradients);
}

export const CASES: readonly BenchmarkCase[] = [matmul(64), matmul(512), conv2d, elementwise, softmax, adam];
