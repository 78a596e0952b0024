/** One table of layers for every layer test: forward, JSON, weights, gradients, replay. */
import {
  Activation,
  ACTIVATIONS,
  AveragePooling2D,
  Conv2D,
  Dense,
  Dropout,
  Flatten,
  MaxPooling2D,
  Sequential,
  type UnaryLayer,
} from '../../ts/nn/index.js';

export interface LayerCase {
  readonly name: string;
  readonly make: () => UnaryLayer;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
}

const layer = (
  name: string,
  make: () => UnaryLayer,
  inputShape: readonly number[],
  outputShape: readonly number[],
): LayerCase => ({
  name,
  make,
  inputShape,
  outputShape,
});

export const LAYER_CASES: readonly LayerCase[] = [
  layer('dense', () => new Dense({ units: 3 }), [5], [3]),
  layer('dense, one unit, no bias', () => new Dense({ units: 1, useBias: false, name: 'score' }), [4], [1]),
  layer('dense over the last axis', () => new Dense({ units: 2, activation: 'tanh', biasInitializer: 'ones' }), [3, 4], [3, 2]),
  layer('dense with softmax', () => new Dense({ units: 4, activation: 'softmax', kernelInitializer: 'he_normal' }), [6], [4]),
  layer('conv2d', () => new Conv2D({ filters: 2, kernelSize: 3 }), [6, 5, 3], [4, 3, 2]),
  layer(
    'conv2d, same, uneven strides',
    () =>
      new Conv2D({
        filters: 3,
        kernelSize: [3, 2],
        strides: [2, 1],
        padding: 'same',
        biasInitializer: 'ones',
        activation: 'relu',
      }),
    [7, 6, 2],
    [4, 6, 3],
  ),
  layer('conv2d, dilated', () => new Conv2D({ filters: 2, kernelSize: 2, dilations: [2, 3] }), [6, 7, 1], [4, 4, 2]),
  layer(
    'conv2d, dilated, same, no bias',
    () => new Conv2D({ filters: 1, kernelSize: 3, dilations: 2, padding: 'same', useBias: false }),
    [5, 6, 2],
    [5, 6, 1],
  ),
  layer('max_pool2d', () => new MaxPooling2D(), [4, 6, 2], [2, 3, 2]),
  layer(
    'max_pool2d, same, overlapping',
    () => new MaxPooling2D({ poolSize: 3, strides: 2, padding: 'same' }),
    [5, 6, 3],
    [3, 3, 3],
  ),
  layer('avg_pool2d', () => new AveragePooling2D({ poolSize: [2, 3] }), [4, 6, 2], [2, 2, 2]),
  layer(
    'avg_pool2d, same',
    () => new AveragePooling2D({ poolSize: 3, strides: [1, 2], padding: 'same' }),
    [4, 5, 2],
    [4, 3, 2],
  ),
  layer('flatten', () => new Flatten(), [2, 3, 2], [12]),
  layer('dropout', () => new Dropout({ rate: 0.4 }), [8], [8]),
  ...ACTIVATIONS.map((activation) => layer(`activation ${activation}`, () => new Activation({ activation }), [3, 5], [3, 5])),
  layer('activation leaky_relu with alpha', () => new Activation({ activation: 'leaky_relu', alpha: 0.01 }), [5], [5]),
  layer(
    'nested sequential',
    () =>
      new Sequential({
        seed: 3,
        layers: [
          new Sequential({
            name: 'encoder',
            layers: [new Conv2D({ filters: 2, kernelSize: 3, activation: 'relu' }), new MaxPooling2D(), new Flatten()],
          }),
          new Dense({ units: 4, activation: 'relu', name: 'hidden' }),
          new Dense({ units: 2 }),
        ],
      }),
    [6, 6, 1],
    [2],
  ),
];
