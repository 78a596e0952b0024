import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys, checkNumber, checkOneOf } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';
import { checkDType, checkFloats, checkIndices } from './checks.js';
import { differentiable, fusedTensors, present, runFused } from './fused.js';

const FORWARD = declareOp('softmax_cross_entropy');
const GRADIENT = declareOp('softmax_cross_entropy_grad');

export interface SoftmaxCrossEntropyOptions {
  /** [C] float32, weights of the classes; default none (1). Get no gradient. */
  readonly classWeights?: tf.Tensor | undefined;
  /** Share of the target that is spread evenly over all classes, in [0, 1]; default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Class index of rows that do not count, in [0, C) or outside; for int32 labels only. Default none. */
  readonly ignoreLabel?: number | undefined;
}

export interface ReducedCrossEntropyOptions extends SoftmaxCrossEntropyOptions {
  /**
   * 'none': one loss per row. 'sum': their sum. 'mean': divided by the weights of the classes of the rows that count, as in
   * PyTorch (for float32 labels by the number of rows); 0 when no row counts.
   */
  readonly reduction: 'none' | 'sum' | 'mean';
}

function shapeError(expected: string, logits: tf.Tensor, labels: tf.Tensor): TensorkilnError {
  return new TensorkilnError(
    'E_SHAPE',
    `[softmaxCrossEntropy] shapes do not fit: expected ${expected}, got logits [${logits.shape.join(', ')}] and labels ${labels.dtype} [${labels.shape.join(', ')}].`,
  );
}

/**
 * Cross-entropy of the softmax of each row against its label, fused and safe against overflow:
 * loss_i = -sum_j q_ij log softmax(z)_ij, q_ij = w_j ((1 - labelSmoothing) t_ij + labelSmoothing / C), where t is the label as
 * probabilities and w are the class weights. With neither, loss_i = log(sum_j exp(z_ij)) - z_i,label.
 *
 * The gradient is one op as well: dlogits = (softmax(z) * sum_j q_ij - q) * dloss. It computes the softmax again from the
 * logits; nothing but logits and labels is kept. Labels get no gradient. A row with `ignoreLabel` has loss 0 and gradient 0.
 *
 * @param logits   [N, C] float32
 * @param labels   [N] int32 class indices in [0, C), or [N, C] float32 probabilities
 * @param options  class weights, label smoothing, label to ignore, reduction
 * @returns        [N] float32, or a scalar when reduced
 * @throws E_SHAPE, E_DTYPE, E_CONFIG at once; E_INDEX for a class outside [0, C), at the call when the labels were written from
 *         JavaScript, else at the next synchronisation
 * @source Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.108 and 4.109; smoothing: Szegedy et al. 2015,
 *         arXiv:1512.00567, section 7; weights and mean as in PyTorch's CrossEntropyLoss
 */
export function softmaxCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  options?: SoftmaxCrossEntropyOptions & { readonly reduction?: 'none' },
): tf.Tensor1D;
export function softmaxCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  options: SoftmaxCrossEntropyOptions & { readonly reduction: 'sum' | 'mean' },
): tf.Scalar;
export function softmaxCrossEntropy(
  logits: tf.Tensor,
  labels: tf.Tensor,
  options: SoftmaxCrossEntropyOptions & Partial<ReducedCrossEntropyOptions> = {},
): tf.Tensor {
  const place = 'softmaxCrossEntropy';
  checkDType(place, 'logits', logits, ['float32']);
  checkDType(place, 'labels', labels, ['int32', 'float32']);
  if (logits.rank !== 2) throw shapeError('logits [N, C]', logits, labels);
  const [rows, classes] = logits.shape as [number, number];
  const isSparse = labels.dtype === 'int32';
  const wanted = isSparse ? [rows] : [rows, classes];
  if (labels.shape.join() !== wanted.join())
    throw shapeError(`labels ${isSparse ? 'int32 [N]' : 'float32 [N, C]'}`, logits, labels);
  checkKeys(place, options, ['classWeights', 'labelSmoothing', 'ignoreLabel', 'reduction']);
  const { classWeights, ignoreLabel } = options;
  checkFloats(place, { classWeights: [classWeights, [classes]] });
  const smoothing = checkNumber(place, 'labelSmoothing', options.labelSmoothing ?? 0, { min: 0, max: 1 });
  const reduction = checkOneOf(place, 'reduction', options.reduction ?? 'none', ['none', 'sum', 'mean']);
  if (ignoreLabel !== undefined) {
    checkInteger(place, 'ignoreLabel', ignoreLabel, { min: -0x80000000, max: 0x7fffffff });
    if (!isSparse) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[${place}] wrong ignoreLabel: expected none beside float32 labels, got ${ignoreLabel}.`,
      );
    }
  }
  if (isSparse) checkIndices(place, 'label', labels, classes, ignoreLabel);
  const ints = [ignoreLabel === undefined ? 0 : 1, ignoreLabel ?? 0];
  return tf.tidy(() => {
    const [losses, rowWeights] = runFused(FORWARD, [logits, labels, classWeights ?? 'float32'], [[[rows]], [[rows]]], ints, [
      smoothing,
    ]) as [tf.TensorInfo, tf.TensorInfo];
    const counted = tensorFromInfo(rowWeights, currentBackend());
    const [loss] = differentiable({
      inputs: [logits],
      outputs: [losses],
      kept: present([logits, labels, classWeights]),
      gradient: ([dy], [z, t, weights]) =>
        fusedTensors(
          GRADIENT,
          [z as tf.Tensor, t as tf.Tensor, weights ?? 'float32', dy as tf.Tensor],
          [[logits.shape]],
          ints,
          [smoothing],
        ),
    }) as [tf.Tensor];
    if (reduction === 'none') return loss;
    if (reduction === 'sum') return tf.sum(loss);
    return tf.mul(tf.sum(loss), tf.divNoNan(tf.scalar(1), tf.sum(counted)));
  });
}
