import * as tf from '@tensorflow/tfjs-core';
import { ConvolutionLayer } from './convolution-base.js';
import { checkFilters, type ConvolutionOptions } from './convolution-options.js';
import { registerLayer } from './registry.js';
import { sizeOfShape, type Shape } from './shape.js';
import { dilateKernel } from './sliding.js';

export type ConvOptions = ConvolutionOptions & {
  /** Number of output channels, >= 1. */
  readonly filters: number;
};

/** Convolutions over one and three axes; Conv2D stands in conv2d.ts. Kernel [..., C, filters], bias [filters]. */
export abstract class ConvND extends ConvolutionLayer {
  readonly #filters: number;
  protected kernel: tf.Variable | undefined;

  constructor(type: string, options: ConvOptions, rank: number) {
    super(type, options, { rank, keys: ['filters'] });
    this.#filters = checkFilters(type, 'filters', options.filters);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    return [...this.positions(inputShape), this.#filters];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    const { channels } = this.split(inputShape);
    this.kernel = this.createKernel('kernel', [...this.convolution.kernelSize, channels, this.#filters]);
    this.addBias(this.#filters);
  }

  protected override ownFlops(): number {
    return this.flopsFor(sizeOfShape(this.convolution.kernelSize) * this.split(this.inputShape).channels);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return { filters: this.#filters, ...this.convolution.config };
  }
}

/**
 * 1-D convolution over sequences: y = activation(conv(x, kernel) + bias). Padding 'causal' lets place t see only places up to t.
 *
 * Input [N, T, C], output [N, OT, filters]; parameters `kernel` [K, C, filters], `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no sequence or shorter than the kernel
 */
export class Conv1D extends ConvND {
  readonly type = 'conv1d';

  constructor(options: ConvOptions) {
    super('conv1d', options, 1);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const { kernelSize, strides, dilations, padding } = this.convolution;
    const [size, dilation] = [kernelSize[0] as number, dilations[0] as number];
    const kernel = dilateKernel(this.kernel as tf.Tensor, dilations) as tf.Tensor3D;
    const isCausal = padding === 'causal';
    const input = isCausal
      ? tf.pad(x, [
          [0, 0],
          [(size - 1) * dilation, 0],
          [0, 0],
        ])
      : x;
    return this.finish(tf.conv1d(input as tf.Tensor3D, kernel, strides[0] as number, isCausal ? 'valid' : padding));
  }
}

/**
 * 3-D convolution over volumes: y = activation(conv(x, kernel) + bias).
 *
 * Input [N, D, H, W, C], output [N, OD, OH, OW, filters]; parameters `kernel` [KD, KH, KW, C, filters], `bias` [filters].
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no volume or smaller than the kernel
 */
export class Conv3D extends ConvND {
  readonly type = 'conv3d';

  constructor(options: ConvOptions) {
    super('conv3d', options, 3);
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const { strides, dilations, padding } = this.convolution;
    const kernel = dilateKernel(this.kernel as tf.Tensor, dilations) as tf.Tensor5D;
    const steps = [...strides] as [number, number, number];
    return this.finish(tf.conv3d(x as tf.Tensor5D, kernel, steps, padding as 'valid' | 'same'));
  }
}

registerLayer('conv1d', (config) => new Conv1D(config as unknown as ConvOptions));
registerLayer('conv3d', (config) => new Conv3D(config as unknown as ConvOptions));
