import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  crossEntropy,
  Dense,
  Dropout,
  Flatten,
  layerTypes,
  meanSquaredError,
  modelFromJSON,
  registerLayer,
  Sequential,
  type UnaryLayer,
} from '../../ts/nn/index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('JSON', () => {
  it('brings a model back, built, with equal initial weights', () => {
    const model = new Sequential({
      seed: 12,
      layers: [new Flatten(), new Dense({ units: 4, name: 'hidden' }), new Dropout({ rate: 0.2 })],
    });
    expect(modelFromJSON(model.toJSON()).isBuilt).toBe(false);
    model.build([2, 3]);
    const copy = modelFromJSON(JSON.parse(JSON.stringify(model))) as Sequential;
    expect(copy.toJSON()).toEqual(model.toJSON());
    expect(copy.describe()).toEqual(model.describe());
    expect(copy.summary()).toBe(model.summary());
    model.dispose();
    copy.dispose();
  });

  it.each([
    ['no object', 3, /got undefined version undefined/],
    ['another version', { format: 'tensorkiln-model', version: 2 }, /version 1, got 'tensorkiln-model' version 2/],
    ['unknown type', { format: 'tensorkiln-model', version: 1, type: 'warp', config: {} }, /unknown layer type.*got 'warp'/],
    [
      'not a model',
      { format: 'tensorkiln-model', version: 1, type: 'flatten', name: 'f', config: {} },
      /expected type 'sequential' or 'graph', got 'flatten'/,
    ],
    [
      'wrong option',
      {
        format: 'tensorkiln-model',
        version: 1,
        type: 'sequential',
        config: { layers: [{ type: 'dense', config: { units: '3' } }] },
      },
      /units: expected an integer >= 1, got '3'/,
    ],
    [
      'no config',
      { format: 'tensorkiln-model', version: 1, type: 'sequential', config: { layers: [{ type: 'dense' }] } },
      /\[layers\[0\]\] wrong config/,
    ],
    ['layers missing', { format: 'tensorkiln-model', version: 1, type: 'sequential', config: {} }, /wrong layers/],
  ])('refuses %s', (_, json, message) => {
    expect(() => modelFromJSON(json)).toThrow(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it('knows a layer type once', () => {
    const types = layerTypes();
    expect(new Set(types).size).toBe(types.length);
    expect(types).toEqual(expect.arrayContaining(['activation', 'conv2d', 'dense', 'graph', 'lstm', 'sequential']));
    expect(() => registerLayer('dense', () => new Flatten())).toThrow(/already registered/);
  });
});

describe('summary', () => {
  it('shows shapes and counts, nested layers by path', () => {
    const model = new Sequential({
      layers: [
        new Sequential({ name: 'encoder', layers: [new Flatten(), new Dense({ units: 1000 })] }),
        new Dense({ units: 10 }),
      ],
    });
    model.build([28, 28, 1]);
    const lines = model.summary().split('\n');
    const rule = '-'.repeat(61);
    expect(lines).toEqual([
      'Input [N, 28, 28, 1]',
      rule,
      'Layer            Type     Output shape  Parameters      FLOPs',
      rule,
      'encoder/flatten  flatten  [N, 784]               0          0',
      'encoder/dense    dense    [N, 1000]        785,000  1,568,000',
      'dense            dense    [N, 10]           10,010     20,000',
      rule,
      'Parameters: 795,010 (trainable 795,010)',
      'FLOPs per row: 1,588,000 (matrix products and convolutions)',
    ]);
    model.dispose();
  });
});

describe('a model', () => {
  it('with a name shows it, built or not', () => {
    const make = (name?: string): Sequential =>
      new Sequential({ layers: [new Dense({ units: 2 })], ...(name === undefined ? {} : { name }) });
    const [named, nameless] = [make('encoder'), make()];
    for (const model of [named, nameless]) model.build([3]);
    expect(named.summary().split('\n').slice(0, 2)).toEqual(['Model encoder', 'Input [N, 3]']);
    expect(nameless.summary()).toMatch(/^Input/);
    expect(() => named.inferOutputShapes([[3], [3]])).toThrow(/^\[sequential 'encoder'\] wrong number of inputs/);
    expect(() => nameless.inferOutputShapes([[3], [3]])).toThrow(/^\[sequential\] wrong number of inputs/);
    // Weights do not depend on the name.
    expect(named.parameters().map(({ name }) => name)).toEqual(nameless.parameters().map(({ name }) => name));
    named.dispose();
    nameless.dispose();
  });

  it('cannot be put into itself, nor be changed, through its lists of layers', () => {
    const model = new Sequential({ layers: [new Dense({ units: 2 })] });
    const outer = new Sequential({ name: 'outer', layers: [model] });
    for (const list of [model.layers, outer.layers, model.sublayers]) {
      const open = list as UnaryLayer[];
      for (const change of [() => open.push(outer), () => (open[0] = outer), () => open.pop(), () => open.splice(0, 1)]) {
        expect(change).toThrow(
          expect.objectContaining({
            code: 'E_USAGE',
            message: expect.stringMatching(/the layers .* cannot be changed: make a new model of the layers wanted/) as string,
          }),
        );
      }
      expect(list).toHaveLength(1);
    }
    outer.build([3]);
    expect(outer.parameters().map(({ name }) => name)).toEqual(['sequential/dense/kernel', 'sequential/dense/bias']);
    expect([...model.layers].map(({ type }) => type)).toEqual(['dense']);
    outer.dispose();
  });
});

describe('losses check targets before work starts', () => {
  const rows = (
    targets: Int32Array | Float32Array,
    targetShape: readonly number[] = [],
  ): Parameters<typeof crossEntropy.check>[2] => ({
    size: 2,
    featureShape: [1],
    features: new Float32Array(2),
    targets,
    targetShape,
  });

  it.each([
    [
      'float targets',
      () => crossEntropy.check('fit', [3], rows(new Float32Array(2))),
      'E_DTYPE',
      /expected class indices in an Int32Array, got a Float32Array/,
    ],
    [
      'class too large',
      () => crossEntropy.check('fit', [3], rows(Int32Array.of(2, 3))),
      'E_DATA',
      /row 1 .* expected 0 to 2, got 3/,
    ],
    ['negative class', () => crossEntropy.check('fit', [3], rows(Int32Array.of(-1, 0))), 'E_DATA', /row 0 .* got -1/],
    [
      'image output',
      () => crossEntropy.check('fit', [2, 2], rows(new Int32Array(2))),
      'E_SHAPE',
      /expected logits \[N, C\], got \[N, 2, 2\]/,
    ],
    [
      'two targets per row',
      () => crossEntropy.check('fit', [3], rows(new Int32Array(4), [2])),
      'E_SHAPE',
      /one class index per row/,
    ],
    ['int targets', () => meanSquaredError.check('fit', [1], rows(new Int32Array(2))), 'E_DTYPE', /expected a Float32Array/],
    [
      'other width',
      () => meanSquaredError.check('fit', [3], rows(new Float32Array(4), [2])),
      'E_SHAPE',
      /\[N, 3\], got \[N, 2\]/,
    ],
    [
      'NaN target',
      () => meanSquaredError.check('fit', [2], rows(Float32Array.of(0, 1, 2, NaN), [2])),
      'E_DATA',
      /row 1 is not a finite number/,
    ],
  ] as const)('%s', (_, check, code, message) => {
    expect(check).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error);
  });

  it('takes what fits', () => {
    crossEntropy.check('fit', [3], rows(Int32Array.of(0, 2)));
    meanSquaredError.check('fit', [1], rows(Float32Array.of(0.5, 2)));
    meanSquaredError.check('fit', [2], rows(new Float32Array(4), [2]));
  });

  it('meanSquaredError averages the values of each row', () => {
    const loss = meanSquaredError.rows(tf.tensor2d([1, 2, 3, 5], [2, 2]), tf.tensor2d([1, 0, 0, 1], [2, 2]));
    expect([...loss.dataSync()]).toEqual([2, 12.5]);
    const single = meanSquaredError.rows(tf.tensor2d([1, 4], [2, 1]), tf.tensor1d([3, 1]));
    expect([...single.dataSync()]).toEqual([4, 9]);
  });
});
