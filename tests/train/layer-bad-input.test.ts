// Inputs that are wrong or empty in content: named by layer and path, or with a result that is defined.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { softmaxCrossEntropy } from '../../ts/backend/custom/softmax-cross-entropy.js';
import * as nn from '../../ts/nn/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

describe('wrong inputs', () => {
  it('names the embedding that got a token out of range', () => {
    const model = new nn.Sequential({
      layers: [new nn.Sequential({ name: 'encoder', layers: [new nn.Embedding({ tokens: 5, units: 2 })] })],
    });
    model.build([3]);
    for (const token of [5, -1]) {
      expect(() => model.call(tf.tensor2d([[0, token, 1]], undefined, 'int32'))).toThrow(
        failure('E_INDEX', new RegExp(`embedding 'encoder/embedding'\\] wrong token: .*${token} at position 1.*0 to 4`)),
      );
    }
    model.dispose();
  });

  it('names the attention whose mask has another length than its keys', () => {
    const layer = new nn.MultiHeadAttention({ heads: 1 });
    layer.buildAll([[4, 2], [4]], { path: 'block/attention' });
    const call = (steps: number, mask: number): unknown => layer.apply([tf.ones([1, steps, 2]), tf.ones([1, mask], 'bool')]);
    expect(call(3, 3)).toHaveLength(1);
    expect(() => call(3, 4)).toThrow(
      failure('E_SHAPE', /multi_head_attention 'block\/attention'\] wrong shape of the mask: expected \[N, 3\], got \[N, 4\]/),
    );
    layer.dispose();
  });

  it.each([
    [
      'two states of a GRU',
      () => new nn.GRU({ units: 2, initialState: true }),
      [[3, 1], [2], [2], [2]],
      /expected 2, or 3 with a mask/,
    ],
    [
      'a state of another size',
      () => new nn.RNN({ units: 2, initialState: true }),
      [[3, 1], [3]],
      /first state: expected \[N, 2\]/,
    ],
    [
      'scores of other heads',
      () => new nn.MultiHeadAttention({ heads: 4 }),
      [
        [3, 4],
        [2, 3, 3],
      ],
      /scores: expected \[N, 4 or 1, 3, 3\]/,
    ],
    ['a place that is not there', () => new nn.Select({ index: 3 }), [[3, 2]], /no such place: expected index 3 within axis 0/],
    ['rows that do not meet', () => new nn.Dot(), [[3], [2]], /whose axes -1 and -1 are equal, got \[N, 3\], \[N, 2\]/],
    ['volumes for images', () => new nn.Resize2D({ size: 2 }), [[2, 2, 2, 1]], /expected \[N, H, W, C\]/],
  ] as const)('refuses %s', (_, make, shapes, message) => {
    expect(() => make().buildAll(shapes)).toThrow(failure('E_SHAPE', message));
  });

  it.each([
    [
      'keyHeads that do not divide',
      () => new nn.MultiHeadAttention({ heads: 4, keyHeads: 3 }),
      /keyHeads: expected a divisor of 4/,
    ],
    ['padding that is no token', () => new nn.Embedding({ tokens: 3, units: 1, padding: 3 }), /padding: .*< 3, got 3/],
    [
      'states in two directions',
      () => new nn.Bidirectional({ layer: new nn.GRU({ units: 1, initialState: true }) }),
      /without returnState and initialState/,
    ],
    [
      'a rate above 1',
      () => new nn.Dense({ units: 1, kernelConstraint: { type: 'min_max_norm', rate: 2 } }),
      /rate: .*<= 1, got 2/,
    ],
    [
      'a mode of l2',
      () => new nn.Dense({ units: 1, kernelRegularizer: { mode: 'all' as 'rows' } }),
      /mode: expected one of rows/,
    ],
  ])('refuses %s', (_, make, message) => {
    expect(make).toThrow(failure('E_CONFIG', message));
  });
});

