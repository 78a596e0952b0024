/** Depthwise 2-D convolution and its gradients. Images are [N, H, W, C] inside; [N, C, H, W] is transposed at the door. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp } from '../../native/engine.js';
import { depthwiseGeometry, type Shape4 } from '../shapes/conv.js';
import { applyEpilogue } from './activation.js';
import { channelsLastPadding, toFormat, withChannelsLast, type ConvAttrs } from './conv.js';
import { assertNumeric, assertShape, kernel, type Kernel } from './kernel.js';

/** The gradient kernels get no data format: tfjs-core differentiates [N, H, W, C] only. */
type GradAttrs = Omit<ConvAttrs, 'dataFormat'>;

const convOp = declareOp('depthwise_conv2d');
const inputGradOp = declareOp('depthwise_conv2d_input_grad');
const filterGradOp = declareOp('depthwise_conv2d_filter_grad');

function geometryOf(
  input: readonly number[],
  filter: readonly number[],
  attrs: GradAttrs & Partial<Pick<ConvAttrs, 'dataFormat'>>,
): ReturnType<typeof depthwiseGeometry> {
  return depthwiseGeometry(input, filter, {
    strides: attrs.strides,
    // Null when a converted model leaves it out.
    dilations: attrs.dilations ?? 1,
    pad: channelsLastPadding({ pad: attrs.pad, dataFormat: attrs.dataFormat ?? 'NHWC' }),
    dimRoundingMode: attrs.dimRoundingMode,
  });
}

/** The convolution itself, x and result [N, H, W, C]. */
function convChannelsLast(backend: TensorkilnBackend, x: TensorInfo, filter: TensorInfo, attrs: ConvAttrs): TensorInfo {
  const { output, ints } = geometryOf(x.shape, filter.shape, attrs);
  return backend.run(convOp, [backend.operand(x), backend.operand(filter)], { shape: output, dtype: 'float32' }, ints);
}

export const depthwiseKernels: readonly Kernel[] = [
  kernel<{ x: TensorInfo; filter: TensorInfo }, ConvAttrs>('DepthwiseConv2dNative', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.x, inputs.filter], 'depthwiseConv2d');
    const y = withChannelsLast(backend, inputs.x, attrs.dataFormat, (x) => convChannelsLast(backend, x, inputs.filter, attrs));
    return toFormat(backend, y, attrs.dataFormat);
  }),
  kernel<{ dy: TensorInfo; filter: TensorInfo }, GradAttrs & { inputShape: Shape4 }>(
    'DepthwiseConv2dNativeBackpropInput',
    ({ inputs: { dy, filter }, attrs, backend }) => {
      assertNumeric([dy, filter], 'depthwiseConv2dBackpropInput');
      const { input, output, ints } = geometryOf(attrs.inputShape, filter.shape, attrs);
      assertShape('depthwiseConv2dBackpropInput: dy', dy, output);
      return backend.run(inputGradOp, [backend.operand(dy), backend.operand(filter)], { shape: input, dtype: 'float32' }, ints);
    },
  ),
  kernel<{ x: TensorInfo; dy: TensorInfo }, GradAttrs & { filterShape: Shape4 }>(
    'DepthwiseConv2dNativeBackpropFilter',
    ({ inputs: { x, dy }, attrs, backend }) => {
      assertNumeric([x, dy], 'depthwiseConv2dBackpropFilter');
      const { filter, output, ints } = geometryOf(x.shape, attrs.filterShape, attrs);
      assertShape('depthwiseConv2dBackpropFilter: dy', dy, output);
      return backend.run(filterGradOp, [backend.operand(x), backend.operand(dy)], { shape: filter, dtype: 'float32' }, ints);
    },
  ),
  kernel<
    { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo },
    ConvAttrs & { activation?: string; leakyreluAlpha?: number }
  >('FusedDepthwiseConv2D', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.x, inputs.filter], 'depthwiseConv2d');
    const y = withChannelsLast(backend, inputs.x, attrs.dataFormat, (x) =>
      applyEpilogue(backend, convChannelsLast(backend, x, inputs.filter, attrs), {
        bias: inputs.bias,
        activation: attrs.activation,
        preluActivationWeights: inputs.preluActivationWeights,
        leakyreluAlpha: attrs.leakyreluAlpha,
      }),
    );
    return toFormat(backend, y, attrs.dataFormat);
  }),
];
