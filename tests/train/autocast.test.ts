import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { attention, autocast, dropout, linear, RandomState, storageDType } from '../../ts/backend/custom/index.js';
import { CAST_LISTS } from '../../ts/backend/autocast.js';
import { compile } from '../../ts/backend/plan.js';
import { currentBackend } from '../../ts/backend/tensors.js';
import { Conv2D, ctcLoss, Dense, Flatten, MultiHeadAttention, Sequential, TransformerEncoder } from '../../ts/nn/index.js';
import { Adam } from '../../ts/optim/index.js';
import { bitsOf, useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

/** x rounded to `bits` significand bits and exponents from `low` on, ties to even, in double. */
function rounded(x: number, bits: number, low: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), low) - bits + 1);
  const scaled = x / unit;
  const floor = Math.floor(scaled);
  const part = scaled - floor;
  const up = part > 0.5 || (part === 0.5 && floor % 2 !== 0);
  return (floor + Number(up)) * unit;
}
const ROUND = { bf16: (x: number) => rounded(x, 8, -126), f16: (x: number) => rounded(x, 11, -14) } as const;
const HALVES = ['bf16', 'f16'] as const;

const wave = (shape: number[], seed = 1): tf.Tensor => tf.randomNormal(shape, 0, 1, 'float32', seed);

