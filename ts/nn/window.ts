/** Geometry of windows that slide over images: pairs, padding rules, output sizes. */
import { show } from '../arguments.js';
import { TensorkilnError } from '../errors.js';

/** [height, width]; a single number stands for both. */
export type Pair = number | readonly [number, number];

export const PADDINGS = ['valid', 'same'] as const;
/** 'valid': no padding. 'same': output size is ceil(input / stride); an odd zero goes to the bottom and right. */
export type Padding = (typeof PADDINGS)[number];

/** Checks a pair of positive integers. @throws E_CONFIG naming place, key and value */
export function checkPair(place: string, key: string, value: unknown): readonly [number, number] {
  const [height, width, ...rest] = Array.isArray(value) ? (value as unknown[]) : [value, value];
  const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && (size as number) >= 1;
  if (rest.length > 0 || !isSize(height) || !isSize(width)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong ${key}: expected an integer >= 1 or a pair of them, got ${show(value)}.`,
    );
  }
  return [height, width];
}

/** Number of window positions along one axis; 0 or less when the window does not fit. */
export function windowPositions(
  size: number,
  options: { window: number; stride: number; dilation?: number; padding: Padding },
): number {
  const { window, stride, dilation = 1, padding } = options;
  if (padding === 'same') return Math.ceil(size / stride);
  return Math.floor((size - ((window - 1) * dilation + 1)) / stride) + 1;
}
