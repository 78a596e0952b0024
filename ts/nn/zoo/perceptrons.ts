import { Activation } from '../activation.js';
import type { ActivationName } from '../activations.js';
import { Dense } from '../dense.js';
import { Dropout } from '../dropout.js';
import { Flatten } from '../flatten.js';
import type { InitializerName } from '../initializers.js';
import type { UnaryLayer } from '../layer.js';
import { BatchNorm } from '../normalization.js';
import { Sequential } from '../sequential.js';
import { ZooOptions, type ZooCommon } from './options.js';

export interface PerceptronOptions extends ZooCommon {
  /** Sizes of the hidden layers. Default: mlp [64, 32], dnn [256, 128, 64]. */
  readonly hiddenUnits?: readonly number[];
  /** Default 'relu'. */
  readonly activation?: ActivationName;
  /** After each hidden layer. Default: mlp 0, dnn 0.3. */
  readonly dropout?: number;
  /** Whether a batch norm stands between each product and its activation. Default: mlp false, dnn true. */
  readonly batchNorm?: boolean;
}

/** The initialiser that keeps the variance through an activation. */
export function initializerFor(activation: ActivationName): InitializerName {
  if (activation === 'selu') return 'lecun_normal';
  return /^(relu|elu|leaky|gelu|silu|mish|hard_swish)/.test(activation) ? 'he_normal' : 'glorot_uniform';
}

/** A dense layer with its norm, activation and dropout, each where wanted. */
export function denseBlock(
  units: number,
  more: { readonly activation: ActivationName; readonly batchNorm: boolean; readonly dropout: number },
): UnaryLayer[] {
  const { activation, batchNorm, dropout } = more;
  const kernelInitializer = initializerFor(activation);
  const layers: UnaryLayer[] = batchNorm
    ? [new Dense({ units, useBias: false, kernelInitializer }), new BatchNorm(), new Activation({ activation })]
    : [new Dense({ units, activation, kernelInitializer })];
  return dropout > 0 ? [...layers, new Dropout({ rate: dropout })] : layers;
}

function perceptron(
  architecture: string,
  description: PerceptronOptions,
  defaults: Required<Pick<PerceptronOptions, 'hiddenUnits' | 'dropout' | 'batchNorm'>>,
): Sequential {
  const options = new ZooOptions(architecture, description, ['hiddenUnits', 'activation', 'dropout', 'batchNorm']);
  options.refuse('rows are numbers', 'vocabulary');
  const activation = options.activation('relu');
  const batchNorm = options.boolean('batchNorm', defaults.batchNorm);
  const dropout = options.rate('dropout', defaults.dropout);
  const hidden = options.integers('hiddenUnits', defaults.hiddenUnits, 0);
  const layers: UnaryLayer[] = [
    ...(options.inputShape.length > 1 ? [new Flatten()] : []),
    ...hidden.flatMap((units) => denseBlock(units, { activation, batchNorm, dropout })),
    new Dense({ units: options.numClasses, name: 'scores' }),
  ];
  return new Sequential({ layers, seed: options.seed });
}

/** Dense layers with an activation each. */
export function mlp(description: PerceptronOptions): Sequential {
  return perceptron('mlp', description, { hiddenUnits: [64, 32], dropout: 0, batchNorm: false });
}

/** A deeper stack of dense layers with batch norm and dropout. */
export function dnn(description: PerceptronOptions): Sequential {
  return perceptron('dnn', description, { hiddenUnits: [256, 128, 64], dropout: 0.3, batchNorm: true });
}
