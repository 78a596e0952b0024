/** Small tfjs-layers models: together they hold every layer, loss, optimizer, metric, constraint and regularizer there is. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const { layers } = tfl;

/** What `expectedOutputs` holds: values in (-1, 1), in (0, 1), a class as one-hot or as a number, -1 or 1, or probabilities. */
export type Target = 'real' | 'unit' | 'one-hot' | 'class' | 'sign' | 'distribution';
/** What an input holds: values in (-1, 1), or whole numbers in [0, count). */
export type Input = { readonly shape: readonly number[]; readonly count?: number };

export interface Architecture {
  readonly name: string;
  readonly build: () => tfl.LayersModel;
  /** Shapes without the batch. */
  readonly inputs: readonly Input[];
  readonly targets: readonly Target[];
  readonly compile: () => tfl.ModelCompileArgs;
  /** False for layers that draw random numbers in training, where two runs differ by design; they are only evaluated. */
  readonly isTrained?: false;
}

type Loss = tfl.ModelCompileArgs['loss'];
type Metric = string | ((labels: tf.Tensor, predictions: tf.Tensor) => tf.Tensor);

function compileWith(optimizer: () => tf.Optimizer, loss: Loss, metrics: Metric[] = []): () => tfl.ModelCompileArgs {
  return () => ({ optimizer: optimizer(), loss, metrics });
}

const sgd = (): tf.Optimizer => tf.train.sgd(0.05);
const adam = (): tf.Optimizer => tf.train.adam(0.01);
const mse = compileWith(adam, 'meanSquaredError', ['mae']);

/** A stack of layers over one input; the target's shape is the last layer's. */
function stack(
  name: string,
  input: Input,
  list: (inputShape: number[]) => tfl.layers.Layer[],
  more: Partial<Architecture> = {},
): Architecture {
  const build = (): tfl.LayersModel => tfl.sequential({ layers: list([...input.shape]) });
  return { name, build, inputs: [input], targets: ['real'], compile: mse, ...more };
}

/** A functional model: `connect` takes the symbolic inputs and gives the outputs. */
function graph(
  name: string,
  inputs: readonly Input[],
  connect: (...inputs: tfl.SymbolicTensor[]) => tfl.SymbolicTensor | tfl.SymbolicTensor[],
  more: Partial<Architecture> = {},
): Architecture {
  const build = (): tfl.LayersModel => {
    const symbols = inputs.map(({ shape }) => tfl.input({ shape: [...shape] }));
    return tfl.model({ inputs: symbols, outputs: connect(...symbols) });
  };
  return { name, build, inputs, targets: ['real'], compile: mse, ...more };
}

function apply(layer: tfl.layers.Layer, input: tfl.SymbolicTensor | tfl.SymbolicTensor[]): tfl.SymbolicTensor {
  return layer.apply(input) as tfl.SymbolicTensor;
}

