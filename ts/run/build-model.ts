import { crossEntropy, Dense, Dropout, focalLoss, modelFromJSON, Sequential, type Loss, type UnaryLayer } from '../nn/index.js';
import { Adam, AdamW, SGD, type Optimizer } from '../optim/index.js';
import { TensorkilnError } from '../errors.js';
import type { ResolvedConfig } from './config/resolve.js';

/**
 * The model of a configuration, built for rows of `inputShape`; its last layer gives logits, one per class.
 *
 * @throws E_CONFIG, E_SHAPE for layers that are wrong or give another number of values than there are classes
 */
export function buildModel(config: ResolvedConfig, inputShape: readonly number[]): Sequential {
  const { model: section } = config;
  const { seed } = config.training;
  if (section.architecture === 'layers') {
    const model = modelFromJSON({
      format: 'tensorkiln-model',
      version: 1,
      type: 'sequential',
      name: 'model',
      config: { seed, layers: section.layers },
    }) as Sequential;
    model.build(inputShape);
    if (model.outputShape.join() !== String(section.num_classes)) {
      const found = model.outputShape.join(', ');
      model.dispose();
      throw new TensorkilnError(
        'E_SHAPE',
        `[model.layers] wrong number of outputs: expected ${section.num_classes}, one per class, got [${found}].`,
      );
    }
    return model;
  }
  const { hidden_units: hiddenUnits, activation, dropout } = section;
  const layers: UnaryLayer[] = hiddenUnits.flatMap((units) => [
    new Dense({ units, activation, kernelInitializer: activation === 'relu' ? 'he_normal' : 'glorot_uniform' }),
    ...(dropout > 0 ? [new Dropout({ rate: dropout })] : []),
  ]);
  layers.push(new Dense({ units: section.num_classes }));
  const model = new Sequential({ layers, seed });
  model.build(inputShape);
  return model;
}

export function buildOptimizer({ training }: ResolvedConfig): Optimizer {
  const options = { learningRate: training.learning_rate, weightDecay: training.weight_decay };
  switch (training.optimizer) {
    case 'adam':
      return new Adam(options);
    case 'adamw':
      return new AdamW(options);
    case 'sgd':
      return new SGD({ ...options, momentum: training.momentum ?? 0.9 });
  }
}

export function buildLoss({ training }: ResolvedConfig): Loss {
  return training.loss === 'focal' ? focalLoss() : crossEntropy;
}
