import { type KernelCase, SUMS, inout, input, output } from '../harness/case.js';
import { filled } from '../harness/fill.js';

const EPSILON = 1e-5;

interface Moments {
  readonly mean: number;
  readonly inverse: number;
}

/** Mean and 1 / sqrt(variance + epsilon) of channel `c` of [rows, cols] in double precision. */
function channelMoments(x: (index: number) => number, rows: number, cols: number): (c: number) => Moments {
  const known = new Map<number, Moments>();
  return (c) => {
    let moments = known.get(c);
    if (moments === undefined) {
      let sum = 0;
      for (let row = 0; row < rows; ++row) sum += x(row * cols + c);
      const mean = sum / rows;
      let squares = 0;
      for (let row = 0; row < rows; ++row) squares += (x(row * cols + c) - mean) ** 2;
      moments = { mean, inverse: 1 / Math.sqrt(squares / rows + EPSILON) };
      known.set(c, moments);
    }
    return moments;
  };
}

/** Batch normalisation in training, over all but the last axis. Bytes: x read twice, y written; of the gradient dy and x twice. */
function batchNorm(images: number, size: number, c: number): KernelCase {
  const places = images * size * size;
  const [x, scale, offset] = [filled('u1'), filled('u2'), filled('u3')];
  const moments = channelMoments(x, places, c);
  const params = [input('f', 'u2', c), input('f', 'u3', c)];
  return {
    name: `batch_norm ${images}*${size}x${size}x${c}`,
    op: 'batch_norm',
    shape: `${images}*${size}x${size}x${c}`,
    dtype: 'f32',
    family: 'batch norm',
    work: { amount: 12 * places * c, unit: 'byte' },
    size: places * c,
    expected: (index) => {
      const { mean, inverse } = moments(index % c);
      return { value: (x(index) - mean) * inverse * scale(index % c) + offset(index % c), scale: 4 };
    },
    tolerance: SUMS,
    ours: {
      name: 'batch_norm_train',
      ints: [1],
      floats: [EPSILON, 0.1],
      operands: [
        input('f', 'u1', 1, places, c),
        ...params,
        inout('f', 'z', c),
        inout('f', 'c1', c),
        output(1, places, c),
        output(c),
        output(c),
      ],
      result: 5,
    },
    peer: {
      name: 'batch_norm',
      floats: [EPSILON],
      operands: [input('f', 'u1', images, size, size, c), ...params, output(images, size, size, c)],
      result: 3,
    },
  };
}

function batchNormGrad(images: number, size: number, c: number): KernelCase {
  const places = images * size * size;
  const [dy, x, scale] = [filled('u1'), filled('u2'), filled('u3')];
  const [mean, inverse] = [0.01, 1.7];
  const sums = new Map<number, { plain: number; product: number }>();
  const sumsOf = (channel: number): { plain: number; product: number } => {
    let known = sums.get(channel);
    if (known === undefined) {
      known = { plain: 0, product: 0 };
      for (let row = 0; row < places; ++row) {
        const g = dy(row * c + channel);
        known.plain += g;
        known.product += g * (x(row * c + channel) - mean) * inverse;
      }
      sums.set(channel, known);
    }
    return known;
  };
  const statistics = [input('f', `c${mean}`, c), input('f', `c${inverse}`, c)];
  const results = [output(c), output(c)];
  return {
    name: `batch_norm_grad ${images}*${size}x${size}x${c}`,
    op: 'batch_norm_grad',
    shape: `${images}*${size}x${size}x${c}`,
    dtype: 'f32',
    family: 'batch norm',
    work: { amount: 20 * places * c, unit: 'byte' },
    size: places * c,
    expected: (index) => {
      const { plain, product } = sumsOf(index % c);
      const h = (x(index) - mean) * inverse;
      return { value: inverse * scale(index % c) * (dy(index) - plain / places - (h * product) / places), scale: 4 };
    },
    tolerance: SUMS,
    ours: {
      name: 'group_norm_grad',
      ints: [c, 0],
      operands: [
        input('f', 'u1', 1, places, c),
        input('f', 'u2', 1, places, c),
        input('f', 'u3', c),
        ...statistics,
        output(1, places, c),
        ...results,
      ],
      result: 5,
    },
    peer: {
      name: 'batch_norm_grad',
      floats: [EPSILON],
      operands: [
        input('f', 'u1', images, size, size, c),
        input('f', 'u2', images, size, size, c),
        input('f', 'u3', c),
        ...statistics,
        output(images, size, size, c),
      ],
      result: 5,
    },
  };
}

export const NORM_CASES: readonly KernelCase[] = [
  batchNorm(32, 32, 64),
  batchNorm(32, 8, 256),
  batchNormGrad(32, 32, 64),
  batchNormGrad(32, 8, 256),
];
