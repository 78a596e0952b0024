// Free composition, shared and tied weights, freezing, loading by name, generation with a cache.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../ts/backend/plan.js';
import {
  Add,
  BatchNorm,
  connect,
  Dense,
  Embedding,
  Graph,
  input,
  KeyValueCache,
  layerFromJSON,
  LearnedPositions,
  LSTM,
  PaddingMask,
  Sequential,
  TiedDense,
  TransformerEncoder,
} from '../../ts/nn/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

const gpt = (): Graph => {
  const tokens = input([6], { name: 'tokens', dtype: 'int32' });
  const placed = connect(
    new LearnedPositions({ maxLength: 8 }),
    connect(new Embedding({ tokens: 7, units: 4, name: 'embedding' }), tokens),
  );
  const block = connect(new TransformerEncoder({ heads: 2, hidden: 6, causal: true, rotary: true }), placed);
  return new Graph({ inputs: [tokens], outputs: [connect(new TiedDense({ to: 'embedding' }), block)], seed: 3 });
};

describe('Graph', () => {
  it('has several inputs and outputs and shares a layer that is used twice', () => {
    const [a, b] = [input([3], { name: 'left' }), input([3], { name: 'right' })];
    const shared = new Dense({ units: 2, name: 'shared' });
    const [x, y] = [connect(shared, a), connect(shared, b)];
    const model = new Graph({ inputs: [a, b], outputs: [connect(new Add(), x, y), y], seed: 1 });
    model.build();
    expect(model.parameters().map(({ name }) => name)).toEqual(['shared/kernel', 'shared/bias']);
    const [left, right] = [tf.ones([2, 3]), tf.zeros([2, 3])];
    const [sum, second] = model.apply([left, right]);
    const single = shared.call(left);
    expect([...sum!.dataSync()]).toEqual([...single.dataSync()]);
    expect([...second!.dataSync()]).toEqual([0, 0, 0, 0]);
    const copy = layerFromJSON(JSON.parse(JSON.stringify(model.toJSON()))) as Graph;
    copy.build();
    expect(copy.toJSON()).toEqual(model.toJSON());
    expect([...copy.apply([left, right])[0]!.dataSync()]).toEqual([...sum!.dataSync()]);
    expect(model.summary()).toMatch(/shared +dense +\[N, 2\] +8 +12/);
    model.dispose();
    copy.dispose();
  });

  it('feeds states and masks from layer to layer, at any length', () => {
    const tokens = input([5], { dtype: 'int32' });
    const vectors = connect(new Embedding({ tokens: 9, units: 3 }), tokens);
    const states = connect(new LSTM({ units: 2, returnState: true }), vectors, connect(new PaddingMask(), tokens));
    const model = new Graph({ inputs: [tokens], outputs: [states, states.output(2)], seed: 2 });
    model.build();
    const run = (ids: number[]): number[] => [...model.apply([tf.tensor2d([ids], undefined, 'int32')])[1]!.dataSync()];
    // Padding changes nothing: the cell state of the padded row is that of the shorter one.
    expect(run([4, 2, 7, 0, 0])).toEqual(run([4, 2, 7]));
    expect(run([4, 2, 7])).not.toEqual(run([4, 2, 6]));
    model.dispose();
  });

  it('refuses what does not fit, by name', () => {
    const a = input([3], { name: 'a' });
    const dense = new Dense({ units: 2 });
    expect(() => new Graph({ inputs: [a], outputs: [connect(dense, input([3]))] })).toThrow(
      failure('E_CONFIG', /an input that is not among/),
    );
    expect(() => new Graph({ inputs: [a, input([2])], outputs: [connect(new Dense({ units: 1 }), a)] })).toThrow(
      failure('E_CONFIG', /inputs\[1\]: no output depends on it/),
    );
    const other = input([4], { name: 'b' });
    const twice = new Dense({ units: 2, name: 'twice' });
    const reused = new Graph({ inputs: [a, other], outputs: [connect(twice, a), connect(twice, other)] });
    expect(() => reused.build()).toThrow(
      failure('E_SHAPE', /dense 'twice'\] it is already built: expected \[N, 3\], got \[N, 4\]/),
    );
    const cyclic = {
      type: 'graph',
      config: {
        inputs: [{ name: 'a', shape: [2], dtype: 'float32' }],
        layers: [
          { type: 'add', name: 'p', config: {} },
          { type: 'add', name: 'q', config: {} },
        ],
        calls: [
          { name: 'p', layer: 'p', inputs: ['a', 'q'] },
          { name: 'q', layer: 'q', inputs: ['a', 'p'] },
        ],
        outputs: ['q'],
      },
    };
    expect(() => layerFromJSON(cyclic)).toThrow(failure('E_CONFIG', /cyclic: 'q' needs 'p' needs 'q'/));
    const model = gpt();
    model.build();
    const ids = (shape: [number, number]): tf.Tensor => tf.zeros(shape, 'int32');
    expect(() => model.call(ids([1, 9]))).toThrow(
      failure('E_SHAPE', /longer than the table of places: expected at most 8, got 9/),
    );
    expect(() => model.call(ids([0, 6]))).toThrow(
      failure('E_SHAPE', /the batch is empty: expected at least one row, got \[0, 6\]/),
    );
    model.dispose();
  });
});