/** Dense classifiers: each loss and optimizer once. */
const DENSE: readonly Architecture[] = [
  stack('dense, Adam, MSE', { shape: [5] }, (inputShape) => [
    layers.dense({ units: 8, inputShape, activation: 'relu', kernelInitializer: 'heNormal' }),
    layers.dense({ units: 3, activation: 'tanh' }),
  ]),
  stack(
    'dense classifier, SGD, categorical cross-entropy',
    { shape: [4] },
    (inputShape) => [
      layers.dense({ units: 6, inputShape, activation: 'sigmoid', kernelRegularizer: tfl.regularizers.l2({ l2: 0.01 }) }),
      layers.dense({ units: 3 }),
      layers.softmax({ axis: -1 }),
    ],
    {
      targets: ['one-hot'],
      compile: compileWith(sgd, 'categoricalCrossentropy', [
        'accuracy',
        'precision',
        tfl.metrics.recall,
        'categoricalAccuracy',
      ]),
    },
  ),
  stack(
    'sparse labels, momentum, l1',
    { shape: [4] },
    (inputShape) => [
      layers.dense({ units: 7, inputShape, activation: 'elu', kernelRegularizer: tfl.regularizers.l1({ l1: 0.005 }) }),
      layers.dense({ units: 4, activation: 'softmax', biasRegularizer: tfl.regularizers.l1l2({ l1: 0.01, l2: 0.01 }) }),
    ],
    {
      targets: ['class'],
      compile: compileWith(() => tf.train.momentum(0.05, 0.9), 'sparseCategoricalCrossentropy', ['accuracy']),
    },
  ),
  stack(
    'binary classifier, RMSProp',
    { shape: [6] },
    (inputShape) => [
      layers.dense({ units: 5, inputShape, activation: 'softplus' }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    {
      targets: ['unit'],
      compile: compileWith(() => tf.train.rmsprop(0.01, 0.9, 0.1, 1e-5), 'binaryCrossentropy', ['binaryAccuracy']),
    },
  ),
  stack(
    // tfjs-core subtracts epsilon under this optimizer's square root, so a larger one gives NaN on every backend.
    'centred RMSProp, MAE',
    { shape: [3] },
    (inputShape) => [
      layers.dense({ units: 6, inputShape, activation: 'softsign' }),
      layers.dense({ units: 2, activation: 'linear' }),
    ],
    { compile: compileWith(() => tf.train.rmsprop(0.01, 0.9, 0, 1e-12, true), 'meanAbsoluteError', ['mse']) },
  ),
  stack(
    'hinge, Adagrad, constraints',
    { shape: [5] },
    (inputShape) => [
      layers.dense({ units: 6, inputShape, activation: 'relu6', kernelConstraint: tfl.constraints.maxNorm({ maxValue: 0.7 }) }),
      layers.dense({ units: 4, activation: 'selu', kernelConstraint: tfl.constraints.nonNeg() }),
      layers.dense({ units: 3, activation: 'hardSigmoid', kernelConstraint: tfl.constraints.unitNorm({ axis: 0 }) }),
      layers.dense({
        units: 2,
        activation: 'tanh',
        kernelConstraint: tfl.constraints.minMaxNorm({ minValue: 0.3, maxValue: 0.6, rate: 1 }),
      }),
    ],
    { targets: ['sign'], compile: compileWith(() => tf.train.adagrad(0.05), 'hinge') },
  ),
  stack(
    'squared hinge, Adadelta',
    { shape: [5] },
    (inputShape) => [
      layers.dense({ units: 6, inputShape, activation: 'swish' }),
      layers.dense({ units: 2, activation: 'mish' }),
    ],
    { targets: ['sign'], compile: compileWith(() => tf.train.adadelta(0.1, 0.9, 1e-4), 'squaredHinge') },
  ),
  stack(
    'categorical hinge, Adamax',
    { shape: [5] },
    (inputShape) => [
      layers.dense({ units: 6, inputShape, activation: 'gelu' }),
      layers.dense({
        units: 3, // The typings lack it.
        activation: 'logSoftmax' as 'softmax',
      }),
    ],
    { targets: ['one-hot'], compile: compileWith(() => tf.train.adamax(0.01), 'categoricalHinge') },
  ),
  ...(
    [
      ['meanAbsolutePercentageError', 'unit'],
      ['meanSquaredLogarithmicError', 'unit'],
      ['logcosh', 'real'],
      ['poisson', 'unit'],
      ['kullbackLeiblerDivergence', 'distribution'],
      ['cosineProximity', 'real'],
    ] as const
  ).map(([loss, target]) =>
    stack(
      `${loss} of a softmax`,
      { shape: [4] },
      (inputShape) => [layers.dense({ units: 5, inputShape }), layers.dense({ units: 3, activation: 'softmax' })],
      { targets: [target], compile: compileWith(adam, loss, ['cosine', 'mape', 'mse']) },
    ),
  ),
  ...(
    [
      ['huberLoss', (labels, predictions) => tf.losses.huberLoss(labels, predictions)],
      ['absoluteDifference', (labels, predictions) => tf.losses.absoluteDifference(labels, predictions)],
      ['logLoss', (labels, predictions) => tf.losses.logLoss(labels, predictions)],
      ['sigmoidCrossEntropy', (labels, predictions) => tf.losses.sigmoidCrossEntropy(labels, predictions)],
      ['softmaxCrossEntropy', (labels, predictions) => tf.losses.softmaxCrossEntropy(labels, predictions)],
      ['hingeLoss', (labels, predictions) => tf.losses.hingeLoss(labels, predictions)],
      ['cosineDistance', (labels, predictions) => tf.losses.cosineDistance(labels, predictions, 1)],
    ] as readonly [string, (labels: tf.Tensor, predictions: tf.Tensor) => tf.Scalar][]
  ).map(([name, loss]) =>
    stack(
      `tf.losses.${name}`,
      { shape: [4] },
      (inputShape) => [layers.dense({ units: 3, inputShape, activation: 'sigmoid' })],
      { targets: ['one-hot'], compile: compileWith(sgd, loss) },
    ),
  ),
];

const ACTIVATIONS: readonly Architecture[] = [
  stack('activation layers', { shape: [6] }, (inputShape) => [
    layers.dense({ units: 6, inputShape }),
    layers.prelu({ alphaInitializer: 'ones' }),
    layers.elu(),
    layers.leakyReLU({ alpha: 0.2 }),
    layers.activation({ activation: 'tanh' }),
    layers.reLU({ maxValue: 0.8 }),
    layers.dense({ units: 2 }),
  ]),
  stack('PReLU with shared axes', { shape: [4, 4, 3] }, (inputShape) => [
    layers.conv2d({ filters: 4, kernelSize: 3, inputShape }),
    layers.prelu({ alphaInitializer: 'ones', sharedAxes: [1, 2] }),
    layers.flatten(),
  ]),
  stack('dropout with a seed', { shape: [8] }, (inputShape) => [
    layers.dense({ units: 10, inputShape, activation: 'relu' }),
    layers.dropout({ rate: 0.4, seed: 7 }),
    layers.dense({ units: 2 }),
  ]),
  stack(
    // tfjs-core has no gradient for the comparison in a thresholded ReLU.
    'layers that cannot be trained or draw random numbers, in inference',
    { shape: [5, 4] },
    (inputShape) => [
      layers.thresholdedReLU({ theta: 0.05, inputShape }),
      layers.gaussianNoise({ stddev: 0.5 }),
      layers.gaussianDropout({ rate: 0.3 }),
      layers.alphaDropout({ rate: 0.3 }),
      layers.spatialDropout1d({ rate: 0.3 }),
      layers.dense({ units: 3 }),
    ],
    { isTrained: false },
  ),
];

const CONVOLUTIONS: readonly Architecture[] = [
  stack('conv1d, strided, pooling', { shape: [12, 3] }, (inputShape) => [
    layers.conv1d({ filters: 5, kernelSize: 3, padding: 'same', activation: 'relu', inputShape }),
    layers.maxPooling1d({ poolSize: 2 }),
    layers.conv1d({ filters: 4, kernelSize: 2, strides: 2, padding: 'same' }),
    layers.averagePooling1d({ poolSize: 2, padding: 'same' }),
    layers.globalAveragePooling1d({}),
  ]),
  stack('conv1d with global max pooling', { shape: [9, 2] }, (inputShape) => [
    layers.conv1d({ filters: 4, kernelSize: 3, inputShape, useBias: false }),
    layers.globalMaxPooling1d({}),
    layers.dense({ units: 3, activation: 'softmax' }),
  ]),
  stack(
    'conv2d with batch normalization and pooling',
    { shape: [9, 8, 3] },
    (inputShape) => [
      layers.conv2d({ filters: 6, kernelSize: 3, padding: 'same', activation: 'relu', inputShape }),
      layers.batchNormalization({ momentum: 0.8 }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.conv2d({ filters: 5, kernelSize: [3, 2], strides: [2, 1] }),
      layers.averagePooling2d({ poolSize: [1, 2], strides: 1 }),
      layers.flatten(),
      layers.dense({ units: 4, activation: 'softmax' }),
    ],
    { targets: ['one-hot'], compile: compileWith(adam, 'categoricalCrossentropy', ['accuracy']) },
  ),
  stack(
    // tfjs-core has no gradient for a dilated convolution.
    'dilated conv1d and conv2d',
    { shape: [10, 10, 2] },
    (inputShape) => [
      layers.conv2d({ filters: 4, kernelSize: 3, dilationRate: 2, inputShape, activation: 'relu' }),
      layers.globalAveragePooling2d({}),
      layers.reshape({ targetShape: [4, 1] }),
      layers.conv1d({ filters: 2, kernelSize: 2, dilationRate: 2 }),
      layers.flatten(),
    ],
    { isTrained: false },
  ),
  stack('conv2d channels first', { shape: [3, 7, 6] }, (inputShape) => [
    layers.conv2d({ filters: 4, kernelSize: 3, dataFormat: 'channelsFirst', inputShape, activation: 'relu' }),
    layers.maxPooling2d({ poolSize: 2, dataFormat: 'channelsFirst' }),
    layers.flatten({ dataFormat: 'channelsFirst' }),
    layers.dense({ units: 2 }),
  ]),
  stack('separable and depthwise conv2d', { shape: [8, 8, 3] }, (inputShape) => [
    layers.separableConv2d({ filters: 5, kernelSize: 3, inputShape, activation: 'relu' }),
    layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, strides: 2, padding: 'same' }),
    layers.globalMaxPooling2d({}),
  ]),
  // Nearest upsampling stands before all weights, and bilinear upsampling sees square images: elsewhere the gradients of the
  // stock backend are wrong (nearest: it reads the first image's gradient for every image of a batch; bilinear: it swaps sides).
  stack('encoder and decoder: transposed conv2d, upsampling, cropping, padding', { shape: [3, 3, 2] }, (inputShape) => [
    layers.upSampling2d({ size: [2, 2], inputShape }),
    layers.zeroPadding2d({ padding: [[1, 0], [0, 1]] }), // prettier-ignore
    layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, activation: 'relu' }),
    layers.upSampling2d({ size: [2, 2], interpolation: 'bilinear' }),
    layers.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'same' }),
    layers.cropping2D({ cropping: [[1, 2], [2, 1]] }), // prettier-ignore
  ]),
  stack('conv3d, pooling 3d', { shape: [5, 6, 4, 2] }, (inputShape) => [
    layers.conv3d({ filters: 3, kernelSize: 2, inputShape, activation: 'relu' }),
    // A cube: the stock backend's gradient confuses the positions in any other window.
    layers.maxPooling3d({ poolSize: 2 }),
    layers.averagePooling3d({ poolSize: [1, 2, 1], strides: 1 }),
    layers.flatten(),
    layers.dense({ units: 2 }),
  ]),
  stack(
    // tfjs-core has no gradient for it.
    'transposed conv3d',
    { shape: [2, 3, 2, 2] },
    (inputShape) => [layers.conv3dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same', inputShape })],
    { isTrained: false },
  ),
  stack(
    // tfjs-core has no gradient for the crop. It writes its output shape into its input's, so it may not come first.
    'image preprocessing: rescaling, centre crop',
    { shape: [9, 9, 3] },
    (inputShape) => [
      layers.rescaling({ scale: 0.5, offset: 0.1, inputShape }),
      layers.conv2d({ filters: 2, kernelSize: 3 }),
      layers.centerCrop({ height: 5, width: 6 }),
      layers.flatten(),
    ],
    { isTrained: false },
  ),
];

