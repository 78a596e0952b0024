// Ready architectures: shapes, numbers of parameters, a pass each, and what they refuse.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ARCHITECTURES, createModel, modelFromJSON, type Model, type ZooDescription } from '../../ts/nn/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

interface ZooCase {
  readonly description: ZooDescription;
  readonly outputShape: readonly number[];
  /** Counted by hand from the papers' tables; undefined where none is given there. */
  readonly parameters?: number;
}

const image = { inputShape: [16, 13, 3], numClasses: 10 } as const;
const tokens = { inputShape: [6], vocabulary: 11 } as const;
const block = { layers: 1, size: 8, heads: 2, hidden: 12 } as const;

const CASES: readonly ZooCase[] = [
  { description: { architecture: 'mlp', inputShape: [5], numClasses: 3 }, outputShape: [3], parameters: 384 + 2080 + 99 },
  { description: { architecture: 'mlp', inputShape: [2, 3], numClasses: 1, hiddenUnits: [] }, outputShape: [1], parameters: 7 },
  { description: { architecture: 'dnn', inputShape: [5], numClasses: 3, hiddenUnits: [4, 4] }, outputShape: [3] },
  { description: { architecture: 'cnn', ...image, filters: [4, 5] }, outputShape: [10] },
  {
    description: { architecture: 'cnn', ...image, filters: [4], batchNorm: false, head: 'flatten', hiddenUnits: [6] },
    outputShape: [10],
    parameters: 112 + 8 * 6 * 4 * 6 + 6 + 70,
  },
  {
    // LeCun et al. 1998 on 28 x 28 with padding: 156 + 2416 + 48120 + 10164 + 850.
    description: { architecture: 'lenet', inputShape: [28, 28, 1], numClasses: 10 },
    outputShape: [10],
    parameters: 61_706,
  },
  // The same sums at width 64 and 1000 classes give 11,689,512, 21,797,672 and 25,557,032, as PyTorch's models have.
  { description: { architecture: 'resnet18', ...image, width: 2, stem: 'large' }, outputShape: [10], parameters: 11_660 },
  { description: { architecture: 'resnet34', ...image, width: 2, stem: 'large' }, outputShape: [10], parameters: 21_756 },
  { description: { architecture: 'resnet50', ...image, width: 2, stem: 'large' }, outputShape: [10], parameters: 25_500 },
  { description: { architecture: 'resnet18', ...image, width: 2, zeroInit: true }, outputShape: [10], parameters: 11_420 },
  {
    description: { architecture: 'bilstm-classifier', ...tokens, numClasses: 2, units: 3, embeddingSize: 4, layers: 2 },
    outputShape: [2],
    parameters: 44 + 2 * 4 * 3 * (4 + 3 + 1) + 2 * 4 * 3 * (6 + 3 + 1) + 14,
  },
  {
    description: { architecture: 'bilstm-classifier', inputShape: [7, 2], numClasses: 2, units: 3, cell: 'gru' },
    outputShape: [2],
  },
  { description: { architecture: 'transformer-encoder', ...tokens, ...block, numClasses: 4 }, outputShape: [4] },
  {
    description: { architecture: 'transformer-encoder', inputShape: [7, 3], ...block, numClasses: 4, pooling: 'first' },
    outputShape: [4],
  },
  {
    description: { architecture: 'transformer-encoder', ...tokens, ...block, numClasses: 4, normFirst: false, norm: 'rms' },
    outputShape: [4],
  },
  {
    description: { architecture: 'gpt', ...tokens, ...block },
    outputShape: [6, 11],
    parameters: 11 * 8 + 6 * 8 + 4 * 72 + (8 * 12 + 12) + (12 * 8 + 8) + 3 * 16,
  },
  { description: { architecture: 'gpt', ...tokens, ...block, positions: 'rotary', tied: false }, outputShape: [6, 11] },
];

function inputFor({ description: { inputShape, vocabulary } }: ZooCase): tf.Tensor {
  const values = randomValues(randomSource(3), 2 * productOf(inputShape), 2);
  if (vocabulary === undefined) return tf.tensor(values, [2, ...inputShape]);
  return tf.tensor(
    values.map((value) => Math.floor(Math.abs(value) * 5)),
    [2, ...inputShape],
    'int32',
  );
}

