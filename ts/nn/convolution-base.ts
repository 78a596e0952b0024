/** What all convolutions share: checked input shapes, window geometry, bias and activation. */
import * as tf from '@tensorflow/tfjs-core';
import { activate } from './activations.js';
import { CONVOLUTION_KEYS, readConvolution, type Convolution, type ConvolutionOptions } from './convolution-options.js';
import { checkLayerOptions, UnaryLayer } from './layer.js';
import type { ParameterOptions } from './parameter-options.js';
import { formatBatchShape, sizeOfShape, type Shape } from './shape.js';
import { INPUT_FORMS, slidingSizes } from './sliding.js';
import type { Padding } from './window.js';

export abstract class ConvolutionLayer extends UnaryLayer {
  protected readonly convolution: Convolution;
  #bias: tf.Variable | undefined;

  constructor(type: string, options: ConvolutionOptions, more: { readonly rank: number; readonly keys: readonly string[] }) {
    checkLayerOptions(type, options, [...CONVOLUTION_KEYS, ...more.keys]);
    super(options);
    this.convolution = readConvolution(type, options, more.rank);
  }

  /** Checks the rank of an input shape and splits it. @throws E_SHAPE */
  protected split(inputShape: Shape): { sizes: Shape; channels: number } {
    const { rank } = this.convolution;
    if (inputShape.length !== rank + 1) {
      throw this.shapeError('wrong input shape', INPUT_FORMS[rank] as string, formatBatchShape(inputShape));
    }
    return { sizes: inputShape.slice(0, rank), channels: inputShape[rank] as number };
  }

  /** Positions of the kernel. @throws E_SHAPE when it does not fit */
  protected positions(inputShape: Shape): number[] {
    const { kernelSize, strides, dilations, padding } = this.convolution;
    const { sizes } = this.split(inputShape);
    // Zeros before the first place are as many as the kernel reaches back, so that there is a position per stride.
    const rule: Padding = padding === 'causal' ? 'same' : padding;
    const outputs = slidingSizes(sizes, kernelSize, { strides, dilations, padding: rule });
    if (Math.min(...outputs) < 1) {
      const reach = kernelSize.map((size, axis) => (size - 1) * (dilations[axis] as number) + 1);
      throw this.shapeError('the kernel does not fit into the input', `at least ${reach.join(' x ')}`, sizes.join(' x '));
    }
    return outputs;
  }

  override isFlexible(axis: number, rank: number): boolean {
    return axis < rank - 1;
  }

  protected addBias(channels: number): void {
    const { bias } = this.convolution;
    this.#bias = bias === undefined ? undefined : this.addParameter('bias', [channels], bias);
  }

  /** Adds the bias and applies the activation. */
  protected finish(product: tf.Tensor): tf.Tensor {
    const sum = this.#bias === undefined ? product : tf.add(product, this.#bias);
    return this.convolution.activation === 'linear' ? sum : activate(this.convolution.activation, sum);
  }

  protected createKernel(name: string, shape: Shape, how: ParameterOptions = this.convolution.kernel): tf.Variable {
    return this.addParameter(name, shape, how);
  }

  /** Two per multiply-add of a kernel of `taps` weights per output channel. */
  protected flopsFor(taps: number, outputShape: Shape = this.outputShape): number {
    return 2 * taps * sizeOfShape(outputShape);
  }
}
