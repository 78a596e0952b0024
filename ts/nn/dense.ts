import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkOneOf } from '../arguments.js';
import { activate, ACTIVATIONS, type ActivationName } from './activations.js';
import { INITIALIZERS, type InitializerName } from './initializers.js';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import type { Shape } from './shape.js';

export interface DenseOptions extends LayerOptions {
  /** Size of the output, >= 1. */
  readonly units: number;
  /** Default 'linear'. */
  readonly activation?: ActivationName;
  /** Whether a bias is added. Default true. */
  readonly useBias?: boolean;
  /** Default 'glorot_uniform'. */
  readonly kernelInitializer?: InitializerName;
  /** Default 'zeros'. */
  readonly biasInitializer?: InitializerName;
}

/**
 * Fully connected layer over the last axis: y = activation(x kernel + bias).
 *
 * Input [N, ..., in], output [N, ..., units]; parameters `kernel` [in, units] and `bias` [units], float32.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input has no axis besides the batch
 */
export class Dense extends UnaryLayer {
  readonly type = 'dense';
  readonly #units: number;
  readonly #activation: ActivationName;
  readonly #useBias: boolean;
  readonly #kernelInitializer: InitializerName;
  readonly #biasInitializer: InitializerName;
  #kernel: tf.Variable | undefined;
  #bias: tf.Variable | undefined;

  constructor(options: DenseOptions) {
    checkLayerOptions('dense', options, ['units', 'activation', 'useBias', 'kernelInitializer', 'biasInitializer']);
    super(options);
    this.#units = checkInteger('dense', 'units', options.units, { min: 1 });
    this.#activation = checkOneOf('dense', 'activation', options.activation ?? 'linear', ACTIVATIONS);
    this.#useBias = checkBoolean('dense', 'useBias', options.useBias ?? true);
    this.#kernelInitializer = checkOneOf(
      'dense',
      'kernelInitializer',
      options.kernelInitializer ?? 'glorot_uniform',
      INITIALIZERS,
    );
    this.#biasInitializer = checkOneOf('dense', 'biasInitializer', options.biasInitializer ?? 'zeros', INITIALIZERS);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length === 0) throw this.shapeError('wrong input shape', '[N, ..., in]', '[N]');
    return [...inputShape.slice(0, -1), this.#units];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.#kernel = this.addParameter('kernel', [inputShape.at(-1) as number, this.#units], this.#kernelInitializer);
    this.#bias = this.#useBias ? this.addParameter('bias', [this.#units], this.#biasInitializer) : undefined;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const rows = x.rank === 2 ? x : tf.reshape(x, [-1, x.shape.at(-1) as number]);
    const product = tf.matMul(rows, this.#kernel as tf.Tensor);
    const sum = this.#bias === undefined ? product : tf.add(product, this.#bias);
    const flat = this.#activation === 'linear' ? sum : activate(this.#activation, sum);
    return x.rank === 2 ? flat : tf.reshape(flat, [...x.shape.slice(0, -1), this.#units]);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return {
      units: this.#units,
      activation: this.#activation,
      useBias: this.#useBias,
      kernelInitializer: this.#kernelInitializer,
      biasInitializer: this.#biasInitializer,
    };
  }
}

registerLayer('dense', (config) => new Dense(config as unknown as DenseOptions));
