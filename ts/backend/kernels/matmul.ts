/** Matrix products. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { declareOp } from '../../native/engine.js';
import { matMulGeometry } from '../shapes/matmul.js';
import { applyEpilogue } from './activation.js';
import { assertNumeric, cast, commonDtype, consume, kernel, withDtype, type Kernel } from './kernel.js';
import { tileTo } from './layout.js';

interface MatMulInputs {
  a: TensorInfo;
  b: TensorInfo;
}

interface MatMulAttrs {
  transposeA: boolean;
  transposeB: boolean;
}

const matMulOp = declareOp('matmul');

/** y = op(a) op(b) in float32; int32 and bool inputs are cast, and the result is cast back. */
export function matMul(backend: TensorkilnBackend, { a, b }: MatMulInputs, attrs: MatMulAttrs): TensorInfo {
  assertNumeric([a, b], 'matMul');
  const dtype = commonDtype(a, b);
  const y = withDtype(backend, [a, b], 'float32', ([left, right]) =>
    matMulFloat(backend, left as TensorInfo, right as TensorInfo, attrs),
  );
  return dtype === 'float32' ? y : consume(backend, y, (float) => cast(backend, float, dtype));
}

function matMulFloat(backend: TensorkilnBackend, a: TensorInfo, b: TensorInfo, attrs: MatMulAttrs): TensorInfo {
  const transposeA = attrs.transposeA;
  const transposeB = attrs.transposeB;
  const geometry = matMulGeometry(a.shape, b.shape, { transposeA, transposeB });
  const left = geometry.expandA === undefined ? undefined : tileTo(backend, a, geometry.expandA);
  const right = geometry.expandB === undefined ? undefined : tileTo(backend, b, geometry.expandB);
  const y = backend.run(
    matMulOp,
    [backend.operand(left ?? a, geometry.a), backend.operand(right ?? b, geometry.b)],
    { shape: geometry.shape, dtype: 'float32', nativeShape: geometry.y },
    [transposeA ? 1 : 0, transposeB ? 1 : 0],
  );
  if (left !== undefined) backend.disposeIntermediate(left);
  if (right !== undefined) backend.disposeIntermediate(right);
  return y;
}

export const matmulKernels: readonly Kernel[] = [
  kernel<MatMulInputs, MatMulAttrs>('BatchMatMul', ({ inputs, attrs, backend }) => matMul(backend, inputs, attrs)),
  kernel<
    MatMulInputs & { bias?: TensorInfo; preluActivationWeights?: TensorInfo },
    MatMulAttrs & { activation?: string; leakyreluAlpha?: number }
  >('_FusedMatMul', ({ inputs, attrs, backend }) =>
    applyEpilogue(backend, matMul(backend, inputs, attrs), {
      bias: inputs.bias,
      preluActivationWeights: inputs.preluActivationWeights,
      activation: attrs.activation,
      leakyreluAlpha: attrs.leakyreluAlpha,
    }),
  ),
];
