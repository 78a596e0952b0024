/** Elementwise kernels of two tensors, with numpy broadcasting; selection between two. */
import { backend_util, util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { complexParts, movingOne, toComplex, withTemporaries } from './forms.js';
import { assertNumeric, cast, commonDtype, consume, fromHost, hostStrings, kernel, withDtype, type Kernel } from './kernel.js';
import { tileTo } from './layout.js';

interface BinaryInputs {
  a: TensorInfo;
  b: TensorInfo;
}

/** tfjs kernel -> op; the result has the dtype of the inputs. */
const ARITHMETIC: readonly (readonly [string, string])[] = [
  ['Add', 'add'],
  ['Atan2', 'atan2'],
  ['BitwiseAnd', 'bitwise_and'],
  ['Maximum', 'maximum'],
  ['Minimum', 'minimum'],
  ['Mod', 'mod'],
  ['Multiply', 'mul'],
  ['Pow', 'pow'],
  ['RealDiv', 'div'],
  ['SquaredDifference', 'squared_difference'],
  ['Sub', 'sub'],
];

/** tfjs kernel -> op; the result is bool. */
const COMPARISON: readonly (readonly [string, string])[] = [
  ['Equal', 'equal'],
  ['Greater', 'greater'],
  ['GreaterEqual', 'greater_equal'],
  ['Less', 'less'],
  ['LessEqual', 'less_equal'],
  ['LogicalAnd', 'logical_and'],
  ['LogicalOr', 'logical_or'],
  ['NotEqual', 'not_equal'],
];

const LETTERS: Partial<Record<DataType, string>> = { float32: 'f', int32: 'i', bool: 'b' };
const addOp = declareOp('add');
const subOp = declareOp('sub');
const mulOp = declareOp('mul');
const floorDivOp = declareOp('floor_div');
const preluOp = declareOp('prelu');
const eluGradOp = declareOp('elu_grad');
const selectOp = declareOp('select');

/**
 * y = op(a, b), shapes broadcast. Inputs of different dtypes are cast to the common one. Where the op has no body for that
 * dtype it runs in int32 (for bool) or float32, and the result is cast to the dtype a body would have given.
 */
export function binary(backend: TensorkilnBackend, op: OpRef, a: TensorInfo, b: TensorInfo): TensorInfo {
  const dtype = commonDtype(a, b);
  if (dtype === 'float32' && a.dtype === b.dtype) return broadcast(backend, op, a, b, dtype);
  if (dtype === 'complex64') return complexBinary(backend, op, a, b);
  assertNumeric([a, b], op.name);
  const letter = LETTERS[dtype] as string;
  if (backend.engine.takes(op, letter.repeat(3))) return inDtype(backend, op, [a, b], dtype, dtype);
  if (dtype === 'bool') {
    const wide = backend.engine.takes(op, 'iii') ? 'int32' : 'float32';
    return consume(backend, inDtype(backend, op, [a, b], wide, wide), (y) => cast(backend, y, 'bool'));
  }
  return consume(backend, inDtype(backend, op, [a, b], 'float32', 'float32'), (y) => cast(backend, y, dtype));
}

/** y = a + b. */
export function add(backend: TensorkilnBackend, a: TensorInfo, b: TensorInfo): TensorInfo {
  return binary(backend, addOp, a, b);
}

/** y = a * b. */
export function multiply(backend: TensorkilnBackend, a: TensorInfo, b: TensorInfo): TensorInfo {
  return binary(backend, mulOp, a, b);
}

/** y = x where x >= 0, else alpha * x; float32. */
export function prelu(backend: TensorkilnBackend, x: TensorInfo, alpha: TensorInfo): TensorInfo {
  assertNumeric([x, alpha], 'prelu');
  return inDtype(backend, preluOp, [x, alpha], 'float32', 'float32');
}

function compare(backend: TensorkilnBackend, op: OpRef, a: TensorInfo, b: TensorInfo): TensorInfo {
  if (a.dtype === 'string' && b.dtype === 'string') return compareStrings(backend, op, a, b);
  assertNumeric([a, b], op.name);
  const dtype = commonDtype(a, b);
  // The logical ops know bool only; the others know all three.
  const takes = backend.engine.takes(op, (LETTERS[dtype] as string).repeat(2) + 'b') ? dtype : 'bool';
  return inDtype(backend, op, [a, b], takes, 'bool');
}

/** JavaScript's order of strings, which is that of the stock backend. */
const STRING_COMPARISON: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  equal: (a, b) => a === b,
  not_equal: (a, b) => a !== b,
  less: (a, b) => a < b,
  less_equal: (a, b) => a <= b,
  greater: (a, b) => a > b,
  greater_equal: (a, b) => a >= b,
};

function compareStrings(backend: TensorkilnBackend, op: OpRef, a: TensorInfo, b: TensorInfo): TensorInfo {
  const holds = STRING_COMPARISON[op.name];
  if (holds === undefined) {
    throw new TensorkilnError('E_DTYPE', `[${op.name}] takes float32, int32 or bool tensors, got string.`);
  }
  const shape = backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
  const [left, right] = [a, b].map((tensor) =>
    consume(
      backend,
      movingOne(backend, tensor, (x) => tileTo(backend, x, shape)),
      (whole) => hostStrings(backend, whole, op.name).map((bytes) => util.decodeString(bytes)),
    ),
  ) as [string[], string[]];
  const results = Uint8Array.from(left, (text, i) => (holds(text, right[i] as string) ? 1 : 0));
  return fromHost(backend, results, shape, 'bool');
}

