/** Shapes and geometry of the image kernels; all images are [batch, height, width, channels]. */
import { backend_util, util } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';

export type ImageShape = [number, number, number, number];
type Pair = [number, number];

/**
 * Shape of `images` resized to `size`.
 *
 * @throws E_SHAPE when pixels would have to be made from an image without any
 */
export function resizedShape(images: readonly number[], size: Pair): ImageShape {
  const [batch, height, width, channels] = images as ImageShape;
  const shape: ImageShape = [batch, size[0], size[1], channels];
  if (height * width === 0 && util.sizeFromShape(shape) > 0) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[resize] an image without pixels cannot be resized: got [${images.join(', ')}] and size [${size.join(', ')}].`,
    );
  }
  return shape;
}

/** How a tensor is rearranged without looking at its elements: seen as `split`, axes permuted by `perm`, seen as `joined`. */
export interface Rearrangement {
  readonly split: readonly number[];
  readonly perm: readonly number[];
  readonly joined: readonly number[];
}

/**
 * Checks the block shape of a rearrangement.
 *
 * @param pairs one padding or crop per dimension of the block
 * @throws E_SHAPE
 */
export function checkBlocks(
  place: string,
  shape: readonly number[],
  blockShape: readonly number[],
  pairs: readonly unknown[],
): void {
  if (blockShape.length < shape.length && pairs.length === blockShape.length) return;
  throw new TensorkilnError(
    'E_SHAPE',
    `[${place}] expected one block size and one pair for up to ${String(shape.length - 1)} axes of [${shape.join(', ')}], got ${String(blockShape.length)} and ${String(pairs.length)}.`,
  );
}

/** Blocks of each image, after padding, become images of their own. */
export function spaceToBatch(padded: readonly number[], blockShape: number[]): Rearrangement {
  const blockSize = util.sizeFromShape(blockShape);
  const split = backend_util.getReshaped([...padded], blockShape, blockSize, false);
  return {
    split,
    perm: backend_util.getPermuted(split.length, blockShape.length, false),
    joined: backend_util.getReshapedPermuted([...padded], blockShape, blockSize, false),
  };
}

/** The inverse of spaceToBatch, before cropping. */
export function batchToSpace(shape: readonly number[], blockShape: number[]): Rearrangement {
  const blockSize = util.sizeFromShape(blockShape);
  const split = backend_util.getReshaped([...shape], blockShape, blockSize);
  return {
    split,
    perm: backend_util.getPermuted(split.length, blockShape.length),
    joined: backend_util.getReshapedPermuted([...shape], blockShape, blockSize),
  };
}

/** The slice that leaves out `[before, after]` elements of each axis behind the first; axes without a pair stay whole. */
export function cropped(shape: readonly number[], crops: readonly number[][]): { begin: number[]; size: number[] } {
  const begin = shape.map((_, axis) => (axis === 0 ? 0 : (crops[axis - 1]?.[0] ?? 0)));
  const size = shape.map((dim, axis) => dim - (begin[axis] as number) - (axis === 0 ? 0 : (crops[axis - 1]?.[1] ?? 0)));
  return { begin, size };
}

/** Channels become blocks of `blockSize` x `blockSize` pixels. */
export function depthToSpace(shape: readonly number[], blockSize: number, dataFormat: 'NHWC' | 'NCHW'): Rearrangement {
  if (dataFormat === 'NHWC') {
    const [batch, height, width, depth] = shape as ImageShape;
    const channels = depth / (blockSize * blockSize);
    return {
      split: [batch, height, width, blockSize, blockSize, channels],
      perm: [0, 1, 3, 2, 4, 5],
      joined: [batch, height * blockSize, width * blockSize, channels],
    };
  }
  const [batch, depth, height, width] = shape as ImageShape;
  const channels = depth / (blockSize * blockSize);
  return {
    split: [batch, blockSize, blockSize, channels, height, width],
    perm: [0, 3, 4, 1, 5, 2],
    joined: [batch, channels, height * blockSize, width * blockSize],
  };
}

export interface DilationAttrs {
  strides: Pair | number;
  pad: 'valid' | 'same' | number;
  dilations: Pair | number;
}

/** Output shape of a dilation, and the integer attributes of its ops. */
export function dilationGeometry(
  x: readonly number[],
  filter: readonly number[],
  { strides, pad, dilations }: DilationAttrs,
): { output: number[]; ints: number[] } {
  if (x[3] !== filter[2]) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[dilation2d] channels differ: expected a filter [?, ?, ${String(x[3])}] for an image [${x.join(', ')}], got [${filter.join(', ')}].`,
    );
  }
  const info = backend_util.computeDilation2DInfo(
    x as ImageShape,
    filter as [number, number, number],
    strides,
    pad,
    'NHWC',
    dilations,
  );
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  return {
    output: info.outShape,
    ints: [strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo.top, padInfo.left],
  };
}

/** What lies outside a rotated image, one value per channel; the last one stands for all channels after it. */
export function rotationFill(fill: number | [number, number, number], channels: number, dtype: string): number[] {
  if (typeof fill === 'number') return [fill];
  // As tfjs: the fourth channel is opacity, and whatever else is there gets no value, which an integer stores as 0.
  return [...fill, 255, dtype === 'float32' ? NaN : 0].slice(0, Math.max(channels, 1));
}
