import type * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkOneOf } from '../arguments.js';
import { linear } from '../backend/custom/linear.js';
import { activate, ACTIVATIONS, fusedName, type ActivationName } from './activations.js';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { readBias, readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { registerLayer } from './registry.js';
import { sizeOfShape, type Shape } from './shape.js';

/** Initialisers: kernel 'glorot_uniform', bias 'zeros'. */
export type DenseOptions = LayerOptions &
  RoleOptions<'kernel' | 'bias'> & {
    /** Size of the output, >= 1. */
    readonly units: number;
    /** Default 'linear'. */
    readonly activation?: ActivationName;
    /** Whether a bias is added. Default true. */
    readonly useBias?: boolean;
  };

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
  readonly #kernelOptions: ParameterOptions;
  readonly #biasOptions: ParameterOptions | undefined;
  readonly #roles: Readonly<Record<string, unknown>>;
  #kernel: tf.Variable | undefined;
  #bias: tf.Variable | undefined;

  constructor(options: DenseOptions) {
    checkLayerOptions('dense', options, ['units', 'activation', 'useBias', ...roleKeys('kernel', 'bias')]);
    super(options);
    this.#units = checkInteger('dense', 'units', options.units, { min: 1 });
    this.#activation = checkOneOf('dense', 'activation', options.activation ?? 'linear', ACTIVATIONS);
    const kernel = readRole('dense', options, 'kernel', 'glorot_uniform');
    const bias = readBias('dense', options);
    this.#kernelOptions = kernel.parameter;
    this.#biasOptions = bias.parameter;
    this.#roles = { ...kernel.config, ...bias.config };
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length === 0) throw this.shapeError('wrong input shape', '[N, ..., in]', '[N]');
    return [...inputShape.slice(0, -1), this.#units];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.#kernel = this.addParameter('kernel', [inputShape.at(-1) as number, this.#units], this.#kernelOptions);
    this.#bias = this.#biasOptions === undefined ? undefined : this.addParameter('bias', [this.#units], this.#biasOptions);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const activation = fusedName(this.#activation);
    const y = linear(x, this.#kernel as tf.Tensor, { bias: this.#bias, activation });
    return activation === undefined ? activate(this.#activation, y) : y;
  }

  protected override ownFlops(): number {
    return 2 * (this.inputShape.at(-1) as number) * sizeOfShape(this.outputShape);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { units: this.#units, activation: this.#activation, ...this.#roles };
  }
}

registerLayer('dense', (config) => new Dense(config as unknown as DenseOptions));
