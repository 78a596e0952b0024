import type * as tf from '@tensorflow/tfjs-core';
import { checkNumber, checkOneOf } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { activate, ACTIVATIONS, DEFAULT_LEAKY_RELU_ALPHA, type ActivationName } from './activations.js';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import type { Shape } from './shape.js';

export interface ActivationOptions extends LayerOptions {
  readonly activation: ActivationName;
  /** Slope of leaky_relu below zero, >= 0; default 0.2. Only for leaky_relu. */
  readonly alpha?: number;
}

/**
 * An activation function as a layer: [N, ...] -> [N, ...]. Formulas stand at `activate`. No parameters.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when softmax has no axis besides the batch
 */
export class Activation extends UnaryLayer {
  readonly type = 'activation';
  readonly #activation: ActivationName;
  readonly #alpha: number | undefined;

  constructor(options: ActivationOptions) {
    checkLayerOptions('activation', options, ['activation', 'alpha']);
    super(options);
    this.#activation = checkOneOf('activation', 'activation', options.activation, ACTIVATIONS);
    if (options.alpha !== undefined && this.#activation !== 'leaky_relu') {
      throw new TensorkilnError(
        'E_CONFIG',
        `[activation] wrong alpha: only leaky_relu has one, got it with ${this.#activation}.`,
      );
    }
    this.#alpha =
      this.#activation === 'leaky_relu'
        ? checkNumber('activation', 'alpha', options.alpha ?? DEFAULT_LEAKY_RELU_ALPHA, { min: 0 })
        : undefined;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return !this.#activation.endsWith('softmax') || axis < rank - 1;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (this.#activation.endsWith('softmax') && inputShape.length === 0)
      throw this.shapeError('wrong input shape', '[N, ..., C]', '[N]');
    return inputShape;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return activate(this.#activation, x, this.#alpha);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return this.#alpha === undefined ? { activation: this.#activation } : { activation: this.#activation, alpha: this.#alpha };
  }
}

registerLayer('activation', (config) => new Activation(config as unknown as ActivationOptions));
