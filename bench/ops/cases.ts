import type * as Tfjs from '@tensorflow/tfjs-core';
import { type Expected, type Judged, ROUNDED, SUMS } from '../harness/case.js';
import { filled } from '../harness/fill.js';

/** An ONNX node that does the same, for onnxruntime. */
export interface OnnxNode {
  readonly op: string;
  readonly axis?: number;
  readonly perm?: readonly number[];
}

/** One line of the table through tfjs. */
export interface OpCase extends Judged {
  readonly inputs: readonly { readonly fill: string; readonly dims: readonly number[] }[];
  readonly outputDims: readonly number[];
  readonly run: (tf: typeof Tfjs, inputs: readonly Tfjs.Tensor[]) => Tfjs.Tensor;
  readonly onnx?: OnnxNode;
}

const product = (dims: readonly number[]): number => dims.reduce((total, dim) => total * dim, 1);

function elementwise(
  op: string,
  size: number,
  fills: readonly string[],
  run: OpCase['run'],
  value: (...args: number[]) => number,
  onnx?: OnnxNode,
): OpCase {
  const values = fills.map(filled);
  return {
    name: `${op} ${size}`,
    op,
    shape: String(size),
    dtype: 'f32',
    family: 'elementwise',
    work: { amount: 4 * size * (fills.length + 1), unit: 'byte' },
    size,
    expected: (index) => {
      const args = values.map((at) => at(index));
      const right = value(...args);
      return { value: right, scale: args.reduce((sum, arg) => sum + Math.abs(arg), Math.abs(right) + 1e-3) };
    },
    tolerance: { relative: 2e-6, reason: ROUNDED.reason },
    quick: size === 4096,
    inputs: fills.map((fill) => ({ fill, dims: [size] })),
    outputDims: [size],
    run,
    ...(onnx === undefined ? {} : { onnx }),
  };
}

function matmul(size: number): OpCase {
  const [a, b] = [filled('u1'), filled('u2')];
  return {
    name: `matmul ${size}x${size}x${size}`,
    op: 'matmul',
    shape: `${size}x${size}x${size}`,
    dtype: 'f32',
    family: 'matrix product',
    work: { amount: 2 * size ** 3, unit: 'flop' },
    size: size * size,
    expected: (index) => {
      let value = 0;
      let scale = 0;
      for (let l = 0; l < size; ++l) {
        const part = a(Math.floor(index / size) * size + l) * b(l * size + (index % size));
        value += part;
        scale += Math.abs(part);
      }
      return { value, scale };
    },
    tolerance: SUMS,
    quick: size === 64,
    inputs: [
      { fill: 'u1', dims: [size, size] },
      { fill: 'u2', dims: [size, size] },
    ],
    outputDims: [size, size],
    run: (tf, [x, y]) => tf.matMul(x as Tfjs.Tensor2D, y as Tfjs.Tensor2D),
    onnx: { op: 'MatMul' },
  };
}

function rows(
  op: string,
  dims: readonly [number, number],
  outputDims: readonly number[],
  run: OpCase['run'],
  expected: (row: (i: number) => number, index: number) => Expected,
  onnx?: OnnxNode,
): OpCase {
  const x = filled('u1');
  const [count, cols] = dims;
  const perRow = product(outputDims) / count;
  return {
    name: `${op} ${dims.join('x')}`,
    op,
    shape: dims.join('x'),
    dtype: 'f32',
    family: 'rows',
    work: { amount: 4 * (product(dims) + product(outputDims)), unit: 'byte' },
    size: product(outputDims),
    expected: (index) => expected((i) => x(Math.floor(index / perRow) * cols + i), index % perRow),
    tolerance: { relative: 4e-6, reason: 'exp within 2 ulp, sums in float32' },
    inputs: [{ fill: 'u1', dims }],
    outputDims,
    run,
    ...(onnx === undefined ? {} : { onnx }),
  };
}

const softmax = (count: number, cols: number): OpCase =>
  rows(
    'softmax',
    [count, cols],
    [count, cols],
    (tf, [x]) => tf.softmax(x!),
    (row, index) => {
      let sum = 0;
      for (let i = 0; i < cols; ++i) sum += Math.exp(row(i));
      return { value: Math.exp(row(index)) / sum, scale: Math.exp(row(index)) / sum };
    },
    { op: 'Softmax', axis: -1 },
  );
const sum = (count: number, cols: number): OpCase =>
  rows(
    'sum',
    [count, cols],
    [count],
    (tf, [x]) => tf.sum(x!, -1),
    (row) => {
      let value = 0;
      let scale = 0;
      for (let i = 0; i < cols; ++i) {
        value += row(i);
        scale += Math.abs(row(i));
      }
      return { value, scale };
    },
  );

