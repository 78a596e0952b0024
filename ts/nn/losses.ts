/** Losses as objects: what they compute, and which targets they need. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../arguments.js';
import { softmaxCrossEntropy } from '../backend/custom/softmax-cross-entropy.js';
import type { Dataset } from '../data/dataset.js';
import { TensorkilnError } from '../errors.js';
import { formatBatchShape, isSameShape, sizeOfShape, type Shape } from './shape.js';

/** A loss over rows. The loss of a batch or a data set is the mean over its rows. */
export interface Loss {
  readonly name: string;
  /** dtype targets must have. */
  readonly targetDType: 'int32' | 'float32';
  /** Whether predictions are scores per class, so that accuracy is defined. */
  readonly isClassification: boolean;
  /**
   * Loss of every row.
   *
   * @param predictions  model output [N, ...] float32
   * @param targets      [N, ...] of `targetDType`
   * @returns            [N] float32, differentiable by `predictions`
   */
  rows(predictions: tf.Tensor, targets: tf.Tensor): tf.Tensor1D;
  /**
   * Checks a model's output shape and a whole data set before any work starts.
   *
   * @throws E_SHAPE, E_DTYPE or E_DATA naming `place` and what does not fit
   */
  check(place: string, outputShape: Shape, dataset: Dataset): void;
}

/**
 * Cross-entropy between logits and class indices: loss_i = log(sum_j exp(z_ij)) - z_i,target. The model's last layer gives
 * logits [N, C], without softmax; targets are int32 [N] in [0, C).
 */
export const crossEntropy: Loss = {
  name: 'cross_entropy',
  targetDType: 'int32',
  isClassification: true,
  rows: (predictions, targets) => softmaxCrossEntropy(predictions, targets),
  check(place, outputShape, { targets, targetShape }) {
    const [classes] = outputShape;
    if (outputShape.length !== 1 || classes === undefined) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[${place}] wrong model output for cross_entropy: expected logits [N, C], got ${formatBatchShape(outputShape)}.`,
      );
    }
    if (!(targets instanceof Int32Array)) {
      throw new TensorkilnError(
        'E_DTYPE',
        `[${place}] wrong targets for cross_entropy: expected class indices in an Int32Array, got a ${targets.constructor.name}.`,
      );
    }
    if (targetShape.length !== 0) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[${place}] wrong target shape for cross_entropy: expected one class index per row, got ${formatBatchShape(targetShape)}.`,
      );
    }
    const row = targets.findIndex((target) => target < 0 || target >= classes);
    if (row >= 0) {
      throw new TensorkilnError(
        'E_DATA',
        `[${place}] target of row ${row} is no class of the model: expected 0 to ${classes - 1}, got ${targets[row]}.`,
      );
    }
  },
};

/**
 * Focal loss over logits and class indices: loss_i = -(1 - p_i)^gamma * log(p_i), with p_i the probability of the target class.
 * Rows the model is sure of count less, so that a rare class is not drowned. Targets and outputs as for `crossEntropy`.
 *
 * @param gamma  how much less sure rows count, >= 0; 0 is the cross-entropy. Default 2
 * @throws E_CONFIG for a wrong gamma
 * @source Lin, Goyal, Girshick, He, Dollar 2017, arXiv:1708.02002, eq. 4
 */
export function focalLoss({ gamma = 2 }: { readonly gamma?: number } = {}): Loss {
  checkNumber('focalLoss', 'gamma', gamma, { min: 0 });
  return {
    ...crossEntropy,
    name: 'focal',
    rows: (predictions, targets) =>
      tf.tidy(() => {
        const loss = softmaxCrossEntropy(predictions, targets);
        // 1 - p, kept a little above 0: the power's gradient at 0 is not finite for gamma < 1.
        const doubt = tf.maximum(tf.sub(1, tf.exp(tf.neg(loss))), 1e-7);
        return tf.mul<tf.Tensor1D>(tf.pow(doubt, gamma), loss);
      }),
  };
}

/**
 * Mean squared error: loss_i = mean over the values of row i of (prediction - target)^2. Targets are float32 of the model's
 * output shape; a model with output [N, 1] also takes targets [N].
 */
export const meanSquaredError: Loss = {
  name: 'mean_squared_error',
  targetDType: 'float32',
  isClassification: false,
  rows: (predictions, targets) =>
    tf.tidy(() => {
      const rows = predictions.shape[0];
      const errors = tf.squaredDifference(predictions, tf.reshape(targets, predictions.shape));
      return tf.mean<tf.Tensor1D>(tf.reshape(errors, [rows, predictions.size / Math.max(rows, 1)]), 1);
    }),
  check(place, outputShape, { targets, targetShape }) {
    if (!(targets instanceof Float32Array)) {
      throw new TensorkilnError(
        'E_DTYPE',
        `[${place}] wrong targets for mean_squared_error: expected a Float32Array, got a ${targets.constructor.name}.`,
      );
    }
    const isScalar = targetShape.length === 0 && isSameShape(outputShape, [1]);
    if (!isScalar && !isSameShape(outputShape, targetShape)) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[${place}] wrong target shape for mean_squared_error: expected the model's output ${formatBatchShape(outputShape)}, got ${formatBatchShape(targetShape)}.`,
      );
    }
    const index = targets.findIndex((target) => !Number.isFinite(target));
    if (index >= 0) {
      const row = Math.floor(index / sizeOfShape(targetShape));
      throw new TensorkilnError('E_DATA', `[${place}] target of row ${row} is not a finite number.`);
    }
  },
};
