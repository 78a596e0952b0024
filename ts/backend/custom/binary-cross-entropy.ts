import type * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { checkFloats } from './checks.js';
import { differentiable, fusedTensors, present, runFused } from './fused.js';

const FORWARD = declareOp('binary_cross_entropy');
const GRADIENT = declareOp('binary_cross_entropy_grad');

export interface BinaryCrossEntropyOptions {
  /** Weight of the positive class: [1], or [C] for one per last dimension; default 1. */
  readonly positiveWeight?: tf.Tensor | undefined;
  /** Labels t become t * (1 - labelSmoothing) + labelSmoothing / 2; in [0, 1], default 0. */
  readonly labelSmoothing?: number | undefined;
}

/**
 * Binary cross-entropy of logits, element by element and safe against overflow:
 * loss = -(p t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), p = positiveWeight.
 *
 * @param logits   [..., C] float32, rank 1 or more
 * @param labels   logits' shape, float32 in [0, 1]; get no gradient
 * @returns        logits' shape, float32
 * @throws E_SHAPE, E_DTYPE, E_CONFIG
 * @source the log-sum-exp form of PyTorch's BCEWithLogitsLoss
 */
export function binaryCrossEntropy(logits: tf.Tensor, labels: tf.Tensor, options: BinaryCrossEntropyOptions = {}): tf.Tensor {
  checkKeys('binaryCrossEntropy', options, ['positiveWeight', 'labelSmoothing']);
  const { positiveWeight, labelSmoothing = 0 } = options;
  checkFloats('binaryCrossEntropy', { logits: [logits], labels: [labels, logits.shape], positiveWeight: [positiveWeight] });
  const smoothing = checkNumber('binaryCrossEntropy', 'labelSmoothing', labelSmoothing, { min: 0, max: 1 });
  const columns = logits.shape[logits.rank - 1];
  const count = positiveWeight?.size ?? 1;
  if (columns === undefined || (count !== 1 && count !== columns)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[binaryCrossEntropy] shapes do not fit: expected logits [..., C] and positiveWeight [C] or [1], got logits [${logits.shape.join(', ')}] and positiveWeight [${positiveWeight?.shape.join(', ') ?? ''}].`,
    );
  }
  const outputs = runFused(FORWARD, [logits, labels, positiveWeight ?? 'float32'], [[logits.shape]], [], [smoothing]);
  const [loss] = differentiable({
    inputs: [logits],
    outputs,
    kept: present([logits, labels, positiveWeight]),
    gradient: ([dy], [z, t, weight]) =>
      fusedTensors(
        GRADIENT,
        [z as tf.Tensor, t as tf.Tensor, weight ?? 'float32', dy as tf.Tensor],
        [[logits.shape]],
        [],
        [smoothing],
      ),
  });
  return loss as tf.Tensor;
}