describe('tied weights and generation', () => {
  it('counts a tied table once and gives it both gradients', () => {
    const model = gpt();
    model.build();
    expect(model.parameters().filter(({ name }) => name.includes('embedding'))).toHaveLength(1);
    const ids = tf.tensor2d([[1, 2, 3, 4, 5, 6]], undefined, 'int32');
    const { grads } = tf.variableGrads(() => tf.sum(tf.square(model.call(ids))));
    const table = model.parameters().find(({ name }) => name === 'embedding/table')!.variable;
    // Token 0 is never read: its gradient comes through the scores alone.
    expect(Math.max(...tf.slice(grads[table.name]!, [0, 0], [1, 4]).dataSync().map(Math.abs))).toBeGreaterThan(0);
    model.dispose();
  });

  it('continues with a cache as if it saw the whole sequence', () => {
    const model = gpt();
    model.build();
    const ids = [1, 4, 2, 6, 3];
    const whole = model.call(tf.tensor2d([ids], undefined, 'int32')).dataSync();
    const cache = new KeyValueCache();
    const before = tf.memory().numTensors;
    const pieces = [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)].flatMap((piece) => {
      return tf.tidy(() => [...model.call(tf.tensor2d([piece], undefined, 'int32'), { cache }).dataSync()]);
    });
    expect(pieces).toHaveLength(whole.length);
    // The same float32 products in blocks of other sizes.
    pieces.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 5));
    cache.dispose();
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });
});

describe('freezing, penalties, constraints, loading', () => {
  it('keeps frozen layers out of training, and batch statistics as they are', () => {
    const model = new Sequential({
      layers: [
        new Dense({ units: 2, name: 'base', trainable: false }),
        new BatchNorm({ trainable: false }),
        new Dense({ units: 1 }),
      ],
    });
    model.build([3]);
    expect(Object.keys(model.trainableVariables())).toEqual(['dense/kernel', 'dense/bias']);
    const copy = layerFromJSON(JSON.parse(JSON.stringify(model.toJSON())));
    copy.buildAll([[3]], { path: '' });
    expect(Object.keys(copy.trainableVariables())).toEqual(['dense/kernel', 'dense/bias']);
    model.call(tf.ones([4, 3]), { training: true });
    const mean = model.parameters().find(({ name }) => name.endsWith('running_mean'))!.variable;
    expect([...mean.dataSync()]).toEqual([0, 0]);
    model.layers[1]!.trainable = true;
    model.call(tf.ones([4, 3]), { training: true });
    expect([...mean.dataSync()]).not.toEqual([0, 0]);
    model.dispose();
    copy.dispose();
  });

  it('adds penalties and holds constraints, replayed too', () => {
    const layer = new Dense({
      units: 2,
      kernelInitializer: { type: 'constant', value: -2 },
      kernelRegularizer: { l1: 0.5, l2: 0.25 },
      biasConstraint: { type: 'non_negative' },
      biasInitializer: { type: 'constant', value: -1 },
      kernelConstraint: { type: 'max_norm', max: 1 },
    });
    layer.build([3]);
    expect(layer.penalties().map((penalty) => penalty.dataSync()[0])).toEqual([0.5 * 12 + 0.25 * 24]);
    const step = compile((x: tf.Tensor) => {
      layer.applyConstraints();
      return layer.call(x);
    });
    for (let i = 0; i < 3; ++i) step(tf.ones([1, 3]));
    expect(step.statistics.replays).toBe(1);
    const [kernel, bias] = layer.parameters().map(({ variable }) => [...variable.dataSync()]);
    kernel!.forEach((value) => expect(value).toBeCloseTo(-1 / Math.sqrt(3), 5));
    expect(bias).toEqual([0, 0]);
    step.dispose();
    layer.dispose();
  });

  it('loads by name and lists what does not fit', async () => {
    const make = (units: number): Sequential => {
      const model = new Sequential({
        layers: [new Dense({ units: 2, name: 'base' }), new Dense({ units, name: 'head' })],
        seed: units,
      });
      model.build([3]);
      return model;
    };
    const [old, fresh] = [make(4), make(5)];
    const weights: Awaited<ReturnType<Sequential['getWeights']>> = {
      ...(await old.getWeights()),
      'gone/kernel': { shape: [1], data: new Float32Array(1) },
    };
    delete weights['head/bias'];
    const report = {
      loaded: ['base/kernel', 'base/bias'],
      missing: ['head/bias'],
      extra: ['gone/kernel'],
      misshaped: [{ name: 'head/kernel', expected: [2, 5], found: [2, 4] }],
    };
    expect(() => fresh.loadWeights(weights, { strict: true })).toThrow(
      failure(
        'E_DATA',
        /missing head\/bias; extra gone\/kernel; of another shape 'head\/kernel' expected \[2, 5\] found \[2, 4\]/,
      ),
    );
    expect(fresh.loadWeights(weights)).toEqual(report);
    expect((await fresh.getWeights())['base/kernel']).toEqual(weights['base/kernel']);
    expect(() => fresh.loadWeights({})).toThrow(failure('E_DATA', /do not fit/));
    old.dispose();
    fresh.dispose();
  });
});
