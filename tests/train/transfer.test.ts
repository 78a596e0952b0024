import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import * as tfl from '@tensorflow/tfjs-layers';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  BatchNorm,
  Bidirectional,
  Conv2D,
  crossEntropy,
  Dense,
  DepthwiseConv2D,
  Embedding,
  Flatten,
  GRU,
  Activation,
  layerFromJSON,
  LayerNorm,
  LSTM,
  Reshape,
  RNN,
  Sequential,
  TransformerEncoder,
} from '../../ts/nn/index.js';
import { Adam } from '../../ts/optim/index.js';
import { mapWeights } from '../../ts/train/foreign-weights.js';
import { loadPretrained, replaceHead, setTrainable, suggestRate, Trainer } from '../../ts/train/index.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

type Fixture = Readonly<Record<'net' | 'halfNet' | 'onnx' | 'reader' | 'stack' | 'blocks', string>> &
  Readonly<Record<'x' | 'y' | 'tokens' | 'read' | 'sequence' | 'stacked' | 'image' | 'blocked', number[]>>;
const fixture = JSON.parse(readFileSync(new URL('../fixtures/transfer.json', import.meta.url), 'utf8')) as Fixture;
const bytes = (name: 'net' | 'halfNet' | 'onnx' | 'reader' | 'stack' | 'blocks'): Uint8Array =>
  Buffer.from(fixture[name], 'base64');
const failure = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

const makeNet = (classes = 4): Sequential => {
  const net = new Sequential({
    layers: [
      new Conv2D({ name: 'conv', filters: 3, kernelSize: 3 }),
      new BatchNorm({ name: 'norm', epsilon: 1e-5 }),
      new Activation({ activation: 'relu' }),
      new Flatten(),
      new Dense({ name: 'head', units: classes }),
    ],
  });
  net.build([5, 5, 2]);
  return net;
};
const outputOf = (net: Sequential): number[] => tf.tidy(() => [...net.call(tf.tensor(fixture.x, [2, 5, 5, 2])).dataSync()]);
const close = (found: number[], expected: number[], tolerance = 1e-5): void => {
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance));
};

