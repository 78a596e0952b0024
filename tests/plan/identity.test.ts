/** What a recorded step knows its tensors by: replays must not mix up those that happened to be one when it was recorded. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dropout, RandomState } from '../../ts/backend/custom/index.js';
import { compile } from '../../ts/backend/plan.js';
import { collectUntil } from '../support/collect.js';
import { engineUnderTest, useNativeBackend } from '../support/native-backend.js';

const values = (tensor: tf.Tensor): number[] => [...tensor.dataSync()];

beforeEach(async () => {
  await useNativeBackend();
  tf.engine().startScope();
});

afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

describe('a replayed step', () => {
  it('tells an argument from the same tensor captured', () => {
    const captured = tf.tensor1d([1, 2]);
    const step = compile((x: tf.Tensor) => x.mul(10).sub(captured));
    for (let i = 0; i < 3; ++i) expect(values(step(captured))).toEqual([9, 18]);
    expect(values(step(tf.tensor1d([5, 6])))).toEqual([49, 58]);
    expect(step.statistics.replays).toBe(2);
    step.dispose();
  });

  it('tells an argument from the same variable captured', () => {
    const v = tf.variable(tf.tensor1d([1, 2]));
    const step = compile((x: tf.Tensor) => x.mul(10).sub(v));
    for (let i = 0; i < 3; ++i) expect(values(step(v))).toEqual([9, 18]);
    for (let i = 0; i < 3; ++i) expect(values(step(tf.tensor1d([5, 6])))).toEqual([49, 58]);
    const w = tf.variable(tf.tensor1d([7, 8]));
    for (let i = 0; i < 3; ++i) expect(values(step(w))).toEqual([69, 78]);
    expect(step.statistics.replays).toBe(3);
    step.dispose();
  });

  it.each([
    ['exchange their values', [10, 20], [1, 2]],
    ['come to share one', [10, 20], [10, 20]],
  ])('follows two variables that %s', (how, newA, newB) => {
    const a = tf.variable(tf.tensor1d([1, 2]));
    const b = tf.variable(tf.tensor1d([10, 20]));
    const step = compile((x: tf.Tensor) => a.mul(x).sub(b));
    const x = tf.scalar(3);
    for (let i = 0; i < 3; ++i) expect(values(step(x))).toEqual([-7, -14]);
    const oldA = a.clone();
    a.assign(b);
    if (how.startsWith('exchange')) b.assign(oldA);
    for (let i = 0; i < 2; ++i) {
      expect(values(step(x))).toEqual([0, 1].map((d) => 3 * (newA[d] as number) - (newB[d] as number)));
    }
    expect(step.statistics.replays).toBe(3);
    expect(values(a)).toEqual(newA);
    expect(values(b)).toEqual(newB);
    step.dispose();
  });

  it('starts from what the step writes, whatever the step does to it afterwards', () => {
    const step = compile((x: tf.Tensor) => {
      const state = new RandomState(7);
      const first = dropout(x, 0.5, state);
      const second = dropout(x, 0.5, state);
      state.dispose();
      return [first, second];
    });
    const x = tf.ones([64]);
    const [first, second] = step(x).map(values);
    expect(first).not.toEqual(second);
    for (let i = 0; i < 4; ++i) expect(step(x).map(values)).toEqual([first, second]);
    expect(step.statistics.replays).toBe(3);
    step.dispose();
  });

  it('has a plan of its own for minus zero', () => {
    const step = compile((x: tf.Tensor, divisor: number) => x.div(divisor));
    const x = tf.scalar(1);
    for (let i = 0; i < 3; ++i) {
      expect(values(step(x, 0))).toEqual([Infinity]);
      expect(values(step(x, -0))).toEqual([-Infinity]);
    }
    step.dispose();
  });

  it('returns tensors from outside as tensors of their own, recorded or replayed', () => {
    const captured = tf.tensor1d([1, 2]);
    const step = compile((x: tf.Tensor) => [captured, x]);
    const x = tf.tensor1d([3, 4]);
    for (let i = 0; i < 4; ++i) {
      const results = step(x);
      expect(results.map(values)).toEqual([
        [1, 2],
        [3, 4],
      ]);
      tf.dispose(results);
    }
    expect(values(captured)).toEqual([1, 2]);
    expect(values(x)).toEqual([3, 4]);
    step.dispose();
  });
});

describe('plans leave nothing behind', () => {
  it('when a result cannot be recorded', () => {
    const step = compile((x: tf.Tensor) => [x.add(1), tf.tensor1d(['text'])]);
    const x = tf.ones([2]);
    const tensors = tf.memory().numTensors;
    const { handles } = engineUnderTest().addon.memory();
    for (let i = 0; i < 3; ++i) expect(() => step(x)).toThrow(expect.objectContaining({ code: 'E_DTYPE' }));
    expect(tf.memory().numTensors).toBe(tensors);
    expect(engineUnderTest().addon.memory().handles).toBe(handles);
    step.dispose();
  });

  it('when the step disposes itself', () => {
    const x = tf.ones([2]);
    const { handles } = engineUnderTest().addon.memory();
    const step = compile((y: tf.Tensor): tf.Tensor => {
      step.dispose();
      return y.add(tf.tensor1d([1, 2]));
    });
    const y = step(x);
    expect(values(y)).toEqual([2, 3]);
    y.dispose();
    expect(engineUnderTest().addon.memory().handles).toBe(handles);
    expect(() => step(x)).toThrow(expect.objectContaining({ code: 'E_DISPOSED' }));
  });

  it('when the step is forgotten', async () => {
    const x = tf.ones([1 << 16]);
    const { live } = engineUnderTest().addon.memory();
    (() => {
      for (let i = 0; i < 20; ++i) {
        const captured = tf.fill([1 << 16], i);
        const step = compile((y: tf.Tensor) => y.add(captured));
        for (let call = 0; call < 3; ++call) step(x).dispose();
        captured.dispose();
      }
    })();
    expect(engineUnderTest().addon.memory().live).toBeGreaterThan(live + 19 * 4 * (1 << 16));
    await collectUntil(() => engineUnderTest().addon.memory().live <= live);
    expect(engineUnderTest().addon.memory().live).toBeLessThanOrEqual(live);
  });
});
