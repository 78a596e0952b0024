import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import '../../ts/index.js';
import { TensorkilnBackend, type BackendMemory } from '../../ts/backend/backend.js';
import { compile } from '../../ts/backend/plan.js';
import { handleOf, makeUnique, tensorFromHandle } from '../../ts/backend/tensors.js';
import { collectUntil } from '../support/collect.js';

const OURS = 'tensorkiln-cpu';

function backend(): TensorkilnBackend {
  const current = tf.backend();
  if (!(current instanceof TensorkilnBackend)) throw new Error(`unexpected backend ${tf.getBackend()}`);
  return current;
}

function native(): BackendMemory['native'] {
  return (tf.memory() as unknown as BackendMemory).native;
}

function describeHandle(tensor: tf.Tensor): { size: number; dtype: number; sharers: number } {
  return backend().engine.addon.describe(handleOf(tensor));
}

beforeEach(async () => {
  await tf.setBackend(OURS);
});

describe('data ids', () => {
  it('are counted exactly', () => {
    const before = backend().numDataIds();
    const x = tf.ones([4]);
    const y = x.clone();
    const z = tf.complex(tf.ones([2]), tf.ones([2]));
    const s = tf.tensor1d(['a', 'b']);
    // x and its clone share one; one for s, three for the complex tensor and one for each of its inputs.
    expect(backend().numDataIds() - before).toBe(7);
    expect(y.dataId).toBe(x.dataId);
    tf.dispose([x, y, z, s]);
    expect(backend().numDataIds() - before).toBe(2);
    const again = tf.tidy(() => tf.add(tf.ones([4]), tf.ones([4])));
    again.dispose();
    expect(backend().numDataIds() - before).toBe(2);
  });

  it('are shared by a clone and a reshape until the variable is written in place', () => {
    const variable = tf.variable(tf.tensor1d([1, 2, 3, 4]));
    const clone = variable.clone();
    const matrix = tf.reshape(variable, [2, 2]);
    const half = tf.slice(variable, [2], [2]);
    const pending = variable.data();
    expect([clone.dataId, matrix.dataId]).toEqual([variable.dataId, variable.dataId]);
    // The handle of all three, and the slice's.
    expect(describeHandle(clone).sharers).toBe(2);
    const handle = makeUnique(variable);
    backend().engine.write(handle, Float32Array.of(9, 9, 9, 9));
    expect([...variable.dataSync()]).toEqual([9, 9, 9, 9]);
    expect([...clone.dataSync()]).toEqual([1, 2, 3, 4]);
    expect([...matrix.dataSync()]).toEqual([1, 2, 3, 4]);
    expect([...half.dataSync()]).toEqual([3, 4]);
    tf.dispose([variable, clone, matrix, half]);
    return expect(pending.then((values) => [...values])).resolves.toEqual([1, 2, 3, 4]);
  });

  it('move to another backend and back with their values', async () => {
    const x = tf.tensor1d([1, 2, 3]);
    const bools = tf.tensor1d([true, false], 'bool');
    await tf.setBackend('cpu');
    // The other way round the stock backend loses the parts of a complex tensor.
    const z = tf.complex([1, 2], [3, 4]);
    const y = tf.add(x, 1);
    expect([...tf.logicalNot(bools).dataSync()]).toEqual([0, 1]);
    await tf.setBackend(OURS);
    expect([...tf.mul(y, x).dataSync()]).toEqual([2, 6, 12]);
    expect(tf.tidy(() => [...tf.imag(z).dataSync()])).toEqual([3, 4]);
    expect([...bools.dataSync()]).toEqual([1, 0]);
    const before = backend().numDataIds();
    tf.dispose([x, y, z]);
    // One each for x and y, three for z; the last use of bools was in the other backend, and reading does not move it.
    expect(before - backend().numDataIds()).toBe(5);
    bools.dispose();
    expect(before - backend().numDataIds()).toBe(5);
  });
});