describe('weights by name', () => {
  it('from PyTorch in safetensors: names and layouts mapped, the rest listed', async () => {
    const net = makeNet();
    const report = await loadPretrained(net, bytes('net'));
    expect([...report.loaded].sort()).toEqual(
      net
        .parameters()
        .map(({ name }) => name)
        .sort(),
    );
    expect(report).toMatchObject({ missing: [], extra: ['extra.weight'], misshaped: [] });
    close(outputOf(net), fixture.y);
    await expect(loadPretrained(net, bytes('net'), { strict: true })).rejects.toThrow(failure('E_DATA', /extra extra.weight/));
    net.dispose();
  });

  it('from 16-bit values', async () => {
    const net = makeNet();
    await loadPretrained(net, bytes('halfNet'), { strict: true });
    // bfloat16 keeps 8 bits of a weight.
    close(outputOf(net), fixture.y, 0.05);
    net.dispose();
  });

  it('from the initialisers of an ONNX model, as raw bytes and as numbers', async () => {
    const net = makeNet();
    await loadPretrained(net, bytes('onnx'), { strict: true });
    close(outputOf(net), fixture.y);
    net.dispose();
  });

  it('of embeddings, an LSTM and a norm', async () => {
    const net = new Sequential({
      layers: [
        new Embedding({ name: 'words', tokens: 7, units: 5 }),
        new LSTM({ name: 'lstm', units: 4 }),
        new LayerNorm({ name: 'scale', epsilon: 1e-5 }),
      ],
    });
    net.build([3]);
    await loadPretrained(net, bytes('reader'), { strict: true });
    close(
      tf.tidy(() => [...net.call(tf.tensor(fixture.tokens, [2, 3], 'int32')).dataSync()]),
      fixture.read,
    );
    net.dispose();
  });

  it('of stacked recurrent layers in both directions, a GRU and an RNN', async () => {
    const both = (name: string): Bidirectional =>
      new Bidirectional({ name, layer: new LSTM({ units: 4, returnSequences: true }) });
    const net = new Sequential({
      layers: [
        both('lstm'),
        both('lstm_l1'),
        new GRU({ name: 'gru', units: 5, returnSequences: true }),
        new RNN({ name: 'rnn', units: 2 }),
      ],
    });
    net.build([3, 3]);
    await loadPretrained(net, bytes('stack'), { strict: true });
    close(
      tf.tidy(() => [...net.call(tf.tensor(fixture.sequence, [2, 3, 3])).dataSync()]),
      fixture.stacked,
    );
    net.dispose();
  });

  it('of both directions in whatever order a file has them', () => {
    const names = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].flatMap((kind) => [
      `rnn.${kind}_l0`,
      `rnn.${kind}_l0_reverse`,
    ]);
    const tensors = names.map((name, i) => [name, { shape: name.includes('bias') ? [1] : [1, 1], data: Float32Array.of(i) }]);
    const mapped = (entries: typeof tensors): object =>
      mapWeights(Object.fromEntries(entries) as Parameters<typeof mapWeights>[0], new Map());
    expect(Object.keys(mapped(tensors)).sort()).toEqual(
      ['backward', 'forward'].flatMap((way) => ['bias', 'kernel', 'recurrent_kernel'].map((role) => `rnn.${way}.${role}`)),
    );
    expect(mapped([...tensors].reverse())).toEqual(mapped(tensors));
  });

  it('tells what would be a second value of one parameter, or is no pack of three, as extra', () => {
    const tensor = (rows: number): { shape: number[]; data: Float32Array } => ({
      shape: [rows, 2],
      data: new Float32Array(2 * rows),
    });
    const known = new Map([['a/kernel', [2, 2]]]);
    const [torch, own] = [tensor(2), tensor(2)];
    expect(mapWeights({ 'a.weight': torch, 'a/kernel': own, 'a.kernel': tensor(2) }, known)).toEqual({
      'a/kernel': own,
      'a.weight': torch,
      'a.kernel': tensor(2),
    });
    expect(
      Object.keys(
        mapWeights({ 'b.in_proj_weight': tensor(7), 'c.in_proj_bias': { shape: [], data: new Float32Array(1) } }, known),
      ),
    ).toEqual(['b.in_proj_weight', 'c.in_proj_bias']);
  });

  it('of a depthwise convolution and a transformer layer with packed projections', async () => {
    const net = new Sequential({
      layers: [
        new DepthwiseConv2D({ name: 'deep', kernelSize: 3, depthMultiplier: 2 }),
        new Reshape({ shape: [6, 4] }),
        new TransformerEncoder({ name: 'block', heads: 2, hidden: 6, activation: 'relu', normFirst: false }),
      ],
    });
    net.build([4, 5, 2]);
    await loadPretrained(net, bytes('blocks'), { strict: true });
    close(
      tf.tidy(() => [...net.call(tf.tensor(fixture.image, [2, 4, 5, 2])).dataSync()]),
      fixture.blocked,
    );
    net.dispose();
  });

  it('of a tf.LayersModel', async () => {
    const source = tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 3, kernelSize: 3, inputShape: [5, 5, 2] }),
        tfl.layers.batchNormalization({ name: 'norm', epsilon: 1e-5 }),
        tfl.layers.activation({ activation: 'relu' }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'head', units: 4 }),
      ],
    });
    const net = makeNet();
    await loadPretrained(net, source, { strict: true });
    const expected = tf.tidy(() => [...(source.predict(tf.tensor(fixture.x, [2, 5, 5, 2])) as tf.Tensor).dataSync()]);
    close(outputOf(net), expected);
    source.dispose();
    net.dispose();
  });

  it('renamed, misshaped and missing ones are told', async () => {
    const net = makeNet(5);
    const report = await loadPretrained(net, bytes('net'), {
      rename: [
        [/^extra\./, 'nothing.'],
        ['conv.bias', 'gone'],
      ],
    });
    expect(report.missing).toEqual(['conv/bias']);
    expect([...report.extra].sort()).toEqual(['gone', 'nothing.weight']);
    expect(report.misshaped).toEqual([
      { name: 'head/kernel', expected: [27, 5], found: [27, 4] },
      { name: 'head/bias', expected: [5], found: [4] },
    ]);
    await expect(loadPretrained(net, new Uint8Array())).rejects.toThrow(
      failure('E_DATA', /\[loadPretrained\] the file is empty: expected weights as safetensors or ONNX/),
    );
    await expect(loadPretrained(net, new Uint8Array([1, 2, 3]))).rejects.toThrow(failure('E_DATA', /no ONNX model|do not fit/));
    await expect(loadPretrained(net, Buffer.from('hello world this is text'))).rejects.toThrow(
      failure('E_DATA', /is no safetensors file and no ONNX model/),
    );
    await expect(loadPretrained(undefined as never, '')).rejects.toThrow(failure('E_CONFIG', /wrong model: .* got undefined/));
    await expect(loadPretrained(net, null as never)).rejects.toThrow(
      failure('E_CONFIG', /wrong source: expected the path of a safetensors or ONNX file, .* got null/),
    );
    await expect(loadPretrained(net, '/nowhere/weights')).rejects.toThrow(failure('E_IO', /cannot read \/nowhere/));
    await expect(loadPretrained(net, bytes('net'), { format: 'zip' as never })).rejects.toThrow(failure('E_CONFIG', /format/));
    net.dispose();
  });
});

