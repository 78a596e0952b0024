/** Geometry of convolutions and pooling: tfjs attributes as attributes of our ops. Images are [N, H, W, C] inside. */
import { backend_util } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';

export type Shape4 = [number, number, number, number];
export type Padding = 'valid' | 'same' | number | backend_util.ExplicitPadding;
export type Rounding = 'floor' | 'round' | 'ceil';
export type Pair = number | [number, number];

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