/** Formulas of real tensors by the kernel they are applied in; complex64 is a pair of them. */
type ComplexFormula = (
  backend: TensorkilnBackend,
  a: readonly [TensorInfo, TensorInfo],
  b: readonly [TensorInfo, TensorInfo],
) => TensorInfo;

const partwise =
  (op: OpRef): ComplexFormula =>
  (backend, a, b) =>
    toComplex(backend, binary(backend, op, a[0], b[0]), binary(backend, op, a[1], b[1]));

/** (a + bi)(c + di) = (ac - bd) + (ad + bc)i */
const product: ComplexFormula = (backend, [a, b], [c, d]) => {
  const combined = (op: OpRef, left: [TensorInfo, TensorInfo], right: [TensorInfo, TensorInfo]): TensorInfo =>
    withTemporaries(backend, [binary(backend, mulOp, ...left), binary(backend, mulOp, ...right)], ([x, y]) =>
      binary(backend, op, x as TensorInfo, y as TensorInfo),
    );
  return toComplex(backend, combined(subOp, [a, c], [b, d]), combined(addOp, [a, d], [b, c]));
};

const COMPLEX: Readonly<Record<string, ComplexFormula>> = {
  add: partwise(addOp),
  sub: partwise(subOp),
  mul: product,
};

function complexBinary(backend: TensorkilnBackend, op: OpRef, a: TensorInfo, b: TensorInfo): TensorInfo {
  const formula = COMPLEX[op.name];
  if (formula === undefined) {
    throw new TensorkilnError('E_DTYPE', `[${op.name}] takes float32, int32 or bool tensors, got complex64.`);
  }
  const parts = [a, b].flatMap((tensor) => complexParts(backend, tensor));
  return withTemporaries(backend, parts, ([ar, ai, br, bi]) =>
    formula(backend, [ar as TensorInfo, ai as TensorInfo], [br as TensorInfo, bi as TensorInfo]),
  );
}

function inDtype(
  backend: TensorkilnBackend,
  op: OpRef,
  tensors: readonly [TensorInfo, TensorInfo],
  inputDtype: DataType,
  outputDtype: DataType,
): TensorInfo {
  return withDtype(backend, tensors, inputDtype, ([a, b]) =>
    broadcast(backend, op, a as TensorInfo, b as TensorInfo, outputDtype),
  );
}

function broadcast(backend: TensorkilnBackend, op: OpRef, a: TensorInfo, b: TensorInfo, dtype: DataType): TensorInfo {
  const shape = backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
  return backend.run(op, [backend.operand(a), backend.operand(b)], { shape, dtype });
}

function select(backend: TensorkilnBackend, condition: TensorInfo, t: TensorInfo, e: TensorInfo): TensorInfo {
  assertNumeric([condition, t, e], 'select');
  const dtype = commonDtype(t, e);
  // A condition of rank 1 chooses whole rows of tensors of higher rank.
  const rows = condition.shape.length === 1 && t.shape.length > 1;
  const conditionShape = rows ? [...condition.shape, ...t.shape.slice(1).map(() => 1)] : condition.shape;
  // tf.where hands over tensors of one element where the others have none: tf.broadcastTo leaves those as they are.
  const shape = [t.shape, e.shape].reduce(
    (joined, other) => backend_util.assertAndGetBroadcastShape(joined, other),
    conditionShape,
  );
  return withDtype(backend, [condition], 'bool', ([mask]) =>
    withDtype(backend, [t, e], dtype, ([a, b]) =>
      backend.run(
        selectOp,
        [
          backend.operand(mask as TensorInfo, conditionShape),
          backend.operand(a as TensorInfo),
          backend.operand(b as TensorInfo),
        ],
        { shape, dtype },
      ),
    ),
  );
}

export const binaryKernels: readonly Kernel[] = [
  ...ARITHMETIC.map(([name, opName]) => {
    const op = declareOp(opName);
    return kernel<BinaryInputs>(name, ({ inputs, backend }) => binary(backend, op, inputs.a, inputs.b));
  }),
  ...COMPARISON.map(([name, opName]) => {
    const op = declareOp(opName);
    return kernel<BinaryInputs>(name, ({ inputs, backend }) => compare(backend, op, inputs.a, inputs.b));
  }),
  // tfjs gives floor division the dtype int32, also for float32 inputs.
  kernel<BinaryInputs>('FloorDiv', ({ inputs, backend }) => {
    const y = binary(backend, floorDivOp, inputs.a, inputs.b);
    return y.dtype === 'int32' ? y : consume(backend, y, (quotient) => cast(backend, quotient, 'int32'));
  }),
  kernel<{ x: TensorInfo; alpha: TensorInfo }>('Prelu', ({ inputs, backend }) => prelu(backend, inputs.x, inputs.alpha)),
  kernel<{ dy: TensorInfo; y: TensorInfo }>('EluGrad', ({ inputs, backend }) => {
    assertNumeric([inputs.dy, inputs.y], 'eluGrad');
    return inDtype(backend, eluGradOp, [inputs.dy, inputs.y], 'float32', 'float32');
  }),
  kernel<{ condition: TensorInfo; t: TensorInfo; e: TensorInfo }>('Select', ({ inputs, backend }) =>
    select(backend, inputs.condition, inputs.t, inputs.e),
  ),
  kernel<TensorInfo[]>('AddN', ({ inputs, backend }) => {
    const [first, ...rest] = inputs as [TensorInfo, ...TensorInfo[]];
    let sum = backend.alias(first);
    for (const term of rest) sum = consume(backend, sum, (partial) => add(backend, partial, term));
    return sum;
  }),
];
