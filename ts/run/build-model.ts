import { Dense, Dropout, Sequential, type UnaryLayer } from '../nn/index.js';
import { Adam, AdamW, SGD, type Optimizer } from '../optim/index.js';
import type { TrainingConfig } from './config/schema.js';

/** A multilayer perceptron whose last layer gives logits, one per class; dropout after each hidden layer. */
export function buildModel(config: TrainingConfig, numClasses: number): Sequential {
  const { hidden_units: hiddenUnits, activation, dropout } = config.model;
  const layers: UnaryLayer[] = hiddenUnits.flatMap((units) => [
    new Dense({ units, activation, kernelInitializer: activation === 'relu' ? 'he_normal' : 'glorot_uniform' }),
    ...(dropout > 0 ? [new Dropout({ rate: dropout })] : []),
  ]);
  layers.push(new Dense({ units: numClasses }));
  return new Sequential({ layers, seed: config.training.seed });
}

export function buildOptimizer(config: TrainingConfig): Optimizer {
  const options = { learningRate: config.training.learning_rate, weightDecay: config.training.weight_decay };
  switch (config.training.optimizer) {
    case 'adam':
      return new Adam(options);
    case 'adamw':
      return new AdamW(options);
    case 'sgd':
      return new SGD({ ...options, momentum: 0.9 });
  }
}