describe.each(HALVES)('%s', (precision) => {
  const round = ROUND[precision];

  it('rounds the inputs of a product, adds up in float32 and rounds the result', () => {
    tf.tidy(() => {
      const [a, b] = [wave([5, 70]), wave([70, 9], 3)];
      const y = autocast(precision, () => tf.matMul(a, b));
      expect(y.dtype).toBe('float32');
      expect(storageDType(y)).toBe(precision);
      const values = y.dataSync();
      expect(values).toBeInstanceOf(Float32Array);
      const [x, w] = [a.dataSync(), b.dataSync()];
      values.forEach((value, i) => {
        let sum = 0;
        for (let k = 0; k < 70; ++k) sum += round(x[Math.floor(i / 9) * 70 + k]!) * round(w[k * 9 + (i % 9)]!);
        expect(value).toBe(round(value));
        // The sum in float32 may lie on the other side of a tie than the one in double: one unit of the result.
        expect(Math.abs(value - sum)).toBeLessThanOrEqual(
          Math.abs(sum) * (precision === 'bf16' ? 2 ** -8 : 2 ** -11) * 1.01 + 1e-5,
        );
      });
      // 16 bits lose something, or nothing was rounded at all.
      expect([...values]).not.toEqual([...tf.matMul(a, b).dataSync()]);
    });
  });

  it('multiplies 16-bit operands as they are, forwards and backwards: no call of a dense step takes a wide copy of one', () => {
    const layer = new Dense({ units: 6, activation: 'tanh' });
    layer.build([5]);
    const [kernel, bias] = layer.parameters().map(({ variable }) => variable);
    const step = compile((x: tf.Tensor, v: tf.Tensor) => {
      const { value, grads } = autocast(precision, () =>
        tf.variableGrads(() => tf.mean<tf.Scalar>(tf.matMul(layer.call(x), v)), [kernel!, bias!]),
      );
      return [value, ...Object.values(grads)];
    });
    tf.tidy(() => void step(wave([4, 5]), wave([6, 3], 2)));
    const [plan] = step.plans();
    const products = plan!.split('\n').filter((line) => / = (matmul|linear|linear_grad)\(/.test(line));
    expect(products.length).toBeGreaterThanOrEqual(4);
    // Gradients of parameters are float32 results; operands of 0 elements have no values.
    for (const line of products) {
      const operands = line.slice(line.indexOf('(')).match(/(f32|f16|bf16)\[[\d,]*\]/g) ?? [];
      expect(operands.filter((one) => one.startsWith('f32') && one !== 'f32[0]')).toEqual([]);
    }
    step.dispose();
    layer.dispose();
  });

  it('leaves ctc and its gradient in float32', () => {
    tf.tidy(() => {
      const [logits, labels] = [wave([2, 6, 5]), tf.tensor2d([[1, 2, 2], [3, 4, -1]], [2, 3], 'int32')]; // prettier-ignore
      const run = (): number[][] => {
        const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => tf.sum(ctcLoss().rows(x, labels)))(logits);
        return [[...value.dataSync()], [...grad.dataSync()]];
      };
      expect(autocast(precision, run)).toEqual(run());
    });
  });

  it('attention with dropout gives zeros to queries that see no key', () => {
    const layer = new MultiHeadAttention({ heads: 2, dropout: 0.5, useBias: false, causal: true });
    layer.buildAll([[4, 8], [4]]);
    const values = tf.tidy(() => {
      const mask = tf.tensor2d([[0, 0, 0, 0], [1, 1, 0, 0]], [2, 4], 'bool'); // prettier-ignore
      const x = wave([2, 4, 8]);
      return [...autocast(precision, () => layer.apply([x, mask], { training: true })[0]!).dataSync()];
    });
    expect(values.slice(0, 32)).toEqual(new Array(32).fill(0));
    expect(values.slice(32).every(Number.isFinite)).toBe(true);
    layer.dispose();
  });

  it('stores each result as the lists say', () => {
    tf.tidy(() => {
      const x = wave([6, 6]);
      autocast(precision, () => {
        const y = tf.matMul(x, wave([6, 6]));
        const kinds = {
          product: y,
          bias: tf.add(y, wave([6])),
          scaled: tf.mul(y, 2),
          relu: tf.relu(y),
          sliced: tf.slice(y, [1, 0], [2, 6]),
          transposed: tf.transpose(y),
          joined: tf.concat([y, y]),
          dropped: dropout(y, 0.5, new RandomState(1)),
          linear: linear(x, wave([6, 3]), { bias: wave([3]), activation: 'gelu' }),
          attention: attention(wave([2, 3, 2, 8]), wave([2, 3, 2, 8]), wave([2, 3, 2, 8])),
          convolution: tf.conv2d(wave([1, 5, 5, 2]) as tf.Tensor4D, wave([3, 3, 2, 4]) as tf.Tensor4D, 1, 'same'),
        };
        for (const [name, tensor] of Object.entries(kinds)) expect(storageDType(tensor), name).toBe(precision);
        const wide = {
          input: x,
          elementwise: tf.mul(x, 2),
          mixed: tf.add(y, wave([6, 6])),
          exponential: tf.exp(y),
          softmax: tf.softmax(y),
          sum: tf.sum(y),
          mean: tf.mean(y, 0),
          squared: tf.squaredDifference(y, x),
          joined: tf.concat([y, x]),
        };
        for (const [name, tensor] of Object.entries(wide)) expect(storageDType(tensor), name).toBe('f32');
        expect(storageDType(autocast('float32', () => tf.matMul<tf.Tensor>(y, y)))).toBe('f32');
        expect(storageDType(tf.argMax(y, 1))).toBe('i32');
        expect(storageDType(tf.greater(y, 0))).toBe('u8');
      });
      const outside = autocast(precision, () => tf.matMul(x, wave([6, 6])));
      expect(storageDType(tf.relu(outside))).toBe('f32');
      expect([...tf.relu(outside).dataSync()]).toEqual(Array.from(outside.dataSync(), (value) => Math.max(value, 0)));
    });
  });

  it('keeps gradients of variables close to those of float32, and replays with the same bits', () => {
    const [w, b, v] = tf.tidy(() => [wave([6, 16]), wave([16]), wave([16, 3])].map((value) => tf.variable(tf.mul(value, 0.3))));
    const step = (x: tf.Tensor): tf.Tensor[] =>
      autocast(precision, () => {
        const { value, grads } = tf.variableGrads(() =>
          tf.mean(tf.square(tf.matMul(tf.relu(tf.add(tf.matMul(x, w as tf.Tensor), b!)), v as tf.Tensor))),
        );
        return [value, ...Object.values(grads)];
      });
    const x = wave([8, 6]);
    const exact = tf.tidy(() =>
      autocast('float32', () => {
        const { value, grads } = tf.variableGrads(() =>
          tf.mean(tf.square(tf.matMul(tf.relu(tf.add(tf.matMul(x, w as tf.Tensor), b!)), v as tf.Tensor))),
        );
        return [value, ...Object.values(grads)].map((tensor) => tensor.dataSync().slice());
      }),
    );
    const eager = tf.tidy(() => step(x).map((tensor) => tensor.dataSync<'float32'>().slice()));
    const compiled = compile((input: tf.Tensor) => step(input));
    for (let i = 0; i < 4; ++i) {
      const outputs = compiled(x);
      outputs.forEach((tensor, index) => expect(bitsOf(tensor.dataSync<'float32'>())).toEqual(bitsOf(eager[index]!)));
      tf.dispose(outputs);
    }
    expect(compiled.statistics.replays).toBe(2);
    eager.forEach((values, index) => {
      const scale = Math.max(...exact[index]!.map(Math.abs));
      // A handful of roundings of 2^-9 (bf16) or 2^-12 (f16) in a row.
      values.forEach((value, i) =>
        expect(Math.abs(value - exact[index]![i]!)).toBeLessThan(scale * (precision === 'bf16' ? 2 ** -6 : 2 ** -9)),
      );
    });
    compiled.dispose();
    tf.dispose([x, w!, b!, v!]);
  });

  it('leaves variables float32: one made from a 16-bit tensor is widened where it is changed', () => {
    const variable = tf.tidy(() => autocast(precision, () => tf.variable(tf.matMul(wave([3, 3]), wave([3, 3])))));
    const before = variable.dataSync().slice();
    expect(storageDType(variable)).toBe(precision);
    const optimizer = new Adam({ learningRate: 1e-6 });
    optimizer.bind({ variable });
    tf.tidy(() => optimizer.apply({ variable: autocast(precision, () => tf.matMul(wave([3, 3]), wave([3, 3]))) }));
    expect(storageDType(variable)).toBe('f32');
    // A step of 1e-6 is lost in 16 bits and must not be here.
    variable.dataSync().forEach((value, i) => expect(Math.abs(Math.abs(value - before[i]!) - 1e-6)).toBeLessThan(2e-7));
    optimizer.dispose();
    variable.dispose();
  });
});

