import * as tf from '@tensorflow/tfjs-core';
import { conv3dTransposed } from './conv3d-transposed.js';
import { TensorkilnError } from '../errors.js';
import { ConvolutionLayer } from './convolution-base.js';
import { checkFilters, type ConvolutionOptions } from './convolution-options.js';
import { registerLayer } from './registry.js';
import { sizeOfShape, type Shape } from './shape.js';

export type ConvTransposedOptions = Omit<ConvolutionOptions, 'dilations'> & {
  /** Number of output channels, >= 1. */
  readonly filters: number;
};

/**
 * The transposed convolution: what the gradient of a convolution does to its input, with stride spreading places apart.
 * Output sizes: 'valid' input * stride + max(kernel - stride, 0); 'same' input * stride. Kernel [..., filters, C].
 */
abstract class ConvTransposed extends ConvolutionLayer {
  readonly #filters: number;
  #kernel: tf.Variable | undefined;

  constructor(type: string, options: ConvTransposedOptions, rank: number) {
    super(type, options, { rank, keys: ['filters'] });
    this.#filters = checkFilters(type, 'filters', options.filters);
    if (Math.max(...this.convolution.dilations) > 1)
      throw new TensorkilnError(
        'E_CONFIG',
        `[${type}] wrong dilations: expected 1, got [${this.convolution.dilations.join(', ')}].`,
      );
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const { kernelSize, strides, padding } = this.convolution;
    const { sizes } = this.split(inputShape);
    const spread = sizes.map((size, axis) => {
      const [stride, kernel] = [strides[axis] as number, kernelSize[axis] as number];
      return size * stride + (padding === 'same' ? 0 : Math.max(kernel - stride, 0));
    });
    return [...spread, this.#filters];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const { channels } = this.split(inputShape);
    this.#kernel = this.createKernel('kernel', [...this.convolution.kernelSize, this.#filters, channels]);
    this.addBias(this.#filters);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const shape = [x.shape[0], ...this.computeOutputShape(x.shape.slice(1))];
    return this.finish(this.spread(x, this.#kernel as tf.Tensor, shape));
  }

  /** The transposed convolution of x [N, ..., C] to `shape`. */
  protected abstract spread(x: tf.Tensor, kernel: tf.Tensor, shape: readonly number[]): tf.Tensor;

  protected override ownFlops(): number {
    return this.flopsFor(sizeOfShape(this.convolution.kernelSize) * this.#filters, this.inputShape);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { filters: this.#filters, ...this.convolution.config };
  }
}

type Pads = 'valid' | 'same';

/**
 * Transposed 1-D convolution: input [N, T, C], output [N, OT, filters]; parameters `kernel` [K, filters, C], `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence
 */
export class Conv1DTransposed extends ConvTransposed {
  readonly type = 'conv1d_transposed';

  constructor(options: ConvTransposedOptions) {
    super('conv1d_transposed', options, 1);
  }

  protected override spread(x: tf.Tensor, kernel: tf.Tensor, shape: readonly number[]): tf.Tensor {
    const [batch, places, filters] = shape as [number, number, number];
    const image = tf.expandDims<tf.Tensor4D>(x, 1);
    const row = tf.expandDims<tf.Tensor4D>(kernel, 0);
    const { strides, padding } = this.convolution;
    const y = tf.conv2dTranspose(image, row, [batch, 1, places, filters], [1, strides[0] as number], padding as Pads);
    return tf.reshape(y, [...shape]);
  }
}

/**
 * Transposed 2-D convolution: input [N, H, W, C], output [N, OH, OW, filters]; parameters `kernel` [KH, KW, filters, C],
 * `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no image
 */
export class Conv2DTransposed extends ConvTransposed {
  readonly type = 'conv2d_transposed';

  constructor(options: ConvTransposedOptions) {
    super('conv2d_transposed', options, 2);
  }

  protected override spread(x: tf.Tensor, kernel: tf.Tensor, shape: readonly number[]): tf.Tensor {
    const { strides, padding } = this.convolution;
    const target = shape as [number, number, number, number];
    return tf.conv2dTranspose(
      x as tf.Tensor4D,
      kernel as tf.Tensor4D,
      target,
      [...strides] as [number, number],
      padding as Pads,
    );
  }
}

/**
 * Transposed 3-D convolution: input [N, D, H, W, C], output [N, OD, OH, OW, filters]; parameters `kernel`
 * [KD, KH, KW, filters, C], `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no volume
 */
export class Conv3DTransposed extends ConvTransposed {
  readonly type = 'conv3d_transposed';

  constructor(options: ConvTransposedOptions) {
    super('conv3d_transposed', options, 3);
  }

  protected override spread(x: tf.Tensor, kernel: tf.Tensor, shape: readonly number[]): tf.Tensor {
    const { strides, padding } = this.convolution;
    return conv3dTransposed(x, kernel, { shape, strides, padding: padding as Pads });
  }
}

registerLayer('conv1d_transposed', (config) => new Conv1DTransposed(config as unknown as ConvTransposedOptions));
registerLayer('conv2d_transposed', (config) => new Conv2DTransposed(config as unknown as ConvTransposedOptions));
registerLayer('conv3d_transposed', (config) => new Conv3DTransposed(config as unknown as ConvTransposedOptions));
