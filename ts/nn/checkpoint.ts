import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { recomputed } from '../backend/custom/recompute.js';
import { TensorkilnBackend } from '../backend/backend.js';
import { TensorkilnError } from '../errors.js';
import { checkLayerOptions, UnaryLayer, type CallOptions, type LayerDType, type LayerOptions } from './layer.js';
import { layerFromJSON, registerLayer } from './registry.js';
import type { Shape } from './shape.js';

export interface CheckpointOptions extends LayerOptions {
  /** The block, with one input and one output; most often a Sequential. */
  readonly layer: UnaryLayer;
}

/**
 * A block whose activations are not kept for the gradient but computed again when it is needed (gradient checkpointing): memory
 * for the block's input only, at the price of a second forward pass. Results and gradients are the same bits, dropout masks and
 * running statistics included.
 *
 * Input, output and parameters are the block's; parameters are named `checkpoint/block/...`.
 *
 * @example
 * new Sequential({ layers: [new Checkpoint({ layer: new TransformerEncoder({ heads: 8, hidden: 2048 }) }), ...] });
 *
 * @throws E_CONFIG for wrong options
 */
export class Checkpoint extends UnaryLayer {
  readonly type = 'checkpoint';
  readonly #layer: UnaryLayer;

  constructor(options: CheckpointOptions) {
    checkLayerOptions('checkpoint', options, ['layer']);
    super(options);
    const { layer } = options;
    if (!((layer as unknown) instanceof UnaryLayer))
      throw new TensorkilnError(
        'E_CONFIG',
        `[checkpoint] wrong layer: expected a layer with one input and one output, got ${show(layer)}.`,
      );
    this.#layer = layer;
    this.addSublayer(layer, layer.isNamed ? layer.name : 'block');
  }

  override get inputDType(): LayerDType {
    return this.#layer.inputDType;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return this.#layer.isFlexible(axis, rank);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    this.nameSublayers();
    return this.#layer.computeOutputShape(inputShape);
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.buildSublayer(this.#layer, [inputShape]);
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    const run = (input: tf.Tensor): tf.Tensor => this.#layer.call(input, options);
    const isKept = tf.engine().state.gradientDepth > 0 && tf.backend() instanceof TensorkilnBackend && x.dtype === 'float32';
    if (!isKept || options.cache !== undefined) return run(x);
    const parameters = this.parameters();
    return recomputed(([input]) => run(input as tf.Tensor), [x], {
      variables: parameters.flatMap(({ variable, trainable }) => (trainable ? [variable] : [])),
      states: [
        ...Object.values(this.randomStates()).map(({ variable }) => variable),
        ...parameters.flatMap(({ variable, trainable }) => (trainable ? [] : [variable])),
      ],
    });
  }

  protected override get listsSublayers(): boolean {
    return true;
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { layer: this.#layer.layerJSON() };
  }
}

registerLayer('checkpoint', (config) => {
  const layer = layerFromJSON(config.layer, 'checkpoint.layer');
  if (layer instanceof UnaryLayer) return new Checkpoint({ ...config, layer });
  throw new TensorkilnError('E_CONFIG', `[checkpoint] a block has one input and one output, got '${layer.type}'.`);
});
