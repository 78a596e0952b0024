import {
  type Expected,
  type KernelCase,
  type LegCall,
  NONE,
  type OperandSpec,
  ROUNDED,
  SUMS,
  inout,
  input,
  output,
} from '../harness/case.js';
import { filled } from '../harness/fill.js';

const MEGABYTES = 1 << 20;
/** 64 MB of float32, far beyond every cache. */
const LARGE = 16 * MEGABYTES;

interface Sketch {
  readonly op: string;
  readonly shape: string;
  readonly family: string;
  readonly bytes: number;
  readonly size: number;
  readonly expected: (index: number) => Expected;
  readonly tolerance?: KernelCase['tolerance'];
  readonly ours: LegCall;
  readonly peer: LegCall;
  readonly quick?: boolean;
}

function kernel({ bytes, tolerance = ROUNDED, quick = false, ...sketch }: Sketch): KernelCase {
  return {
    ...sketch,
    name: `${sketch.op} ${sketch.shape}`,
    dtype: 'f32',
    work: { amount: bytes, unit: 'byte' },
    tolerance,
    quick,
  };
}

const exact = (value: number): Expected => ({ value, scale: Math.abs(value) + 1e-30 });

/** A function of one argument over 64 MB. `argument` keeps it where users have it: some units round zero. */
function unary(
  op: string,
  f: (x: number) => number,
  options: { fill?: string; kind?: number; scale?: (x: number) => number } = {},
): KernelCase {
  const { fill = 'u1', kind, scale = (x) => Math.abs(f(x)) + 1e-30 } = options;
  const operands = [input('f', fill, LARGE), output(LARGE)];
  const x = filled(fill);
  return kernel({
    op,
    shape: '64MB',
    family: 'elementwise',
    bytes: 8 * LARGE,
    size: LARGE,
    expected: (index) => ({ value: f(Math.fround(x(index))), scale: scale(x(index)) }),
    ours: kind === undefined ? { name: op, operands, result: 1 } : { name: 'activation', ints: [kind], operands, result: 1 },
    peer: { name: op, operands, result: 1 },
    quick: op === 'exp',
  });
}

