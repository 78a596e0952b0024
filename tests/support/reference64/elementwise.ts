/** Kernels that work on each element by itself. */
import { backend_util, broadcast_util, upcastType, type DataType } from '@tensorflow/tfjs-core';
import { broadcastIndex, build, eachIndex, reference, sizeOf, zeros, type Dense, type ReferenceKernel } from './dense.js';

const { SELU_SCALE, SELU_SCALEALPHA } = backend_util;

/** Rounds to the nearest whole number, halves to the even one; a zero keeps the sign of x, as IEEE 754 has it. */
function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return Math.ceil(x);
  if (below % 2 === 0) return below;
  return x < 0 && below === -1 ? -0 : below + 1;
}

/** Terms of the series after which erf(x) for |x| < 3 no longer changes in double precision. */
const ERF_TERMS = 80;
/** Depth of the continued fraction that gives erfc(x) for x >= 3 to 1e-16. */
const ERFC_DEPTH = 60;

/** The error function: Maclaurin series near 0, continued fraction beyond (Abramowitz and Stegun 7.1.5 and 7.1.14). */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x) || x === 0) return x;
  if (size > 6) return Math.sign(x);
  if (size < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; n < ERF_TERMS; ++n) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let tail = size;
  for (let n = ERFC_DEPTH; n > 0; --n) tail = size + n / 2 / tail;
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * tail));
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** log(1 + exp(x)), written so that neither overflows nor loses digits. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function elu(x: number): number {
  return x >= 0 ? x : Math.expm1(x);
}

export type Activation = (x: number, alpha: number) => number;

/** Activations that fused kernels apply after the sum; `alpha` is the slope of the leaky ones. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  linear: (x) => x,
  relu: (x) => Math.max(0, x),
  relu6: (x) => Math.min(Math.max(0, x), 6),
  elu,
  sigmoid,
  prelu: (x, alpha) => (x < 0 ? alpha * x : x),
  leakyrelu: (x, alpha) => (x < 0 ? alpha * x : x),
};

/** Kernels whose result has the dtype of their input. */
const SAME_DTYPE: Readonly<Record<string, (x: number) => number>> = {
  Abs: Math.abs,
  Acos: Math.acos,
  Acosh: Math.acosh,
  Asin: Math.asin,
  Asinh: Math.asinh,
  Atan: Math.atan,
  Atanh: Math.atanh,
  Ceil: Math.ceil,
  Cos: Math.cos,
  Cosh: Math.cosh,
  Elu: elu,
  Erf: erf,
  Expm1: Math.expm1,
  Floor: Math.floor,
  Identity: (x) => x,
  Log: Math.log,
  Log1p: Math.log1p,
  Neg: (x) => -x,
  OnesLike: () => 1,
  Reciprocal: (x) => 1 / x,
  Relu: (x) => Math.max(0, x),
  Relu6: (x) => Math.min(Math.max(0, x), 6),
  Round: roundHalfEven,
  Rsqrt: (x) => 1 / Math.sqrt(x),
  Selu: (x) => (x >= 0 ? SELU_SCALE * x : SELU_SCALEALPHA * Math.expm1(x)),
  Sigmoid: sigmoid,
  Sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  Sin: Math.sin,
  Sinh: Math.sinh,
  Softplus: softplus,
  Sqrt: Math.sqrt,
  Tan: Math.tan,
  Tanh: Math.tanh,
  ZerosLike: () => 0,
};

const PREDICATES: Readonly<Record<string, (x: number) => boolean>> = {
  IsFinite: Number.isFinite,
  IsInf: (x) => Math.abs(x) === Infinity,
  IsNan: Number.isNaN,
  LogicalNot: (x) => x === 0,
};

interface Unary {
  x: Dense;
}

function mapTo(x: Dense, dtype: DataType, f: (x: number) => number): Dense {
  const values = zeros(dtype, sizeOf(x.shape));
  x.values.forEach((value, i) => (values[i] = f(value)));
  return { shape: x.shape, dtype, values };
}

