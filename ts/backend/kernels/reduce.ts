/** Reductions over any axes, and the index of an extreme. */
import { upcastType, util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { planReduction, splitAtAxis } from '../shapes/reduce.js';
import { assertNumeric, cast, consume, kernel, withDtype, type Kernel } from './kernel.js';

interface ReduceInputs {
  x: TensorInfo;
}

interface ReduceAttrs {
  axis: number | number[];
  keepDims?: boolean;
}

const sumOp = declareOp('reduce_sum');
const meanOp = declareOp('reduce_mean');
const prodOp = declareOp('reduce_prod');
const maxOp = declareOp('reduce_max');
const minOp = declareOp('reduce_min');
const allOp = declareOp('reduce_all');
const anyOp = declareOp('reduce_any');
const argMaxOp = declareOp('argmax');
const argMinOp = declareOp('argmin');

/** Reduces in x's own dtype, which the op must take. */
function reduce(
  backend: TensorkilnBackend,
  op: OpRef,
  x: TensorInfo,
  options: { axis: number | number[]; keepDims: boolean },
): TensorInfo {
  const { dtype } = x;
  const { shape, steps } = planReduction(x.shape, util.parseAxisParam(options.axis, x.shape), options.keepDims);
  let result = x;
  steps.forEach(({ outer, n, inner }, index) => {
    const last = index === steps.length - 1;
    const input = backend.operand(result, [outer, n, inner]);
    const output = { shape: last ? shape : [outer, inner], dtype, nativeShape: [outer, inner] };
    const reduced = backend.run(op, [input], output);
    if (index > 0) backend.disposeIntermediate(result);
    result = reduced;
  });
  return result;
}

/** The sum over some axes, which disappear; int32 for bool. */
export function sum(backend: TensorkilnBackend, x: TensorInfo, axes: readonly number[]): TensorInfo {
  return withDtype(backend, [x], upcastType(x.dtype, 'int32'), ([wide]) =>
    reduce(backend, sumOp, wide as TensorInfo, { axis: [...axes], keepDims: false }),
  );
}

/** A reduction kernel that runs in the dtype `dtypeOf` names; the result is cast back to x's dtype when `castBack` says so. */
function reduction(
  name: string,
  op: OpRef,
  rules: { dtypeOf: (dtype: DataType) => DataType; castBack?: boolean; axisKey?: 'axis' | 'reductionIndices' },
): Kernel {
  const axisKey = rules.axisKey ?? 'axis';
  return kernel<ReduceInputs, Record<'axis' | 'reductionIndices', number | number[]> & { keepDims?: boolean }>(
    name,
    ({ inputs, attrs, backend }) => {
      const { x } = inputs;
      assertNumeric([x], name);
      const dtype = rules.dtypeOf(x.dtype);
      const options = { axis: attrs[axisKey], keepDims: attrs.keepDims ?? false };
      const y = withDtype(backend, [x], dtype, ([converted]) => reduce(backend, op, converted as TensorInfo, options));
      if (rules.castBack !== true || dtype === x.dtype) return y;
      return consume(backend, y, (wide) => cast(backend, wide, x.dtype));
    },
  );
}

function argument(name: string, op: OpRef): Kernel {
  return kernel<ReduceInputs, ReduceAttrs>(name, ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    assertNumeric([x], name);
    const axis = util.parseAxisParam(attrs.axis, x.shape)[0] as number;
    const [outer, n, inner] = splitAtAxis(x.shape, axis);
    const shape = x.shape.filter((_, index) => index !== axis);
    return backend.run(op, [backend.operand(x, [outer, n, inner])], {
      shape,
      dtype: 'int32',
      nativeShape: [outer, inner],
    });
  });
}

const boolAsInt = (dtype: DataType): DataType => (dtype === 'bool' ? 'int32' : dtype);

export const reduceKernels: readonly Kernel[] = [
  reduction('Sum', sumOp, { dtypeOf: (dtype) => upcastType(dtype, 'int32') }),
  reduction('Mean', meanOp, { dtypeOf: () => 'float32' }),
  reduction('Prod', prodOp, { dtypeOf: (dtype) => upcastType(dtype, 'int32') }),
  reduction('Max', maxOp, { dtypeOf: boolAsInt, castBack: true, axisKey: 'reductionIndices' }),
  reduction('Min', minOp, { dtypeOf: boolAsInt, castBack: true }),
  reduction('All', allOp, { dtypeOf: () => 'bool' }),
  reduction('Any', anyOp, { dtypeOf: () => 'bool' }),
  argument('ArgMax', argMaxOp),
  argument('ArgMin', argMinOp),
];
