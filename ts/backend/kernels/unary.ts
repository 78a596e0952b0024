/** Elementwise kernels of one tensor. */
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { assertNumeric, cast, consume, kernel, withDtype, type Kernel } from './kernel.js';

interface UnaryInputs {
  x: TensorInfo;
}

/** tfjs kernel -> op; the result has x's dtype. */
const SAME_DTYPE: readonly (readonly [string, string])[] = [
  ['Abs', 'abs'],
  ['Acos', 'acos'],
  ['Acosh', 'acosh'],
  ['Asin', 'asin'],
  ['Asinh', 'asinh'],
  ['Atan', 'atan'],
  ['Atanh', 'atanh'],
  ['Ceil', 'ceil'],
  ['Cos', 'cos'],
  ['Cosh', 'cosh'],
  ['Elu', 'elu'],
  ['Erf', 'erf'],
  ['Expm1', 'expm1'],
  ['Floor', 'floor'],
  ['Log', 'log'],
  ['Log1p', 'log1p'],
  ['LogicalNot', 'logical_not'],
  ['Neg', 'neg'],
  ['Reciprocal', 'reciprocal'],
  ['Relu', 'relu'],
  ['Relu6', 'relu6'],
  ['Round', 'round'],
  ['Rsqrt', 'rsqrt'],
  ['Selu', 'selu'],
  ['Sigmoid', 'sigmoid'],
  ['Sign', 'sign'],
  ['Sin', 'sin'],
  ['Sinh', 'sinh'],
  ['Softplus', 'softplus'],
  ['Sqrt', 'sqrt'],
  ['Square', 'square'],
  ['Tan', 'tan'],
  ['Tanh', 'tanh'],
];

/** tfjs kernel -> op; the result is float32 whatever came in. */
const FLOAT_RESULT: readonly (readonly [string, string])[] = [['Exp', 'exp']];

/** tfjs kernel -> op; the result is bool. */
const BOOL_RESULT: readonly (readonly [string, string])[] = [
  ['IsFinite', 'is_finite'],
  ['IsInf', 'is_inf'],
  ['IsNan', 'is_nan'],
];

const leakyReluOp = declareOp('leaky_relu');
const stepOp = declareOp('step');
const clipOp = declareOp('clip');

/**
 * Applies an op element by element. Where the op has no body for x's dtype it runs in float32 and the result is cast back,
 * which truncates as a JavaScript typed array would.
 */
export function unary(backend: TensorkilnBackend, op: OpRef, x: TensorInfo, floats?: readonly number[]): TensorInfo {
  const { dtype, shape } = x;
  if (dtype === 'float32') return backend.run(op, [backend.operand(x)], { shape, dtype }, [], floats);
  assertNumeric([x], op.name);
  const letters = dtype === 'int32' ? 'ii' : 'bb';
  if (backend.engine.takes(op, letters)) return backend.run(op, [backend.operand(x)], { shape, dtype }, [], floats);
  return consume(backend, inFloat(backend, op, x, 'float32', floats), (y) => cast(backend, y, dtype));
}

/** Applies an op in float32. */
function inFloat(
  backend: TensorkilnBackend,
  op: OpRef,
  x: TensorInfo,
  dtype: DataType,
  floats?: readonly number[],
): TensorInfo {
  assertNumeric([x], op.name);
  return withDtype(backend, [x], 'float32', ([float]) =>
    backend.run(op, [backend.operand(float as TensorInfo)], { shape: x.shape, dtype }, [], floats),
  );
}

/** max(x, alpha * x) for alpha < 1, float32 whatever came in. */
export function leakyRelu(backend: TensorkilnBackend, x: TensorInfo, alpha: number): TensorInfo {
  return inFloat(backend, leakyReluOp, x, 'float32', [alpha]);
}

function floatKernel([name, opName]: readonly [string, string], dtype: DataType): Kernel {
  const op = declareOp(opName);
  return kernel<UnaryInputs>(name, ({ inputs, backend }) => inFloat(backend, op, inputs.x, dtype));
}

export const unaryKernels: readonly Kernel[] = [
  ...SAME_DTYPE.map(([name, opName]) => {
    const op = declareOp(opName);
    return kernel<UnaryInputs>(name, ({ inputs, backend }) => unary(backend, op, inputs.x));
  }),
  ...FLOAT_RESULT.map((row) => floatKernel(row, 'float32')),
  ...BOOL_RESULT.map((row) => floatKernel(row, 'bool')),
  kernel<UnaryInputs, { alpha: number }>('LeakyRelu', ({ inputs, attrs, backend }) =>
    leakyRelu(backend, inputs.x, attrs.alpha),
  ),
  kernel<UnaryInputs, { alpha: number }>('Step', ({ inputs, attrs, backend }) =>
    unary(backend, stepOp, inputs.x, [attrs.alpha]),
  ),
  kernel<UnaryInputs, { clipValueMin: number; clipValueMax: number }>('ClipByValue', ({ inputs, attrs, backend }) =>
    unary(backend, clipOp, inputs.x, [attrs.clipValueMin, attrs.clipValueMax]),
  ),
];
