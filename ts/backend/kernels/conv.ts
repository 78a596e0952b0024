/** 2-D convolution and its gradients. Images are [N, H, W, C] inside; [N, C, H, W] is transposed at the door. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp } from '../../native/engine.js';
import {
  convGeometry,
  toChannelsLast,
  TO_CHANNELS_FIRST,
  TO_CHANNELS_LAST,
  type Padding,
  type Pair,
  type Rounding,
  type Shape4,
} from '../shapes/conv.js';
import { applyEpilogue } from './activation.js';
import { assertNumeric, consume, kernel, type Kernel } from './kernel.js';
import { slice, transpose } from './layout.js';

export interface ConvAttrs {
  strides: Pair;
  pad: Padding;
  dataFormat: 'NHWC' | 'NCHW';
  dilations?: Pair;
  dimRoundingMode?: Rounding;
}

const convOp = declareOp('conv2d');
const inputGradOp = declareOp('conv2d_input_grad');
const filterGradOp = declareOp('conv2d_filter_grad');

function geometryOf(input: readonly number[], filter: readonly number[], attrs: ConvAttrs): ReturnType<typeof convGeometry> {
  return convGeometry(input, filter, {
    strides: attrs.strides,
    dilations: attrs.dilations ?? 1,
    pad: channelsLastPadding(attrs),
    dimRoundingMode: attrs.dimRoundingMode,
  });
}

/** Explicit paddings come per axis in the caller's format. */
export function channelsLastPadding({ pad, dataFormat }: Pick<ConvAttrs, 'pad' | 'dataFormat'>): Padding {
  if (dataFormat !== 'NCHW' || !Array.isArray(pad)) return pad;
  return TO_CHANNELS_LAST.map((axis) => pad[axis]) as Padding;
}

/** Calls `body` with the image as [N, H, W, C]. */
export function withChannelsLast<Result>(
  backend: TensorkilnBackend,
  image: TensorInfo,
  format: ConvAttrs['dataFormat'],
  body: (image: TensorInfo) => Result,
): Result {
  if (format !== 'NCHW') return body(image);
  return consume(backend, transpose(backend, image, TO_CHANNELS_LAST), body);
}

/** Turns a result [N, H, W, C] into the caller's format; gives it up when that makes a new one. */
export function toFormat(backend: TensorkilnBackend, image: TensorInfo, format: ConvAttrs['dataFormat']): TensorInfo {
  return format !== 'NCHW' ? image : consume(backend, image, (last) => transpose(backend, last, TO_CHANNELS_FIRST));
}

/** The convolution itself, x and result [N, H, W, C]. */
function convChannelsLast(backend: TensorkilnBackend, x: TensorInfo, filter: TensorInfo, attrs: ConvAttrs): TensorInfo {
  const geometry = geometryOf(x.shape, filter.shape, attrs);
  return backend.run(
    convOp,
    [backend.operand(x), backend.operand(filter)],
    { shape: geometry.output, dtype: 'float32' },
    geometry.ints,
  );
}

/**
 * dy as large as the convolution's output. tf.conv2dTranspose accepts an image that is larger and leaves the rest out.
 *
 * @throws E_SHAPE when dy is smaller
 */
function gradientOfOutput(backend: TensorkilnBackend, dy: TensorInfo, output: Shape4): TensorInfo {
  if (dy.shape.some((dim, axis) => dim < (output[axis] as number))) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[conv2d gradient] dy is too small: expected [${output.join(', ')}], got [${dy.shape.join(', ')}] (as [N, H, W, C]).`,
    );
  }
  return slice(backend, dy, [0, 0, 0, 0], output);
}

function inputGrad(
  backend: TensorkilnBackend,
  dy: TensorInfo,
  filter: TensorInfo,
  attrs: ConvAttrs & { inputShape: Shape4 },
): TensorInfo {
  const shape = attrs.dataFormat === 'NCHW' ? toChannelsLast(attrs.inputShape) : attrs.inputShape;
  const geometry = geometryOf(shape, filter.shape, attrs);
  const dx = withChannelsLast(backend, dy, attrs.dataFormat, (last) =>
    consume(backend, gradientOfOutput(backend, last, geometry.output), (gradient) =>
      backend.run(
        inputGradOp,
        [backend.operand(gradient), backend.operand(filter)],
        { shape: geometry.input, dtype: 'float32' },
        geometry.ints,
      ),
    ),
  );
  return toFormat(backend, dx, attrs.dataFormat);
}

function filterGrad(
  backend: TensorkilnBackend,
  x: TensorInfo,
  dy: TensorInfo,
  attrs: ConvAttrs & { filterShape: Shape4 },
): TensorInfo {
  return withChannelsLast(backend, x, attrs.dataFormat, (xLast) =>
    withChannelsLast(backend, dy, attrs.dataFormat, (dyLast) => {
      const geometry = geometryOf(xLast.shape, attrs.filterShape, attrs);
      return consume(backend, gradientOfOutput(backend, dyLast, geometry.output), (gradient) =>
        backend.run(
          filterGradOp,
          [backend.operand(xLast), backend.operand(gradient)],
          { shape: geometry.filter, dtype: 'float32' },
          geometry.ints,
        ),
      );
    }),
  );
}

export const convKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo; filter: TensorInfo }, ConvAttrs>('Conv2D', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.x, inputs.filter], 'conv2d');
    const y = withChannelsLast(backend, inputs.x, attrs.dataFormat, (x) => convChannelsLast(backend, x, inputs.filter, attrs));
    return toFormat(backend, y, attrs.dataFormat);
  }),
  kernel<{ dy: TensorInfo; filter: TensorInfo }, ConvAttrs & { inputShape: Shape4 }>(
    'Conv2DBackpropInput',
    ({ inputs, attrs, backend }) => {
      assertNumeric([inputs.dy, inputs.filter], 'conv2dBackpropInput');
      return inputGrad(backend, inputs.dy, inputs.filter, attrs);
    },
  ),
  kernel<{ x: TensorInfo; dy: TensorInfo }, ConvAttrs & { filterShape: Shape4 }>(
    'Conv2DBackpropFilter',
    ({ inputs, attrs, backend }) => {
      assertNumeric([inputs.x, inputs.dy], 'conv2dBackpropFilter');
      return filterGrad(backend, inputs.x, inputs.dy, attrs);
    },
  ),
  kernel<
    { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo },
    ConvAttrs & { activation?: string; leakyreluAlpha?: number }
  >('FusedConv2D', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.x, inputs.filter], 'conv2d');
    // Bias and activation run with channels last, where a vector over channels broadcasts by itself. Weights of prelu per
    // position come in the caller's format and are turned with the image.
    const weights = inputs.preluActivationWeights;
    const turned =
      attrs.dataFormat === 'NCHW' && weights?.shape.length === 3 ? transpose(backend, weights, [1, 2, 0]) : undefined;
    const y = withChannelsLast(backend, inputs.x, attrs.dataFormat, (x) =>
      applyEpilogue(backend, convChannelsLast(backend, x, inputs.filter, attrs), {
        bias: inputs.bias,
        activation: attrs.activation,
        preluActivationWeights: turned ?? weights,
        leakyreluAlpha: attrs.leakyreluAlpha,
      }),
    );
    if (turned !== undefined) backend.disposeIntermediate(turned);
    return toFormat(backend, y, attrs.dataFormat);
  }),
];