const NORMALIZATION: readonly Architecture[] = [
  stack('layer normalization', { shape: [5, 6] }, (inputShape) => [
    layers.dense({ units: 6, inputShape, activation: 'relu' }),
    layers.layerNormalization({ epsilon: 1e-3 }),
    layers.dense({ units: 2 }),
  ]),
  stack('layer normalization over two axes', { shape: [4, 6] }, (inputShape) => [
    layers.dense({ units: 5, inputShape }),
    layers.layerNormalization({ axis: [1, 2] }),
    layers.flatten(),
    layers.dense({ units: 2 }),
  ]),
  stack(
    'batch normalization of rank 2, 3 and 4',
    { shape: [8] },
    (inputShape) => [
      layers.batchNormalization({ inputShape }),
      layers.dense({ units: 8 }),
      layers.reshape({ targetShape: [4, 2] }),
      layers.batchNormalization({ momentum: 0.5 }),
      layers.reshape({ targetShape: [2, 2, 2] }),
      layers.batchNormalization(),
      layers.flatten(),
    ],
    // Not Adam: the gradient of a bias before a normalization is zero but for rounding, which Adam scales to a full step.
    { compile: compileWith(sgd, 'meanSquaredError') },
  ),
];

const RECURRENT: readonly Architecture[] = [
  stack('LSTM, last state', { shape: [6, 4] }, (inputShape) => [
    layers.lstm({ units: 5, inputShape }),
    layers.dense({ units: 2 }),
  ]),
  stack('LSTM stacked, sequences, backwards', { shape: [5, 3] }, (inputShape) => [
    layers.lstm({ units: 4, returnSequences: true, goBackwards: true, implementation: 2, inputShape, unitForgetBias: false }),
    layers.lstm({ units: 3, recurrentActivation: 'sigmoid', unroll: true }),
  ]),
  stack('GRU', { shape: [6, 4] }, (inputShape) => [
    layers.gru({ units: 5, inputShape, returnSequences: true }),
    layers.gru({ units: 3, implementation: 2, recurrentActivation: 'sigmoid' }),
  ]),
  stack('simple RNN with a repeated vector and time-distributed dense', { shape: [5, 3] }, (inputShape) => [
    layers.simpleRNN({ units: 4, inputShape, recurrentRegularizer: 'l1l2' }),
    layers.repeatVector({ n: 3 }),
    layers.simpleRNN({ units: 4, returnSequences: true }),
    layers.timeDistributed({ layer: layers.dense({ units: 2 }) }),
  ]),
  stack('RNN of stacked cells', { shape: [4, 3] }, (inputShape) => [
    layers.rnn({
      cell: [layers.lstmCell({ units: 4 }), layers.gruCell({ units: 3 }), layers.simpleRNNCell({ units: 2 })],
      inputShape,
    }),
  ]),
  ...(['concat', 'sum', 'mul', 'ave'] as const).map((mergeMode) =>
    stack(`bidirectional LSTM, merge by ${mergeMode}`, { shape: [4, 3] }, (inputShape) => [
      layers.bidirectional({
        layer: layers.lstm({ units: 3, returnSequences: true }),
        mergeMode,
        inputShape,
      }),
      layers.dense({ units: 2 }),
    ]),
  ),
  stack('bidirectional GRU, last state', { shape: [4, 3] }, (inputShape) => [
    layers.bidirectional({ layer: layers.gru({ units: 3 }), mergeMode: 'concat', inputShape }),
  ]),
  stack('ConvLSTM2D', { shape: [3, 5, 5, 2] }, (inputShape) => [
    layers.convLstm2d({ filters: 3, kernelSize: 3, padding: 'same', returnSequences: true, inputShape }),
    layers.timeDistributed({ layer: layers.flatten() }),
    layers.dense({ units: 2 }),
  ]),
  stack('RNN of a ConvLSTM2D cell', { shape: [2, 4, 4, 2] }, (inputShape) => [
    layers.convLstm2d({ filters: 2, kernelSize: [2, 3], inputShape }),
    layers.flatten(),
  ]),
  stack(
    'embedding with masking into an LSTM',
    { shape: [6], count: 5 },
    (inputShape) => [
      layers.embedding({ inputDim: 5, outputDim: 4, maskZero: true, inputShape }),
      layers.lstm({ units: 3 }),
      layers.dense({ units: 2, activation: 'softmax' }),
    ],
    { targets: ['one-hot'], compile: compileWith(adam, 'categoricalCrossentropy') },
  ),
  stack('masking layer into a GRU', { shape: [5, 2], count: 2 }, (inputShape) => [
    layers.masking({ maskValue: 0, inputShape }),
    layers.gru({ units: 3, returnSequences: true }),
    layers.simpleRNN({ units: 2 }),
  ]),
];