/** Abramowitz, Stegun 1964, 7.1.5: the power series, exact to double within [-1, 1]. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 60; ++n) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

function binary(op: string, f: (a: number, b: number) => number, size: number, shape: string, quick = false): KernelCase {
  const operands = [input('f', 'u1', size), input('f', 'u2', size), output(size)];
  const [a, b] = [filled('u1'), filled('u2')];
  return kernel({
    op,
    shape,
    family: 'elementwise',
    bytes: 12 * size,
    size,
    expected: (index) => ({ value: f(a(index), b(index)), scale: Math.abs(a(index)) + Math.abs(b(index)) }),
    ours: { name: op, operands, result: 2 },
    peer: { name: op, operands, result: 2 },
    quick,
  });
}

function biasAdd(rows: number, cols: number): KernelCase {
  const operands = [input('f', 'u1', rows, cols), input('f', 'u2', cols), output(rows, cols)];
  const [a, b] = [filled('u1'), filled('u2')];
  return kernel({
    op: 'bias_add',
    shape: `${rows}x${cols}`,
    family: 'elementwise',
    bytes: 8 * rows * cols,
    size: rows * cols,
    expected: (index) => ({ value: a(index) + b(index % cols), scale: 2 }),
    ours: { name: 'add', operands, result: 2 },
    peer: { name: 'add', operands, result: 2 },
  });
}

const sumCase = (size: number): KernelCase => {
  const x = filled('u1');
  const whole = (): Expected => {
    let value = 0;
    let scale = 0;
    for (let i = 0; i < size; ++i) {
      value += x(i);
      scale += Math.abs(x(i));
    }
    return { value, scale };
  };
  return kernel({
    op: 'sum_all',
    shape: '64MB',
    family: 'reduction',
    bytes: 4 * size,
    size: 1,
    expected: whole,
    tolerance: SUMS,
    ours: { name: 'reduce_sum', operands: [input('f', 'u1', 1, size, 1), output(1, 1)], result: 1 },
    peer: { name: 'sum_all', operands: [input('f', 'u1', size), output(1)], result: 1 },
  });
};

function sumFirst(rows: number, cols: number): KernelCase {
  const x = filled('u1');
  return kernel({
    op: 'sum_first',
    shape: `${rows}x${cols}`,
    family: 'reduction',
    bytes: 4 * rows * cols,
    size: cols,
    expected: (index) => {
      let value = 0;
      let scale = 0;
      for (let row = 0; row < rows; ++row) {
        value += x(row * cols + index);
        scale += Math.abs(x(row * cols + index));
      }
      return { value, scale };
    },
    tolerance: SUMS,
    ours: { name: 'reduce_sum', operands: [input('f', 'u1', 1, rows, cols), output(1, cols)], result: 1 },
    peer: { name: 'sum_first', operands: [input('f', 'u1', rows, cols), output(cols)], result: 1 },
  });
}

function argmax(rows: number, cols: number): KernelCase {
  const x = filled('u1');
  const result: OperandSpec = { ...output(rows), dtype: 'i' };
  return kernel({
    op: 'argmax',
    shape: `${rows}x${cols}`,
    family: 'reduction',
    bytes: 4 * rows * cols,
    size: rows,
    expected: (row) => {
      let best = 0;
      for (let i = 1; i < cols; ++i) if (x(row * cols + i) > x(row * cols + best)) best = i;
      return exact(best);
    },
    ours: { name: 'argmax', operands: [input('f', 'u1', rows, cols, 1), { ...result, dims: [rows, 1] }], result: 1 },
    peer: { name: 'argmax', operands: [input('f', 'u1', rows, cols), result], result: 1 },
  });
}

function softmax(rows: number, cols: number, quick = false): KernelCase {
  const x = filled('u1');
  const operands = [input('f', 'u1', rows, cols), output(rows, cols)];
  return kernel({
    op: 'softmax',
    shape: `${rows}x${cols}`,
    family: 'rows',
    bytes: 8 * rows * cols,
    size: rows * cols,
    expected: (index) => {
      const row = Math.floor(index / cols);
      let sum = 0;
      for (let i = 0; i < cols; ++i) sum += Math.exp(x(row * cols + i));
      return exact(Math.exp(x(index)) / sum);
    },
    tolerance: { relative: 4e-6, reason: 'exp within 2 ulp, sums in float32' },
    ours: { name: 'softmax', operands, result: 1 },
    peer: { name: 'softmax', operands, result: 1 },
    quick,
  });
}

function layerNorm(rows: number, cols: number): KernelCase {
  const [x, scale, offset] = [filled('u1'), filled('u2'), filled('u3')];
  const inputs = [input('f', 'u1', rows, cols), input('f', 'u2', cols), input('f', 'u3', cols), output(rows, cols)];
  return kernel({
    op: 'layer_norm',
    shape: `${rows}x${cols}`,
    family: 'rows',
    bytes: 8 * rows * cols,
    size: rows * cols,
    expected: (index) => {
      const row = Math.floor(index / cols);
      const values = Array.from({ length: cols }, (_, i) => x(row * cols + i));
      const mean = values.reduce((sum, value) => sum + value, 0) / cols;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / cols;
      const value = ((x(index) - mean) / Math.sqrt(variance + 1e-5)) * scale(index % cols) + offset(index % cols);
      return { value, scale: 4 };
    },
    ours: { name: 'row_norm', ints: [1], floats: [1e-5], operands: [...inputs, output(rows), output(rows)], result: 3 },
    peer: { name: 'row_norm', floats: [1e-5], operands: inputs, result: 3 },
  });
}

function permute(op: string, dims: readonly number[], perm: readonly number[], quick = false): KernelCase {
  const x = filled('u1');
  const out = perm.map((axis) => dims[axis]!);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const operands = [input('f', 'u1', ...dims), output(...out)];
  return kernel({
    op,
    shape: dims.join('x'),
    family: 'layout',
    bytes: 8 * size,
    size,
    expected: (index) => {
      const place = new Array<number>(dims.length).fill(0);
      let rest = index;
      for (let axis = out.length - 1; axis >= 0; --axis) {
        place[perm[axis]!] = rest % out[axis]!;
        rest = Math.floor(rest / out[axis]!);
      }
      return exact(x(place.reduce((offset, at, axis) => offset * dims[axis]! + at, 0)));
    },
    ours: { name: 'transpose', ints: perm, operands, result: 1 },
    peer: { name: 'permute', ints: perm, operands, result: 1 },
    quick,
  });
}

function gather(table: number, width: number, count: number): KernelCase {
  const [x, ids] = [filled('u1'), filled(`i2m${table}`)];
  const indices = input('i', `i2m${table}`, count);
  return kernel({
    op: 'gather',
    shape: `${table}x${width}:${count}`,
    family: 'indexing',
    bytes: 8 * count * width,
    size: count * width,
    expected: (index) => exact(x(ids(Math.floor(index / width)) * width + (index % width))),
    ours: { name: 'gather', operands: [input('f', 'u1', 1, table, width), indices, output(1, count, width)], result: 2 },
    peer: { name: 'gather', operands: [input('f', 'u1', table, width), indices, output(count, width)], result: 2 },
  });
}

function embeddingGrad(table: number, width: number, count: number): KernelCase {
  const [dy, ids] = [filled('u1'), filled(`i2m${table}`)];
  const operands = [input('f', 'u1', count, width), input('i', `i2m${table}`, count), output(table, width)];
  return kernel({
    op: 'embedding_grad',
    shape: `${table}x${width}:${count}`,
    family: 'indexing',
    bytes: 4 * count * width + 4 * table * width,
    size: table * width,
    expected: (index) => {
      const row = Math.floor(index / width);
      let value = 0;
      let scale = 1e-30;
      for (let i = 0; i < count; ++i) {
        if (ids(i) !== row) continue;
        value += dy(i * width + (index % width));
        scale += Math.abs(dy(i * width + (index % width)));
      }
      return { value, scale };
    },
    tolerance: SUMS,
    ours: { name: 'unsorted_segment_sum', operands, result: 2 },
    peer: { name: 'embedding_grad', operands, result: 2 },
  });
}

function topK(rows: number, cols: number, k: number): KernelCase {
  const x = filled('u1');
  const values = output(rows, k);
  return kernel({
    op: 'top_k',
    shape: `${rows}x${cols}:${k}`,
    family: 'indexing',
    bytes: 4 * rows * cols,
    size: rows * k,
    expected: (index) => {
      const row = Math.floor(index / k);
      const sorted = Array.from({ length: cols }, (_, i) => x(row * cols + i)).sort((left, right) => right - left);
      return exact(sorted[index % k]!);
    },
    ours: { name: 'top_k', operands: [input('f', 'u1', rows, cols), values, { ...values, dtype: 'i' }], result: 1 },
    peer: { name: 'top_k', operands: [input('f', 'u1', rows, cols), values], result: 1 },
  });
}

function adam(size: number, quick = false): KernelCase {
  const [param, grad, m, v] = [filled('u1'), filled('u2'), filled('z'), filled('z')];
  const state = [inout('f', 'u1', size), input('f', 'u2', size), inout('f', 'z', size), inout('f', 'z', size)];
  return kernel({
    op: 'adam',
    shape: `${size / 1e6}M`,
    family: 'optimizer',
    bytes: 28 * size,
    size,
    expected: (index) => {
      const g = grad(index);
      const first = 0.9 * m(index) + 0.1 * g;
      const second = 0.999 * v(index) + 0.001 * g * g;
      return { value: param(index) - 1e-3 * (first / 0.1 / (Math.sqrt(second / 0.001) + 1e-8)), scale: 1 };
    },
    ours: {
      name: 'adam',
      ints: [0],
      operands: [input('f', 'l1e-3/0.9/0.999/1e-8/0', 5), inout('i', 'z', 1), ...state],
      result: 2,
    },
    peer: { name: 'adam', floats: [1e-3], operands: state, result: 0 },
    quick,
  });
}

function maxPool(n: number, size: number, c: number): KernelCase {
  const x = filled('u1');
  const out = size / 2;
  const operands = [input('f', 'u1', n, size, size, c), output(n, out, out, c)];
  return kernel({
    op: 'max_pool',
    shape: `${n}*${size}x${size}x${c}:2x2`,
    family: 'pooling',
    bytes: 4 * n * size * size * c + 4 * n * out * out * c,
    size: n * out * out * c,
    expected: (index) => {
      const channel = index % c;
      const ox = Math.floor(index / c) % out;
      const oy = Math.floor(index / (c * out)) % out;
      const b = Math.floor(index / (c * out * out));
      let best = -Infinity;
      for (const dy of [0, 1]) {
        for (const dx of [0, 1]) best = Math.max(best, x(((b * size + 2 * oy + dy) * size + 2 * ox + dx) * c + channel));
      }
      return exact(best);
    },
    ours: { name: 'max_pool2d', ints: [2, 2, 2, 2, 1, 1, 0, 0], operands, result: 1 },
    peer: { name: 'max_pool', ints: [2, 2], operands, result: 1 },
  });
}

function attention(batch: number, length: number, heads: number, dim: number): KernelCase {
  const [q, k, v] = [filled('u1'), filled('u2'), filled('u3')];
  const dims = [batch, length, heads, dim];
  const inputs = [input('f', 'u1', ...dims), input('f', 'u2', ...dims), input('f', 'u3', ...dims)];
  const at = (b: number, t: number, h: number, d: number): number => ((b * length + t) * heads + h) * dim + d;
  return {
    ...kernel({
      op: 'attention',
      shape: `${batch}x${length}x${heads}x${dim}:causal`,
      family: 'attention and recurrence',
      bytes: 1,
      size: batch * length * heads * dim,
      expected: (index) => {
        const d = index % dim;
        const h = Math.floor(index / dim) % heads;
        const t = Math.floor(index / (dim * heads)) % length;
        const b = Math.floor(index / (dim * heads * length));
        let total = 0;
        let value = 0;
        for (let j = 0; j <= t; ++j) {
          let score = 0;
          for (let i = 0; i < dim; ++i) score += q(at(b, t, h, i)) * k(at(b, j, h, i));
          const weight = Math.exp(score / Math.sqrt(dim));
          total += weight;
          value += weight * v(at(b, j, h, d));
        }
        return { value: value / total, scale: 1 };
      },
      tolerance: { relative: 4e-6, reason: 'exp and sums in float32, relative to the values' },
      ours: {
        name: 'attention',
        ints: [1, 0],
        floats: [1 / Math.sqrt(dim), 0],
        operands: [...inputs, NONE, { ...NONE, dtype: 'i' }, output(...dims), output(batch, heads, length)],
        result: 5,
      },
      peer: { name: 'attention', ints: [1], operands: [...inputs, output(...dims)], result: 3 },
    }),
    // Two products over the lower half of the scores.
    work: { amount: 2 * batch * heads * length * length * dim, unit: 'flop' },
  };
}

function lstm(batch: number, steps: number, width: number, units: number): KernelCase {
  const [x, kernelAt, recurrentAt, biasAt] = [filled('u1'), filled('u2'), filled('u3'), filled('u4')];
  const inputs = [
    input('f', 'u1', batch, steps, width),
    input('f', 'u2', width, 4 * units),
    input('f', 'u3', units, 4 * units),
    input('f', 'u4', 4 * units),
  ];
  const rows = new Map<number, Float64Array>();
  // All outputs of one sequence, gates in the order i, f, c, o.
  const sequence = (b: number): Float64Array => {
    const known = rows.get(b);
    if (known !== undefined) return known;
    const y = new Float64Array(steps * units);
    let h = new Float64Array(units);
    const cell = new Float64Array(units);
    const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
    for (let t = 0; t < steps; ++t) {
      const gates = Float64Array.from({ length: 4 * units }, (_, j) => biasAt(j));
      for (let i = 0; i < width; ++i) {
        const value = x((b * steps + t) * width + i);
        for (let j = 0; j < 4 * units; ++j) gates[j]! += value * kernelAt(i * 4 * units + j);
      }
      for (let i = 0; i < units; ++i) for (let j = 0; j < 4 * units; ++j) gates[j]! += h[i]! * recurrentAt(i * 4 * units + j);
      h = Float64Array.from({ length: units }, (_, j) => {
        cell[j] = sigmoid(gates[units + j]!) * cell[j]! + sigmoid(gates[j]!) * Math.tanh(gates[2 * units + j]!);
        return sigmoid(gates[3 * units + j]!) * Math.tanh(cell[j]);
      });
      y.set(h, t * units);
    }
    rows.set(b, y);
    return y;
  };
  const steady = output(batch, units);
  return {
    ...kernel({
      op: 'lstm',
      shape: `${batch}x${steps}x${width}:${units}`,
      family: 'attention and recurrence',
      bytes: 1,
      // The first sequence alone is judged: the others are the same arithmetic, and a reference for each would take minutes.
      size: steps * units,
      expected: (index) => ({ value: sequence(0)[index]!, scale: 1 }),
      tolerance: { relative: 2e-4, reason: 'rounding grows along the steps of the recurrence' },
      ours: {
        name: 'lstm',
        ints: [0, 0],
        operands: [
          ...inputs,
          input('f', 'z', batch, units),
          input('f', 'z', batch, units),
          { ...NONE, dtype: 'b' },
          output(batch, steps, units),
          steady,
          steady,
          output(batch, steps, 4 * units),
          output(batch, steps, units),
          output(batch, steps, units),
        ],
        result: 7,
      },
      peer: { name: 'lstm', operands: [...inputs, output(batch, steps, units)], result: 4 },
    }),
    work: { amount: 2 * batch * steps * (width + units) * 4 * units, unit: 'flop' },
  };
}

export const MEMORY_CASES: readonly KernelCase[] = [
  binary('add', (a, b) => a + b, LARGE, '64MB', true),
  binary('add', (a, b) => a + b, 65536, '256KB'),
  binary('mul', (a, b) => a * b, LARGE, '64MB'),
  biasAdd(16384, 1024),
  unary('relu', (x) => Math.max(0, x)),
  unary('sqrt', Math.sqrt, { fill: 'p1' }),
  unary('exp', Math.exp),
  unary('log', Math.log, { fill: 'p1', scale: (x) => Math.abs(Math.log(x)) + 1e-6 }),
  unary('tanh', Math.tanh),
  unary('sigmoid', (x) => 1 / (1 + Math.exp(-x))),
  unary('erf', erf),
  unary('gelu', (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), { kind: 4, scale: () => 1 }),
  unary('gelu_tanh', geluTanh, { kind: 5, scale: () => 1 }),
  unary('sin', Math.sin),
  unary('cos', Math.cos),
  sumCase(LARGE),
  sumFirst(16384, 1024),
  argmax(16384, 1024),
  softmax(16384, 1024),
  softmax(128, 10, true),
  layerNorm(16384, 1024),
  permute('transpose', [4096, 4096], [1, 0]),
  permute('transpose', [512, 512], [1, 0], true),
  permute('permute', [16, 128, 64, 128], [0, 2, 1, 3]),
  gather(50000, 256, 65536),
  embeddingGrad(5000, 128, 3200),
  embeddingGrad(50000, 256, 16384),
  topK(1024, 4096, 16),
  topK(16, 65536, 65536),
  adam(10e6),
  adam(0.1e6, true),
  maxPool(8, 112, 64),
  attention(8, 256, 6, 64),
  attention(16, 128, 4, 64),
  lstm(64, 50, 128, 64),
];
