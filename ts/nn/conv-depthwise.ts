import * as tf from '@tensorflow/tfjs-core';
import { checkInteger } from '../arguments.js';
import { ConvolutionLayer } from './convolution-base.js';
import { checkFilters, type ConvolutionOptions } from './convolution-options.js';
import { readRole, roleKeys, type ParameterOptions, type RoleOptions } from './parameter-options.js';
import { registerLayer } from './registry.js';
import { sizeOfShape, type Shape } from './shape.js';
import { dilateKernel } from './sliding.js';

export type DepthwiseConvOptions = ConvolutionOptions & {
  /** Output channels per input channel, >= 1; default 1. */
  readonly depthMultiplier?: number;
};

/** Convolutions of each channel by kernels of its own over one or two axes. */
abstract class DepthwiseBase extends ConvolutionLayer {
  protected readonly multiplier: number;
  #depthwise: tf.Variable | undefined;

  constructor(type: string, options: DepthwiseConvOptions, more: { readonly rank: number; readonly keys?: readonly string[] }) {
    super(type, options, { rank: more.rank, keys: ['depthMultiplier', ...(more.keys ?? [])] });
    this.multiplier = checkInteger(type, 'depthMultiplier', options.depthMultiplier ?? 1, { min: 1 });
  }

  protected createDepthwise(inputShape: Shape): void {
    const { channels } = this.split(inputShape);
    this.#depthwise = this.createKernel('depthwise_kernel', [...this.convolution.kernelSize, channels, this.multiplier]);
  }

  /** [N, ..., C] -> [N, ..., C * multiplier], without bias. */
  protected depthwise(x: tf.Tensor): tf.Tensor {
    const { rank, strides, dilations, padding } = this.convolution;
    const kernel = dilateKernel(this.#depthwise as tf.Tensor, dilations);
    const pads = padding as 'valid' | 'same';
    if (rank === 2) return tf.depthwiseConv2d(x as tf.Tensor4D, kernel as tf.Tensor4D, [...strides] as [number, number], pads);
    const stride = strides[0] as number;
    const sizes = this.positions(x.shape.slice(1));
    // Equal strides on both axes, as the kernel wants them; the axis of one row has one position with any of them.
    const y = tf.depthwiseConv2d(
      tf.expandDims<tf.Tensor4D>(x, 1),
      tf.expandDims<tf.Tensor4D>(kernel, 0),
      [stride, stride],
      pads,
    );
    return tf.reshape(y, [x.shape[0], ...sizes, y.shape[3]]);
  }

  protected depthwiseFlops(): number {
    const { channels } = this.split(this.inputShape);
    const positions = this.positions(this.inputShape);
    return this.flopsFor(sizeOfShape(this.convolution.kernelSize), [...positions, channels * this.multiplier]);
  }
}

/** Depthwise convolution: y = activation(depthwise(x, kernel) + bias); output channel c * multiplier + m comes from channel c. */
abstract class DepthwiseConv extends DepthwiseBase {
  override computeOutputShape(inputShape: Shape): Shape {
    return [...this.positions(inputShape), this.split(inputShape).channels * this.multiplier];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.createDepthwise(inputShape);
    this.addBias(this.split(inputShape).channels * this.multiplier);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    return this.finish(this.depthwise(x));
  }

  protected override ownFlops(): number {
    return this.depthwiseFlops();
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { depthMultiplier: this.multiplier, ...this.convolution.config };
  }
}

/**
 * Depthwise 1-D convolution: input [N, T, C], output [N, OT, C * multiplier]; parameters `depthwise_kernel` [K, C, multiplier],
 * `bias`.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input does not fit
 */
export class DepthwiseConv1D extends DepthwiseConv {
  readonly type = 'depthwise_conv1d';

  constructor(options: DepthwiseConvOptions) {
    super('depthwise_conv1d', options, { rank: 1 });
  }
}

/**
 * Depthwise 2-D convolution: input [N, H, W, C], output [N, OH, OW, C * multiplier]; parameters `depthwise_kernel`
 * [KH, KW, C, multiplier], `bias`.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input does not fit
 */
export class DepthwiseConv2D extends DepthwiseConv {
  readonly type = 'depthwise_conv2d';

  constructor(options: DepthwiseConvOptions) {
    super('depthwise_conv2d', options, { rank: 2 });
  }
}

export type SeparableConvOptions = DepthwiseConvOptions &
  RoleOptions<'pointwise'> & {
    /** Number of output channels, >= 1. */
    readonly filters: number;
  };

/** Separable convolution: a depthwise one, then a dense layer over the channels; bias and activation after that. */
abstract class SeparableConv extends DepthwiseBase {
  readonly #filters: number;
  readonly #pointwiseOptions: { parameter: ParameterOptions; config: Readonly<Record<string, unknown>> };
  #pointwise: tf.Variable | undefined;

  constructor(type: string, options: SeparableConvOptions, rank: number) {
    super(type, options, { rank, keys: ['filters', ...roleKeys('pointwise')] });
    this.#filters = checkFilters(type, 'filters', options.filters);
    this.#pointwiseOptions = readRole(type, options, 'pointwise', 'glorot_uniform');
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return [...this.positions(inputShape), this.#filters];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const width = this.split(inputShape).channels * this.multiplier;
    this.createDepthwise(inputShape);
    this.#pointwise = this.createKernel('pointwise_kernel', [width, this.#filters], this.#pointwiseOptions.parameter);
    this.addBias(this.#filters);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const y = this.depthwise(x);
    const flat = tf.matMul(tf.reshape(y, [-1, y.shape.at(-1) as number]), this.#pointwise as tf.Tensor);
    return this.finish(tf.reshape(flat, [...y.shape.slice(0, -1), this.#filters]));
  }

  protected override ownFlops(): number {
    return this.depthwiseFlops() + this.flopsFor(this.split(this.inputShape).channels * this.multiplier);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    const { config } = this.#pointwiseOptions;
    return { filters: this.#filters, depthMultiplier: this.multiplier, ...this.convolution.config, ...config };
  }
}

/**
 * Separable 1-D convolution: input [N, T, C], output [N, OT, filters]; parameters `depthwise_kernel` [K, C, multiplier],
 * `pointwise_kernel` [C * multiplier, filters], `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input does not fit
 */
export class SeparableConv1D extends SeparableConv {
  readonly type = 'separable_conv1d';

  constructor(options: SeparableConvOptions) {
    super('separable_conv1d', options, 1);
  }
}

/**
 * Separable 2-D convolution: input [N, H, W, C], output [N, OH, OW, filters]; parameters `depthwise_kernel`
 * [KH, KW, C, multiplier], `pointwise_kernel` [C * multiplier, filters], `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input does not fit
 */
export class SeparableConv2D extends SeparableConv {
  readonly type = 'separable_conv2d';

  constructor(options: SeparableConvOptions) {
    super('separable_conv2d', options, 2);
  }
}

registerLayer('depthwise_conv1d', (config) => new DepthwiseConv1D(config as unknown as DepthwiseConvOptions));
registerLayer('depthwise_conv2d', (config) => new DepthwiseConv2D(config as unknown as DepthwiseConvOptions));
registerLayer('separable_conv1d', (config) => new SeparableConv1D(config as unknown as SeparableConvOptions));
registerLayer('separable_conv2d', (config) => new SeparableConv2D(config as unknown as SeparableConvOptions));
