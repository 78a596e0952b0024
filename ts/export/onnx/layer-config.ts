import { TensorkilnError } from '../../errors.js';
import type { WeightDescription } from '../../nn/index.js';
import { isSameShape, type LayerSpec } from '../model-graph.js';

/** An E_EXPORT error about one layer. */
export function layerError(layer: Pick<LayerSpec, 'name' | 'type'>, problem: string): TensorkilnError {
  return new TensorkilnError('E_EXPORT', `[onnx] layer '${layer.name}' (${layer.type}): ${problem}`);
}

/** A list with one positive integer per axis: kernel sizes and the like; a single number stands for all. */
export function readSizes(layer: LayerSpec, key: string, rank: number, fallback?: readonly number[]): readonly number[] {
  const value = layer.config[key] ?? fallback;
  const sizes: readonly unknown[] = Array.isArray(value) ? value : Array.from({ length: rank }, () => value);
  if (sizes.length !== rank || !sizes.every((size) => Number.isInteger(size) && (size as number) > 0)) {
    const wanted = rank === 1 ? 'a positive integer' : `a positive integer or ${rank} of them`;
    throw layerError(layer, `${key} must be ${wanted}, got ${JSON.stringify(value)}.`);
  }
  return sizes as readonly number[];
}

/** A number with a default for a key that is absent. */
export function readNumber(layer: LayerSpec, key: string, fallback: number): number {
  const value = layer.config[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw layerError(layer, `${key} must be a finite number, got ${JSON.stringify(value)}.`);
  }
  return value;
}

/** A weight that the layer must have, with its size checked against `shape`. */
export function readWeight(layer: LayerSpec, name: string, shape: readonly number[]): WeightDescription {
  const weight = layer.weights[name];
  if (weight === undefined) {
    throw layerError(layer, `weight '${name}' is missing: expected shape [${shape.join(',')}].`);
  }
  if (!isSameShape(weight.shape, shape) || weight.data.length !== shape.reduce((product, size) => product * size, 1)) {
    throw layerError(
      layer,
      `weight '${name}' has the wrong size: expected [${shape.join(',')}], got [${weight.shape.join(',')}] ` +
        `with ${weight.data.length} values.`,
    );
  }
  return weight;
}

/** The weight, or undefined when the layer has none of that name. */
export function optionalWeight(layer: LayerSpec, name: string, shape: readonly number[]): WeightDescription | undefined {
  return layer.weights[name] === undefined ? undefined : readWeight(layer, name, shape);
}

/** A layer inside another: its weights are those under `part/`. */
export function partOf(
  layer: LayerSpec,
  part: string,
  own: Pick<LayerSpec, 'type' | 'config'> & Partial<Pick<LayerSpec, 'inputShapes' | 'outputShapes'>>,
): LayerSpec {
  const prefix = `${part}/`;
  const weights = Object.entries(layer.weights).filter(([name]) => name.startsWith(prefix));
  return {
    inputShapes: layer.inputShapes,
    outputShapes: layer.outputShapes,
    ...own,
    name: `${layer.name}/${part}`,
    weights: Object.fromEntries(weights.map(([name, weight]) => [name.slice(prefix.length), weight])),
  };
}

const PLACES: Readonly<Record<number, string>> = {
  1: 'a sequence of shape [T,C]',
  2: 'an image of shape [H,W,C]',
  3: 'a volume of shape [D,H,W,C]',
};

/** Places and channels of a shape with `rank` axes of places. */
export function readPlaces(
  layer: LayerSpec,
  shape: readonly number[],
  rank: number,
): { readonly sizes: readonly number[]; readonly channels: number } {
  if (shape.length !== rank + 1) throw layerError(layer, `needs ${PLACES[rank]}, got [${shape.join(',')}].`);
  return { sizes: shape.slice(0, rank), channels: shape[rank] as number };
}

/** Where a sliding window goes: how many places, and explicit padding in ONNX order: all that come before, then all after. */
export interface WindowGeometry {
  readonly outputSizes: readonly number[];
  readonly pads: readonly number[];
  /** Whether the padding depends on the size of the input. */
  readonly dependsOnSize: boolean;
}

export interface Window {
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
}

/**
 * Geometry of a convolution or pooling. 'same' keeps ceil(size / stride) places and puts the odd cell of padding after; 'valid' pads
 * nothing; 'causal' pads before alone.
 *
 * @source TensorFlow API documentation of `tf.nn.convolution`, padding notes
 */
export function readWindow(layer: LayerSpec, sizes: readonly number[], window: Window): WindowGeometry {
  const padding = layer.config['padding'] ?? 'valid';
  const isCausal = padding === 'causal' && layer.type === 'conv1d';
  if (padding !== 'same' && padding !== 'valid' && !isCausal) {
    throw layerError(layer, `padding must be 'same' or 'valid', got ${JSON.stringify(padding)}.`);
  }
  const axes = sizes.map((size, axis) => {
    const stride = window.strides[axis] as number;
    const reach = ((window.kernelSize[axis] as number) - 1) * (window.dilations[axis] as number) + 1;
    if (padding === 'valid') return { output: Math.floor((size - reach) / stride) + 1, before: 0, after: 0 };
    const output = Math.ceil(size / stride);
    if (isCausal) return { output, before: reach - 1, after: 0 };
    const total = Math.max((output - 1) * stride + reach - size, 0);
    const before = Math.floor(total / 2);
    return { output, before, after: total - before };
  });
  if (axes.some(({ output }) => output < 1)) {
    const what = sizes.length === 2 ? 'image' : 'input';
    throw layerError(layer, `the window [${window.kernelSize.join(',')}] is larger than the ${what} [${sizes.join(',')}].`);
  }
  return {
    outputSizes: axes.map(({ output }) => output),
    pads: [...axes.map(({ before }) => before), ...axes.map(({ after }) => after)],
    dependsOnSize: padding === 'same' && window.strides.some((stride) => stride > 1),
  };
}
