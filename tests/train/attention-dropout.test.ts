/** Dropout on the weights of attention: the mask's definition, its gradient, its statistics, replays, and memory. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { attention, RandomState, type AttentionOptions } from '../../ts/backend/custom/index.js';
import { philoxBlock } from '../../ts/backend/custom/philox.js';
import { compile } from '../../ts/backend/plan.js';
import * as nn from '../../ts/nn/index.js';
import { randomSource, randomValues } from '../support/describe-model.js';
import { bitsOf, engineUnderTest, useNativeBackend } from '../support/native-backend.js';
import { numericGradient } from '../support/numeric-gradient.js';

beforeAll(() => useNativeBackend());

const KEY = 21;

/** Whether weight (batch, head, query, key) is kept: word `key` of row (batch, head, query), rows of whole blocks of four. */
function isKept([, queries, heads, keys]: readonly number[], rate: number, [b, h, i, j]: readonly number[]): boolean {
  const block = new Uint32Array(4);
  const row = (b! * heads! + h!) * queries! + i!;
  philoxBlock(Uint32Array.of(row * Math.ceil(keys! / 4) + Math.floor(j! / 4), 0, 0, 0), Uint32Array.of(KEY, 0), block);
  return block[j! % 4]! >>> 8 >= rate * 2 ** 24;
}

/** q, k, v of random numbers. */
function heads(batch: number, queries: number, keys: number, count: number, size: number): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const make = (length: number, seed: number): tf.Tensor => {
    const shape = [batch, length, count, size];
    return tf.tensor(randomValues(randomSource(seed), tf.util.sizeFromShape(shape)), shape);
  };
  return [make(queries, 1), make(keys, 2), make(keys, 3)];
}

/** Gradients of the sum of y times dy, and y. */
function gradientsOf(qkv: readonly tf.Tensor[], dy: tf.Tensor, options: AttentionOptions): tf.Tensor[] {
  const run = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor => attention(q, k, v, options);
  const { value, grads } = tf.valueAndGrads(run)([...qkv], dy);
  return [value, ...grads];
}