const unaryKernels: readonly ReferenceKernel[] = [
  ...Object.entries(SAME_DTYPE).map(([name, f]) => reference<Unary>(name, ({ x }) => mapTo(x, x.dtype, f))),
  ...Object.entries(PREDICATES).map(([name, f]) =>
    reference<Unary>(name, ({ x }) => mapTo(x, 'bool', (value) => Number(f(value)))),
  ),
  reference<Unary>('Exp', ({ x }) => mapTo(x, 'float32', Math.exp)),
  reference<Unary>('Square', ({ x }) =>
    mapTo(x, x.dtype, x.dtype === 'int32' ? (value) => Math.imul(value, value) : (value) => value * value),
  ),
  reference<Unary, { alpha: number }>('LeakyRelu', ({ x }, { alpha }) =>
    mapTo(x, 'float32', (value) => (value < 0 ? alpha * value : value)),
  ),
  reference<Unary, { alpha: number }>('Step', ({ x }, { alpha }) =>
    mapTo(x, x.dtype, (value) => (Number.isNaN(value) ? NaN : value > 0 ? 1 : alpha)),
  ),
  reference<Unary, { clipValueMin: number; clipValueMax: number }>('ClipByValue', ({ x }, { clipValueMin, clipValueMax }) =>
    mapTo(x, x.dtype, (value) => (value > clipValueMax ? clipValueMax : value < clipValueMin ? clipValueMin : value)),
  ),
  reference<Unary, { dtype: DataType }>('Cast', ({ x }, { dtype }) =>
    mapTo(x, dtype, dtype === 'bool' ? (value) => Number(value !== 0) : (value) => value),
  ),
];

interface Formula {
  readonly float: (a: number, b: number) => number;
  /** For int32 and bool; default: the float formula, wrapped to 32 bits. Of bool results all but 0 are true. */
  readonly int?: (a: number, b: number) => number;
}

/** Remainder with the sign of the divisor. */
function modulo(a: number, b: number): number {
  const rest = a % b;
  return a < 0 === b < 0 ? rest : (rest + b) % b;
}

/** a to the power b modulo 2^32; a negative exponent leaves 1 and -1 only. */
function intPower(a: number, b: number): number {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 === 0 ? 1 : -1) : 0;
  const bits = BigInt.asIntN(32, BigInt(a));
  let result = 1n;
  let base = bits;
  for (let rest = b; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = BigInt.asIntN(32, result * base);
    base = BigInt.asIntN(32, base * base);
  }
  return Number(result);
}

const ARITHMETIC: Readonly<Record<string, Formula>> = {
  Add: { float: (a, b) => a + b },
  Atan2: { float: Math.atan2 },
  Maximum: { float: Math.max },
  Minimum: { float: Math.min },
  Mod: { float: modulo, int: (a, b) => (b === 0 ? 0 : modulo(a, b)) },
  Multiply: { float: (a, b) => a * b, int: Math.imul },
  Pow: { float: (a, b) => a ** b, int: intPower },
  RealDiv: { float: (a, b) => a / b },
  SquaredDifference: { float: (a, b) => (a - b) ** 2, int: (a, b) => Math.imul((a - b) | 0, (a - b) | 0) },
  Sub: { float: (a, b) => a - b },
};

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  Equal: (a, b) => a === b,
  Greater: (a, b) => a > b,
  GreaterEqual: (a, b) => a >= b,
  Less: (a, b) => a < b,
  LessEqual: (a, b) => a <= b,
  LogicalAnd: (a, b) => a !== 0 && b !== 0,
  LogicalOr: (a, b) => a !== 0 || b !== 0,
  NotEqual: (a, b) => a !== b,
};

interface Binary {
  a: Dense;
  b: Dense;
}

