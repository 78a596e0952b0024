/** Geometry of windows over 1, 2 or 3 axes, shared by convolutions and poolings. */
import * as tf from '@tensorflow/tfjs-core';
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import type { Shape } from './shape.js';
import { windowPositions, type Padding } from './window.js';

/** One size per axis; a single number stands for all. */
export type Sizes = number | readonly number[];

/** How errors name the input of layers over `rank` axes. */
export const INPUT_FORMS: Readonly<Record<number, string>> = { 1: '[N, T, C]', 2: '[N, H, W, C]', 3: '[N, D, H, W, C]' };

/** Checks one positive integer per axis. @throws E_CONFIG naming place, key and value */
export function checkSizes(place: string, key: string, value: unknown, rank: number, min = 1): readonly number[] {
  const sizes: unknown[] = Array.isArray(value) ? value : Array.from({ length: rank }, () => value);
  const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && (size as number) >= min;
  if (sizes.length !== rank || !sizes.every(isSize)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong ${key}: expected an integer >= ${min}${rank === 1 ? '' : ` or ${rank} of them`}, got ${show(value)}.`,
    );
  }
  return sizes;
}

/** Number of window positions along each axis; 0 or less where the window does not fit. */
export function slidingSizes(
  input: Shape,
  window: readonly number[],
  options: { strides: readonly number[]; dilations?: readonly number[]; padding: Padding },
): number[] {
  return window.map((size, axis) =>
    windowPositions(input[axis] as number, {
      window: size,
      stride: options.strides[axis] as number,
      dilation: options.dilations?.[axis] ?? 1,
      padding: options.padding,
    }),
  );
}

/** Zeros before and after each axis, as 'same' padding puts them: an odd one after. */
export function samePadding(
  input: Shape,
  window: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): [number, number][] {
  return window.map((size, axis) => {
    const [extent, stride] = [input[axis] as number, strides[axis] as number];
    const reach = (size - 1) * (dilations[axis] as number) + 1;
    const total = Math.max(0, (Math.ceil(extent / stride) - 1) * stride + reach - extent);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
}

/**
 * A kernel with zeros between its taps, so that a plain convolution with it is the dilated one; for convolutions whose
 * gradient tfjs-core does not know with dilations.
 *
 * @param kernel    [K1, ..., Kr, a, b]
 * @param dilations r distances
 */
export function dilateKernel(kernel: tf.Tensor, dilations: readonly number[]): tf.Tensor {
  return dilations.reduce<tf.Tensor>((spread, dilation, axis) => {
    if (dilation === 1) return spread;
    const { shape } = spread;
    const [before, size, after] = [shape.slice(0, axis), shape[axis] as number, shape.slice(axis + 1)];
    const [outer, inner] = [before, after].map((dims) => dims.reduce((product, dim) => product * dim, 1)) as [number, number];
    const padded = tf.pad(tf.reshape(spread, [outer, size, 1, inner]), [
      [0, 0],
      [0, 0],
      [0, dilation - 1],
      [0, 0],
    ]);
    const reach = (size - 1) * dilation + 1;
    const taps = tf.slice(tf.reshape(padded, [outer, size * dilation, inner]), [0, 0, 0], [outer, reach, inner]);
    return tf.reshape(taps, [...before, reach, ...after]);
  }, kernel);
}
