import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import { SGD } from '../../ts/optim/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

/** Enough calls for two recordings and three replays. */
const CALLS = 5;

/** v = v - gradient, in place. */
function descent(): { variable: tf.Variable; update: (gradient: tf.Tensor) => void; dispose: () => void } {
  const variable = tf.variable(tf.tensor1d([10, 20]), true, 'w');
  const optimizer = new SGD({ learningRate: 1 });
  optimizer.bind({ w: variable });
  return {
    variable,
    update: (gradient) => optimizer.apply({ w: gradient }),
    dispose: () => {
      optimizer.dispose();
      variable.dispose();
    },
  };
}

describe('a recorded step tells tensors apart that share their data', () => {
  it('as arguments', () => {
    const step = compile((a: tf.Tensor, b: tf.Tensor) => tf.sub(tf.mul(a, 10), b));
    const x = tf.tensor1d([1, 2]);
    for (let i = 0; i < CALLS; ++i) expect([...step(x, i % 2 === 0 ? x : x.clone()).dataSync()]).toEqual([9, 18]);
    expect(step.statistics.replays).toBe(CALLS - 2);
    // Recorded with one tensor in both places, replayed with two.
    expect([...step(x, tf.tensor1d([5, 6])).dataSync()]).toEqual([5, 14]);
    expect([...step(tf.reshape(x, [2]), x).dataSync()]).toEqual([9, 18]);
    step.dispose();
  });

  it('as argument and captured tensor', () => {
    const captured = tf.tensor1d([1, 2]);
    const step = compile((a: tf.Tensor) => tf.sub(tf.mul(captured, 10), a));
    for (let i = 0; i < CALLS; ++i) expect([...step(captured.clone()).dataSync()]).toEqual([9, 18]);
    expect(step.statistics.replays).toBe(CALLS - 2);
    expect([...step(tf.tensor1d([5, 6])).dataSync()]).toEqual([5, 14]);
    step.dispose();
    captured.dispose();
  });

  it('as argument and variable', () => {
    const { variable, update, dispose } = descent();
    const step = compile((gradient: tf.Tensor, old: tf.Tensor) => {
      update(gradient);
      return tf.sub(variable, old);
    });
    const gradient = tf.tensor1d([1, 2]);
    for (let i = 0; i < CALLS; ++i) {
      const old = variable.clone();
      expect([...step(gradient, old).dataSync()]).toEqual([-1, -2]);
      expect([...old.dataSync()]).toEqual([10 - i, 20 - 2 * i]);
      old.dispose();
    }
    expect(step.statistics.replays).toBe(CALLS - 2);
    step.dispose();
    dispose();
    gradient.dispose();
  });

  it('as variable and captured clone', () => {
    const { variable, update, dispose } = descent();
    const frozen = variable.clone();
    const step = compile((gradient: tf.Tensor) => {
      update(gradient);
      return tf.sub(variable, frozen);
    });
    const gradient = tf.tensor1d([1, 2]);
    for (let i = 1; i <= CALLS; ++i) expect([...step(gradient).dataSync()]).toEqual([-i, -2 * i]);
    expect([...frozen.dataSync()]).toEqual([10, 20]);
    step.dispose();
    dispose();
    tf.dispose([gradient, frozen]);
  });

  it('as variable and clones made inside, before and after the update', () => {
    const { variable, update, dispose } = descent();
    const step = compile((gradient: tf.Tensor) => {
      const before = variable.clone();
      const doubled = tf.mul(before, 2);
      update(gradient);
      return [before, tf.sub(doubled, before), tf.reshape(variable, [2, 1]), variable];
    });
    const gradient = tf.tensor1d([1, 2]);
    const kept = Array.from({ length: CALLS }, () => step(gradient));
    kept.forEach((results, i) => {
      const [old, now] = [
        [10 - i, 20 - 2 * i],
        [9 - i, 18 - 2 * i],
      ];
      expect(results.map((result) => [...result.dataSync()])).toEqual([old, old, now, now]);
    });
    expect(step.statistics.replays).toBe(CALLS - 2);
    step.dispose();
    dispose();
    tf.dispose([gradient, kept]);
  });

  it('when the step assigns its argument to a variable and updates that', () => {
    const { variable, update, dispose } = descent();
    const step = compile((x: tf.Tensor, gradient: tf.Tensor) => {
      variable.assign(x);
      update(gradient);
      return tf.add(variable, 0);
    });
    const [x, gradient] = [tf.tensor1d([3, 4]), tf.tensor1d([1, 2])];
    for (let i = 0; i < CALLS; ++i) {
      expect([...step(x, gradient).dataSync()]).toEqual([2, 2]);
      expect([...x.dataSync()]).toEqual([3, 4]);
    }
    expect(step.statistics.replays).toBe(CALLS - 2);
    step.dispose();
    dispose();
  });

  it('when the step assigns a captured tensor to a variable', () => {
    const variable = tf.variable(tf.tensor1d([1, 2]));
    const zero = tf.tensor1d([0, 0]);
    const step = compile((x: tf.Tensor) => {
      variable.assign(zero);
      return tf.add(x, variable);
    });
    for (let i = 0; i < CALLS; ++i) expect([...step(tf.tensor1d([i, 1])).dataSync()]).toEqual([i, 1]);
    expect(step.statistics.replays).toBe(CALLS - 2);
    step.dispose();
    tf.dispose([variable, zero]);
  });

  it.each([
    ['that lives on', false],
    ['that is disposed', true],
  ])('when a variable is set back between replays to a captured tensor %s', (_, isDisposed) => {
    const { variable, update, dispose } = descent();
    const start = tf.tensor1d([10, 20]);
    const step = compile((gradient: tf.Tensor) => {
      update(gradient);
      return tf.sub(variable, start);
    });
    const gradient = tf.tensor1d([1, 2]);
    for (let i = 1; i <= CALLS; ++i) expect([...step(gradient).dataSync()]).toEqual([-i, -2 * i]);
    variable.assign(start);
    if (isDisposed) start.dispose();
    for (let i = 1; i <= CALLS; ++i) expect([...step(gradient).dataSync()]).toEqual([-i, -2 * i]);
    expect(step.statistics.replays).toBe(2 * CALLS - 2);
    if (!isDisposed) {
      expect([...start.dataSync()]).toEqual([10, 20]);
      start.dispose();
    }
    step.dispose();
    dispose();
  });

  it('and gives back what it borrowed', () => {
    const { addon } = (tf.backend() as unknown as { engine: { addon: { memory(): { handles: number } } } }).engine;
    const x = tf.tensor1d([1, 2]);
    const handles = addon.memory().handles;
    const tensors = tf.memory().numTensors;
    tf.tidy(() => {
      const step = compile((a: tf.Tensor, b: tf.Tensor) => tf.add(a, b));
      for (let i = 0; i < CALLS; ++i) step(x, x.clone());
      step.dispose();
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(addon.memory().handles).toBe(handles);
    x.dispose();
  });
});
