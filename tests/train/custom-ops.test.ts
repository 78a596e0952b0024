import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  DeviceScalars,
  dropout,
  overwriteVariable,
  randomNormal,
  RandomState,
  randomUniform,
  restoreVariable,
  softmaxCrossEntropy,
} from '../../ts/backend/custom/index.js';
import { philoxBlock } from '../../ts/backend/custom/philox.js';
import { compile } from '../../ts/backend/plan.js';
import { randomSource, randomValues } from '../support/describe-model.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';
import { numericGradient } from '../support/numeric-gradient.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

const expectClose = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void => {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; ++i) {
    expect(Math.abs(actual[i]! - expected[i]!), `element ${i}: ${actual[i]} and ${expected[i]}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected[i]!)),
    );
  }
};

/** -sum_j labels_j log softmax(z)_j per row, in double precision. */
function referenceLoss(logits: Float64Array, labels: Float64Array, classes: number): Float64Array {
  return Float64Array.from({ length: logits.length / classes }, (_, row) => {
    const z = logits.subarray(row * classes, (row + 1) * classes);
    const largest = Math.max(...z);
    const logSum = largest + Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    return z.reduce((sum, value, j) => sum + labels[row * classes + j]! * (logSum - value), 0);
  });
}

describe('softmaxCrossEntropy', () => {
  const [rows, classes] = [7, 5];
  const random = randomSource(3);
  const logits = randomValues(random, rows * classes, 6);
  const sparse = Int32Array.from({ length: rows }, (_, row) => (row * 3) % classes);
  const oneHot = Float64Array.from({ length: rows * classes }, (_, i) =>
    sparse[Math.floor(i / classes)] === i % classes ? 1 : 0,
  );
  const raw = Float64Array.from({ length: rows * classes }, () => random() + 0.01);
  const soft = Float32Array.from(raw, (value, i) => {
    const start = i - (i % classes);
    return value / raw.subarray(start, start + classes).reduce((a, b) => a + b);
  });

  it.each([
    ['class indices', () => tf.tensor1d(sparse, 'int32'), oneHot],
    ['probabilities', () => tf.tensor2d(soft, [rows, classes]), Float64Array.from(soft)],
  ] as const)('%s: loss and gradient', (_, makeLabels, dense) => {
    const weights = randomValues(random, rows, 2);
    const weighted = (z: tf.Tensor): tf.Scalar => tf.sum(tf.mul(softmaxCrossEntropy(z, makeLabels()), tf.tensor1d(weights)));
    const z = Float64Array.from(logits);
    const loss = softmaxCrossEntropy(tf.tensor2d(logits, [rows, classes]), makeLabels());
    expect(loss.shape).toEqual([rows]);
    // exp and log are good to 4 ulp, sums of five terms add a few more.
    expectClose(loss.dataSync(), referenceLoss(z, dense, classes), 2e-6);
    const numeric = numericGradient(z, () =>
      referenceLoss(z, dense, classes).reduce((sum, value, row) => sum + value * weights[row]!, 0),
    );
    expectClose(
      tf
        .grad(weighted)(tf.tensor2d(logits, [rows, classes]))
        .dataSync(),
      numeric,
      2e-6,
    );
  });

  it('stays finite for large logits and replays with the same bits', () => {
    const extreme = tf.tensor2d([1e4, -1e4, 0, 88, 89, 90], [2, 3]);
    const labels = tf.tensor1d([1, 0], 'int32');
    expectClose(softmaxCrossEntropy(extreme, labels).dataSync(), [2e4, Math.log(1 + Math.E + Math.E ** 2)], 1e-6);
    const step = compile((z: tf.Tensor, y: tf.Tensor) => {
      const { value, grad } = tf.valueAndGrad((input: tf.Tensor) => tf.mean(softmaxCrossEntropy(input, y)))(z);
      return [value, grad];
    });
    const outputs = [1, 2, 3, 4].map(() => step(extreme, labels).map((tensor) => [...bitsOf(tensor.dataSync<'float32'>())]));
    expect(step.statistics.replays).toBe(2);
    for (const output of outputs.slice(1)) expect(output).toEqual(outputs[0]);
    step.dispose();
  });

  it('refuses what does not fit', () => {
    const z = tf.zeros([2, 3]);
    expect(() => softmaxCrossEntropy(z, tf.tensor1d([0, 1, 2], 'int32'))).toThrow(
      failure('E_SHAPE', /logits \[2, 3\] and labels int32 \[3\]/),
    );
    expect(() => softmaxCrossEntropy(z, tf.tensor1d([0, 1]))).toThrow(failure('E_SHAPE', /labels float32 \[N, C\]/));
    expect(() => softmaxCrossEntropy(tf.zeros([2]), tf.tensor1d([0, 1], 'int32'))).toThrow(
      failure('E_SHAPE', /logits \[N, C\]/),
    );
    expect(() => softmaxCrossEntropy(z, tf.tensor1d([true, false], 'bool'))).toThrow(
      failure('E_DTYPE', /int32 or float32, got bool/),
    );
    expect(() => softmaxCrossEntropy(z, tf.tensor1d([0, 3], 'int32'))).toThrow(
      failure('E_INDEX', /label 3 at position 1 is out of range: expected 0 to 2/),
    );
  });
});

describe('random numbers', () => {
  it('are the words of the host generator', async () => {
    const state = new RandomState(77);
    const values = randomUniform([10], state).dataSync();
    const words: number[] = [];
    const block = new Uint32Array(4);
    for (let counter = 0; counter < 3; ++counter) {
      philoxBlock(Uint32Array.of(counter, 0, 0, 0), Uint32Array.of(77, 0), block);
      words.push(...block);
    }
    expect([...values]).toEqual(words.slice(0, 10).map((word) => (word >>> 8) / 2 ** 24));
    expect(await state.getState()).toEqual({ key: [77, 0], counter: [3, 0] });
    state.dispose();
  });

  it('continue from a saved state and differ between streams', async () => {
    const state = new RandomState(5, { stream: 'a' });
    const other = new RandomState(5, { stream: 'b' });
    randomNormal([33], state);
    const saved = await state.getState();
    expect(JSON.parse(JSON.stringify(saved))).toEqual(saved);
    const next = randomNormal([33], state).dataSync();
    expect([...randomNormal([33], other).dataSync()]).not.toEqual([...next]);
    other.setState(saved);
    expect(randomNormal([33], other).dataSync()).toEqual(next);
    expect(() => other.setState({ key: [1, 2], counter: [-1, 0] })).toThrow(failure('E_CONFIG', /unsigned 32-bit/));
    state.dispose();
    other.dispose();
  });

  it('keep to their range and scale', () => {
    const state = new RandomState(8);
    const integers = randomUniform([3000], state, { dtype: 'int32', min: -2, max: 3 }).dataSync();
    expect([...new Set(integers)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
    const normals = randomNormal([20_000], state, { mean: 3, stddev: 0.5 }).dataSync<'float32'>();
    const mean = normals.reduce((a, b) => a + b) / normals.length;
    // Five standard errors: 0.5 / sqrt(20000) is 0.0035.
    expect(Math.abs(mean - 3)).toBeLessThan(0.018);
    expect(() => randomUniform([1], state, { min: 2, max: 2 })).toThrow(
      failure('E_CONFIG', /max: expected a finite number > 2, got 2/),
    );
    expect(() => randomUniform([1], state, { dtype: 'int32' })).toThrow(failure('E_CONFIG', /max/));
    expect(() => randomNormal([1], state, { stddev: -1 })).toThrow(failure('E_CONFIG', /stddev/));
    state.dispose();
  });

  it('go on from replay to replay as they do eagerly', async () => {
    const [eager, replayed] = [new RandomState(9), new RandomState(9)];
    const step = compile((x: tf.Tensor) => tf.add(randomNormal(x.shape, replayed), dropout(x, 0.3, replayed)));
    const x = tf.ones([5, 7]);
    for (let i = 0; i < 6; ++i) {
      const expected = tf.add(randomNormal([5, 7], eager), dropout(x, 0.3, eager)).dataSync();
      expect(step(x).dataSync()).toEqual(expected);
    }
    expect(step.statistics.replays).toBe(4);
    expect(await replayed.getState()).toEqual(await eager.getState());
    step.dispose();
  });
});

describe('dropout', () => {
  it('drops about rate of the elements, scales the others, and gives the gradient the same mask', () => {
    const state = new RandomState(21);
    const x = tf.tensor1d(randomValues(randomSource(1), 10_000));
    const { value, grad } = tf.valueAndGrad((input: tf.Tensor) => dropout(input, 0.25, state))(x, tf.fill([10_000], 3));
    const [values, mask, y] = [x.dataSync(), grad.dataSync(), value.dataSync()];
    const kept = Math.fround(1 / 0.75);
    y.forEach((element, i) => {
      // One rounding of 1 / (1 - rate) and one of the product.
      expect(Math.abs(mask[i]!) < 1e-12 || Math.abs(mask[i]! / (3 * kept) - 1) < 3e-7).toBe(true);
      expect(Math.abs(element - (mask[i] === 0 ? 0 : values[i]! * kept))).toBeLessThan(1e-6);
    });
    // Five standard deviations of a binomial share: 5 * sqrt(0.25 * 0.75 / 10000).
    expect(Math.abs(mask.filter((element) => element === 0).length / 10_000 - 0.25)).toBeLessThan(0.022);
    state.dispose();
  });

  it('draws a new mask at each call and leaves x alone at rate 0', () => {
    const state = new RandomState(2);
    const x = tf.ones([64]);
    expect([...dropout(x, 0.5, state).dataSync()]).not.toEqual([...dropout(x, 0.5, state).dataSync()]);
    expect([...dropout(x, 0, state).dataSync()]).toEqual([...x.dataSync()]);
    expect(() => dropout(x, 1, state)).toThrow(failure('E_CONFIG', /rate/));
    expect(() => dropout(tf.ones([2], 'int32'), 0.5, state)).toThrow(failure('E_DTYPE', /expected float32, got int32/));
    state.dispose();
  });

  it('keeps no tensor but the result', () => {
    const state = new RandomState(2);
    const [x, dy] = [tf.ones([64]), tf.ones([64])];
    const before = tf.memory().numTensors;
    const { value, grad } = tf.valueAndGrad((input: tf.Tensor) => dropout(input, 0.5, state))(x, dy);
    expect(tf.memory().numTensors).toBe(before + 2);
    tf.dispose([value, grad, x, dy]);
    state.dispose();
  });
});

describe('variables that stay where they are', () => {
  it('are overwritten and restored without touching earlier clones', async () => {
    const variable = tf.variable(tf.tensor1d([1, 2, 3]));
    const step = compile((x: tf.Tensor) => tf.mul(x, variable));
    const ten = tf.tensor1d([10, 10, 10]);
    for (let i = 0; i < 3; ++i) step(ten);
    const clone = variable.clone();
    const pending = variable.data();
    overwriteVariable(variable, Float32Array.of(4, 5, 6));
    expect([...step(ten).dataSync()]).toEqual([40, 50, 60]);
    expect([...clone.dataSync()]).toEqual([1, 2, 3]);
    expect([...(await pending)]).toEqual([1, 2, 3]);
    restoreVariable(variable, clone);
    expect([...step(ten).dataSync()]).toEqual([10, 20, 30]);
    overwriteVariable(variable, Float32Array.of(7, 8, 9));
    expect([...clone.dataSync()]).toEqual([1, 2, 3]);
    expect(step.statistics.replays).toBe(3);
    expect(() => overwriteVariable(variable, Float32Array.of(1))).toThrow(failure('E_SHAPE', /expected 3, got 1/));
    expect(() => restoreVariable(variable, tf.zeros([2]))).toThrow(
      failure('E_SHAPE', /expected float32 \[3\], got float32 \[2\]/),
    );
    step.dispose();
    variable.dispose();
    expect(() => overwriteVariable(variable, Float32Array.of(1, 2, 3))).toThrow(failure('E_DISPOSED', /disposed/));
  });

  it('are not written inside a recorded step', () => {
    const scalars = new DeviceScalars(['rate', 'decay'], { rate: 0.1, decay: 0 });
    const step = compile((x: tf.Tensor) => {
      scalars.set({ rate: 0.2 });
      return tf.neg(x);
    });
    expect(() => step(tf.ones([2]))).toThrow(failure('E_RECORDING', /between steps/));
    expect(scalars.get('rate')).toBe(0.1);
    scalars.set({ rate: 0.3 });
    expect([scalars.get('rate'), scalars.get('decay')]).toEqual([0.3, 0]);
    scalars.dispose();
    step.dispose();
  });
});
