/** Copies of a model's weights that stay on the device. */
import * as tf from '@tensorflow/tfjs-core';
import { restoreVariable } from '../backend/custom/overwrite.js';
import type { Parameter } from '../nn/layer.js';

/**
 * The weights of one moment. Taking one copies nothing: the tensors share the variables' storage until the next in-place
 * step changes it.
 */
export class Snapshot {
  readonly #parameters: readonly Parameter[];
  #tensors: readonly tf.Tensor[] = [];
  /** Epoch the weights belong to; 0 before the first. */
  epoch = 0;

  constructor(parameters: readonly Parameter[]) {
    this.#parameters = parameters;
    this.take(0);
  }

  /** Replaces the kept weights by the model's present ones. */
  take(epoch: number): void {
    this.replace(
      epoch,
      this.#parameters.map(({ variable }) => tf.clone(variable as tf.Tensor)),
    );
  }

  /** Replaces the kept weights by these tensors, which from now on belong to the snapshot. */
  replace(epoch: number, tensors: readonly tf.Tensor[]): void {
    this.dispose();
    this.#tensors = tensors.map((tensor) => tf.keep(tensor));
    this.epoch = epoch;
  }

  /** The kept weights by parameter name. */
  entries(): readonly (readonly [string, tf.Tensor])[] {
    return this.#parameters.map(({ name }, index) => [name, this.#tensors[index] as tf.Tensor]);
  }

  /** Gives the model the kept weights. Its variables stay the same objects. */
  restore(): void {
    this.#parameters.forEach(({ variable }, index) => {
      restoreVariable(variable, this.#tensors[index] as tf.Tensor);
    });
  }

  dispose(): void {
    tf.dispose(this.#tensors as tf.Tensor[]);
    this.#tensors = [];
  }
}
