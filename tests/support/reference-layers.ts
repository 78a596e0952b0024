/** Layers computed from their descriptions in double precision, one loop per formula, for comparison with exported models. */
import type { LayerDescription, ModelDescription } from '../../ts/nn/description.js';
import { productOf } from './describe-model.js';

/** Outputs of a model for `rows` rows, [rows, ...outputShape]. */
export function runReference(model: ModelDescription, features: ArrayLike<number>, rows: number): Float64Array {
  let values = Float64Array.from(features);
  for (const layer of model.layers) {
    const rowSize = productOf(layer.inputShape);
    const results = Array.from({ length: rows }, (_, row) =>
      runLayer(layer, values.subarray(row * rowSize, (row + 1) * rowSize)),
    );
    values = Float64Array.from(results.flatMap((result) => [...result]));
  }
  return values;
}

function runLayer(layer: LayerDescription, x: Float64Array): Float64Array {
  switch (layer.type) {
    case 'dense':
      return activate(layer, dense(layer, x));
    case 'conv2d':
      return activate(layer, slide(layer, x, 'kernelSize', convolveAt(layer)));
    case 'max_pool2d':
      return slide(layer, x, 'poolSize', (cells, c) => [Math.max(...cells.map((cell) => cell.at(c)))]);
    case 'avg_pool2d':
      return slide(layer, x, 'poolSize', (cells, c) => [cells.reduce((sum, cell) => sum + cell.at(c), 0) / cells.length]);
    case 'activation':
      return activate(layer, x);
    case 'flatten':
    case 'dropout':
      return x;
    default:
      throw new Error(`no reference for ${layer.type}`);
  }
}

function dense(layer: LayerDescription, x: Float64Array): Float64Array {
  const [inputs, units] = layer.weights['kernel']!.shape as [number, number];
  const kernel = layer.weights['kernel']!.data;
  const bias = layer.weights['bias']?.data;
  const y = new Float64Array((x.length / inputs) * units);
  for (let j = 0; j < y.length; ++j) {
    const start = Math.floor(j / units) * inputs;
    const unit = j % units;
    y[j] = bias?.[unit] ?? 0;
    for (let i = 0; i < inputs; ++i) y[j]! += x[start + i]! * kernel[i * units + unit]!;
  }
  return y;
}

/** A cell of the image under the window: its place in the window and its channels. */
interface Cell {
  readonly ky: number;
  readonly kx: number;
  readonly at: (channel: number) => number;
}

type Visit = (cells: readonly Cell[], channel: number) => readonly number[];

/** Moves a window over an image; `visit` gets the cells inside the image and gives the values of one output channel. */
function slide(layer: LayerDescription, x: Float64Array, sizeKey: string, visit: Visit): Float64Array {
  const [height, width, channels] = layer.inputShape as [number, number, number];
  const [outHeight, outWidth, outChannels] = layer.outputShape as [number, number, number];
  const size = pair(layer.config[sizeKey]);
  const strides = pair(layer.config['strides'] ?? (sizeKey === 'poolSize' ? size : 1));
  const dilations = pair(layer.config['dilations'] ?? 1);
  const before = [height, width].map((extent, axis) => {
    if (layer.config['padding'] !== 'same') return 0;
    const reach = dilations[axis]! * (size[axis]! - 1) + 1;
    return Math.floor(Math.max(0, (layer.outputShape[axis]! - 1) * strides[axis]! + reach - extent) / 2);
  }) as [number, number];
  const y: number[] = [];
  for (let oy = 0; oy < outHeight; ++oy) {
    for (let ox = 0; ox < outWidth; ++ox) {
      const cells: Cell[] = [];
      for (let ky = 0; ky < size[0]; ++ky) {
        for (let kx = 0; kx < size[1]; ++kx) {
          const iy = oy * strides[0] - before[0] + ky * dilations[0];
          const ix = ox * strides[1] - before[1] + kx * dilations[1];
          if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
          cells.push({ ky, kx, at: (channel) => x[(iy * width + ix) * channels + channel]! });
        }
      }
      for (let channel = 0; channel < outChannels; ++channel) y.push(...visit(cells, channel));
    }
  }
  return Float64Array.from(y);
}

function pair(value: unknown): [number, number] {
  return (Array.isArray(value) ? value : [value, value]) as [number, number];
}

function convolveAt(layer: LayerDescription): Visit {
  const [, width, inputs, outputs] = layer.weights['kernel']!.shape as [number, number, number, number];
  const kernel = layer.weights['kernel']!.data;
  return (cells, o) => {
    let sum = layer.weights['bias']?.data[o] ?? 0;
    for (const { ky, kx, at } of cells) {
      for (let i = 0; i < inputs; ++i) sum += at(i) * kernel[((ky * width + kx) * inputs + i) * outputs + o]!;
    }
    return [sum];
  };
}

function activate(layer: LayerDescription, x: Float64Array): Float64Array {
  const name = (layer.config['activation'] ?? 'linear') as string;
  if (name === 'softmax') return softmax(x, layer.outputShape.at(-1)!);
  if (name === 'log_softmax') return softmax(x, layer.outputShape.at(-1)!).map(Math.log);
  const alpha = layer.config['alpha'] as number | undefined;
  return x.map((value) => activateOne(name, value, alpha));
}

function activateOne(name: string, x: number, alpha: number | undefined): number {
  switch (name) {
    case 'linear':
      return x;
    case 'relu':
      return Math.max(x, 0);
    case 'relu6':
      return Math.min(Math.max(x, 0), 6);
    case 'elu':
      return x > 0 ? x : (alpha ?? 1) * Math.expm1(x);
    case 'selu':
      return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x));
    case 'leaky_relu':
      return x > 0 ? x : (alpha ?? 0.2) * x;
    case 'sigmoid':
      return 1 / (1 + Math.exp(-x));
    case 'tanh':
      return Math.tanh(x);
    case 'softplus':
      return Math.log1p(Math.exp(x));
    case 'gelu':
      return (x / 2) * (1 + erf(x / Math.SQRT2));
    case 'gelu_tanh':
      return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case 'silu':
      return x / (1 + Math.exp(-x));
    case 'mish':
      return x * Math.tanh(Math.log1p(Math.exp(x)));
    case 'softsign':
      return x / (1 + Math.abs(x));
    case 'hard_sigmoid':
      return Math.min(Math.max(x + 3, 0), 6) / 6;
    case 'hard_swish':
      return (x * Math.min(Math.max(x + 3, 0), 6)) / 6;
    case 'exponential':
      return Math.exp(x);
    default:
      throw new Error(`no reference for ${name}`);
  }
}

function softmax(x: Float64Array, size: number): Float64Array {
  return x.map((value, i) => {
    const row = x.subarray(i - (i % size), i - (i % size) + size);
    return Math.exp(value) / row.reduce((sum, other) => sum + Math.exp(other), 0);
  });
}

/** Series with terms of one sign, so nothing cancels (Abramowitz and Stegun 7.1.6); 200 terms suffice for |x| < 8. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; ++n) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
