import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';
import { checkDType } from './checks.js';

const FORWARD = declareOp('softmax_cross_entropy');
const GRADIENT = declareOp('softmax_cross_entropy_grad');

function shapeError(expected: string, logits: tf.Tensor, labels: tf.Tensor): TensorkilnError {
  return new TensorkilnError(
    'E_SHAPE',
    `[softmaxCrossEntropy] shapes do not fit: expected ${expected}, got logits [${logits.shape.join(', ')}] and labels ${labels.dtype} [${labels.shape.join(', ')}].`,
  );
}

/**
 * Cross-entropy of the softmax of each row against its label, fused and safe against overflow:
 * loss_i = log(sum_j exp(z_ij)) - z_i,label, or -sum_j labels_ij * log softmax(z)_ij for labels given as probabilities.
 *
 * The gradient is one op as well: dlogits = (softmax(z) * sum_j labels_ij - labels) * dloss. It computes the softmax again from the logits;
 * nothing but logits and labels is kept. Labels get no gradient.
 *
 * @param logits  [N, C] float32
 * @param labels  [N] int32 class indices in [0, C), or [N, C] float32 probabilities
 * @returns       [N] float32
 * @throws E_SHAPE, E_DTYPE at once; E_INDEX for a class outside [0, C), at the call when the labels were written from
 *         JavaScript, else at the next synchronisation
 * @source Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.108 and 4.109
 */
export function softmaxCrossEntropy(logits: tf.Tensor, labels: tf.Tensor): tf.Tensor1D {
  checkDType('softmaxCrossEntropy', 'logits', logits, ['float32']);
  checkDType('softmaxCrossEntropy', 'labels', labels, ['int32', 'float32']);
  if (logits.rank !== 2) throw shapeError('logits [N, C]', logits, labels);
  const [rows, classes] = logits.shape as [number, number];
  const isSparse = labels.dtype === 'int32';
  const wanted = isSparse ? [rows] : [rows, classes];
  if (labels.shape.join() !== wanted.join())
    throw shapeError(`labels ${isSparse ? 'int32 [N]' : 'float32 [N, C]'}`, logits, labels);
  checkClasses(labels, classes);
  const run = tf.customGrad((...args) => {
    const [z, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
    const backend = currentBackend();
    save([z, labels]);
    return {
      value: tensorFromInfo(
        backend.run(FORWARD, [backend.operand(z), backend.operand(labels)], { shape: [rows], dtype: 'float32' }),
        backend,
      ),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const inputs = [...saved, dy].map((tensor) => backend.operand(tensor));
        return tensorFromInfo(backend.run(GRADIENT, inputs, { shape: [rows, classes], dtype: 'float32' }), backend);
      },
    };
  });
  return run(logits) as tf.Tensor1D;
}

/** Class indices the backend still has a host copy of are checked at once; the kernel checks all others. */
function checkClasses(labels: tf.Tensor, classes: number): void {
  const { mirror } = currentBackend().record(labels);
  const row = mirror?.findIndex((label) => label < 0 || label >= classes) ?? -1;
  if (row >= 0) {
    throw new TensorkilnError(
      'E_INDEX',
      `[softmaxCrossEntropy] label ${mirror?.[row]} of row ${row} is no class: expected 0 to ${classes - 1}.`,
    );
  }
}