describe('a new head', () => {
  it('keeps the body’s weights, freezes it, and is trained', async () => {
    const net = makeNet();
    await loadPretrained(net, bytes('net'));
    const next = await replaceHead(net, [new Dense({ units: 8, activation: 'relu' }), new Dense({ units: 2 })], {
      freeze: true,
      seed: 4,
    });
    expect(next.outputShape).toEqual([2]);
    expect(Object.keys(next.trainableVariables())).toEqual(['dense/kernel', 'dense/bias', 'dense_1/kernel', 'dense_1/bias']);
    const body = next.parameters().filter(({ trainable }) => !trainable);
    expect(body.map(({ variable }) => [...variable.dataSync()])).toEqual(
      net
        .parameters()
        .slice(0, -2)
        .map(({ variable }) => [...variable.dataSync()]),
    );
    expect(setTrainable(next, ['norm', /^conv$/], true)).toEqual(['norm', 'conv']);
    expect(Object.keys(next.trainableVariables()).slice(0, 2)).toEqual(['conv/kernel', 'conv/bias']);
    expect(() => setTrainable(next, ['nothing'], true)).toThrow(failure('E_CONFIG', /no layer matches 'nothing'/));
    for (const wrong of ['norm', /norm/, []])
      expect(() => setTrainable(next, wrong as never, true)).toThrow(
        failure('E_CONFIG', /\[setTrainable\] wrong layers: expected/),
      );
    for (const wrong of [[], new Dense({ units: 2 }), [{ units: 2 }]])
      await expect(replaceHead(net, wrong as never)).rejects.toThrow(
        failure('E_CONFIG', /\[replaceHead\] wrong head: expected a list of layers, got/),
      );
    await expect(replaceHead(net, [new Dense({ units: 2 })], { drop: 5 })).rejects.toThrow(
      failure('E_CONFIG', /fewer than the model's 5 layers/),
    );
    next.dispose();
    net.dispose();
  });
});

describe('freezing what is inside a layer', () => {
  const build = (trainable = true): Sequential => {
    const block = new Sequential({
      name: 'block',
      trainable,
      layers: [new Dense({ name: 'a', units: 3 }), new BatchNorm({ name: 'norm' }), new Dense({ name: 'b', units: 3 })],
    });
    const net = new Sequential({ layers: [block, new Dense({ name: 'head', units: 2 })] });
    net.build([3]);
    return net;
  };
  const runningMean = (net: Sequential): number[] => [
    ...net
      .parameters()
      .find(({ name }) => name === 'block/norm/running_mean')!
      .variable.dataSync(),
  ];

  it.each(['by the option', 'by the property', 'by setTrainable', 'in a copy'])('%s keeps running statistics', async (how) => {
    let net = build(how !== 'by the option');
    if (how === 'by the property') net.layers[0]!.trainable = false;
    if (how === 'by setTrainable') setTrainable(net, ['block'], false);
    if (how === 'in a copy') {
      const next = await replaceHead(net, [new Dense({ name: 'head', units: 2 })], { freeze: true });
      net.dispose();
      net = next;
    }
    tf.tidy(() => void net.call(tf.ones([4, 3]), { training: true }));
    expect(runningMean(net)).toEqual([0, 0, 0]);
    expect(Object.keys(net.trainableVariables())).toEqual(['head/kernel', 'head/bias']);
    net.dispose();
  });

  it('a frozen recurrent layer is frozen in both directions, and in a copy', () => {
    const layer = new Bidirectional({ layer: new LSTM({ units: 2, trainable: false }) });
    layer.build([4, 3]);
    expect(Object.keys(layer.trainableVariables())).toEqual([]);
    const copy = layerFromJSON(JSON.parse(JSON.stringify(layer.toJSON()))) as Bidirectional;
    copy.build([4, 3]);
    expect(Object.keys(copy.trainableVariables())).toEqual([]);
    copy.trainable = true;
    expect(Object.keys(copy.trainableVariables())).toHaveLength(6);
    layer.dispose();
    copy.dispose();
  });

  it('thaws a layer inside a frozen one alone, or all of it', () => {
    const net = build(false);
    expect(setTrainable(net, ['block/b'], true)).toEqual(['block/b']);
    expect(Object.keys(net.trainableVariables())).toEqual(['block/b/kernel', 'block/b/bias', 'head/kernel', 'head/bias']);
    tf.tidy(() => void net.call(tf.ones([4, 3]), { training: true }));
    expect(runningMean(net)).toEqual([0, 0, 0]);
    expect(setTrainable(net, [/^block$/], true)).toEqual(['block']);
    expect(Object.keys(net.trainableVariables())).toHaveLength(8);
    expect(net.layers[0]!.sublayers.map(({ trainable }) => trainable)).toEqual([true, true, true]);
    net.dispose();
  });
});

describe('the learning-rate finder', () => {
  const data = {
    size: 60,
    featureShape: [2],
    features: Float32Array.from({ length: 120 }, (_, i) => Math.sin(3 * i) + (Math.floor(i / 2) % 2) * 2 - 1),
    targets: Int32Array.from({ length: 60 }, (_, i) => i % 2),
    targetShape: [],
  };

  it('finds a rate at which the loss falls, and leaves everything as it was', async () => {
    const model = new Sequential({ layers: [new Dense({ units: 8, activation: 'tanh' }), new Dense({ units: 2 })], seed: 2 });
    model.build([2]);
    const before = model.parameters().map(({ variable }) => [...variable.dataSync()]);
    const optimizer = new Adam({ learningRate: 0.123 });
    const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
    const { points, suggestion } = await trainer.findLearningRate(data, { from: 1e-6, to: 100, steps: 60, batchSize: 20 });
    expect(points[0]!.rate).toBeCloseTo(1e-6, 12);
    expect(points.length).toBeGreaterThan(20);
    expect(suggestion).toBeGreaterThan(1e-4);
    expect(suggestion).toBeLessThan(1);
    expect(model.parameters().map(({ variable }) => [...variable.dataSync()])).toEqual(before);
    expect(optimizer.learningRate).toBe(0.123);
    expect((await optimizer.getState()).step).toBe(0);
    await expect(trainer.findLearningRate(data, { from: 1, to: 0.1 })).rejects.toThrow(failure('E_CONFIG', /to: /));
    await expect(trainer.findLearningRate(data, { signal: AbortSignal.abort() })).rejects.toThrow(
      failure('E_ABORTED', /cancelled/),
    );
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('under loss scaling tries a rate again while the factor is looked for, and puts the factor back', async () => {
    const weighted = { ...data, sampleWeights: new Float32Array(60).fill(300) };
    const train = async (findFirst: boolean): Promise<unknown> => {
      const model = new Sequential({ layers: [new Dense({ units: 8, activation: 'tanh' }), new Dense({ units: 2 })], seed: 2 });
      const optimizer = new Adam();
      const trainer = new Trainer({ model, loss: crossEntropy, optimizer, precision: 'f16' });
      if (findFirst) expect((await trainer.findLearningRate(weighted, { steps: 12 })).points).toHaveLength(12);
      const { skippedSteps } = await trainer.fit(weighted, { epochs: 3, batchSize: 20 });
      const weights = model.parameters().map(({ variable }) => [...variable.dataSync()]);
      trainer.dispose();
      optimizer.dispose();
      model.dispose();
      return { skippedSteps, weights };
    };
    const plain = await train(false);
    expect((plain as { skippedSteps: number }).skippedSteps).toBeGreaterThan(0);
    expect(await train(true)).toEqual(plain);
  });

  it('and profile give token models their numbers as they take them', async () => {
    const model = new Sequential({
      layers: [new Embedding({ tokens: 5, units: 4 }), new Flatten(), new Dense({ units: 2 })],
      seed: 2,
    });
    const optimizer = new Adam();
    const trainer = new Trainer({ model, loss: crossEntropy, optimizer });
    const tokens = { ...data, features: Float32Array.from({ length: 120 }, (_, i) => (i * 3) % 5) };
    expect((await trainer.findLearningRate(tokens, { steps: 10, batchSize: 20 })).points.length).toBeGreaterThan(0);
    expect((await trainer.profile(tokens, { steps: 1 })).profile.rows.length).toBeGreaterThan(0);
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  });

  it('suggests the steepest fall, and nothing where there is none', () => {
    const of = (losses: number[]): Parameters<typeof suggestRate>[0] =>
      losses.map((loss, i) => ({ rate: 10 ** (i / 10 - 4), loss, smoothed: loss }));
    expect(suggestRate(of([1, 1, 1, 1, 1, 1, 0.9, 0.5, 0.45, 0.44, 2]))).toBeCloseTo(10 ** (0.6 - 4), 8);
    expect(suggestRate(of([1, 1, 1, 1, 1, 1, 1.1, 2]))).toBeUndefined();
  });
});