function transpose(count: number, cols: number): OpCase {
  const x = filled('u1');
  return {
    name: `transpose ${count}x${cols}`,
    op: 'transpose',
    shape: `${count}x${cols}`,
    dtype: 'f32',
    family: 'layout',
    work: { amount: 8 * count * cols, unit: 'byte' },
    size: count * cols,
    expected: (index) => ({ value: x((index % count) * cols + Math.floor(index / count)), scale: 1 }),
    tolerance: ROUNDED,
    inputs: [{ fill: 'u1', dims: [count, cols] }],
    outputDims: [cols, count],
    run: (tf, [input]) => tf.transpose(input!),
    onnx: { op: 'Transpose', perm: [1, 0] },
  };
}

function conv2d(n: number, size: number, c: number, co: number, kernel: number): OpCase {
  const [x, filter] = [filled('u1'), filled('u2')];
  const pad = (kernel - 1) / 2;
  return {
    name: `conv2d ${n}*${size}x${size}x${c}:${co}:${kernel}x${kernel}`,
    op: 'conv2d',
    shape: `${n}*${size}x${size}x${c}:${co}:${kernel}x${kernel}`,
    dtype: 'f32',
    family: 'convolution',
    work: { amount: 2 * n * size * size * co * kernel * kernel * c, unit: 'flop' },
    size: n * size * size * co,
    expected: (index) => {
      const o = index % co;
      const ox = Math.floor(index / co) % size;
      const oy = Math.floor(index / (co * size)) % size;
      const b = Math.floor(index / (co * size * size));
      let value = 0;
      let scale = 0;
      for (let ky = 0; ky < kernel; ++ky) {
        for (let kx = 0; kx < kernel; ++kx) {
          const [iy, ix] = [oy + ky - pad, ox + kx - pad];
          if (iy < 0 || ix < 0 || iy >= size || ix >= size) continue;
          for (let i = 0; i < c; ++i) {
            const part = x(((b * size + iy) * size + ix) * c + i) * filter(((ky * kernel + kx) * c + i) * co + o);
            value += part;
            scale += Math.abs(part);
          }
        }
      }
      return { value, scale };
    },
    tolerance: SUMS,
    inputs: [
      { fill: 'u1', dims: [n, size, size, c] },
      { fill: 'u2', dims: [kernel, kernel, c, co] },
    ],
    outputDims: [n, size, size, co],
    run: (tf, [image, weights]) => tf.conv2d(image as Tfjs.Tensor4D, weights as Tfjs.Tensor4D, 1, 'same'),
  };
}

const SIZES = [64, 4096, 1 << 20];

export const OP_CASES: readonly OpCase[] = [
  ...SIZES.map((size) =>
    elementwise(
      'add',
      size,
      ['u1', 'u2'],
      (tf, [a, b]) => tf.add(a!, b!),
      (a, b) => a + b,
      { op: 'Add' },
    ),
  ),
  ...SIZES.map((size) =>
    elementwise(
      'mul',
      size,
      ['u1', 'u2'],
      (tf, [a, b]) => tf.mul(a!, b!),
      (a, b) => a * b,
      { op: 'Mul' },
    ),
  ),
  ...SIZES.map((size) =>
    elementwise(
      'relu',
      size,
      ['u1'],
      (tf, [a]) => tf.relu(a!),
      (a) => Math.max(0, a),
      { op: 'Relu' },
    ),
  ),
  ...SIZES.map((size) =>
    elementwise(
      'exp',
      size,
      ['u1'],
      (tf, [a]) => tf.exp(a!),
      (a) => Math.exp(a),
      { op: 'Exp' },
    ),
  ),
  ...SIZES.map((size) =>
    elementwise(
      'tanh',
      size,
      ['u1'],
      (tf, [a]) => tf.tanh(a!),
      (a) => Math.tanh(a),
      { op: 'Tanh' },
    ),
  ),
  ...SIZES.map((size) =>
    elementwise(
      'neg',
      size,
      ['u1'],
      (tf, [a]) => tf.neg(a!),
      (a) => -a,
      { op: 'Neg' },
    ),
  ),
  ...[16, 64, 256, 512].map(matmul),
  softmax(8, 8),
  softmax(1024, 1000),
  sum(8, 8),
  sum(1024, 1000),
  transpose(8, 8),
  transpose(1024, 1024),
  conv2d(2, 28, 32, 64, 5),
  conv2d(8, 14, 64, 64, 3),
];
