import { TensorkilnError } from '../errors.js';
import type { LayerDescription, WeightDescription } from '../nn/description.js';

/** An E_EXPORT error about one layer. */
export function layerError(layer: LayerDescription, problem: string): TensorkilnError {
  return new TensorkilnError('E_EXPORT', `[onnx] layer '${layer.name}' (${layer.type}): ${problem}`);
}

/** A pair such as a kernel size: both numbers, or one for both. */
export function readPair(layer: LayerDescription, key: string, fallback?: readonly [number, number]): [number, number] {
  const value = layer.config[key] ?? fallback;
  const pair: readonly unknown[] = Array.isArray(value) ? value : [value, value];
  if (pair.length !== 2 || !pair.every((entry) => Number.isInteger(entry) && (entry as number) > 0)) {
    throw layerError(layer, `${key} must be a positive integer or two of them, got ${JSON.stringify(value)}.`);
  }
  return [pair[0] as number, pair[1] as number];
}

/** A number with a default for a key that is absent. */
export function readNumber(layer: LayerDescription, key: string, fallback: number): number {
  const value = layer.config[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw layerError(layer, `${key} must be a finite number, got ${JSON.stringify(value)}.`);
  }
  return value;
}

/** A weight that the layer must have, with its size checked against `shape`. */
export function readWeight(layer: LayerDescription, name: string, shape: readonly number[]): WeightDescription {
  const weight = layer.weights[name];
  if (weight === undefined) {
    throw layerError(layer, `weight '${name}' is missing: expected shape [${shape.join(',')}].`);
  }
  const fits = weight.shape.length === shape.length && shape.every((size, axis) => size === weight.shape[axis]);
  if (!fits || weight.data.length !== shape.reduce((product, size) => product * size, 1)) {
    throw layerError(
      layer,
      `weight '${name}' has the wrong size: expected [${shape.join(',')}], got [${weight.shape.join(',')}] ` +
        `with ${weight.data.length} values.`,
    );
  }
  return weight;
}

/** An image shape [H,W,C]. */
export function readImageShape(layer: LayerDescription, shape: readonly number[]): [number, number, number] {
  const [height, width, channels, ...rest] = shape;
  if (height === undefined || width === undefined || channels === undefined || rest.length > 0) {
    throw layerError(layer, `needs an image of shape [H,W,C], got [${shape.join(',')}].`);
  }
  return [height, width, channels];
}

/** Where a sliding window goes: output size and explicit padding in ONNX order [top, left, bottom, right]. */
export interface WindowGeometry {
  readonly outputSize: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/**
 * Geometry of a convolution or pooling. 'same' keeps ceil(size / stride) positions and puts the odd padding cell at the
 * bottom and right; 'valid' pads nothing.
 *
 * @source TensorFlow API documentation of `tf.nn.convolution`, padding notes
 */
export function readWindow(
  layer: LayerDescription,
  inputSize: readonly [number, number],
  kernelSize: readonly [number, number],
  strides: readonly [number, number],
  dilations: readonly [number, number],
): WindowGeometry {
  const padding = layer.config['padding'] ?? 'valid';
  if (padding !== 'same' && padding !== 'valid') {
    throw layerError(layer, `padding must be 'same' or 'valid', got ${JSON.stringify(padding)}.`);
  }
  const [vertical, horizontal] = ([0, 1] as const).map((axis) => {
    const reach = (kernelSize[axis] - 1) * dilations[axis] + 1;
    const size = inputSize[axis];
    if (padding === 'valid') return { output: Math.floor((size - reach) / strides[axis]) + 1, before: 0, after: 0 };
    const output = Math.ceil(size / strides[axis]);
    const total = Math.max((output - 1) * strides[axis] + reach - size, 0);
    const before = Math.floor(total / 2);
    return { output, before, after: total - before };
  }) as [AxisWindow, AxisWindow];
  if (vertical.output < 1 || horizontal.output < 1) {
    throw layerError(layer, `the window [${kernelSize.join(',')}] is larger than the image [${inputSize.join(',')}].`);
  }
  return {
    outputSize: [vertical.output, horizontal.output],
    pads: [vertical.before, horizontal.before, vertical.after, horizontal.after],
  };
}

interface AxisWindow {
  readonly output: number;
  readonly before: number;
  readonly after: number;
}
