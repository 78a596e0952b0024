/** Softmax and its logarithm over the last axis. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { assertNumeric, kernel, withDtype, type Kernel } from './kernel.js';

const softmaxOp = declareOp('softmax');
const logSoftmaxOp = declareOp('log_softmax');

/** Applies a row op to x seen as [rows, last axis], in float32. */
function overRows(backend: TensorkilnBackend, op: OpRef, x: TensorInfo, axis: number): TensorInfo {
  assertNumeric([x], op.name);
  const rank = x.shape.length;
  if (rank === 0 || (axis !== -1 && axis !== rank - 1)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${op.name}] runs over the last axis: expected ${String(rank - 1)} or -1 for a tensor of shape [${x.shape.join(', ')}], got ${String(axis)}.`,
    );
  }
  const cols = x.shape[rank - 1] as number;
  const rows = x.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
  return withDtype(backend, [x], 'float32', ([float]) =>
    backend.run(op, [backend.operand(float as TensorInfo, [rows, cols])], {
      shape: x.shape,
      dtype: 'float32',
      nativeShape: [rows, cols],
    }),
  );
}

/** Softmax over the last axis; float32. */
export function softmax(backend: TensorkilnBackend, logits: TensorInfo): TensorInfo {
  return overRows(backend, softmaxOp, logits, -1);
}

export const softmaxKernels: readonly Kernel[] = [
  kernel<{ logits: TensorInfo }, { dim: number }>('Softmax', ({ inputs, attrs, backend }) =>
    overRows(backend, softmaxOp, inputs.logits, attrs.dim),
  ),
  kernel<{ logits: TensorInfo }, { axis: number }>('LogSoftmax', ({ inputs, attrs, backend }) =>
    overRows(backend, logSoftmaxOp, inputs.logits, attrs.axis),
  ),
];
