/** Convolutions. */
import type { WeightDescription } from '../../nn/index.js';
import type { LayerCall } from '../model-graph.js';
import { withActivation } from './activations.js';
import { hasBias, kernelAndBias, weightOf, type TfjsLayer, type Writer } from './parts.js';

export function convolution(className: string): Writer {
  return (call) => {
    const { filters } = call.config;
    return withActivation(call, className, { filters, ...window(call), use_bias: hasBias(call) }, kernelAndBias(call));
  };
}

export function window(call: LayerCall): Readonly<Record<string, unknown>> {
  const { kernelSize, strides, padding, dilations } = call.config;
  return {
    kernel_size: kernelSize,
    strides,
    padding,
    data_format: 'channels_last',
    ...(dilations === undefined ? {} : { dilation_rate: dilations }),
  };
}

export function depthwise(call: LayerCall): readonly TfjsLayer[] {
  const { depthMultiplier } = call.config;
  const { kernel, own } = withoutDilations(call);
  const config = { depth_multiplier: depthMultiplier, ...window(own), use_bias: hasBias(call) };
  return withActivation(call, 'DepthwiseConv2D', config, [
    ['depthwise_kernel', kernel, true],
    ...(hasBias(call) ? [['bias', weightOf(call, 'bias'), true] as const] : []),
  ]);
}

/** The layers do not know dilations in all places: the same kernel with zeros between its taps does without. */
export function withoutDilations(call: LayerCall): { readonly kernel: WeightDescription; readonly own: LayerCall } {
  const kernel = spreadTaps(weightOf(call, 'depthwise_kernel'), call.config['dilations'] as readonly number[]);
  const kernelSize = kernel.shape.slice(0, 2);
  return { kernel, own: { ...call, config: { ...call.config, kernelSize, dilations: undefined } } };
}

/** A kernel [KH,KW,...] with zeros between its taps. */
export function spreadTaps(kernel: WeightDescription, dilations: readonly number[]): WeightDescription {
  const [height, width, ...rest] = kernel.shape as readonly [number, number, ...number[]];
  const [down, right] = dilations as readonly [number, number];
  if (down === 1 && right === 1) return kernel;
  const size = rest.reduce((product, dim) => product * dim, 1);
  const shape = [(height - 1) * down + 1, (width - 1) * right + 1, ...rest];
  const data = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const from = (y * width + x) * size;
      data.set(kernel.data.subarray(from, from + size), (y * down * shape[1]! + x * right) * size);
    }
  }
  return { shape, data };
}

export function separable(call: LayerCall): readonly TfjsLayer[] {
  const { filters, depthMultiplier } = call.config;
  const { kernel, own } = withoutDilations(call);
  const config = { filters, depth_multiplier: depthMultiplier, ...window(own), use_bias: hasBias(call) };
  const pointwise = weightOf(call, 'pointwise_kernel');
  return withActivation(call, 'SeparableConv2D', config, [
    ['depthwise_kernel', kernel, true],
    ['pointwise_kernel', { ...pointwise, shape: [1, 1, ...pointwise.shape] }, true],
    ...(hasBias(call) ? [['bias', weightOf(call, 'bias'), true] as const] : []),
  ]);
}
