/** Every architecture of the zoo at a size whose steps take milliseconds, and a training step of each. */
import * as tf from '@tensorflow/tfjs-core';
import { createModel, crossEntropy, type Model, type ZooDescription } from '../../ts/nn/index.js';
import { Adam } from '../../ts/optim/index.js';
import { productOf, randomSource, randomValues } from './describe-model.js';

const image = { inputShape: [16, 13, 3], numClasses: 4 } as const;
const tokens = { inputShape: [6], vocabulary: 11 } as const;
const block = { layers: 1, size: 8, heads: 2, hidden: 12 } as const;

export const ZOO_MODELS: readonly ZooDescription[] = [
  { architecture: 'dnn', inputShape: [5], numClasses: 3, hiddenUnits: [4, 4] },
  { architecture: 'mlp', inputShape: [5], numClasses: 3 },
  { architecture: 'cnn', ...image, filters: [4, 5] },
  { architecture: 'lenet', inputShape: [16, 16, 1], numClasses: 4 },
  { architecture: 'resnet18', ...image, width: 2 },
  { architecture: 'resnet34', ...image, width: 2 },
  { architecture: 'resnet50', ...image, width: 2 },
  { architecture: 'bilstm-classifier', ...tokens, numClasses: 2, units: 3, embeddingSize: 4 },
  { architecture: 'transformer-encoder', ...tokens, ...block, numClasses: 4 },
  { architecture: 'gpt', ...tokens, ...block },
];

/** A training step of a model of the zoo, to be run as it stands or compiled. */
export interface ZooStep {
  readonly model: Model;
  readonly optimizer: Adam;
  /** (inputs, labels) -> mean loss; updates the model. */
  readonly body: (x: tf.Tensor, labels: tf.Tensor) => tf.Tensor;
  /** Inputs and labels of a batch; the caller disposes them. */
  readonly batch: (rows: number, seed: number) => [tf.Tensor, tf.Tensor];
  readonly dispose: () => void;
}

export function makeZooStep(description: ZooDescription): ZooStep {
  const model = createModel({ ...description, seed: 4 });
  model.build(description.inputShape);
  const variables = model.trainableVariables();
  const optimizer = new Adam({ learningRate: 0.01 });
  optimizer.bind(variables);
  const classes = model.outputShape.at(-1) as number;
  return {
    model,
    optimizer,
    body: (x, labels) => {
      const { value, grads } = tf.variableGrads(() => {
        const logits = model.call(x, { training: true });
        return tf.mean<tf.Scalar>(crossEntropy.rows(logits.reshape([-1, classes]), labels.reshape([-1])));
      }, Object.values(variables));
      optimizer.apply(
        Object.fromEntries(Object.entries(variables).map(([name, variable]) => [name, grads[variable.name] as tf.Tensor])),
      );
      return value;
    },
    batch: (rows, seed) => {
      const values = randomValues(randomSource(seed), rows * productOf(description.inputShape), 2);
      const shape = [rows, ...description.inputShape];
      const count = rows * productOf(model.outputShape.slice(0, -1));
      return [
        'vocabulary' in description
          ? tf.tensor(
              Int32Array.from(values, (value) => Math.floor(Math.abs(value) * 5)),
              shape,
              'int32',
            )
          : tf.tensor(values, shape),
        tf.tensor1d(
          Int32Array.from({ length: count }, (_, i) => (i * 3 + seed) % classes),
          'int32',
        ),
      ];
    },
    dispose: () => {
      optimizer.dispose();
      model.dispose();
    },
  };
}