describe('rows without content', () => {
  it('an all-masked row gives zeros, states as they were, and finite gradients', () => {
    const x = tf.ones([2, 3, 2]);
    const mask = tf.tensor2d([1, 1, 0, 0, 0, 0], [2, 3], 'bool');
    const layers = [new nn.LSTM({ units: 2 }), new nn.GlobalAveragePooling1D(), new nn.MultiHeadAttention({ heads: 1 })];
    for (const layer of layers) {
      layer.buildAll([[3, 2], [3]]);
      const second = tf.slice(layer.apply([x, mask])[0]!, [1], [1]);
      expect(
        [...second.dataSync()].every((value) => value === 0),
        layer.type,
      ).toBe(true);
      const gradient = tf.grad((one: tf.Tensor) => tf.sum(layer.apply([one, mask])[0]!))(x);
      expect([...gradient.dataSync()].every(Number.isFinite), layer.type).toBe(true);
      expect(
        [...tf.slice(gradient, [1], [1]).dataSync()].every((value) => value === 0),
        layer.type,
      ).toBe(true);
      layer.dispose();
    }
  });

  it('a loss of which every label is ignored is 0, as is its gradient', () => {
    const labels = tf.tensor1d([-1, -1], 'int32');
    const loss = (z: tf.Tensor): tf.Scalar => softmaxCrossEntropy(z, labels, { ignoreLabel: -1, reduction: 'mean' });
    const z = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    expect([...loss(z).dataSync()]).toEqual([0]);
    expect([...tf.grad(loss)(z).dataSync()]).toEqual([0, 0, 0, 0]);
  });
});

describe('layers of a user', () => {
  class Gate extends nn.UnaryLayer {
    readonly type = 'test_gate';
    #gain: tf.Variable | undefined;

    override computeOutputShape(inputShape: nn.Shape): nn.Shape {
      return inputShape;
    }

    protected override createUnaryParameters(inputShape: nn.Shape): void {
      this.#gain = this.addParameter('gain', inputShape.slice(-1), 'ones');
    }

    protected override transform(x: tf.Tensor): tf.Tensor {
      return tf.mul(x, tf.sigmoid(tf.mul(x, this.#gain!)));
    }

    override getConfig(): Readonly<Record<string, unknown>> {
      return {};
    }
  }

  it('take part in models, their JSON form and training', () => {
    nn.registerLayer('test_gate', (config) => new Gate(config));
    const model = new nn.Sequential({ layers: [new nn.Dense({ units: 3 }), new Gate(), new nn.Dense({ units: 1 })], seed: 2 });
    model.build([2]);
    const copy = nn.modelFromJSON(JSON.parse(JSON.stringify(model)));
    const x = tf.ones([2, 2]);
    expect([...copy.call(x).dataSync()]).toEqual([...model.call(x).dataSync()]);
    const { grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(model.call(x)), Object.values(model.trainableVariables()));
    expect(Object.keys(model.trainableVariables())).toContain('test_gate/gain');
    expect(Object.keys(grads)).toHaveLength(5);
    model.dispose();
    copy.dispose();
  });

  it('regularize by orthogonality, as in Keras', () => {
    const layer = new nn.Dense({ units: 2, useBias: false, kernelRegularizer: { orthogonal: 0.5 } });
    layer.build([2]);
    layer.setWeights({ 'dense/kernel': { shape: [2, 2], data: Float32Array.of(1, 0, 3, 4) } });
    // Rows (1, 0) and (3, 4): their cosine is 0.6.
    expect(layer.penalties()[0]!.dataSync()[0]).toBeCloseTo(0.3, 6);
    layer.dispose();
  });
});

it('a chain of what is no layer, or one of several inputs, and a call without a list are refused by name', () => {
  const attention = new nn.MultiHeadAttention({ heads: 1, headSize: 2 });
  expect(() => new nn.Sequential({ layers: [new nn.Dense({ units: 2 }), attention as never] })).toThrow(
    failure('E_CONFIG', /\[sequential\] wrong layers\[1\]: .* got a multi_head_attention; a Graph takes it/),
  );
  expect(() => new nn.Sequential({ layers: ['dense' as never] })).toThrow(failure('E_CONFIG', /wrong layers\[0\]: .* 'dense'/));
  const model = new nn.Sequential({ layers: [new nn.Dense({ units: 2 })] });
  model.build([3]);
  expect(() => model.apply(tf.zeros([1, 3]) as never)).toThrow(
    failure('E_SHAPE', /wrong number of inputs: expected a list of 1, got no list/),
  );
  model.dispose();
});
