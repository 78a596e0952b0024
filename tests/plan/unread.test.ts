/** Results that nobody reads and that an op makes on demand: the optimised step does without them, with the same bits. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { groupNorm, gru, layerNorm, linear, lstm, residualLayerNorm, rnn } from '../../ts/backend/custom/index.js';
import { compile } from '../../ts/backend/plan.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

interface UnreadCase {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly loss: (...x: tf.Tensor[]) => tf.Tensor;
  /** Inputs whose gradients are asked for. */
  readonly wanted: readonly number[];
  /** The gradient op's line of the program: results of 0 elements are left out. */
  readonly line: RegExp;
}

const recurrentShapes = (gates: number): number[][] => [
  [3, 5, 7],
  [7, gates * 6],
  [6, gates * 6],
];

const CASES: readonly UnreadCase[] = [
  {
    name: "linear: the batch's gradient",
    shapes: [[9, 20], [20, 11], [11]],
    loss: (x, w, bias) => linear(x, w, { bias, activation: 'relu' }).square().sum(),
    wanted: [1, 2],
    line: /f32\[0\], %\d+: f32\[20,11\], %\d+: f32\[11\] = linear_grad/,
  },
  {
    name: 'linear: frozen weights',
    shapes: [[9, 20], [20, 11], [11]],
    loss: (x, w, bias) => linear(x, w, { bias, activation: 'tanh' }).square().sum(),
    wanted: [0],
    line: /f32\[9,20\], %\d+: f32\[0\], %\d+: f32\[0\] = linear_grad/,
  },
  {
    name: 'layer norm: frozen scale',
    shapes: [[9, 20], [20], [20]],
    loss: (x, scale, offset) => layerNorm(x, { scale, offset }).square().sum(),
    wanted: [0, 2],
    line: /f32\[9,20\], %\d+: f32\[0\], %\d+: f32\[20\] = row_norm_grad/,
  },
  {
    name: 'residual layer norm: frozen offset',
    shapes: [[9, 20], [9, 20], [20], [20]],
    loss: (x, residual, scale, offset) => residualLayerNorm(x, residual, { scale, offset }).y.square().sum(),
    wanted: [0, 1, 2],
    line: /f32\[9,20\], %\d+: f32\[20\], %\d+: f32\[0\] = residual_norm_grad/,
  },
  {
    name: 'group norm: frozen scale and offset',
    shapes: [[4, 5, 5, 6], [6], [6]],
    loss: (x, scale, offset) => groupNorm(x, 3, { scale, offset }).square().sum(),
    wanted: [0],
    line: /f32\[4,25,6\], %\d+: f32\[0\], %\d+: f32\[0\] = group_norm_grad/,
  },
  ...([lstm, gru, rnn] as const).map((layer, i): UnreadCase => ({
    name: `${layer.name}: the batch's gradient`,
    shapes: recurrentShapes([4, 3, 1][i] as number),
    loss: (x, kernel, recurrentKernel) =>
      (layer(x, { kernel: kernel, recurrentKernel: recurrentKernel }).y as tf.Tensor).square().sum(),
    wanted: [1, 2],
    line: /f32\[0\], %\d+: f32\[7,\d+\], %\d+: f32\[6,\d+\].* = (lstm|gru|rnn)_grad/,
  })),
];

const bits = (tensors: readonly tf.Tensor[]): Uint32Array[] => tensors.map((tensor) => bitsOf(tensor.dataSync<'float32'>()));

describe('results that nobody reads', () => {
  it.each(CASES)('$name', ({ shapes, loss, wanted, line }) => {
    const inputs = shapes.map((shape, i) => tf.randomNormal([...shape], 0, 1, 'float32', i + 1));
    const gradients = (...x: tf.Tensor[]): tf.Tensor[] => {
      const all = tf.grads(loss)(x);
      return wanted.map((i) => all[i] as tf.Tensor);
    };
    const step = compile(gradients);
    const eager = bits(gradients(...inputs));
    for (let i = 0; i < 4; ++i) expect(bits(step(...inputs))).toEqual(eager);
    expect(step.statistics.replays).toBeGreaterThan(0);
    expect(step.programs().join('\n')).toMatch(line);
    expect(step.programs().join('\n')).not.toMatch(/ 0 unread results/);
    step.dispose();
    tf.dispose(inputs);
  });
});
