/** Copies of a model's weights that stay on the device. */
import * as tf from '@tensorflow/tfjs-core';
import { restoreVariable } from '../backend/custom/overwrite.js';
import type { UnaryLayer } from '../nn/layer.js';

/**
 * The weights of one moment. Taking one copies nothing: the tensors share the variables' storage until the next in-place
 * step changes it.
 */
export class Snapshot {
  readonly #model: UnaryLayer;
  #tensors: readonly tf.Tensor[] = [];
  /** Epoch the weights belong to; 0 before the first. */
  epoch = 0;

  constructor(model: UnaryLayer) {
    this.#model = model;
    this.take(0);
  }

  /** Replaces the kept weights by the model's present ones. */
  take(epoch: number): void {
    this.dispose();
    this.#tensors = this.#model.parameters().map(({ variable }) => tf.keep(tf.clone(variable as tf.Tensor)));
    this.epoch = epoch;
  }

  /** Gives the model the kept weights. Its variables stay the same objects. */
  restore(): void {
    this.#model.parameters().forEach(({ variable }, index) => restoreVariable(variable, this.#tensors[index] as tf.Tensor));
  }

  dispose(): void {
    tf.dispose(this.#tensors as tf.Tensor[]);
    this.#tensors = [];
  }
}
