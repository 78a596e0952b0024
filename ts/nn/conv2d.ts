import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkOneOf } from '../arguments.js';
import { conv2dDilated } from '../backend/custom/conv2d-dilated.js';
import { TensorkilnError } from '../errors.js';
import { activate, ACTIVATIONS, type ActivationName } from './activations.js';
import { INITIALIZERS, type InitializerName } from './initializers.js';
import { checkLayerOptions, UnaryLayer, type LayerOptions } from './layer.js';
import { registerLayer } from './registry.js';
import type { Shape } from './shape.js';
import { checkPair, PADDINGS, windowPositions, type Padding, type Pair } from './window.js';

export interface Conv2DOptions extends LayerOptions {
  /** Number of output channels, >= 1. */
  readonly filters: number;
  /** [height, width] of the kernel. */
  readonly kernelSize: Pair;
  /** [height, width]; default 1. */
  readonly strides?: Pair;
  /** Default 'valid'. */
  readonly padding?: Padding;
  /** Distance between kernel taps, [height, width]; default 1. Strides must be 1 when it is larger. */
  readonly dilations?: Pair;
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
 * 2-D convolution (correlation, as in every framework) over NHWC images: y = activation(conv(x, kernel) + bias).
 *
 * Input [N, H, W, C], output [N, OH, OW, filters]; parameters `kernel` [KH, KW, C, filters] and `bias` [filters], float32.
 *
 * @throws E_CONFIG for wrong options; E_SHAPE at build when the input is no image or smaller than the kernel
 */
export class Conv2D extends UnaryLayer {
  readonly type = 'conv2d';
  readonly #filters: number;
  readonly #kernelSize: readonly [number, number];
  readonly #strides: readonly [number, number];
  readonly #padding: Padding;
  readonly #dilations: readonly [number, number];
  readonly #activation: ActivationName;
  readonly #useBias: boolean;
  readonly #kernelInitializer: InitializerName;
  readonly #biasInitializer: InitializerName;
  #kernel: tf.Variable | undefined;
  #bias: tf.Variable | undefined;

  constructor(options: Conv2DOptions) {
    checkLayerOptions('conv2d', options, [
      'filters',
      'kernelSize',
      'strides',
      'padding',
      'dilations',
      'activation',
      'useBias',
      'kernelInitializer',
      'biasInitializer',
    ]);
    super(options);
    this.#filters = checkInteger('conv2d', 'filters', options.filters, { min: 1 });
    this.#kernelSize = checkPair('conv2d', 'kernelSize', options.kernelSize);
    this.#strides = checkPair('conv2d', 'strides', options.strides ?? 1);
    this.#padding = checkOneOf('conv2d', 'padding', options.padding ?? 'valid', PADDINGS);
    this.#dilations = checkPair('conv2d', 'dilations', options.dilations ?? 1);
    if (Math.max(...this.#strides) > 1 && Math.max(...this.#dilations) > 1) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[conv2d] strides and dilations exclude each other: got strides [${this.#strides.join(', ')}] and dilations [${this.#dilations.join(', ')}].`,
      );
    }
    this.#activation = checkOneOf('conv2d', 'activation', options.activation ?? 'linear', ACTIVATIONS);
    this.#useBias = checkBoolean('conv2d', 'useBias', options.useBias ?? true);
    this.#kernelInitializer = checkOneOf(
      'conv2d',
      'kernelInitializer',
      options.kernelInitializer ?? 'glorot_uniform',
      INITIALIZERS,
    );
    this.#biasInitializer = checkOneOf('conv2d', 'biasInitializer', options.biasInitializer ?? 'zeros', INITIALIZERS);
  }

  override computeOutputShape(inputShape: Shape): Shape {
    const [height, width] = inputShape;
    if (inputShape.length !== 3 || height === undefined || width === undefined) {
      throw this.shapeError('wrong input shape', '[N, H, W, C]', `[${['N', ...inputShape].join(', ')}]`);
    }
    const sizes = [height, width].map((size, axis) =>
      windowPositions(size, {
        window: this.#kernelSize[axis] as number,
        stride: this.#strides[axis] as number,
        dilation: this.#dilations[axis] as number,
        padding: this.#padding,
      }),
    );
    if (Math.min(...sizes) < 1) {
      const reach = this.#kernelSize.map((size, axis) => (size - 1) * (this.#dilations[axis] as number) + 1);
      throw this.shapeError('the kernel does not fit into the image', `at least ${reach.join(' x ')}`, `${height} x ${width}`);
    }
    return [...sizes, this.#filters];
  }

  protected override createUnaryParameters(inputShape: Shape): void {
    this.#kernel = this.addParameter(
      'kernel',
      [...this.#kernelSize, inputShape[2] as number, this.#filters],
      this.#kernelInitializer,
    );
    this.#bias = this.#useBias ? this.addParameter('bias', [this.#filters], this.#biasInitializer) : undefined;
  }

  protected override transform(x: tf.Tensor): tf.Tensor {
    const images = x as tf.Tensor4D;
    const kernel = this.#kernel as tf.Tensor as tf.Tensor4D;
    const product =
      Math.max(...this.#dilations) > 1
        ? conv2dDilated(images, kernel, { padding: this.#padding, dilations: this.#dilations })
        : tf.conv2d(images, kernel, [...this.#strides], this.#padding);
    const sum = this.#bias === undefined ? product : tf.add(product, this.#bias);
    return this.#activation === 'linear' ? sum : activate(this.#activation, sum);
  }

  override getConfig(): Readonly<Record<string, unknown>> {
    return {
      filters: this.#filters,
      kernelSize: this.#kernelSize,
      strides: this.#strides,
      padding: this.#padding,
      dilations: this.#dilations,
      activation: this.#activation,
      useBias: this.#useBias,
      kernelInitializer: this.#kernelInitializer,
      biasInitializer: this.#biasInitializer,
    };
  }
}

registerLayer('conv2d', (config) => new Conv2D(config as unknown as Conv2DOptions));
