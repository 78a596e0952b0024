import * as tf from '@tensorflow/tfjs-core';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import { sizeOfShape, type Shape } from './shape.js';

/** All axes but the batch in one, row-major: [N, ...shape] -> [N, size]. Images flatten in H, W, C order. No parameters. */
export class Flatten extends UnaryLayer {
  readonly type = 'flatten';

  constructor(options: LayerOptions = {}) {
    checkLayerOptions('flatten', options, []);
    super(options);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return [sizeOfShape(inputShape)];
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return tf.reshape(x, [x.shape[0], sizeOfShape(this.inputShape)]);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return {};
  }
}

registerLayer('flatten', (config) => new Flatten(config));
