/** Geometry of convolutions and pooling: tfjs attributes as attributes of our ops. Images are [N, H, W, C] inside. */
import { backend_util } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';

export type Shape4 = [number, number, number, number];
export type Shape5 = [number, number, number, number, number];
export type Padding = 'valid' | 'same' | number | backend_util.ExplicitPadding;
export type Rounding = 'floor' | 'round' | 'ceil';
export type Pair = number | [number, number];
export type Triple = number | [number, number, number];

export interface ConvGeometry {
  /** Input, filter and output as the op sees them. */
  readonly input: Shape4;
  readonly filter: Shape4;
  readonly output: Shape4;
  /** stride_h stride_w dilation_h dilation_w pad_top pad_left */
  readonly ints: readonly number[];
}

export interface PoolGeometry {
  readonly input: Shape4;
  readonly output: Shape4;
  /** window_h window_w stride_h stride_w dilation_h dilation_w pad_top pad_left */
  readonly ints: readonly number[];
  /** The window is one element and moves by one: nothing is pooled. */
  readonly isIdentity: boolean;
}

/** Order of axes that turns [N, C, H, W] into [N, H, W, C], and the way back. */
export const TO_CHANNELS_LAST: readonly number[] = [0, 2, 3, 1];
export const TO_CHANNELS_FIRST: readonly number[] = [0, 3, 1, 2];

/** [N, C, H, W] as [N, H, W, C]. */
export function toChannelsLast([n, c, h, w]: readonly number[]): Shape4 {
  return [n, h, w, c] as Shape4;
}

/** [N, H, W, C] as [N, C, H, W]. */
export function toChannelsFirst([n, h, w, c]: readonly number[]): Shape4 {
  return [n, c, h, w] as Shape4;
}

/**
 * Geometry of a 2-D convolution.
 *
 * @param input  [N, H, W, C]
 * @param filter [KH, KW, C, Cout]
 * @throws E_SHAPE when the channels differ
 */
export function convGeometry(
  input: readonly number[],
  filter: readonly number[],
  options: { strides: Pair; dilations: Pair; pad: Padding; dimRoundingMode: Rounding | undefined },
): ConvGeometry {
  if (input[3] !== filter[2]) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[conv2d] channels differ: expected a filter [?, ?, ${String(input[3])}, ?] for an image [${input.join(', ')}], got [${filter.join(', ')}].`,
    );
  }
  const info = backend_util.computeConv2DInfo(
    input as Shape4,
    filter as Shape4,
    options.strides,
    options.dilations,
    options.pad,
    options.dimRoundingMode,
  );
  return {
    input: info.inShape,
    filter: info.filterShape,
    output: info.outShape,
    ints: [info.strideHeight, info.strideWidth, info.dilationHeight, info.dilationWidth, info.padInfo.top, info.padInfo.left],
  };
}

/**
 * Geometry of a depthwise 2-D convolution.
 *
 * @param input  [N, H, W, C]
 * @param filter [KH, KW, C, M]
 * @throws E_SHAPE when the channels differ, or when both strides and dilations are above 1, which tfjs does not define
 */
export function depthwiseGeometry(
  input: readonly number[],
  filter: readonly number[],
  options: { strides: Pair; dilations: Pair; pad: Padding; dimRoundingMode: Rounding | undefined },
): ConvGeometry {
  const { strides, dilations } = options;
  if (input[3] !== filter[2]) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[depthwiseConv2d] channels differ: expected a filter [?, ?, ${String(input[3])}, ?] for an image [${input.join(', ')}], got [${filter.join(', ')}].`,
    );
  }
  if (!backend_util.eitherStridesOrDilationsAreOne(strides, dilations)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[depthwiseConv2d] either strides or dilations must be 1, got strides ${String(strides)} and dilations ${String(dilations)}.`,
    );
  }
  const info = backend_util.computeConv2DInfo(
    input as Shape4,
    filter as Shape4,
    strides,
    dilations,
    options.pad,
    options.dimRoundingMode,
    true,
  );
  return {
    input: info.inShape,
    filter: info.filterShape,
    output: info.outShape,
    ints: [info.strideHeight, info.strideWidth, info.dilationHeight, info.dilationWidth, info.padInfo.top, info.padInfo.left],
  };
}

export interface Conv3DGeometry {
  /** Input, filter and output as the op sees them. */
  readonly input: Shape5;
  readonly filter: Shape5;
  readonly output: Shape5;
  /** stride_d stride_h stride_w dilation_d dilation_h dilation_w pad_front pad_top pad_left */
  readonly ints: readonly number[];
}

function ints3D(info: backend_util.Conv3DInfo): number[] {
  const { padInfo } = info;
  return [
    info.strideDepth,
    info.strideHeight,
    info.strideWidth,
    info.dilationDepth,
    info.dilationHeight,
    info.dilationWidth,
    padInfo.front,
    padInfo.top,
    padInfo.left,
  ];
}

/**
 * Geometry of a 3-D convolution.
 *
 * @param input  [N, D, H, W, C]
 * @param filter [KD, KH, KW, C, Cout]
 * @throws E_SHAPE when the channels differ
 */
export function conv3DGeometry(
  input: readonly number[],
  filter: readonly number[],
  options: { strides: Triple; dilations: Triple; pad: 'valid' | 'same' },
): Conv3DGeometry {
  if (input[4] !== filter[3]) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[conv3d] channels differ: expected a filter [?, ?, ?, ${String(input[4])}, ?] for an image [${input.join(', ')}], got [${filter.join(', ')}].`,
    );
  }
  const info = backend_util.computeConv3DInfo(
    input as Shape5,
    filter as Shape5,
    options.strides,
    options.dilations,
    options.pad,
  );
  return { input: info.inShape, filter: info.filterShape, output: info.outShape, ints: ints3D(info) };
}

export interface Pool3DGeometry {
  readonly input: Shape5;
  readonly output: Shape5;
  /** window_d window_h window_w, then as Conv3DGeometry */
  readonly ints: readonly number[];
}

/** Geometry of 3-D pooling. @param input [N, D, H, W, C] */
export function pool3DGeometry(
  input: readonly number[],
  options: { filterSize: Triple; strides: Triple; pad: 'valid' | 'same' | number; dimRoundingMode: Rounding | undefined },
): Pool3DGeometry {
  const { filterSize, strides, pad, dimRoundingMode } = options;
  const info = backend_util.computePool3DInfo(input as Shape5, filterSize, strides, 1, pad, dimRoundingMode);
  return {
    input: info.inShape,
    output: info.outShape,
    ints: [info.filterDepth, info.filterHeight, info.filterWidth, ...ints3D(info)],
  };
}

/** Geometry of 2-D pooling. @param input [N, H, W, C] */
export function poolGeometry(
  input: readonly number[],
  options: { filterSize: Pair; strides: Pair; pad: Padding; dimRoundingMode: Rounding | undefined },
): PoolGeometry {
  const info = backend_util.computePool2DInfo(
    input as Shape4,
    options.filterSize,
    options.strides,
    1,
    options.pad,
    options.dimRoundingMode,
  );
  return {
    input: info.inShape,
    output: info.outShape,
    ints: [
      info.filterHeight,
      info.filterWidth,
      info.strideHeight,
      info.strideWidth,
      info.dilationHeight,
      info.dilationWidth,
      info.padInfo.top,
      info.padInfo.left,
    ],
    isIdentity:
      info.filterHeight === 1 && info.filterWidth === 1 && info.inShape.every((dim, axis) => dim === info.outShape[axis]),
  };
}
