// What layers refuse: weights that do not fit, inputs of other backends.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { Dense, Sequential } from '../../ts/nn/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

describe('setWeights', () => {
  it('refuses names and shapes that do not fit and changes nothing', async () => {
    const model = new Sequential({ layers: [new Dense({ units: 2 })], seed: 1 });
    model.build([3]);
    const before = await model.getWeights();
    const changed = { shape: [2], data: Float32Array.of(5, 5) };
    const failure = (code: string, message: RegExp): Error =>
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;
    expect(() => model.setWeights({ 'dense/bias': changed, 'dense/gain': changed })).toThrow(
      failure('E_DATA', /missing \['dense\/kernel'\], unknown \['dense\/gain'\]/),
    );
    expect(() =>
      model.setWeights({ 'dense/bias': changed, 'dense/kernel': { shape: [2, 3], data: new Float32Array(6) } }),
    ).toThrow(failure('E_SHAPE', /'dense\/kernel': expected \[3, 2\]/));
    expect(await model.getWeights()).toEqual(before);
    model.dispose();
  });
});

describe('inputs', () => {
  it('must live on the current backend', async () => {
    const failure = (code: string, message: RegExp): Error =>
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;
    const model = new Sequential({ layers: [new Dense({ units: 2 })] });
    model.build([3]);
    await tf.setBackend('cpu');
    const foreign = tf.zeros([1, 3]);
    await useNativeBackend();
    expect(() => model.call(foreign)).toThrow(
      failure('E_DEVICE', /the input lives on backend 'cpu', but the current one is 'tensorkiln-cpu'/),
    );
    foreign.dispose();
    expect(() => model.call(foreign)).toThrow(failure('E_DISPOSED', /the input has been disposed/));
    model.dispose();
  });
});
