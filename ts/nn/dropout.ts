import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../arguments.js';
import { dropout } from '../backend/custom/dropout.js';
import type { RandomState } from '../backend/custom/random.js';
import { checkLayerOptions, UnaryLayer, type CallOptions, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import type { Shape } from './shape.js';

export interface DropoutOptions extends LayerOptions {
  /** Probability that an element is dropped, in [0, 1). */
  readonly rate: number;
}

/**
 * In training, drops each element with probability `rate` and divides the others by 1 - rate; otherwise passes x on.
 *
 * Input and output [N, ...]. The masks come from a random state of the layer's own (seeded by the model's seed and the
 * layer's path), so a recorded step draws a new mask at each replay.
 *
 * @throws E_CONFIG for wrong options
 * @source Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, JMLR 15; scaled in training ("inverted")
 */
export class Dropout extends UnaryLayer {
  readonly type = 'dropout';
  readonly #rate: number;
  #random: RandomState | undefined;

  constructor(options: DropoutOptions) {
    checkLayerOptions('dropout', options, ['rate']);
    super(options);
    this.#rate = checkNumber('dropout', 'rate', options.rate, { min: 0, below: 1 });
  }

  override isFlexible(): boolean {
    return true;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return inputShape;
  }

  protected override createUnaryParameters(): void {
    this.#random = this.addRandomState('random');
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    if (options.training !== true || this.#rate === 0) return tf.clone(x);
    return dropout(x, this.#rate, this.#random as RandomState);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { rate: this.#rate };
  }
}

registerLayer('dropout', (config) => new Dropout(config as unknown as DropoutOptions));
