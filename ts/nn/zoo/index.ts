/** Ready architectures by name. */
import { checkOneOf, show } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import type { Model } from '../model.js';
import { cnn, lenet, type CnnOptions, type LenetOptions } from './convolutional.js';
import { dnn, mlp, type PerceptronOptions } from './perceptrons.js';
import { resnet, type ResnetOptions } from './resnet.js';
import {
  bilstmClassifier,
  gpt,
  transformerEncoder,
  type BilstmOptions,
  type GptOptions,
  type TransformerEncoderOptions,
} from './sequences.js';

export type {
  BilstmOptions as ZooBilstmOptions,
  CnnOptions as ZooCnnOptions,
  GptOptions as ZooGptOptions,
  LenetOptions as ZooLenetOptions,
  PerceptronOptions as ZooPerceptronOptions,
  ResnetOptions as ZooResnetOptions,
  TransformerEncoderOptions as ZooTransformerEncoderOptions,
};

/** A model as a plain description: an architecture's name, the shapes of the data, and options of the architecture. */
export type ZooDescription =
  | ({ readonly architecture: 'dnn' | 'mlp' } & PerceptronOptions)
  | ({ readonly architecture: 'cnn' } & CnnOptions)
  | ({ readonly architecture: 'lenet' } & LenetOptions)
  | ({ readonly architecture: 'resnet18' | 'resnet34' | 'resnet50' } & ResnetOptions)
  | ({ readonly architecture: 'bilstm-classifier' } & BilstmOptions)
  | ({ readonly architecture: 'transformer-encoder' } & TransformerEncoderOptions)
  | ({ readonly architecture: 'gpt' } & GptOptions);

/** Names of the ready architectures. */
export const ARCHITECTURES = [
  'dnn',
  'mlp',
  'cnn',
  'lenet',
  'resnet18',
  'resnet34',
  'resnet50',
  'bilstm-classifier',
  'transformer-encoder',
  'gpt',
] as const;
export type ArchitectureName = (typeof ARCHITECTURES)[number];

/**
 * An unbuilt model of the zoo: `build(inputShape)` makes its parameters. Its last layer gives scores (logits), no
 * probabilities. Making one costs nothing, so it also serves to check a description.
 *
 * @example
 * const model = createModel({ architecture: 'resnet18', inputShape: [32, 32, 3], numClasses: 10, seed: 7 });
 * model.build([32, 32, 3]);
 *
 * @throws E_CONFIG for an unknown architecture, an option it has not, or a wrong value, naming both
 */
export function createModel(description: ZooDescription): Model {
  if (typeof description !== 'object' || description === null)
    throw new TensorkilnError('E_CONFIG', `[zoo] wrong description: expected an object, got ${show(description)}.`);
  checkOneOf('zoo', 'architecture', description.architecture, ARCHITECTURES);
  switch (description.architecture) {
    case 'dnn':
      return dnn(description);
    case 'mlp':
      return mlp(description);
    case 'cnn':
      return cnn(description);
    case 'lenet':
      return lenet(description);
    case 'resnet18':
    case 'resnet34':
    case 'resnet50':
      return resnet(description.architecture, description);
    case 'bilstm-classifier':
      return bilstmClassifier(description);
    case 'transformer-encoder':
      return transformerEncoder(description);
    case 'gpt':
      return gpt(description);
  }
}