describe('dropout of attention', () => {
  it('keeps the weights that Philox says, divided by 1 - rate', () => {
    const random = new RandomState(KEY);
    const [q, k] = heads(2, 3, 7, 2, 4);
    // With the unit matrix as values, y is the matrix of weights.
    const unit = tf.tile(tf.reshape(tf.eye(7), [1, 7, 1, 7]), [2, 1, 2, 1]);
    const rate = 0.4;
    const weights = attention(q, k, unit).dataSync();
    const dropped = attention(q, k, unit, { dropout: { rate, random } }).dataSync();
    let next = 0;
    for (let b = 0; b < 2; ++b)
      for (let i = 0; i < 3; ++i)
        for (let h = 0; h < 2; ++h)
          for (let j = 0; j < 7; ++j, ++next) {
            const wanted = isKept([2, 3, 2, 7], rate, [b, h, i, j]) ? weights[next]! / (1 - rate) : 0;
            // Some roundings of numbers below 2.
            expect(Math.abs(dropped[next]! - wanted), `${b} ${i} ${h} ${j}`).toBeLessThan(1e-6);
          }
    expect([...random.variable.dataSync()]).toEqual([KEY, 0, 2 * 3 * 2 * 2, 0]);
    random.dispose();
  });

  it('has the gradient of its own mask, by central differences in double', () => {
    const [queries, keys, size, rate] = [3, 5, 2, 0.4];
    const shape = [1, queries, 1, keys];
    const qkv = heads(1, queries, keys, 1, size);
    const values = qkv.map((tensor) => Float64Array.from(tensor.dataSync()));
    const [q, k, v] = values as [Float64Array, Float64Array, Float64Array];
    const dy = randomValues(randomSource(9), queries * size);
    const loss = (): number => {
      let sum = 0;
      for (let i = 0; i < queries; ++i) {
        const weights = Array.from({ length: keys }, (_, j) => {
          let score = 0;
          for (let d = 0; d < size; ++d) score += q[i * size + d]! * k[j * size + d]!;
          return Math.exp(score / Math.sqrt(size));
        });
        const total = weights.reduce((a, b) => a + b);
        weights.forEach((weight, j) => {
          if (!isKept(shape, rate, [0, 0, i, j])) return;
          for (let d = 0; d < size; ++d) sum += (weight / total / (1 - rate)) * v[j * size + d]! * dy[i * size + d]!;
        });
      }
      return sum;
    };
    const random = new RandomState(KEY);
    const [, ...grads] = gradientsOf(qkv, tf.tensor(dy, [1, queries, 1, size]), { dropout: { rate, random } });
    grads.forEach((grad, index) => {
      const wanted = numericGradient(values[index]!, loss);
      // Sums of some twenty products of numbers near 1 in float32.
      grad.dataSync().forEach((value, at) => expect(Math.abs(value - wanted[at]!), `${index}, ${at}`).toBeLessThan(5e-6));
    });
    random.dispose();
  });

  it('keeps a share of 1 - rate', () => {
    const [rate, length] = [0.1, 256];
    const random = new RandomState(3);
    const x = tf.zeros([1, length, 1, 1]);
    // Equal scores: each weight is 1 / length, so y counts what is kept.
    const y = attention(x, x, tf.ones([1, length, 1, 1]), { dropout: { rate, random } });
    const share = (1 - rate) * tf.mean(y).dataSync()[0]!;
    // Five standard deviations of a binomial share.
    expect(Math.abs(share - (1 - rate))).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / length ** 2));
    const rows = y.dataSync().map((row) => (1 - rate) * row);
    for (const row of rows) expect(Math.abs(row - (1 - rate))).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / length));
    expect(new Set(rows).size).toBeGreaterThan(10);
    random.dispose();
  });

  it('draws anew at each replay what it draws eagerly, with any number of threads', async () => {
    const [eager, replayed] = [new RandomState(9), new RandomState(9)];
    const qkv = heads(2, 70, 130, 2, 8);
    const dy = tf.tensor(randomValues(randomSource(4), 2 * 70 * 2 * 8), [2, 70, 2, 8]);
    const options = (random: RandomState): AttentionOptions => ({ isCausal: true, dropout: { rate: 0.3, random } });
    const step = compile((...tensors: tf.Tensor[]) => gradientsOf(tensors.slice(0, 3), tensors[3]!, options(replayed)));
    const seen = new Set<string>();
    for (let i = 0; i < 5; ++i) {
      await useNativeBackend(1 + (i % 2));
      const expected = gradientsOf(qkv, dy, options(eager)).map((tensor) => bitsOf(tensor.dataSync<'float32'>()));
      await useNativeBackend(2 - (i % 2));
      const got = step(...qkv, dy).map((tensor) => bitsOf(tensor.dataSync<'float32'>()));
      expect(got).toEqual(expected);
      seen.add(String(expected[0]!.slice(0, 8)));
    }
    expect(seen.size).toBe(5);
    expect(step.statistics.replays).toBe(3);
    expect(await replayed.getState()).toEqual(await eager.getState());
    step.dispose();
  });

  it('is no dropout at rate 0, bit for bit, and draws nothing', async () => {
    const random = new RandomState(1);
    const qkv = heads(1, 50, 100, 2, 8);
    const dy = tf.ones([1, 50, 2, 8]);
    const [without, with0] = [{}, { dropout: { rate: 0, random } }].map((options) =>
      gradientsOf(qkv, dy, options).map((tensor) => bitsOf(tensor.dataSync<'float32'>())),
    );
    expect(with0).toEqual(without);
    expect((await random.getState()).counter).toEqual([0, 0]);
    random.dispose();
  });

  it('needs no memory that grows with the square of the length', () => {
    const length = 2048;
    const random = new RandomState(1);
    const qkv = heads(1, length, length, 1, 16);
    const dy = tf.ones([1, length, 1, 16]);
    const { addon } = engineUnderTest();
    tf.dispose(gradientsOf(qkv, dy, { dropout: { rate: 0.1, random } }));
    dy.dataSync();
    addon.resetPeak();
    const before = addon.memory().live;
    tf.dispose(gradientsOf(qkv, dy, { dropout: { rate: 0.1, random } }));
    dy.dataSync();
    // One matrix of this size, a byte an element, is 4 MiB; q, k, v and all gradients are 1 MiB.
    expect(addon.memory().peak - before).toBeLessThan(2 ** 21);
    random.dispose();
  });

  it('claims more random words than one call can', async () => {
    const random = new RandomState(KEY);
    const [queries, keys] = [2 ** 16, 2 ** 17 + 4];
    const [q, k] = [tf.zeros([1, queries, 1, 1]), tf.zeros([1, keys, 1, 1])];
    // No query sees a key, so that nothing is computed.
    const run = (x: tf.Tensor): tf.Tensor =>
      attention(x, k, k, { isCausal: true, causalShift: -queries, dropout: { rate: 0.1, random } });
    const step = compile(run);
    const blocks = (queries * keys) / 4;
    expect(blocks).toBeGreaterThan(2 ** 31);
    for (let calls = 1; calls <= 3; ++calls) {
      tf.dispose(step(q));
      const { key, counter } = await random.getState();
      expect(key).toEqual([KEY, 0]);
      expect(counter[0] + counter[1] * 2 ** 32).toBe(calls * blocks);
    }
    expect(step.statistics.replays).toBe(1);
    step.dispose();
    random.dispose();
  });

  it('refuses a wrong rate and a missing state', () => {
    const [q, k, v] = heads(1, 2, 3, 1, 4);
    const random = new RandomState(1);
    const run = (dropout: unknown): tf.Tensor => attention(q, k, v, { dropout } as AttentionOptions);
    expect(() => run({ rate: 1, random })).toThrow(/wrong dropout.rate: expected a finite number >= 0 and < 1, got 1/);
    expect(() => run({ rate: 0.5 })).toThrow(/wrong dropout.random: expected a RandomState to draw from, got undefined/);
    expect(() => run(0.5)).toThrow(/wrong dropout: expected an object with rate and random, got 0.5/);
    expect(() => run(null)).toThrow(/wrong dropout: expected an object with rate and random, got null/);
    expect(() => run({ rate: 0.5, random, seed: 1 })).toThrow(/unknown option 'seed'/);
    random.dispose();
  });
});