const GRAPHS: readonly Architecture[] = [
  graph(
    'two inputs, two outputs, two losses',
    [{ shape: [4] }, { shape: [3] }],
    (a, b) => {
      const joined = apply(layers.concatenate(), [apply(layers.dense({ units: 5, activation: 'relu' }), a), b]);
      return [apply(layers.dense({ units: 2 }), joined), apply(layers.dense({ units: 3, activation: 'softmax' }), joined)];
    },
    {
      targets: ['real', 'one-hot'],
      compile: () => ({ optimizer: adam(), loss: ['meanSquaredError', 'categoricalCrossentropy'], metrics: ['accuracy'] }),
    },
  ),
  graph('shared layer', [{ shape: [4] }, { shape: [4] }], (a, b) => {
    const shared = layers.dense({ units: 5, activation: 'tanh' });
    return apply(layers.dense({ units: 1 }), apply(layers.multiply(), [apply(shared, a), apply(shared, b)]));
  }),
  graph('every merge layer', [{ shape: [6] }, { shape: [6] }], (a, b) => {
    const merged = [layers.add(), layers.average(), layers.maximum(), layers.minimum(), layers.multiply()];
    return apply(
      layers.dense({ units: 2 }),
      apply(layers.concatenate({ axis: -1 }), merged.map((layer) => apply(layer, [a, b]))), // prettier-ignore
    );
  }),
  graph('attention of dot layers', [{ shape: [5, 6] }], (sequence) => {
    const project = (): tfl.SymbolicTensor => apply(layers.dense({ units: 4, useBias: false }), sequence);
    const scores = apply(layers.dot({ axes: [2, 2] }), [project(), project()]);
    const weights = apply(layers.softmax({ axis: -1 }), scores);
    const mixed = apply(layers.dot({ axes: [2, 1] }), [weights, project()]);
    return apply(layers.globalAveragePooling1d({}), apply(layers.add(), [mixed, project()]));
  }),
  graph('residual block with permute', [{ shape: [4, 6, 3] }], (image) => {
    const once = apply(layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same', activation: 'relu' }), image);
    const sum = apply(layers.add(), [image, apply(layers.batchNormalization(), once)]);
    return apply(layers.flatten(), apply(layers.permute({ dims: [3, 1, 2] }), sum));
  }),
  graph('model inside a model', [{ shape: [4] }], (input) => {
    const inner = tfl.sequential({
      layers: [layers.inputLayer({ inputShape: [4] }), layers.dense({ units: 4, activation: 'relu' })],
    });
    return apply(layers.dense({ units: 2 }), apply(inner, apply(inner, input)));
  }),
  stack(
    'category encoding',
    // As many values as tokens: tfjs-layers 4.22 writes the number of tokens into the input's own shape.
    { shape: [4], count: 4 },
    (inputShape) => [layers.categoryEncoding({ numTokens: 4, outputMode: 'multiHot', inputShape }), layers.dense({ units: 2 })],
    { isTrained: false },
  ),
];

export const ARCHITECTURES: readonly Architecture[] = [
  ...DENSE,
  ...ACTIVATIONS,
  ...CONVOLUTIONS,
  ...NORMALIZATION,
  ...RECURRENT,
  ...GRAPHS,
];
