/** Layers without parameters or options of interest: a shape rule and a function. */
import type * as tf from '@tensorflow/tfjs-core';
import { UnaryLayer, type LayerOptions } from './layer.js';
import type { Shape } from './shape.js';

/** A layer whose configuration is what the constructor stored. */
export abstract class ConfiguredLayer extends UnaryLayer {
  readonly #config: Readonly<Record<string, unknown>>;

  constructor(options: LayerOptions, config: Readonly<Record<string, unknown>>) {
    super(options);
    this.#config = config;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return this.#config;
  }
}

/** A configured layer whose output has the input's shape, whatever it is. */
export abstract class ShapeKeepingLayer extends ConfiguredLayer {
  override computeOutputShape(inputShape: Shape): Shape {
    return inputShape;
  }

  override isFlexible(_axis: number, _rank: number): boolean {
    return true;
  }

  protected abstract override transform(x: tf.Tensor, options: { readonly training?: boolean }): tf.Tensor;
}