describe('attention as a layer with dropout', () => {
  it('hides what masks hide, in training too', () => {
    const layer = new nn.MultiHeadAttention({ heads: 2, keyHeads: 1, dropout: 0.5, useBias: false });
    layer.buildAll([[4, 6], [5, 6], [5], [1, 4, 5]], { seed: 1 });
    const x = tf.ones([1, 4, 6]);
    const mask = tf.tensor2d([[1, 1, 0, 0, 0]], [1, 5], 'bool');
    const scores = tf.tensor([...Array<number>(5).fill(-Infinity), ...Array<number>(15).fill(0)], [1, 1, 4, 5]);
    const changed = tf.concat([tf.zeros([1, 2, 6]), tf.fill([1, 3, 6], 1e6)], 1);
    const run = (context: tf.Tensor): Float32Array => {
      const state = layer.randomStates()['multi_head_attention/random']!;
      state.setState({ key: [1, 2], counter: [0, 0] });
      return layer.apply([x, context, mask, scores], { training: true })[0]!.dataSync<'float32'>();
    };
    const base = tf.mul(changed, tf.tensor([1, 1, 0, 0, 0], [1, 5, 1]));
    expect(run(changed)).toEqual(run(base));
    expect([...run(tf.ones([1, 5, 6])).subarray(0, 6)].every((value) => value === 0)).toBe(true);
    layer.dispose();
  });

  it('has no random state without dropout', () => {
    const layer = new nn.MultiHeadAttention({ heads: 1 });
    layer.buildAll([[4, 6]]);
    expect(Object.keys(layer.randomStates())).toEqual([]);
    layer.dispose();
  });
});
