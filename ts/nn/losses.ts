/** Losses as objects: what they compute, and which targets they need. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys, checkNumber } from '../arguments.js';
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
  /** Target of places that do not count, in accuracy neither; none when absent. */
  readonly ignoredClass?: number;
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

/** Options of crossEntropyLoss. */
export interface CrossEntropyOptions {
  /** Share of the target spread evenly over all classes, in [0, 1]. Default 0. */
  readonly smoothing?: number;
  /** How much each class counts, >= 0, by class index. Default 1 each. */
  readonly classWeights?: readonly number[];
  /** A class index, of the classes or outside, whose places do not count: padding. Default none. */
  readonly ignore?: number;
}

/**
 * `crossEntropy` with options, also for a class at every place of a sequence or image: logits [N, ..., C], targets int32 [N, ...].
 * The loss of a row is the mean over its places that count, 0 where none does.
 *
 * @throws E_CONFIG for wrong options
 * @source smoothing: Szegedy et al. 2015, arXiv:1512.00567, section 7
 */
export function crossEntropyLoss(options: CrossEntropyOptions = {}): Loss {
  const place = 'crossEntropyLoss';
  checkKeys(place, options, ['smoothing', 'classWeights', 'ignore']);
  const smoothing = checkNumber(place, 'smoothing', options.smoothing ?? 0, { min: 0, max: 1 });
  const ignore = options.ignore === undefined ? undefined : checkInteger(place, 'ignore', options.ignore);
  const classWeights = options.classWeights?.map((weight, i) => checkNumber(place, `classWeights[${i}]`, weight, { min: 0 }));
  return {
    name: 'cross_entropy',
    targetDType: 'int32',
    isClassification: true,
    ...(ignore === undefined ? {} : { ignoredClass: ignore }),
    rows: (predictions, targets) =>
      tf.tidy(() => {
        const [rows, classes] = [predictions.shape[0], predictions.shape.at(-1) as number];
        const places = predictions.size / Math.max(1, rows * classes);
        const losses = softmaxCrossEntropy(tf.reshape(predictions, [-1, classes]), tf.reshape(targets, [-1]), {
          labelSmoothing: smoothing,
          ...(ignore === undefined ? {} : { ignoreLabel: ignore }),
          ...(classWeights === undefined ? {} : { classWeights: tf.tensor1d(classWeights) }),
        });
        if (places === 1) return tf.reshape<tf.Rank.R1>(losses, [rows]);
        const sums = tf.sum<tf.Tensor1D>(tf.reshape(losses, [rows, places]), 1);
        if (ignore === undefined) return tf.div<tf.Tensor1D>(sums, places);
        const counts = tf.sum(
          tf.cast(tf.reshape(tf.notEqual(targets, tf.scalar(ignore, 'int32')), [rows, places]), 'float32'),
          1,
        );
        return tf.div<tf.Tensor1D>(sums, tf.maximum(counts, 1));
      }),
    check(where, outputShape, { targets, targetShape }) {
      const classes = outputShape.at(-1);
      if (classes === undefined || !isSameShape(outputShape.slice(0, -1), targetShape)) {
        throw new TensorkilnError(
          'E_SHAPE',
          `[${where}] wrong target shape for cross_entropy: expected class indices ${formatBatchShape(outputShape.slice(0, -1))} for logits ${formatBatchShape(outputShape)}, got ${formatBatchShape(targetShape)}.`,
        );
      }
      if (classWeights !== undefined && classWeights.length !== classes) {
        throw new TensorkilnError(
          'E_CONFIG',
          `[${where}] wrong classWeights of cross_entropy: expected one for each of the ${classes} classes, got ${classWeights.length}.`,
        );
      }
      const indices = classIndices(where, 'cross_entropy', targets);
      const wrong = indices.findIndex((target) => target !== ignore && (target < 0 || target >= classes));
      if (wrong >= 0) {
        const row = Math.floor(wrong / sizeOfShape(targetShape));
        throw new TensorkilnError(
          'E_DATA',
          `[${where}] target of row ${row} is no class of the model: expected 0 to ${classes - 1}${ignore === undefined ? '' : ` or ${ignore}`}, got ${indices[wrong]}.`,
        );
      }
      if (ignore !== undefined && indices.every((target) => target === ignore))
        throw new TensorkilnError(
          'E_DATA',
          `[${where}] every target is ${ignore}, which is ignored: there is nothing to learn.`,
        );
    },
  };
}

/** Targets as class indices. @throws E_DTYPE */
export function classIndices(place: string, loss: string, targets: Dataset['targets']): Int32Array {
  if (targets instanceof Int32Array) return targets;
  throw new TensorkilnError(
    'E_DTYPE',
    `[${place}] wrong targets for ${loss}: expected class indices in an Int32Array, got a ${targets.constructor.name}.`,
  );
}

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
