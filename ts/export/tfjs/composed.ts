/** What tfjs-layers has no layer for, made of several. */
import type { WeightDescription } from '../../nn/index.js';
import type { LayerCall } from '../model-graph.js';
import { convolution } from './convolutions.js';
import { plain, type TfjsLayer, type Writer } from './parts.js';

/** Zeros before the first place, as many as the kernel reaches back, then a plain convolution. */
export function causalConvolution(call: LayerCall): readonly TfjsLayer[] {
  const [length, channels] = call.inputShapes[0] as readonly [number, number];
  const [[size], [dilation]] = [call.config['kernelSize'], call.config['dilations']] as readonly [
    readonly [number],
    readonly [number],
  ];
  const reach = (size - 1) * dilation;
  return [
    reshape([length, 1, channels]),
    bordered('ZeroPadding2D', 'padding', [
      [reach, 0],
      [0, 0],
    ]),
    reshape([length + reach, channels]),
    ...convolution('Conv1D')({ ...call, config: { ...call.config, padding: 'valid' } }),
  ];
}

/** A layer over a sequence as one over images that are one pixel wide. */
export function asImage(call: LayerCall, write: Writer): readonly TfjsLayer[] {
  const wide = ([length, channels]: readonly number[]): readonly number[] => [length as number, 1, channels as number];
  const { kernelSize, strides, dilations } = call.config as Readonly<Record<string, readonly [number]>>;
  const isDepthwise = call.weights['depthwise_kernel'] !== undefined;
  const config = {
    ...call.config,
    kernelSize: [kernelSize![0], 1],
    // Depthwise kernels want equal strides; one pixel has one position with any of them.
    strides: [strides![0], isDepthwise ? strides![0] : 1],
    dilations: [dilations![0], 1],
  };
  const weights = Object.fromEntries(
    Object.entries(call.weights).map(([name, weight]) => {
      const [length, ...rest] = weight.shape;
      const isKernel = name === 'kernel' || name === 'depthwise_kernel';
      return [name, isKernel ? { ...weight, shape: [length as number, 1, ...rest] } : weight];
    }),
  );
  const inputShapes = [wide(call.inputShapes[0]!)];
  const layers = write({ ...call, config, weights, inputShapes, outputShapes: [wide(call.outputShapes[0]!)] });
  return [reshape(inputShapes[0]!), ...layers, reshape(call.outputShapes[0]!)];
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export function reshape(shape: readonly number[]): TfjsLayer {
  return plain('Reshape', { target_shape: shape });
}

/** The places of a volume [D, H, W, C] as an image. */
export function placesAsImage({ inputShapes: [shape] }: LayerCall): readonly number[] {
  const [depth, height, width, channels] = shape as readonly [number, number, number, number];
  return [depth * height, width, channels];
}

export type Margin = readonly [number, number];
/** Of one axis: cells before and after, or how often each is repeated. */
export type Setting = Margin | number;

export function bordered(className: string, key: string, margins: readonly Setting[]): TfjsLayer {
  return plain(className, { [key]: margins, data_format: 'channels_last' });
}

export function repeated(size: readonly Setting[]): TfjsLayer {
  return plain('UpSampling2D', { size, interpolation: 'nearest', data_format: 'channels_last' });
}

/** A change of a sequence's length as one of an image that is one pixel wide. */
export function alongTime(call: LayerCall, key: string, write: (setting: Setting) => TfjsLayer): readonly TfjsLayer[] {
  const [length, channels] = call.inputShapes[0] as readonly [number, number];
  const [setting] = call.config[key] as readonly [Setting];
  return [reshape([length, 1, channels]), write(setting), reshape(call.outputShapes[0]!)];
}

/** What `write` leaves alone along an axis. */
export const NOTHING: Readonly<Record<string, Setting>> = { padding: [0, 0], cropping: [0, 0], size: 1 };

/** A change of a volume's size as two of images: its first two axes, then the third. */
export function alongVolume(
  call: LayerCall,
  key: string,
  write: (settings: readonly Setting[]) => TfjsLayer,
): readonly TfjsLayer[] {
  const [depth, height, width, channels] = call.inputShapes[0] as readonly [number, number, number, number];
  const after = call.outputShapes[0] as readonly [number, number, number, number];
  const [first, second, third] = call.config[key] as readonly [Setting, Setting, Setting];
  return [
    reshape([depth, height, width * channels]),
    write([first, second]),
    reshape([after[0] * after[1], width, channels]),
    write([NOTHING[key] as Setting, third]),
    reshape(after),
  ];
}

export const negative = (): TfjsLayer => plain('Rescaling', { scale: -1, offset: 0 });

export function transposeMatrix({ shape, data }: WeightDescription): Float32Array {
  const [height, width] = shape as readonly [number, number];
  return data.map((_, place) => data[(place % height) * width + Math.floor(place / height)] as number);
}

/** A batch norm of mean 0 and variance 1 with next to nothing added to it: y = x * gamma + beta over the last axis. */
export function affine(
  size: number,
  {
    gamma,
    beta,
    trainable = true,
  }: { readonly gamma?: Float32Array; readonly beta?: Float32Array; readonly trainable?: boolean },
): TfjsLayer {
  const weight = (data: Float32Array): WeightDescription => ({ shape: [size], data });
  return {
    className: 'BatchNormalization',
    config: { axis: -1, momentum: 1, epsilon: 1e-12, scale: gamma !== undefined, center: beta !== undefined, trainable },
    weights: [
      ...(gamma === undefined ? [] : [['gamma', weight(gamma), trainable] as const]),
      ...(beta === undefined ? [] : [['beta', weight(beta), trainable] as const]),
      ['moving_mean', weight(new Float32Array(size)), false],
      ['moving_variance', weight(new Float32Array(size).fill(1)), false],
    ],
  };
}

/** The scale and offset of a norm, where it has them. */
export function perChannel(call: LayerCall): readonly TfjsLayer[] {
  const { scale, offset } = call.weights;
  if (scale === undefined && offset === undefined) return [];
  const given = {
    ...(scale === undefined ? {} : { gamma: scale.data }),
    ...(offset === undefined ? {} : { beta: offset.data }),
  };
  return [affine(call.inputShapes[0]!.at(-1) as number, given)];
}

export const unscaled = (call: LayerCall): Readonly<Record<string, unknown>> => ({
  epsilon: call.config['epsilon'],
  scale: false,
  center: false,
});

/** Added to squared lengths by UnitNorm. */
export const TINY_LENGTH = 1e-12;

/** x / sqrt(mean x^2 + epsilon): the layer norm of x beside -x, whose mean is 0 and whose variance that mean square. */
export function rootMeanSquare(call: LayerCall, epsilon: number): readonly TfjsLayer[] {
  const shape = call.inputShapes[0]!;
  const channels = shape.at(-1) as number;
  return [
    negative(),
    { ...plain('Concatenate', { axis: -1 }), from: [-2, -1] },
    plain('LayerNormalization', { axis: -1, epsilon, scale: false, center: false }),
    reshape([sizeOf(shape) / channels, 2 * channels, 1]),
    bordered('Cropping2D', 'cropping', [
      [0, 0],
      [0, channels],
    ]),
    reshape(shape),
  ];
}

/** Adds a vector per place: all of a row in one axis, with an offset each. */
export function addAtPlaces(call: LayerCall, table: Float32Array, trainable: boolean): readonly TfjsLayer[] {
  const shape = call.inputShapes[0]!;
  const size = sizeOf(shape);
  return [reshape([size]), affine(size, { beta: table.slice(0, size), trainable }), reshape(shape)];
}

export function sinusoids({ inputShapes: [shape], config }: LayerCall): Float32Array {
  const [length, size] = shape as readonly [number, number];
  return Float32Array.from({ length: length * size }, (_, i) => {
    const [place, channel] = [Math.floor(i / size), i % size];
    const angle = place / (config['base'] as number) ** ((channel - (channel % 2)) / size);
    return channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}
