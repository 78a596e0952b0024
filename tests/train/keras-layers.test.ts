// What layers mean: the same as in tfjs-layers, which has Keras's meaning, for equal weights.
import * as tf from '@tensorflow/tfjs-core';
import * as keras from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import * as nn from '../../ts/nn/index.js';
import { productOf, randomSource, randomValues } from '../support/describe-model.js';
import { useNativeBackend } from '../support/native-backend.js';

beforeAll(() => useNativeBackend());

type Layers = readonly [string, readonly number[], () => nn.UnaryLayer, () => unknown];

const random = { type: 'random_normal', stddev: 0.4 } as const;
const CASES: readonly Layers[] = [
  [
    'conv1d',
    [7, 3],
    () => new nn.Conv1D({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    () => keras.layers.conv1d({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
  ],
  [
    'conv3d',
    [3, 4, 5, 2],
    () => new nn.Conv3D({ filters: 2, kernelSize: 2 }),
    () => keras.layers.conv3d({ filters: 2, kernelSize: 2 }),
  ],
  [
    'conv2d_transposed',
    [3, 2, 3],
    () => new nn.Conv2DTransposed({ filters: 2, kernelSize: 3, strides: 2 }),
    () => keras.layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2 }),
  ],
  [
    'conv3d_transposed',
    [2, 3, 2, 3],
    () => new nn.Conv3DTransposed({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    () => keras.layers.conv3dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
  ],
  [
    'depthwise_conv2d',
    [5, 4, 3],
    () => new nn.DepthwiseConv2D({ kernelSize: 3, depthMultiplier: 2 }),
    () => keras.layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2 }),
  ],
  [
    'layer_norm',
    [3, 5],
    () => new nn.LayerNorm({ scaleInitializer: random, offsetInitializer: random }),
    () => keras.layers.layerNormalization({ epsilon: 1e-5 }),
  ],
  [
    'batch_norm',
    [3, 5],
    () => new nn.BatchNorm({ scaleInitializer: random, offsetInitializer: random }),
    () => keras.layers.batchNormalization({}),
  ],
  [
    'rnn',
    [4, 2],
    () => new nn.RNN({ units: 3, biasInitializer: random }),
    () => keras.layers.simpleRNN({ units: 3, recurrentInitializer: 'zeros' }),
  ],
  [
    'lstm',
    [4, 2],
    () => new nn.LSTM({ units: 3, returnSequences: true, biasInitializer: random }),
    () => keras.layers.lstm({ units: 3, returnSequences: true, recurrentActivation: 'sigmoid', recurrentInitializer: 'zeros' }),
  ],
  [
    'gru',
    [4, 2],
    () => new nn.GRU({ units: 3, resetAfter: false, biasInitializer: random }),
    () => keras.layers.gru({ units: 3, recurrentActivation: 'sigmoid', recurrentInitializer: 'zeros' }),
  ],
  [
    'avg_pool1d',
    [7, 2],
    () => new nn.AveragePooling1D({ poolSize: 3, strides: 2 }),
    () => keras.layers.averagePooling1d({ poolSize: 3, strides: 2 }),
  ],
  [
    'avg_pool3d',
    [3, 2, 5, 2],
    () => new nn.AveragePooling3D({ padding: 'same' }),
    () => keras.layers.averagePooling3d({ poolSize: [2, 2, 2], strides: [2, 2, 2], padding: 'same' }),
  ],
  [
    'max_pool3d',
    [4, 2, 5, 2],
    () => new nn.MaxPooling3D(),
    () => keras.layers.maxPooling3d({ poolSize: [2, 2, 2], strides: [2, 2, 2] }),
  ],
  ['up_sampling2d', [2, 3, 2], () => new nn.UpSampling2D({ size: [2, 3] }), () => keras.layers.upSampling2d({ size: [2, 3] })],
  ['permute', [2, 3, 4], () => new nn.Permute({ axes: [3, 1, 2] }), () => keras.layers.permute({ dims: [3, 1, 2] })],
  ['global_max_pool2d', [5, 2, 3], () => new nn.GlobalMaxPooling2D(), () => keras.layers.globalMaxPooling2d({})],
];

describe('meaning of layers', () => {
  it.each(CASES)('%s', (_, shape, make, makeStock) => {
    const layer = make();
    layer.build(shape, { seed: 11 });
    const x = tf.tensor(randomValues(randomSource(3), 2 * productOf(shape), 2), [2, ...shape]);
    const stock = makeStock() as ReturnType<typeof keras.layers.dense>;
    // Builds it: tfjs-layers' recurrent layers must not be built twice.
    stock.apply(x);
    // Both list kernels, then biases, then statistics.
    stock.setWeights(layer.parameters().map(({ variable }) => variable));
    const expected = stock.apply(x) as tf.Tensor;
    const y = layer.call(x);
    expect(y.shape).toEqual(expected.shape);
    const actual = y.dataSync();
    // Sums of at most 54 float32 products.
    expected
      .dataSync()
      .forEach((value, i) => expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value))));
    layer.dispose();
  });
});