describe('makeUnique', () => {
  it('gives a variable on the data of another tensor a handle of its own, which it keeps', () => {
    const source = tf.tensor1d([1, 2, 3]);
    const variable = tf.variable(source);
    const counts = tf.memory();
    const shared = handleOf(variable);
    expect(variable.dataId).toBe(source.dataId);
    const handle = makeUnique(variable);
    expect(handle).not.toBe(shared);
    expect(variable.dataId).not.toBe(source.dataId);
    expect(handleOf(variable)).toBe(handle);
    expect(handleOf(source)).toBe(shared);
    expect(makeUnique(variable)).toBe(handle);
    const clone = variable.clone();
    expect(makeUnique(variable)).toBe(handle);
    expect(handleOf(clone)).not.toBe(handle);
    expect(tf.memory().numTensors).toBe(counts.numTensors + 1);
    backend().engine.write(handle, Float32Array.of(7, 7, 7));
    for (const other of [source, clone]) expect([...other.dataSync()]).toEqual([1, 2, 3]);
    tf.dispose([source, clone]);
    expect([...variable.dataSync()]).toEqual([7, 7, 7]);
    variable.dispose();
    expect(tf.memory().numTensors).toBe(counts.numTensors - 2);
  });

  it('gives a variable another handle than that of a tensor that is gone', () => {
    const source = tf.tensor1d([1, 2, 3]);
    const former = handleOf(source);
    const variable = tf.variable(tf.zeros([3]));
    variable.assign(source);
    source.dispose();
    const handle = makeUnique(variable);
    expect(handle).not.toBe(former);
    expect(makeUnique(variable)).toBe(handle);
    expect([...variable.dataSync()]).toEqual([1, 2, 3]);
    variable.dispose();
  });

  it('refuses disposed variables and dtypes without a buffer', () => {
    const variable = tf.variable(tf.ones([2]));
    variable.dispose();
    expect(() => makeUnique(variable)).toThrow(expect.objectContaining({ code: 'E_DISPOSED' }));
    const text = tf.tensor1d(['a']);
    expect(() => handleOf(text)).toThrow(expect.objectContaining({ code: 'E_DTYPE' }));
    text.dispose();
    expect(() => handleOf(text)).toThrow(expect.objectContaining({ code: 'E_DISPOSED' }));
  });

  it('wraps handles into tensors that own them', () => {
    const before = backend().engine.addon.memory().handles;
    const handle = backend().engine.create(1, Int32Array.of(4, 5, 6, 7));
    const tensor = tensorFromHandle(handle, [2, 2], 'int32');
    expect(tensor.arraySync()).toEqual([
      [4, 5],
      [6, 7],
    ]);
    tensor.dispose();
    expect(backend().engine.addon.memory().handles).toBe(before);
  });
});