export function broadcast(a: Dense, b: Dense, dtype: DataType, f: (a: number, b: number) => number): Dense {
  const shape = broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
  return build(shape, dtype, (coords) =>
    f(a.values[broadcastIndex(a.shape, coords)]!, b.values[broadcastIndex(b.shape, coords)]!),
  );
}

type Pair = readonly [real: number, imag: number];

/** The complex meaning of the kernels that have one. */
const COMPLEX: Readonly<Record<string, (a: Pair, b: Pair) => Pair>> = {
  Add: ([a, b], [c, d]) => [a + c, b + d],
  Multiply: ([a, b], [c, d]) => [a * c - b * d, a * d + b * c],
  Sub: ([a, b], [c, d]) => [a - c, b - d],
};

function complexBroadcast(a: Dense, b: Dense, f: (a: Pair, b: Pair) => Pair): Dense {
  const shape = broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
  const values = zeros('complex64', sizeOf(shape));
  const pairAt = ({ dtype, values: from, shape: own }: Dense, coords: readonly number[]): Pair => {
    const index = broadcastIndex(own, coords);
    return dtype === 'complex64' ? [from[2 * index]!, from[2 * index + 1]!] : [from[index]!, 0];
  };
  eachIndex(shape, (coords, flat) => values.set(f(pairAt(a, coords), pairAt(b, coords)), 2 * flat));
  return { shape, dtype: 'complex64', values };
}

const binaryKernels: readonly ReferenceKernel[] = [
  ...Object.entries(ARITHMETIC).map(([name, { float, int }]) =>
    reference<Binary>(name, ({ a, b }) => {
      const dtype = upcastType(a.dtype, b.dtype);
      const complex = COMPLEX[name];
      if (dtype === 'complex64' && complex !== undefined) return complexBroadcast(a, b, complex);
      if (dtype === 'float32') return broadcast(a, b, dtype, float);
      const whole = int ?? float;
      return broadcast(a, b, dtype, dtype === 'bool' ? (left, right) => Number(whole(left, right) !== 0) : whole);
    }),
  ),
  ...Object.entries(COMPARISONS).map(([name, f]) =>
    reference<Binary>(name, ({ a, b }) => broadcast(a, b, 'bool', (left, right) => Number(f(left, right)))),
  ),
  // Always int32: x / 0 is 0 there, as ToInt32 makes of an infinity or NaN.
  reference<Binary>('FloorDiv', ({ a, b }) => broadcast(a, b, 'int32', (left, right) => Math.floor(left / right))),
  reference<{ x: Dense; alpha: Dense }>('Prelu', ({ x, alpha }) =>
    broadcast(x, alpha, 'float32', (value, slope) => (value < 0 ? slope * value : value)),
  ),
  reference<{ dy: Dense; y: Dense }>('EluGrad', ({ dy, y }) =>
    broadcast(dy, y, 'float32', (slope, value) => (value >= 0 ? slope : slope * (value + 1))),
  ),
];

const otherKernels: readonly ReferenceKernel[] = [
  reference<readonly Dense[]>('AddN', (tensors) => {
    const first = tensors[0]!;
    return build(first.shape, first.dtype, (_, flat) => tensors.reduce((sum, { values }) => sum + values[flat]!, 0));
  }),
  // A condition of rank 1 chooses whole slices of the first axis.
  reference<{ condition: Dense; t: Dense; e: Dense }>('Select', ({ condition, t, e }) => {
    const perRow = condition.shape.length === 1 && t.shape.length > 1;
    return build(t.shape, upcastType(t.dtype, e.dtype), (coords, flat) => {
      const chosen = condition.values[perRow ? coords[0]! : flat] !== 0;
      return (chosen ? t : e).values[flat]!;
    });
  }),
  reference<object, { shape: number[]; value: number; dtype?: DataType }>('Fill', (_, { shape, value, dtype }) =>
    build(shape, dtype ?? 'float32', () => value),
  ),
];

export const elementwiseKernels: readonly ReferenceKernel[] = [...unaryKernels, ...binaryKernels, ...otherKernels];
