import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, UnaryLayer, type CallOptions, type LayerDType, type LayerOptions } from './layer.js';
import { layerFromJSON, registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';

export interface TimeDistributedOptions extends LayerOptions {
  /** The layer for each place. */
  readonly layer: UnaryLayer;
}

/**
 * A layer at each place of a sequence, with the same weights: [N, T, ...] -> [N, T, ...]. Statistics of a batch norm inside are
 * those of all places. Parameters under `layer`.
 *
 * @throws E_CONFIG; E_SHAPE at build when the input is no sequence or its places do not fit the layer
 */
export class TimeDistributed extends UnaryLayer {
  readonly type = 'time_distributed';
  readonly #layer: UnaryLayer;

  constructor(options: TimeDistributedOptions) {
    checkLayerOptions('time_distributed', options, ['layer']);
    super(options);
    const { layer } = options;
    if (!(layer instanceof UnaryLayer))
      throw new TensorkilnError(
        'E_CONFIG',
        `[time_distributed] wrong layer: expected a layer with one input, got ${show(layer)}.`,
      );
    this.#layer = layer;
    this.addSublayer(layer, 'layer');
  }

  override get inputDType(): LayerDType {
    return this.#layer.inputDType;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis === 0 || this.#layer.isFlexible(axis - 1, rank - 1);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.nameSublayers();
    const [places, ...row] = inputShape;
    if (places === undefined) throw this.shapeError('wrong input shape', '[N, T, ...]', formatBatchShape(inputShape));
    return [places, ...this.#layer.computeOutputShape(row)];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.buildSublayer(this.#layer, [inputShape.slice(1)]);
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    const [batch, places, ...row] = x.shape as [number, number, ...number[]];
    const y = this.#layer.call(tf.reshape(x, [batch * places, ...row]), options);
    return tf.reshape(y, [batch, places, ...y.shape.slice(1)]);
  }

  override countFlops(): number {
    return super.countFlops() * (this.inputShape[0] as number);
  }

  protected override get listsSublayers(): boolean {
    return true;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { layer: this.#layer.layerJSON() };
  }
}

registerLayer('time_distributed', (config) => {
  const layer = layerFromJSON(config.layer, 'time_distributed layer') as UnaryLayer;
  return new TimeDistributed({ ...config, layer });
});
