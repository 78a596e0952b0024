/** Arguments of the door itself: numbers that are no handle or count, arrays of every kind. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NativeAddon } from '../../ts/native/addon.js';
import { getEngine } from '../../ts/native/engine.js';
import { useNativeBackend } from '../support/native-backend.js';

let addon: NativeAddon;
let handle: number;

beforeEach(async () => {
  await useNativeBackend();
  ({ addon } = getEngine());
  handle = addon.create(0, Float32Array.of(1, 2, 3, 4));
});

afterEach(() => {
  addon.release(handle);
});

describe('numbers at the door', () => {
  const wrong = [NaN, Infinity, -Infinity, 0.5, 2 ** 32, 2 ** 53 + 2, 9e18, -9e18];

  it.each(wrong)('%d is no handle', (number) => {
    // Taken modulo 2^32, as JavaScript does it elsewhere, 2^32 + handle would name the buffer.
    const named = number === 2 ** 32 ? number + handle : number;
    const { handles } = addon.memory();
    for (const use of [
      () => addon.release(named),
      () => addon.retain(named),
      () => addon.describe(named),
      () => addon.write(named, Float32Array.of(1)),
      () => addon.assign(handle, named),
      () => addon.alias(named, 0, 1),
      () => addon.planReplay(named, new Int32Array(0)),
      () => addon.runText('', { '%0': named }),
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
    }
    expect(addon.memory().handles).toBe(handles);
    expect(addon.describe(handle)).toEqual({ size: 4, dtype: 0, sharers: 1 });
  });

  it.each(wrong)('%d is no place in a buffer', (number) => {
    expect(() => addon.alias(handle, number, 1)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
    expect(() => addon.alias(handle, 0, number)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
    expect(() => addon.alias(handle, number, number)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
  });

  it('text is no handle', () => {
    expect(() => addon.release('0' as unknown as number)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
    expect(() => addon.runText('', { '%0': 'x' as unknown as number })).toThrow(
      expect.objectContaining({ code: 'E_INTERNAL' }),
    );
  });
});

describe('arrays at the door', () => {
  it('may lie on shared memory, at any offset', () => {
    const shared = new Float32Array(new SharedArrayBuffer(32), 8, 4);
    shared.set([5, 6, 7, 8]);
    const x = tf.tensor1d(shared);
    shared.fill(0);
    expect([...x.dataSync()]).toEqual([5, 6, 7, 8]);
    x.dispose();
    addon.write(handle, Float32Array.of(0, 9, 10, 11, 12).subarray(1));
    const target = new Float32Array(new SharedArrayBuffer(24), 4, 4);
    addon.readSync(handle, target);
    expect([...target]).toEqual([9, 10, 11, 12]);
  });

  it('of other types or lengths are refused', () => {
    expect(() => addon.create(0, new Float64Array(4) as unknown as Float32Array)).toThrow(
      expect.objectContaining({ code: 'E_DTYPE' }),
    );
    expect(() => addon.create(0, [1] as unknown as Float32Array)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
    const detached = new Float32Array(4);
    structuredClone(detached, { transfer: [detached.buffer] });
    expect(() => addon.readSync(handle, detached)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
    expect(() => addon.write(handle, detached)).toThrow(expect.objectContaining({ code: 'E_INTERNAL' }));
  });
});

describe('attributes', () => {
  it('that are no integers are refused, not truncated', () => {
    const images = tf.ones<tf.Rank.R4>([1, 8, 8, 1]);
    for (const stride of [1.5, 2 ** 31]) {
      expect(() => tf.tidy(() => tf.maxPool(images, 2, stride, 'valid'))).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^E_(USAGE|SHAPE)$/) }),
      );
    }
    // Half a row further on lies a whole number of elements.
    expect(() => tf.tidy(() => tf.slice(tf.ones([4, 4]), [0.5, 0], [1, 2]))).toThrow(
      expect.objectContaining({ code: 'E_USAGE' }),
    );
    images.dispose();
  });

  it.each([[[1, 1]], [[0, 0]]])('of a transpose must be a permutation: %j', (perm) => {
    const square = tf.ones([64, 64]);
    expect(() => tf.tidy(() => tf.transpose(square, perm))).toThrow(
      expect.objectContaining({ code: 'E_SHAPE', message: expect.stringContaining('[64, 64]') }),
    );
    square.dispose();
  });
});
