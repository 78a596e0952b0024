/** Listing what is alive, and limiting it. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listLivingTensors, memoryReport, setMemoryLimit } from '../../ts/backend/memory.js';
import { traceTensors } from '../../ts/backend/origin.js';
import { getEngine } from '../../ts/native/engine.js';
import { useNativeBackend } from '../support/native-backend.js';

const { addon } = getEngine();
const { budget } = addon.memory();

beforeEach(() => useNativeBackend());

afterEach(() => {
  traceTensors(false);
  addon.setBudget(budget);
});

describe('living tensors', () => {
  it('are listed with op, stack, shape, bytes and references, oldest first', () => {
    traceTensors();
    const written = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const made = tf.add(written, 1);
    const clone = made.clone();
    const traced = listLivingTensors().filter(({ op }) => op !== 'untraced');
    // The 1 of the sum is a tensor of its own, gone already.
    expect(traced.map(({ op }) => op)).toEqual(['write', 'Add']);
    expect(traced[1]).toMatchObject({ shape: [2, 2], dtype: 'float32', bytes: 16, references: 2 });
    expect(traced[1]?.stack.split('\n')[0]).toContain('memory-report.test.ts');
    expect(traced[0]?.ageMs).toBeGreaterThanOrEqual(traced[1]?.ageMs ?? Infinity);
    tf.dispose([written, made, clone]);
    expect(listLivingTensors().filter(({ op }) => op === 'Add')).toEqual([]);
  });

  it('cost nothing and have no origin while tracing is off', () => {
    const x = tf.ones([3]);
    const found = listLivingTensors().find(({ shape }) => shape.length === 1 && shape[0] === 3);
    expect(found).toMatchObject({ op: 'untraced', stack: '', ageMs: Infinity, bytes: 12 });
    x.dispose();
  });

  it("are traced in tfjs-core's debug mode", () => {
    const { DEBUG } = tf.env().getFlags();
    tf.env().set('DEBUG', true);
    const x = tf.fill([5], 2);
    tf.env().set('DEBUG', DEBUG ?? false);
    expect(listLivingTensors().find(({ shape }) => shape[0] === 5)?.op).toBe('Fill');
    x.dispose();
  });

  it('are summed up by place in a report', () => {
    traceTensors();
    const leaked = Array.from({ length: 7 }, () => tf.fill([1024, 1024], 1)); // more than what other tests may leave
    const report = memoryReport({ places: 1 });
    expect(report).toMatch(/^\d+ living tensors, .* native .* live, .* cached, .* peak, limit /);
    expect(report).toMatch(
      /28\.0 MB in 7 by Fill, such as float32 \[1024, ?1024\], oldest \d+\.\d s\n {4}at .*memory-report\.test\.ts/,
    );
    tf.dispose(leaked);
  });
});

describe('the memory limit', () => {
  it('below the cache gives the cache back', () => {
    const large = tf.fill([1024, 1024], 1);
    large.dataSync();
    large.dispose();
    const { live, cached } = addon.memory();
    expect(cached).toBeGreaterThanOrEqual(4 << 20);
    setMemoryLimit(live + (1 << 20));
    expect(addon.memory()).toMatchObject({ cached: 0, budget: live + (1 << 20) });
    expect(() => tf.fill([1024, 1024], 1)).toThrow(expect.objectContaining({ code: 'E_OUT_OF_MEMORY' }));
    const small = tf.fill([16], 2);
    expect(small.dataSync()[15]).toBe(2);
    small.dispose();
  });

  it('below what is alive is refused and stays as it was', () => {
    const large = tf.fill([1024, 1024], 3);
    expect(() => setMemoryLimit(1 << 20)).toThrow(expect.objectContaining({ code: 'E_OUT_OF_MEMORY' }));
    expect(addon.memory().budget).toBe(budget);
    expect(large.dataSync()[0]).toBe(3);
    large.dispose();
  });

  it.each([0, -1, NaN, Infinity])('of %d bytes is none', (bytes) => {
    expect(() => setMemoryLimit(bytes)).toThrow(expect.objectContaining({ code: 'E_CONFIG' }));
  });
});

describe('a kernel that fails half-way', () => {
  it('leaves no tensors behind', () => {
    const backend = tf.backend();
    const x = tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32');
    const before = backend.numDataIds();
    // Both casts succeed before the sizes are compared.
    expect(() => tf.engine().runKernel('BatchMatMul', { a: x, b: tf.ones([3, 3]) }, {})).toThrow(
      expect.objectContaining({ code: 'E_SHAPE' }),
    );
    expect(backend.numDataIds()).toBe(before + 1);
    x.dispose();
  });
});
