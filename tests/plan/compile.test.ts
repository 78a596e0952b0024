/** The contract of compiled steps: what is recorded, what is replayed, what is refused. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { isTensorkilnError } from '../../ts/errors.js';
import { engineUnderTest, useNativeBackend } from '../support/native-backend.js';

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (isTensorkilnError(error)) return error.code;
    throw error;
  }
  return 'none';
}

function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

const values = (tensor: tf.Tensor): number[] => [...tensor.dataSync()];

let tensorsBefore = 0;

beforeEach(async () => {
  await useNativeBackend();
  tensorsBefore = tf.memory().numTensors;
});

afterEach(() => {
  expect(engineUnderTest().addon.isRecording()).toBe(false);
  tf.disposeVariables();
});

describe('recording and replaying', () => {
  it('adds long rows as eager does: one row alone would be added in chunks from 32,768 elements on', () => {
    const x = tf.randomUniform([40, 32768], -1, 1, 'float32', 7);
    const sums = (): tf.Tensor => tf.sum(tf.mul(x, x), 1);
    const expected = tf.tidy(() => sums().dataSync());
    const step = compile(sums);
    for (let i = 0; i < 4; ++i) expect(tf.tidy(() => step().dataSync())).toEqual(expected);
    expect(step.statistics.replays).toBe(2);
    step.dispose();
    x.dispose();
  });

  it('records twice, then replays with the same results', () => {
    const step = compile((x: tf.Tensor) => x.mul(2).add(x.square()).sum());
    for (let i = 1; i <= 6; ++i) {
      const x = tf.tensor1d([i, i + 1, i + 2]);
      const y = step(x);
      expect(values(y)).toEqual([[0, 1, 2].reduce((sum, d) => sum + 2 * (i + d) + (i + d) ** 2, 0)]);
      tf.dispose([x, y]);
    }
    expect(step.statistics).toEqual({ recordings: 2, replays: 4 });
    expect(step.plans()).toHaveLength(1);
    expect(step.plans()[0]).toMatch(/^tensorkiln plan 1\n(constant .*\n)*argument %\d: f32 x 3\n/);
    step.dispose();
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });

  it('has a plan of its own for each shape, dtype, number and boolean', () => {
    const step = compile((x: tf.Tensor, factor: number, negate: boolean) => {
      const scaled = x.mul(tf.scalar(factor, x.dtype as 'float32'));
      return negate ? scaled.neg() : scaled;
    });
    const a = tf.tensor1d([1, 2]);
    const b = tf.tensor2d([[1], [2]]);
    const c = tf.tensor1d([1, 2], 'int32');
    for (let i = 0; i < 4; ++i) {
      expect(values(step(a, 2, false))).toEqual([2, 4]);
      expect(values(step(a, 3, false))).toEqual([3, 6]);
      expect(values(step(a, 3, true))).toEqual([-3, -6]);
      expect(step(b, 2, false).shape).toEqual([2, 1]);
      expect(step(c, 2, false).dtype).toBe('int32');
    }
    expect(step.statistics).toEqual({ recordings: 10, replays: 10 });
  });

  it('returns arrays, the same tensor twice, arguments and variables as tensors of their own', () => {
    const v = tf.variable(tf.tensor1d([5, 6]));
    const step = compile((x: tf.Tensor) => {
      const y = x.add(v);
      return [y, y, x, v, y.reshape([1, 2])];
    });
    const x = tf.tensor1d([1, 1]);
    const rounds = Array.from({ length: 4 }, () => step(x));
    for (const outputs of rounds) {
      expect(outputs.map(values)).toEqual([
        [6, 7],
        [6, 7],
        [1, 1],
        [5, 6],
        [6, 7],
      ]);
      expect(outputs[4]?.shape).toEqual([1, 2]);
      expect(outputs).not.toContain(x);
      expect(outputs).not.toContain(v);
    }
    tf.dispose(rounds);
    expect(values(x)).toEqual([1, 1]);
    expect(values(v)).toEqual([5, 6]);
  });

  it('sees variables as they are at each call', () => {
    const v = tf.variable(tf.tensor1d([1, 2]));
    const step = compile((x: tf.Tensor) => x.mul(v));
    const x = tf.tensor1d([10, 10]);
    for (let i = 0; i < 6; ++i) {
      v.assign(tf.tensor1d([i, i + 1]));
      expect(values(step(x))).toEqual([10 * i, 10 * i + 10]);
    }
    expect(step.statistics.replays).toBeGreaterThanOrEqual(3);
  });

  it('keeps working after the tensors it captured have been disposed', () => {
    const factor = tf.tensor1d([3, 4]);
    const step = compile((x: tf.Tensor) => x.mul(factor));
    const x = tf.tensor1d([1, 1]);
    step(x);
    step(x);
    factor.dispose();
    expect(values(step(x))).toEqual([3, 4]);
  });

  it('assigns variables as an eager run does', () => {
    const makeStep = (v: tf.Variable, w: tf.Variable) => (y: tf.Tensor) => {
      const old = v.clone();
      v.assign(v.add(y));
      w.assign(old);
      return v.sum();
    };
    const eager = [tf.variable(tf.tensor1d([1, 2])), tf.variable(tf.tensor1d([0, 0]))] as const;
    const replayed = [tf.variable(tf.tensor1d([1, 2])), tf.variable(tf.tensor1d([0, 0]))] as const;
    const step = compile(makeStep(...replayed));
    const plain = makeStep(...eager);
    for (let i = 0; i < 6; ++i) {
      const y = tf.tensor1d([i, 2 * i]);
      const kept = replayed[0].clone();
      const before = values(kept);
      expect(values(step(y))).toEqual(values(plain(y)));
      expect(replayed.map(values)).toEqual(eager.map(values));
      expect(values(kept)).toEqual(before);
    }
    expect(step.statistics.replays).toBe(4);
  });

  it('keeps the plans of the signatures used last', () => {
    const step = compile((x: tf.Tensor, factor: number) => x.mul(factor), { maxPlans: 4 });
    const x = tf.tensor1d([1, 2]);
    for (let i = 0; i < 3; ++i) step(x, 1);
    for (let factor = 2; factor < 40; ++factor) {
      for (let i = 0; i < 3; ++i) expect(values(step(x, factor))).toEqual([factor, 2 * factor]);
    }
    expect(step.plans()).toHaveLength(4);
    const { recordings } = step.statistics;
    step(x, 39);
    expect(step.statistics.recordings).toBe(recordings);
    step(x, 1);
    expect(step.statistics.recordings).toBe(recordings + 1);
  });

  it('forgives a first call that builds state', () => {
    let weights: tf.Variable | undefined;
    const step = compile((x: tf.Tensor) => {
      weights ??= tf.variable(tf.ones([2]));
      return x.mul(weights);
    });
    const x = tf.tensor1d([7, 8]);
    for (let i = 0; i < 5; ++i) expect(values(step(x))).toEqual([7, 8]);
    expect(step.statistics).toEqual({ recordings: 3, replays: 2 });
  });

  it('a step called inside a step becomes part of it', () => {
    const inner = compile((x: tf.Tensor) => x.square());
    const outer = compile((y: tf.Tensor) => inner(y).add(1));
    const x = tf.tensor1d([2, 3]);
    for (let i = 0; i < 3; ++i) expect(values(inner(x))).toEqual([4, 9]);
    for (let i = 0; i < 4; ++i) expect(values(outer(x))).toEqual([5, 10]);
    expect(outer.plans()[0]).toMatch(/= square\(/);
    expect(inner.statistics.replays).toBe(1);
  });

  it('frees every buffer when it is disposed', () => {
    const x = tf.tensor1d([1, 2]);
    const before = engineUnderTest().addon.memory().handles;
    const step = compile((y: tf.Tensor) => y.add(tf.tensor1d([1, 1])).mul(tf.scalar(2)));
    for (let i = 0; i < 4; ++i) step(x).dispose();
    step.dispose();
    step.dispose();
    expect(engineUnderTest().addon.memory().handles).toBe(before);
    expect(codeOf(() => step(x))).toBe('E_DISPOSED');
  });
});

describe('what cannot be replayed is refused', () => {
  const x = (): tf.Tensor1D => tf.tensor1d([1, 2]);

  it('reading a tensor', () => {
    const step = compile((y: tf.Tensor) => y.mul(y.dataSync()[0] ?? 0));
    expect(codeOf(() => step(x()))).toBe('E_RECORDING');
    expect(messageOf(() => step(x()))).toMatch(/dataSync/);
  });

  it('a promise of values', async () => {
    let pending: Promise<unknown> = Promise.resolve();
    const step = compile((y: tf.Tensor) => {
      pending = y.data();
      return y.add(1);
    });
    step(x());
    await expect(pending).rejects.toMatchObject({ code: 'E_RECORDING' });
  });

  it('a host value that changes: named with the call that uses it', () => {
    let count = 0;
    const step = compile((y: tf.Tensor) => y.mul(tf.tensor1d([++count, count])));
    step(x());
    step(x());
    const message = messageOf(() => step(x()));
    expect(message).toMatch(/does not repeat itself.*host wrote other values.*= mul\(.*At .*compile\.test\.ts:\d+/);
  });

  it('an attribute that changes: both calls are shown', () => {
    let count = 0;
    const step = compile((y: tf.Tensor) => y.clipByValue(0, ++count));
    step(x());
    step(x());
    expect(messageOf(() => step(x()))).toMatch(/clip\(.*max=2.*became.*max=3/);
  });

  it('another captured tensor each time', () => {
    const step = compile((y: tf.Tensor) => y.mul(made[index++]!));
    const made = [x(), x(), x()];
    let index = 0;
    step(x());
    step(x());
    expect(messageOf(() => step(x()))).toMatch(/another tensor from outside/);
  });

  it.each([
    ['randomUniform', (y: tf.Tensor) => y.mul(tf.randomUniform([2])), /`randomUniform` of 'tensorkiln'/],
    ['randomNormal', (y: tf.Tensor) => y.mul(tf.randomNormal([2])), /`randomNormal` of 'tensorkiln'/],
    ['truncatedNormal', (y: tf.Tensor) => y.mul(tf.truncatedNormal([2])), /tf\.clipByValue/],
    ['dropout', (y: tf.Tensor) => tf.dropout(y, 0.5), /`dropout` of 'tensorkiln'/],
  ])('stock random numbers: tf.%s, with the name of ours and the line', (name, body, advice) => {
    const step = compile(body);
    step(x());
    const message = messageOf(() => step(x()));
    expect(message).toContain(`tf.${name} draws its numbers on the host`);
    expect(message).toMatch(advice);
    expect(message).toMatch(/At .*compile\.test\.ts:\d+:\d+/);
  });

  it.each([
    ['Unique', (y: tf.Tensor) => tf.unique(y as tf.Tensor1D).values],
    [
      'Equal',
      (y: tf.Tensor) =>
        tf
          .tensor1d(['a'])
          .equal(tf.tensor1d(['a']))
          .cast('float32')
          .add(y),
    ],
  ])('an op that needs values on the host, %s: its name and the line', (name, body) => {
    const step = compile(body);
    expect(messageOf(() => step(x()))).toMatch(
      new RegExp(`the op ${name} needs values on the host.*At .*compile\\.test\\.ts:\\d+`),
    );
  });

  it('control flow on values: the read, and the line', () => {
    const step = compile((y: tf.Tensor) => ((y.sum().dataSync()[0] as number) > 0 ? y.add(1) : y));
    expect(messageOf(() => step(x()))).toMatch(/dataSync\(\).*Return the tensor.*At .*compile\.test\.ts:\d+/);
  });

  it('a shape that changes between recordings: both calls, and the line', () => {
    let rows = 0;
    const step = compile((y: tf.Tensor) => tf.concat(Array.from({ length: ++rows }, () => y)).sum());
    step(x());
    step(x());
    expect(messageOf(() => step(x()))).toMatch(/concat\(.*became.*concat\(.*At .*compile\.test\.ts:\d+/);
  });

  it('a tensor that is not there any more', () => {
    const gone = x();
    gone.dispose();
    const step = compile((y: tf.Tensor) => y.add(gone));
    expect(codeOf(() => step(x()))).toBe('E_DISPOSED');
    expect(messageOf(() => step(x()))).toMatch(/\[Add: b\].*Keep it alive until .*At .*compile\.test\.ts:\d+/);
  });

  it('a tensor of another backend', async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    const ours = tf.getBackend();
    await tf.setBackend('cpu');
    const foreign = x();
    await tf.setBackend(ours);
    const step = compile((y: tf.Tensor) => y.add(1));
    expect(codeOf(() => step(foreign))).toBe('E_DEVICE');
    expect(messageOf(() => step(foreign))).toMatch(/argument 0 .* another backend/);
    const captures = compile((y: tf.Tensor) => y.add(foreign));
    expect(messageOf(() => captures(x()))).toMatch(
      /the op Add was given a tensor of another backend.*At .*compile\.test\.ts:\d+/,
    );
    foreign.dispose();
  });

  it('anything after its signal', () => {
    const controller = new AbortController();
    const step = compile((y: tf.Tensor) => y.add(1), { signal: controller.signal });
    for (let i = 0; i < 3; ++i) step(x());
    controller.abort();
    expect(codeOf(() => step(x()))).toBe('E_ABORTED');
  });

  it('wrong options', () => {
    const body = (y: tf.Tensor): tf.Tensor => y.add(1);
    expect(codeOf(() => compile(body, { maxPlans: 0 }))).toBe('E_CONFIG');
    expect(codeOf(() => compile(body, { numerics: 'loose' as 'fast' }))).toBe('E_CONFIG');
    expect(codeOf(() => compile(body, { optimise: true } as object))).toBe('E_CONFIG');
    expect(codeOf(() => compile(body, { signal: {} as AbortSignal }))).toBe('E_CONFIG');
  });

  it('other results than tensors, other arguments than tensors, numbers and booleans', () => {
    const result = compile((() => 5) as unknown as (y: tf.Tensor) => tf.Tensor);
    expect(codeOf(() => result(x()))).toBe('E_RECORDING');
    const pending = compile(((y: tf.Tensor) => Promise.resolve(y)) as unknown as (y: tf.Tensor) => tf.Tensor);
    expect(messageOf(() => pending(x()))).toMatch(/got a promise/);
    const argument = compile((y: tf.Tensor) => y.add(1)) as unknown as (y: unknown) => tf.Tensor;
    expect(codeOf(() => argument('text'))).toBe('E_RECORDING');
  });

  it('gradients of a step from outside', () => {
    const step = compile((y: tf.Tensor) => y.square());
    const inside = compile((y: tf.Tensor) => tf.grad((z: tf.Tensor) => z.square().sum())(y));
    expect(codeOf(() => tf.grad((y: tf.Tensor) => step(y).sum())(x()))).toBe('E_RECORDING');
    for (let i = 0; i < 3; ++i) expect(values(inside(x()))).toEqual([2, 4]);
  });

  it('a disposed argument', () => {
    const step = compile((y: tf.Tensor) => y.add(1));
    const gone = x();
    gone.dispose();
    expect(codeOf(() => step(gone))).toBe('E_DISPOSED');
  });

  it('and an error inside the step leaves it usable', () => {
    let fails = true;
    const step = compile((y: tf.Tensor) => {
      const z = y.add(1);
      if (fails) throw new RangeError('mine');
      return z;
    });
    expect(() => step(x())).toThrow(RangeError);
    fails = false;
    for (let i = 0; i < 4; ++i) expect(values(step(x()))).toEqual([2, 3]);
  });
});
