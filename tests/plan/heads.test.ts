/**
 * Calls that take the rows of a product or convolution as soon as they are complete: biases, activations, residuals, norms and
 * casts behind it, the derivative of an activation behind a gradient. Same bits as eager runs, with 1 and 2 threads.
 */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { autocast } from '../../ts/backend/custom/autocast.js';
import { layerNorm, linear } from '../../ts/backend/custom/index.js';
import { compile } from '../../ts/backend/plan.js';
import { BACKEND_NAME, bitsOf, engineUnderTest, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

interface HeadCase {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly body: (...x: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  /** Calls of a chain, in the order of the program; several chains where the step has several. */
  readonly chains: readonly RegExp[];
}

const conv = (x: tf.Tensor, filter: tf.Tensor, strides = 1, pad: 'same' | 'valid' = 'same'): tf.Tensor =>
  tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad);

const CASES: readonly HeadCase[] = [
  ...(
    [
      ['tall', [500, 40], [40, 33]],
      ['small', [7, 5], [5, 3]],
      ['deep, in parts', [16, 9000], [9000, 8]],
      ['deep, in super-blocks', [96, 3000], [3000, 500]],
      ['wide', [30, 300], [300, 1100]],
      ['of one row', [1, 64], [64, 200]],
    ] as const
  ).map(([name, a, b]): HeadCase => ({
    name: `matMul ${name}: bias, activation`,
    shapes: [a, b, [b[1]]],
    body: (x, y, bias) => tf.sigmoid(tf.add(tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D), bias)),
    chains: [/matmul, add, sigmoid/],
  })),
  {
    name: 'matMul: softmax of rows',
    shapes: [
      [200, 32],
      [32, 50],
    ],
    body: (x, y) => tf.softmax(tf.mul(tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D), 0.25)),
    chains: [/matmul, mul, softmax/],
  },
  {
    name: 'matMul of a batch: activation',
    shapes: [
      [20, 17, 9],
      [20, 9, 13],
    ],
    body: (x, y) => tf.relu(tf.matMul(x as tf.Tensor3D, y as tf.Tensor3D)),
    chains: [/matmul, relu/],
  },
  {
    name: 'conv2d: bias and activation, and a residual behind another',
    shapes: [[6, 12, 11, 5], [3, 3, 5, 8], [8], [3, 3, 8, 8]],
    body: (x, first, bias, second) => {
      const z = tf.relu(tf.add(conv(x, first), bias));
      return tf.relu(tf.add(conv(z, second), z));
    },
    chains: [/conv2d, add, relu/, /conv2d, add, relu/],
  },
  {
    name: 'conv2d, 1x1 and strided',
    shapes: [
      [4, 9, 9, 16],
      [1, 1, 16, 24],
      [3, 3, 24, 7],
    ],
    body: (x, first, second) => tf.tanh(conv(tf.elu(conv(x, first)), second, 2, 'valid')),
    chains: [/conv2d, elu/, /conv2d, tanh/],
  },
  ...[1, 2].map((strides): HeadCase => ({
    name: `gradients of conv2d with strides ${strides}: derivative of the activation before it`,
    shapes: [
      [5, 10, 9, 4],
      [3, 3, 4, 6],
      [3, 3, 6, 5],
    ],
    body: (x, first, second) =>
      tf.grads((a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) => tf.sum(tf.square(conv(tf.sigmoid(conv(a, b)), c, strides))))([
        x,
        first,
        second,
      ]),
    chains: [/conv2d, sigmoid/, /conv2d_input_grad(, \w+)+/],
  })),
  {
    name: 'linear: residual and norm, and their gradients',
    shapes: [[150, 24], [24, 48], [48], [48, 24], [24], [24], [24]],
    body: (...x) =>
      tf.grads(
        (a: tf.Tensor, w1: tf.Tensor, b1: tf.Tensor, w2: tf.Tensor, b2: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) => {
          const hidden = linear(a, w1, { bias: b1, activation: 'gelu' });
          const out = linear(hidden, w2, { bias: b2 });
          return tf.sum(tf.square(layerNorm(tf.add(a, out), { scale: scale, offset: offset })));
        },
      )(x),
    chains: [/linear, add, row_norm/],
  },
  {
    name: 'bf16: the cast of the result',
    shapes: [
      [130, 20],
      [20, 19],
    ],
    body: (x, y) => autocast('bf16', () => tf.relu(tf.cast(tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D), 'float32'))),
    chains: [/matmul, cast/],
  },
];

/** Names of the calls of each chain behind a product. */
function chainsOf(program: string): string[] {
  return [...program.matchAll(/on the rows of its first call \{\n([^]*?)\n\}/g)].map(([, lines]) =>
    [...(lines as string).matchAll(/(?:^|= )\s*(\w+)\(/gm)].map(([, op]) => op).join(', '),
  );
}

describe('what follows a product takes its rows:', () => {
  it.for(CASES)('$name', ({ shapes, body, chains }, context) => {
    if (BACKEND_NAME !== 'tensorkiln-cpu') context.skip('calls are chained on the CPU only');
    const { addon } = engineUnderTest();
    const threads = addon.threads();
    const x = shapes.map((shape, i) => tf.randomNormal([...shape], 0, 0.5, 'float32', 10 + i));
    // Something else is the step's peak of memory: a product alone with its chain would take more than an eager run, and is left.
    const load = tf.ones([1 << 21]);
    const results = tf.tidy(() => [body(...x)].flat());
    const eager = results.map((y) => bitsOf(y.dataSync<'float32'>()));
    tf.dispose(results);
    for (const count of [1, 2]) {
      addon.setThreads(count);
      const step = compile((...args: tf.Tensor[]) => [...[body(...args)].flat(), tf.sum(tf.cumsum(tf.cumsum(load)))]);
      for (let i = 0; i < 4; ++i) {
        const results = step(...x);
        tf.dispose(results.pop());
        expect(results.map((y) => bitsOf(y.dataSync<'float32'>()))).toEqual(eager);
        tf.dispose(results);
      }
      expect(step.statistics.replays).toBe(2);
      const found = chainsOf(step.programs().join('\n'));
      for (const chain of chains) {
        const at = found.findIndex((calls) => chain.test(calls));
        expect(at, `${String(chain)} among ${found.join(' | ')}`).toBeGreaterThanOrEqual(0);
        found.splice(at, 1);
      }
      step.dispose();
    }
    addon.setThreads(threads);
    tf.dispose([x, load]);
  });
});
