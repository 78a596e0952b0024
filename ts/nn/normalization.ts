/** Normalisations: statistics of the input, then a scale and an offset per channel. */
import type * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber } from '../arguments.js';
import { batchNormFixed, batchNormTrain, groupNorm, instanceNorm } from '../backend/custom/group-norm.js';
import {
  layerNorm,
  residualLayerNorm,
  residualRmsNorm,
  rmsNorm,
  type ResidualNorm,
  type RowNormOptions,
} from '../backend/custom/layer-norm.js';
import { checkLayerOptions, UnaryLayer, type CallOptions, type LayerOptions } from './layer.js';
import { readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { registerLayer } from './registry.js';
import { formatBatchShape, type Shape } from './shape.js';

/** Initialisers: scale 'ones', offset 'zeros'. */
export type NormOptions = LayerOptions &
  RoleOptions<'scale' | 'offset'> & {
    /** Added to the variance, > 0. Default 1e-5 (BatchNorm: 1e-3). */
    readonly epsilon?: number;
    /** Whether there is a scale. Default true (InstanceNorm: true). */
    readonly useScale?: boolean;
    /** Whether there is an offset. Default true (RMSNorm: false). */
    readonly useOffset?: boolean;
  };

abstract class Norm extends UnaryLayer {
  protected readonly epsilon: number;
  readonly #scaleOptions: ParameterOptions | undefined;
  readonly #offsetOptions: ParameterOptions | undefined;
  readonly #config: Readonly<Record<string, unknown>>;
  #scale: tf.Variable | undefined;
  #offset: tf.Variable | undefined;

  constructor(
    type: string,
    options: NormOptions,
    more: { readonly keys?: readonly string[]; readonly epsilon?: number; readonly useOffset?: boolean } = {},
  ) {
    const { keys = [], epsilon = 1e-5, useOffset: offsetDefault = true } = more;
    checkLayerOptions(type, options, ['epsilon', 'useScale', 'useOffset', ...roleKeys('scale', 'offset'), ...keys]);
    super(options);
    this.epsilon = checkNumber(type, 'epsilon', options.epsilon ?? epsilon, { above: 0 });
    const useScale = checkBoolean(type, 'useScale', options.useScale ?? true);
    const useOffset = checkBoolean(type, 'useOffset', options.useOffset ?? offsetDefault);
    const scale = readRole(type, options, 'scale', 'ones');
    const offset = readRole(type, options, 'offset', 'zeros');
    this.#scaleOptions = useScale ? scale.parameter : undefined;
    this.#offsetOptions = useOffset ? offset.parameter : undefined;
    this.#config = { epsilon: this.epsilon, useScale, useOffset, ...scale.config, ...offset.config };
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length === 0) throw this.shapeError('wrong input shape', '[N, ..., C]', '[N]');
    return inputShape;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const channels = [inputShape.at(-1) as number];
    this.#scale = this.#scaleOptions === undefined ? undefined : this.addParameter('scale', channels, this.#scaleOptions);
    this.#offset = this.#offsetOptions === undefined ? undefined : this.addParameter('offset', channels, this.#offsetOptions);
  }

  /** What the norm ops take besides their input. */
  protected get affine(): RowNormOptions {
    return { scale: this.#scale, offset: this.#offset, epsilon: this.epsilon };
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return this.#config;
  }
}

/**
 * Layer normalisation over the last axis: y = (x - mean) / sqrt(var + epsilon) * scale + offset. [N, ..., C] -> same.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when there is no axis besides the batch
 * @source Ba, Kiros, Hinton 2016, arXiv:1607.06450
 */
export class LayerNorm extends Norm {
  readonly type = 'layer_norm';

  constructor(options: NormOptions = {}) {
    super('layer_norm', options);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return layerNorm(x, this.affine);
  }

  /** x + residual and its norm, in one pass; for blocks that have built this layer. */
  addAndNorm(x: tf.Tensor, residual: tf.Tensor): ResidualNorm {
    return residualLayerNorm(x, residual, this.affine);
  }
}

/**
 * Root-mean-square normalisation over the last axis: y = x / sqrt(mean x^2 + epsilon) * scale. [N, ..., C] -> same. No offset
 * unless asked for.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when there is no axis besides the batch
 * @source Zhang, Sennrich 2019, arXiv:1910.07467
 */
export class RMSNorm extends Norm {
  readonly type = 'rms_norm';

  constructor(options: NormOptions = {}) {
    super('rms_norm', options, { useOffset: false });
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return rmsNorm(x, this.affine);
  }

  /** x + residual and its norm, in one pass; for blocks that have built this layer. */
  addAndNorm(x: tf.Tensor, residual: tf.Tensor): ResidualNorm {
    return residualRmsNorm(x, residual, this.affine);
  }
}

export type GroupNormOptions = NormOptions & {
  /** Number of groups the channels are cut into, a divisor of C. Default 32. */
  readonly groups?: number;
};

/**
 * Group normalisation: statistics per row over all places and the channels of one group. [N, ..., C] -> same.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the channels cannot be cut into groups
 * @source Wu, He 2018, arXiv:1803.08494
 */
export class GroupNorm extends Norm {
  readonly type = 'group_norm';
  readonly #groups: number;

  constructor(options: GroupNormOptions = {}) {
    super('group_norm', options, { keys: ['groups'] });
    this.#groups = checkInteger('group_norm', 'groups', options.groups ?? 32, { min: 1 });
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const shape = super.computeOutputShape(inputShape);
    if ((shape.at(-1) as number) % this.#groups !== 0)
      throw this.shapeError('wrong input shape', `a multiple of ${this.#groups} channels`, formatBatchShape(shape));
    return shape;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return groupNorm(x, this.#groups, this.affine);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { groups: this.#groups, ...super.getConfig() };
  }
}

/**
 * Instance normalisation: statistics per row and channel over all places. [N, ..., C] -> same.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when there are no places
 * @source Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022
 */
export class InstanceNorm extends Norm {
  readonly type = 'instance_norm';

  constructor(options: NormOptions = {}) {
    super('instance_norm', options);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length < 2) throw this.shapeError('wrong input shape', '[N, ..., places, C]', formatBatchShape(inputShape));
    return inputShape;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return instanceNorm(x, this.affine);
  }
}

export type BatchNormOptions = NormOptions & {
  /** How much of the running statistics stays at each training call, in [0, 1]. Default 0.99. */
  readonly momentum?: number;
};

/**
 * Batch normalisation: in training with the statistics of the batch over all axes but the last, otherwise with the running ones.
 * [N, ..., C] -> same.
 *
 * State, saved with the weights and never trained: `running_mean` and `running_variance` [C], moved in device memory by every
 * training call: r = momentum * r + (1 - momentum) * statistic, the variance unbiased, as in PyTorch. A channel
 * whose statistics are not finite keeps the old ones. A frozen layer (`trainable: false`) uses and keeps the running statistics
 * in training too, as in Keras.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when there is no axis besides the batch
 * @source Ioffe, Szegedy 2015, arXiv:1502.03167
 */
export class BatchNorm extends Norm {
  readonly type = 'batch_norm';
  readonly #momentum: number;
  #mean: tf.Variable | undefined;
  #variance: tf.Variable | undefined;

  /** A frozen one uses the running statistics alone. */
  override get usesBatchStatistics(): boolean {
    return this.trainable;
  }

  constructor(options: BatchNormOptions = {}) {
    super('batch_norm', options, { keys: ['momentum'], epsilon: 1e-3 });
    this.#momentum = checkNumber('batch_norm', 'momentum', options.momentum ?? 0.99, { min: 0, max: 1 });
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    super.createUnaryParameters(inputShape);
    const channels = [inputShape.at(-1) as number];
    this.#mean = this.addParameter('running_mean', channels, 'zeros', { trainable: false });
    this.#variance = this.addParameter('running_variance', channels, 'ones', { trainable: false });
  }

  protected override transform(x: tf.Tensor, options: CallOptions): tf.Tensor {
    const [runningMean, runningVariance] = [this.#mean as tf.Variable, this.#variance as tf.Variable];
    if (options.training !== true || !this.trainable)
      return batchNormFixed(x, { ...this.affine, mean: runningMean, variance: runningVariance });
    return batchNormTrain(x, { ...this.affine, runningMean, runningVariance, updateRate: 1 - this.#momentum });
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { momentum: this.#momentum, ...super.getConfig() };
  }
}

registerLayer('layer_norm', (config) => new LayerNorm(config));
registerLayer('rms_norm', (config) => new RMSNorm(config));
registerLayer('group_norm', (config) => new GroupNorm(config));
registerLayer('instance_norm', (config) => new InstanceNorm(config));
registerLayer('batch_norm', (config) => new BatchNorm(config));
