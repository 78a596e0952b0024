/** Every layer of ts/nn through its own description: the exporter must read the options as the layers write them. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';

import { buildOnnx, exportOnnx } from '../../ts/export/onnx.js';
import { ONNX_LAYER_TYPES } from '../../ts/export/onnx-layers.js';
import * as nn from '../../ts/nn/index.js';
import { ACTIVATIONS, Conv2D, Dense, Dropout, Flatten, layerTypes, MaxPooling2D, Sequential } from '../../ts/nn/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { LAYER_CASES } from '../support/layer-cases.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

/** Builds a model, lets it predict a batch, and exports it with that batch as the probe. */
async function largestErrorOf(model: Sequential, inputShape: readonly number[], rows: number): Promise<number> {
  model.build(inputShape);
  const features = randomValues(randomSource(rows), rows * productOf(inputShape), 3);
  // Running statistics that are not those of the beginning.
  tf.tidy(() => void model.call(tf.tensor(features, [rows, ...inputShape]), { training: true }));
  const outputs = tf.tidy(() => model.call(tf.tensor(features, [rows, ...inputShape])).dataSync<'float32'>());
  const { verification } = await exportOnnx(model.describe(), { probe: { features, outputs } });
  model.dispose();
  if (!verification.verified) throw new Error(verification.reason);
  expect(verification.rows).toBe(rows);
  return verification.largestError;
}

// Both sides compute in float32, in another order of sums.
const TOLERANCE = 1e-5;

/** What a chain of layers can hold; other layers are refused by name. */
const EXPORTED = ['sequential', ...ONNX_LAYER_TYPES];
const CASES = LAYER_CASES.filter(({ make, inputs }) => EXPORTED.includes(make(nn).type) && inputs.length === 1);

it.each(CASES)('$name gives the same outputs in onnxruntime', async ({ make, inputs }) => {
  const model = new Sequential({ layers: [make(nn) as nn.UnaryLayer] });
  expect(await largestErrorOf(model, inputs[0] as readonly number[], 3)).toBeLessThan(TOLERANCE);
});

it('covers every activation, and refuses every other layer type by name', () => {
  const activations = new Set(CASES.map(({ make }) => make(nn).getConfig()['activation']));
  for (const name of ACTIVATIONS) expect(activations).toContain(name);
  const others = layerTypes().filter((type) => !EXPORTED.includes(type));
  expect(others).toContain('lstm');
  for (const type of others) {
    const layer = { type, name: 'odd', config: {}, inputShape: [1], outputShape: [1], weights: {} };
    expect(() => buildOnnx({ inputShape: [1], outputShape: [1], layers: [layer] })).toThrow(
      expect.objectContaining({
        code: 'E_EXPORT',
        message: expect.stringMatching(new RegExp(`layer 'odd' \\(${type}\\): .*cannot be expressed`)) as string,
      }) as Error,
    );
  }
});

it('carries the networks of the zoo over that are chains', async () => {
  const image = { inputShape: [12, 13, 2], numClasses: 3 } as const;
  const models = [
    nn.createModel({ architecture: 'cnn', ...image, filters: [4, 5], hiddenUnits: [6] }),
    nn.createModel({ architecture: 'lenet', ...image }),
    nn.createModel({ architecture: 'dnn', ...image, hiddenUnits: [7, 5] }),
  ];
  for (const model of models) expect(await largestErrorOf(model as Sequential, image.inputShape, 4)).toBeLessThan(TOLERANCE);
});

it('carries a small convolutional network over', async () => {
  const model = new Sequential({
    seed: 5,
    layers: [
      new Conv2D({ filters: 4, kernelSize: 5, padding: 'same', activation: 'relu' }),
      new MaxPooling2D({ poolSize: 2 }),
      new Conv2D({ filters: 8, kernelSize: 3, strides: 2, padding: 'same', activation: 'elu' }),
      new Flatten(),
      new Dense({ units: 16, activation: 'relu' }),
      new Dropout({ rate: 0.5 }),
      new Dense({ units: 10 }),
    ],
  });
  expect(await largestErrorOf(model, [13, 12, 1], 7)).toBeLessThan(TOLERANCE);
});