describe('memory', () => {
  it('is reported in bytes and returns', () => {
    const before = native();
    const x = tf.zeros([1 << 20]);
    expect(native().live - before.live).toBeGreaterThanOrEqual(4 << 20);
    expect(native().peak).toBeGreaterThanOrEqual(native().live);
    x.dispose();
    expect(native().live).toBe(before.live);
  });

  it('of forgotten tensors is reclaimed after garbage collection', async () => {
    // What earlier tests left behind goes first.
    await collectUntil(() => backend().numDataIds() === 0, 5);
    const before = backend().numDataIds();
    const handles = backend().engine.addon.memory().handles;
    (() => {
      for (let i = 0; i < 100; ++i) tf.add(tf.ones([1000]), 1);
    })();
    // The ones and the sum; tf.add itself disposes the scalar.
    expect(backend().numDataIds()).toBe(before + 200);
    await collectUntil(() => backend().numDataIds() <= before);
    expect(backend().numDataIds()).toBe(before);
    expect(backend().engine.addon.memory().handles).toBe(handles);
  });

  it('is reclaimed where a test framework has put its own timers in place of the global ones', async () => {
    await collectUntil(() => backend().numDataIds() === 0, 5);
    const before = backend().numDataIds();
    vi.stubGlobal('setImmediate', undefined);
    try {
      (() => {
        for (let i = 0; i < 10; ++i) tf.add(tf.ones([10]), 1);
      })();
      expect(backend().numDataIds()).toBe(before + 20);
      await collectUntil(() => backend().numDataIds() <= before);
      expect(backend().numDataIds()).toBe(before);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('stays flat over create-and-forget cycles', async () => {
    const cycle = async (): Promise<void> => {
      const y = tf.mul(tf.ones([25_000]), 2);
      await y.data();
    };
    for (let i = 0; i < 200; ++i) await cycle();
    await collectUntil(() => native().live < 1 << 20);
    const live = native().live;
    for (let i = 0; i < 1000; ++i) await cycle();
    await collectUntil(() => native().live <= live);
    expect(native().live).toBeLessThanOrEqual(live);
  });

  it('beyond the budget is a clear error that leaves everything usable', () => {
    const { addon } = backend().engine;
    const { budget, live, cached } = addon.memory();
    addon.setBudget(live + cached + (64 << 20));
    try {
      const kept = tf.ones([1024]);
      expect(() => tf.fill([64, 1024, 1024], 1)).toThrow(
        expect.objectContaining({ code: 'E_OUT_OF_MEMORY', message: expect.stringMatching(/fill.*64.*1024.*1024/s) }),
      );
      expect(tf.sum(kept).dataSync()[0]).toBe(1024);
      kept.dispose();
    } finally {
      addon.setBudget(budget);
    }
  });
});

describe('the life of the engine', () => {
  it('goes on through 1,000 resets', async () => {
    const { addon } = backend().engine;
    const handles = addon.memory().handles;
    tf.engine().reset();
    for (let round = 0; round < 1000; ++round) {
      const x = tf.tensor1d([round, 1]);
      const v = tf.variable(tf.add(x, 1));
      if (round % 100 === 0) expect([...v.dataSync()]).toEqual([round + 1, 2]);
      tf.engine().reset();
    }
    expect(tf.backend()).toBeInstanceOf(TensorkilnBackend);
    expect(addon.memory().handles).toBeLessThanOrEqual(handles);
    const pending = tf.add(tf.ones([100_000]), 1).data();
    tf.engine().reset();
    const values = await pending;
    expect(values[99_999]).toBe(2);
  });

  it('refuses tensors of a backend that is gone', () => {
    const old = tf.ones([2]);
    tf.engine().reset();
    expect(() => tf.add(old, 1)).toThrow(expect.objectContaining({ code: 'E_DISPOSED' }));
  });

  it('times what runs', async () => {
    const { kernelMs } = await tf.time(() => tf.tidy(() => tf.matMul(tf.ones([128, 128]), tf.ones([128, 128]))));
    expect(kernelMs).toBeGreaterThan(0);
  });
});

describe('a recorded step', () => {
  it.each([
    ['dataSync', (x: tf.Tensor) => x.dataSync()],
    ['arraySync', (x: tf.Tensor) => x.arraySync()],
  ])('refuses %s', (_, readIt) => {
    const step = compile((x: tf.Tensor) => {
      const y = tf.add(x, 1);
      readIt(y);
      return y;
    });
    const x = tf.ones([2]);
    expect(() => step(x)).toThrow(
      expect.objectContaining({ code: 'E_RECORDING', message: expect.stringContaining('dataSync') }),
    );
    // The recording has been given up; the engine goes on.
    expect([...tf.add(x, 1).dataSync()]).toEqual([2, 2]);
    x.dispose();
    step.dispose();
  });

  it('refuses a tensor of another backend', async () => {
    await tf.setBackend('cpu');
    const foreign = tf.ones([2]);
    await tf.setBackend(OURS);
    const step = compile((x: tf.Tensor) => tf.add(x, foreign));
    const x = tf.ones([2]);
    expect(() => step(x)).toThrow(
      expect.objectContaining({ code: 'E_RECORDING', message: expect.stringContaining('backend') }),
    );
    tf.dispose([x, foreign]);
    step.dispose();
  });
});

describe('wrong use', () => {
  it('of a disposed tensor', () => {
    const x = tf.ones([2]);
    x.dispose();
    expect(() => tf.add(x, 1)).toThrow(/disposed/);
    expect(() => tf.engine().runKernel('Neg', { x })).toThrow(expect.objectContaining({ code: 'E_DISPOSED' }));
  });

  it('of a kernel that does not exist names kernel and backend', () => {
    // Draw puts pixels on a canvas, which Node does not have.
    expect(() => tf.engine().runKernel('Draw', { image: tf.ones([1, 1, 3]) })).toThrow(/'Draw'.*'tensorkiln-cpu'/);
  });

  it.each([
    ['too many values', () => backend().write(new Float32Array(3), [2], 'float32'), 'E_SHAPE'],
    [
      'a fraction as dimension',
      () => tf.engine().runKernel('Fill', {}, { shape: [2.5], value: 1, dtype: 'float32' }),
      'E_SHAPE',
    ],
    ['more elements than can be counted', () => tf.fill([2 ** 30, 2 ** 30], 1), 'E_SHAPE'],
    ['a dimension beyond int32', () => tf.fill([2 ** 31], 1), 'E_SHAPE'],
    [
      'nine dimensions',
      () => tf.engine().runKernel('Fill', {}, { shape: new Array(9).fill(1), value: 1, dtype: 'float32' }),
      'E_SHAPE',
    ],
    ['a string tensor', () => tf.tidy(() => tf.engine().runKernel('Neg', { x: tf.tensor1d(['a']) })), 'E_DTYPE'],
  ])('with %s', (_, use, code) => {
    const before = backend().numDataIds();
    expect(use).toThrow(expect.objectContaining({ code }));
    expect(backend().numDataIds()).toBe(before);
  });
});
