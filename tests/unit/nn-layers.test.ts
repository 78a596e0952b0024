// Layers before any call: geometry, parameters, descriptions, wrong use.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential } from '../../ts/nn/index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const failure = (code: string, ...words: string[]): Error =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(new RegExp(words.map((word) => `(?=.*${word})`).join(''))) as string,
  }) as Error;

describe('geometry', () => {
  const size = fc.integer({ min: 1, max: 17 });
  const small = fc.integer({ min: 1, max: 4 });
  const pair = fc.tuple(small, small);
  const padding = fc.constantFrom('valid', 'same');

  it('output shapes are those of tfjs-core, and windows that do not fit are refused', () => {
    fc.assert(
      fc.property(size, size, pair, pair, fc.boolean(), padding, (height, width, window, step, isDilated, pad) => {
        const [strides, dilations]: [number, number][] = isDilated ? [[1, 1], step] : [step, [1, 1]];
        const conv = new Conv2D({ filters: 3, kernelSize: window, strides: strides!, dilations: dilations!, padding: pad });
        const pool = new MaxPooling2D({ poolSize: window, strides: strides!, padding: pad });
        const expected = (dilation: [number, number]): number[] => {
          const shape: [number, number, number, number] = [1, height, width, 3];
          return tf.backend_util.computeConv2DInfo(shape, [...window, 3, 3], strides!, dilation, pad).outShape.slice(1);
        };
        const check = (layer: Conv2D | MaxPooling2D, shape: number[]): void => {
          if (Math.min(...shape) >= 1) expect(layer.computeOutputShape([height, width, 3])).toEqual(shape);
          else expect(() => layer.computeOutputShape([height, width, 3])).toThrow(failure('E_SHAPE', 'does not fit'));
        };
        check(conv, expected(dilations!));
        check(pool, expected([1, 1]));
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe('parameters', () => {
  it('are named by path, initialised by seed and path, and counted', () => {
    const build = (seed: number): Sequential => {
      const model = new Sequential({
        layers: [new Dense({ units: 3 }), new Dense({ units: 2 }), new Dense({ units: 2, name: 'head' })],
        seed,
      });
      model.build([4]);
      return model;
    };
    const [a, b, c] = [build(1), build(1), build(2)];
    expect(a.parameters().map(({ name }) => name)).toEqual([
      'dense/kernel',
      'dense/bias',
      'dense_1/kernel',
      'dense_1/bias',
      'head/kernel',
      'head/bias',
    ]);
    const values = (model: Sequential, index: number): Float32Array =>
      model.parameters()[index]!.variable.dataSync<'float32'>();
    expect(values(a, 0)).toEqual(values(b, 0));
    expect(values(a, 0)).not.toEqual(values(c, 0));
    expect([...values(a, 1)]).toEqual([0, 0, 0]);
    expect(a.countParameters()).toEqual({ total: 15 + 8 + 6, trainable: 29 });
    // Two living models of equal paths have variables of different tfjs names.
    expect(a.parameters()[0]!.variable.name).not.toBe(b.parameters()[0]!.variable.name);
    for (const model of [a, b, c]) model.dispose();
  });

  it('are read by name', async () => {
    const layer = new Dense({ units: 2 });
    layer.build([3], { path: 'tower/first', seed: 5 });
    const weights = await layer.getWeights();
    expect(Object.keys(weights)).toEqual(['tower/first/kernel', 'tower/first/bias']);
    expect(weights['tower/first/kernel']!.shape).toEqual([3, 2]);
    expect(layer.describeLayer()).toMatchObject({ type: 'dense', name: 'tower/first', inputShape: [3], outputShape: [2] });
    layer.dispose();
  });
});

describe('descriptions', () => {
  it('lay nested chains out flat under names of their own', () => {
    const dense = (): Dense => new Dense({ units: 2 });
    const model = new Sequential({ layers: [new Sequential({ name: 'encoder', layers: [dense(), dense()] }), dense()] });
    model.build([3]);
    const { layers } = model.describe();
    expect(layers.map(({ name }) => name)).toEqual(['encoder/dense', 'encoder/dense_1', 'dense']);
    expect(layers.map(({ weights }) => Object.keys(weights))).toEqual([1, 2, 3].map(() => ['kernel', 'bias']));
    expect(layers.map(({ inputShape, outputShape }) => [...inputShape, ...outputShape])).toEqual([
      [3, 2],
      [2, 2],
      [2, 2],
    ]);
    model.dispose();
  });
});

describe('wrong use', () => {
  it('names layer, path, what was wanted and what came', () => {
    const model = new Sequential({
      layers: [new Sequential({ name: 'encoder', layers: [new Dense({ units: 3 }), new MaxPooling2D()] })],
    });
    expect(() => model.build([4])).toThrow(
      failure('E_SHAPE', "max_pool2d 'encoder/max_pool2d'", 'expected \\[N, H, W, C\\], got \\[N, 3\\]'),
    );
    const dense = new Sequential({ layers: [new Dense({ units: 3 })] });
    dense.build([4]);
    expect(() => dense.call(tf.zeros([2, 5]))).toThrow(failure('E_SHAPE', 'sequential', 'expected \\[N, 4\\], got \\[2, 5\\]'));
    expect(() => dense.call(tf.zeros([4]))).toThrow(failure('E_SHAPE', 'got \\[4\\]'));
    expect(() => dense.call(tf.zeros([2, 4], 'int32'))).toThrow(failure('E_DTYPE', 'expected float32, got int32'));
    expect(() => dense.build([5])).toThrow(failure('E_SHAPE', 'already built', 'expected \\[N, 4\\], got \\[N, 5\\]'));
    dense.build([4]);
    expect(() => dense.build([-1])).toThrow(failure('E_SHAPE', 'positive integers'));
    expect(() => dense.call(tf.zeros([2, 4]))).toThrow(
      failure('E_DEVICE', 'layers compute on a Tensorkiln backend', "the current one is 'cpu'"),
    );
    dense.dispose();
    expect(() => dense.call(tf.zeros([2, 4]))).toThrow(failure('E_DISPOSED', 'sequential'));
  });

  it('can be mended: a model that failed to build builds with the right shape', () => {
    const model = new Sequential({ layers: [new Conv2D({ filters: 2, kernelSize: 3 }), new Flatten()] });
    expect(() => model.build([2, 2, 1])).toThrow(failure('E_SHAPE', '\\[conv2d\\]', 'at least 3 x 3, got 2 x 2'));
    model.build([4, 4, 1]);
    expect(model.outputShape).toEqual([8]);
    model.dispose();
  });

  it('asks to build first', () => {
    expect(() => new Dense({ units: 1 }).call(tf.zeros([1, 1]))).toThrow(failure('E_USAGE', 'call build'));
    expect(() => new Sequential({ layers: [new Flatten()] }).summary()).toThrow(failure('E_USAGE', 'call build'));
  });

  it.each<[string, () => unknown, ...string[]]>([
    ['units 0', () => new Dense({ units: 0 }), 'units', '>= 1', 'got 0'],
    ['units 1.5', () => new Dense({ units: 1.5 }), 'units', 'got 1.5'],
    ['unknown option', () => new Dense({ units: 1, unit: 2 } as never), "unknown option 'unit'"],
    ['unknown activation', () => new Dense({ units: 1, activation: 'swish' as 'relu' }), "got 'swish'"],
    ['three strides', () => new Conv2D({ filters: 1, kernelSize: 3, strides: [1, 1, 1] as never }), 'strides'],
    ['strides and dilations', () => new Conv2D({ filters: 1, kernelSize: 3, strides: 2, dilations: 2 }), 'exclude'],
    ['padding full', () => new MaxPooling2D({ padding: 'full' as 'same' }), "got 'full'"],
    ['rate 1', () => new Dropout({ rate: 1 }), 'rate', '< 1', 'got 1'],
    ['rate NaN', () => new Dropout({ rate: NaN }), 'got NaN'],
    ['alpha of relu', () => new Activation({ activation: 'relu', alpha: 0.1 }), 'only leaky_relu'],
    ['name with slash', () => new Flatten({ name: 'a/b' }), "without '/'"],
    ['no layers', () => new Sequential({ layers: [] }), 'non-empty list'],
    [
      'equal names',
      () => new Sequential({ layers: [new Flatten({ name: 'a' }), new Flatten({ name: 'a' })] }),
      "two layers are named 'a'",
    ],
  ])('%s', (_, make, ...words) => {
    expect(make).toThrow(failure('E_CONFIG', ...words));
  });

  it('refuses a layer that is already part of a model', () => {
    const shared = new Flatten();
    const first = new Sequential({ layers: [shared] });
    expect(() => new Sequential({ layers: [shared] })).toThrow(failure('E_USAGE', 'already part'));
    expect(first.layers).toHaveLength(1);
  });
});