describe.each(CASES)('$description.architecture', (zooCase) => {
  const { description, outputShape, parameters } = zooCase;

  it('has shapes, parameters, a JSON form, and gradients of all parameters', () => {
    const model = createModel({ ...description, seed: 4 });
    model.build(description.inputShape);
    expect(model.outputShape).toEqual(outputShape);
    if (parameters !== undefined) expect(model.countParameters().trainable).toBe(parameters);
    const copy = modelFromJSON(JSON.parse(JSON.stringify(model.toJSON())));
    expect(copy.toJSON()).toEqual(model.toJSON());
    const x = inputFor(zooCase);
    const run = (one: Model): number[] => [...one.call(x).dataSync<'float32'>()];
    expect(run(copy)).toEqual(run(model));
    expect(run(model).every(Number.isFinite)).toBe(true);
    const variables = Object.values(model.trainableVariables());
    const { grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(tf.square(model.call(x, { training: true }))), variables);
    expect(Object.keys(grads).sort()).toEqual(variables.map(({ name }) => name).sort());
    model.dispose();
    copy.dispose();
  });
});

describe('the largest encoder', () => {
  it('has 12 layers of 768 and a finite loss with a gradient of every parameter', () => {
    const model = createModel({
      architecture: 'transformer-encoder',
      inputShape: [8],
      vocabulary: 50,
      numClasses: 2,
      layers: 12,
      size: 768,
      heads: 12,
      hidden: 3072,
      seed: 1,
    });
    model.build([8]);
    const variables = Object.values(model.trainableVariables());
    // A block of Vaswani et al. 2017: four projections, two linear layers, two norms.
    const block = 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 768 + 3072 + 4 * 768;
    expect(model.countParameters().trainable).toBeGreaterThan(12 * block);
    const tokens = tf.tensor2d([3, 1, 4, 1, 5, 9, 2, 6], [1, 8], 'int32');
    const { value, grads } = tf.variableGrads(
      () => tf.losses.softmaxCrossEntropy(tf.tensor2d([[0, 1]]), model.call(tokens, { training: true })),
      variables,
    );
    expect(value.dataSync()[0]).toBeLessThan(10);
    expect(Object.keys(grads)).toHaveLength(variables.length);
    for (const [name, gradient] of Object.entries(grads)) {
      const largest = tf.tidy(() => tf.max(tf.abs(gradient)).dataSync()[0]);
      expect([name, Number.isFinite(largest)]).toEqual([name, true]);
    }
    tf.dispose([value, grads]);
    model.dispose();
  });
});

describe('createModel', () => {
  it('has a case of every architecture', () => {
    expect(new Set(CASES.map(({ description }) => description.architecture))).toEqual(new Set(ARCHITECTURES));
  });

  it.each([
    ['an unknown architecture', { architecture: 'resnet19' }, /wrong architecture: expected one of dnn, mlp.*got 'resnet19'/],
    ['no description', null, /wrong description/],
    [
      'an unknown option',
      { architecture: 'mlp', inputShape: [2], numClasses: 2, hidden: [3] },
      /zoo mlp\] unknown option 'hidden'/,
    ],
    ['no input shape', { architecture: 'mlp', numClasses: 2 }, /wrong inputShape: expected a non-empty list/],
    ['no classes', { architecture: 'cnn', inputShape: [8, 8, 1] }, /wrong numClasses: expected an integer >= 1/],
    [
      'rows that are no images',
      { architecture: 'resnet18', inputShape: [9], numClasses: 2 },
      /expected an image \[H, W, C\], got \[9\]/,
    ],
    ['images too small', { architecture: 'lenet', inputShape: [8, 20, 1], numClasses: 2 }, /at least 12 x 12, got 8 x 20/],
    [
      'a vocabulary for images',
      { architecture: 'cnn', ...image, vocabulary: 3 },
      /wrong vocabulary: expected none: rows are images/,
    ],
    [
      'tokens without a vocabulary',
      { architecture: 'transformer-encoder', inputShape: [4], numClasses: 2 },
      /\[4\] without a vocabulary/,
    ],
    ['classes of a gpt', { architecture: 'gpt', ...tokens, numClasses: 2 }, /wrong numClasses: expected none/],
    [
      'heads that do not divide',
      { architecture: 'gpt', ...tokens, size: 10, heads: 4 },
      /wrong size: expected a multiple of 4 heads/,
    ],
    ['a dropout of 1', { architecture: 'dnn', inputShape: [3], numClasses: 2, dropout: 1 }, /wrong dropout: .*< 1, got 1/],
    ['an empty list', { architecture: 'cnn', ...image, filters: [] }, /wrong filters: expected a list of at least 1/],
  ])('refuses %s', (_, description, message) => {
    expect(() => createModel(description as unknown as ZooDescription)).toThrow(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringMatching(message) as string }) as Error,
    );
  });
});