describe('memory', () => {
  /** Bytes that the forward pass keeps for the gradient. */
  function kept(model: Sequential, x: tf.Tensor, precision: 'float32' | 'bf16'): number {
    let bytes = 0;
    const { addon } = currentBackend().engine;
    tf.tidy(() =>
      autocast(precision, () => {
        const before = addon.memory().live;
        tf.variableGrads(() => {
          const y = model.call(x, { training: true });
          bytes = addon.memory().live - before;
          return tf.mean<tf.Scalar>(y);
        });
      }),
    );
    return bytes;
  }

  it.each([
    [
      'a dense network',
      () => new Sequential({ layers: [256, 256, 256, 8].map((units) => new Dense({ units, activation: 'relu' })) }),
      [64],
      2048,
      0.62,
    ],
    [
      'a convolutional network',
      () =>
        new Sequential({
          layers: [
            new Conv2D({ filters: 8, kernelSize: 3, activation: 'relu' }),
            new Conv2D({ filters: 8, kernelSize: 3, activation: 'relu' }),
            new Flatten(),
            new Dense({ units: 4 }),
          ],
        }),
      [16, 16, 3],
      32,
      0.62,
    ],
    [
      'a transformer block',
      () => new Sequential({ layers: [new TransformerEncoder({ heads: 2, hidden: 128 })] }),
      [32, 64],
      32,
      // Its softmax is float32.
      0.7,
    ],
  ] as const)('%s keeps about half', (_, make, shape, rows, most) => {
    const model = make();
    model.build(shape);
    const x = wave([rows, ...shape]);
    const ratio = kept(model, x, 'bf16') / kept(model, x, 'float32');
    // Half the activations; the 16-bit copies of the weights and the input, which stays float32, come on top.
    expect(ratio).toBeLessThan(most);
    expect(ratio).toBeGreaterThan(0.45);
    x.dispose();
    model.dispose();
  });

  it('leaves nothing behind', () => {
    const w = tf.variable(wave([8, 8]));
    const { addon } = currentBackend().engine;
    const run = (): void =>
      void tf.tidy(() => autocast('bf16', () => tf.matMul(tf.matMul(wave([4, 8]), w as tf.Tensor), w as tf.Tensor)).dataSync());
    run();
    const before = addon.memory().handles;
    for (let i = 0; i < 5; ++i) run();
    expect(addon.memory().handles).toBe(before);
    w.dispose();
  });
});

describe('wrong use', () => {
  it('is refused', () => {
    expect(() => autocast('fp8' as never, () => 0)).toThrow(failure('E_CONFIG', /precision: .*bf16.*got 'fp8'/));
    expect(() => autocast('bf16', () => Promise.resolve(0))).toThrow(failure('E_CONFIG', /synchronous/));
    expect(() =>
      autocast('bf16', () => {
        throw new Error('own');
      }),
    ).toThrow('own');
    expect(currentBackend().autocast).toBeUndefined();
  });

  it('every op of the lists exists', () => {
    const names = new Set(
      currentBackend()
        .engine.addon.ops()
        .map(({ name }) => name),
    );
    for (const name of [...CAST_LISTS.low, ...CAST_LISTS.float]) expect(names.has(name), name).toBe(true);
  });
});
