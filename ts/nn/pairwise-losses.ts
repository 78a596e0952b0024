/** Losses between predictions and float targets of the model's output shape, and how they are checked. */
import * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { meanSquaredError, type Loss } from './losses.js';

/** Mean over the values of each row. */
function rowMeans(values: tf.Tensor): tf.Tensor1D {
  const rows = values.shape[0];
  return tf.mean<tf.Tensor1D>(tf.reshape(values, [rows, values.size / Math.max(rows, 1)]), 1);
}

/** A loss that is the mean of a function over the values of a row; targets are checked as for meanSquaredError. */
function valueLoss(name: string, f: (prediction: tf.Tensor, target: tf.Tensor) => tf.Tensor): Loss {
  return {
    name,
    targetDType: 'float32',
    isClassification: false,
    rows: (predictions, targets) => tf.tidy(() => rowMeans(f(predictions, tf.reshape(targets, predictions.shape)))),
    check: (place, outputShape, dataset) => meanSquaredError.check(place, outputShape, dataset),
  };
}

/** Mean absolute error: |p - t|. */
export const meanAbsoluteError: Loss = valueLoss('mean_absolute_error', (p, t) => tf.abs(tf.sub(p, t)));

/**
 * Huber's loss: e^2 / 2 for |e| = |p - t| <= delta, else delta (|e| - delta / 2).
 *
 * @param options `delta`: > 0; default 1
 * @throws E_CONFIG for a wrong delta
 * @source Huber 1964
 */
export function huberLoss({ delta = 1 }: { readonly delta?: number } = {}): Loss {
  checkNumber('huberLoss', 'delta', delta, { above: 0 });
  return valueLoss('huber', (p, t) => {
    const error = tf.abs(tf.sub(p, t));
    const near = tf.minimum(error, delta);
    return tf.add(tf.mul(tf.square(near), 0.5), tf.mul(tf.sub(error, near), delta));
  });
}

/** Binary cross-entropy of logits: max(z, 0) - z t + log(1 + exp(-|z|)), targets in [0, 1]. Safe against overflow. */
export const binaryCrossEntropyWithLogits: Loss = valueLoss('binary_cross_entropy', (z, t) =>
  tf.add(tf.sub(tf.relu(z), tf.mul(z, t)), tf.log1p(tf.exp(tf.neg(tf.abs(z))))),
);

/** Cross-entropy of logits [N, ..., C] with probabilities over the last axis as targets; rows with several places take their mean. */
export const categoricalCrossEntropy: Loss = {
  ...valueLoss('categorical_cross_entropy', (p) => p),
  rows: (predictions, targets) =>
    tf.tidy(() => rowMeans(tf.neg(tf.sum(tf.mul(tf.reshape(targets, predictions.shape), tf.logSoftmax(predictions)), -1)))),
};

/**
 * Focal loss of logits and targets in {0, 1}: -a (1 - p)^gamma log p with p the probability of the target, and a = alpha for
 * targets 1, 1 - alpha for 0.
 *
 * @param options `gamma`: >= 0, default 2; `alpha`: in [0, 1], default 0.25
 * @throws E_CONFIG
 * @source Lin, Goyal, Girshick, He, Dollar 2017, arXiv:1708.02002, eq. 5
 */
export function binaryFocalLoss({ gamma = 2, alpha = 0.25 }: { readonly gamma?: number; readonly alpha?: number } = {}): Loss {
  checkNumber('binaryFocalLoss', 'gamma', gamma, { min: 0 });
  checkNumber('binaryFocalLoss', 'alpha', alpha, { min: 0, max: 1 });
  return valueLoss('binary_focal', (z, t) => {
    const loss = tf.add(tf.sub(tf.relu(z), tf.mul(z, t)), tf.log1p(tf.exp(tf.neg(tf.abs(z)))));
    // 1 - p, kept a little above 0: the power's gradient at 0 is not finite for gamma < 1.
    const doubt = tf.maximum(tf.sub(1, tf.exp(tf.neg(loss))), 1e-7);
    const weight = tf.add(tf.mul(t, alpha), tf.mul(tf.sub(1, t), 1 - alpha));
    return tf.mul(tf.mul(weight, tf.pow(doubt, gamma)), loss);
  });
}

/** Squared hinge loss max(0, 1 - t p)^2, targets -1 or 1. */
export const squaredHingeLoss: Loss = valueLoss('squared_hinge', (p, t) => tf.square(tf.relu(tf.sub(1, tf.mul(t, p)))));

/** Poisson loss exp(p) - t p of the logarithm of a rate, without the constant of the target. */
export const poissonLoss: Loss = valueLoss('poisson', (p, t) => tf.sub(tf.exp(p), tf.mul(t, p)));

/** log cosh(p - t), safe against overflow. */
export const logCoshLoss: Loss = valueLoss('log_cosh', (p, t) => {
  const error = tf.abs(tf.sub(p, t));
  return tf.sub(tf.add(error, tf.log1p(tf.exp(tf.mul(error, -2)))), Math.LN2);
});

/** Hinge loss max(0, 1 - t p), targets -1 or 1. */
export const hingeLoss: Loss = valueLoss('hinge', (p, t) => tf.relu(tf.sub(1, tf.mul(t, p))));

/** Cosine loss: 1 - cos(p, t) over the values of a row; rows of norm 0 count 1. */
export const cosineLoss: Loss = {
  ...valueLoss('cosine', (p) => p),
  rows: (predictions, targets) =>
    tf.tidy(() => {
      const rows = predictions.shape[0];
      const flat = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [rows, predictions.size / Math.max(rows, 1)]);
      const unit = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.rsqrt(tf.maximum(tf.sum(tf.square(x), 1, true), 1e-12)));
      return tf.sub<tf.Tensor1D>(1, tf.sum(tf.mul(unit(flat(predictions)), unit(flat(targets))), 1));
    }),
};

/**
 * Kullback-Leibler divergence sum_j t_j (log t_j - log softmax(z)_j) of targets, probabilities over the last axis, from logits;
 * a target of 0 counts 0. Rows with several places take their mean.
 */
export const klDivergence: Loss = {
  ...valueLoss('kl_divergence', (p) => p),
  rows: (predictions, targets) =>
    tf.tidy(() => {
      const t = tf.reshape(targets, predictions.shape);
      const logTarget = tf.log(tf.maximum(t, 1e-30));
      return rowMeans(tf.sum(tf.mul(t, tf.sub(logTarget, tf.logSoftmax(predictions))), -1));
    }),
};

/** Options of losses of embeddings. */
export interface EmbeddingLossOptions {
  readonly margin?: number;
  readonly sampleWeights?: tf.Tensor1D;
}

/**
 * Checks what a loss of embeddings takes: anything else would be broadcast to a loss of other pairs.
 *
 * @param factors  one number per row each; absent ones are not looked at
 * @throws E_CONFIG; E_SHAPE
 */
function checkEmbeddings(
  place: string,
  embeddings: Readonly<Record<string, tf.Tensor>>,
  factors: Readonly<Record<string, tf.Tensor | undefined>>,
  options: EmbeddingLossOptions,
): void {
  checkKeys(place, options, ['margin', 'sampleWeights']);
  const fail = (what: string, expected: string, { shape }: tf.Tensor): never => {
    throw new TensorkilnError('E_SHAPE', `[${place}] wrong ${what}: expected ${expected}, got [${shape.join(', ')}].`);
  };
  const [[firstName, first], ...others] = Object.entries(embeddings) as [[string, tf.Tensor], ...[string, tf.Tensor][]];
  if (first.rank !== 2) fail(firstName, '[N, C]', first);
  const shape = first.shape.join(', ');
  for (const [name, other] of others) if (other.shape.join(', ') !== shape) fail(name, `[${shape}] as ${firstName}`, other);
  const rows = String(first.shape[0]);
  for (const [name, values] of Object.entries(factors))
    if (values !== undefined && values.shape.join(', ') !== rows) fail(name, `[${rows}], one per row`, values);
}

function weighted(rows: tf.Tensor, sampleWeights: tf.Tensor1D | undefined): tf.Tensor1D {
  return sampleWeights === undefined ? (rows as tf.Tensor1D) : tf.mul(rows, sampleWeights);
}

/**
 * Triplet loss of embeddings [N, C]: max(0, |a - p|^2 - |a - n|^2 + margin).
 *
 * @param options `margin`: >= 0; default 1. `sampleWeights` [N]: factors of the rows; default 1
 * @returns       [N]
 * @throws E_CONFIG for wrong options; E_SHAPE for other shapes
 * @source Schroff, Kalenichenko, Philbin 2015, arXiv:1503.03832, eq. 3
 */
export function tripletLoss(
  [anchor, positive, negative]: readonly [tf.Tensor, tf.Tensor, tf.Tensor],
  options: EmbeddingLossOptions = {},
): tf.Tensor1D {
  const { margin = 1, sampleWeights } = options;
  checkEmbeddings('tripletLoss', { anchor, positive, negative }, { sampleWeights }, options);
  checkNumber('tripletLoss', 'margin', margin, { min: 0 });
  return tf.tidy(() => {
    const distance = (other: tf.Tensor): tf.Tensor => tf.sum(tf.squaredDifference(anchor, other), -1);
    return weighted(tf.relu(tf.add(tf.sub(distance(positive), distance(negative)), margin)), sampleWeights);
  });
}

/**
 * Contrastive loss of pairs of embeddings [N, C]: same d^2 + (1 - same) max(0, margin - d)^2, each halved; same [N] is 1 for
 * pairs that belong together, else 0.
 *
 * @param options `margin`: > 0; default 1. `sampleWeights` [N]: factors of the pairs; default 1
 * @returns       [N]
 * @throws E_CONFIG for wrong options; E_SHAPE for other shapes
 * @source Hadsell, Chopra, LeCun 2006, eq. 4
 */
export function contrastiveLoss(
  [first, second]: readonly [tf.Tensor, tf.Tensor],
  same: tf.Tensor,
  options: EmbeddingLossOptions = {},
): tf.Tensor1D {
  const { margin = 1, sampleWeights } = options;
  checkEmbeddings('contrastiveLoss', { first, second }, { same, sampleWeights }, options);
  checkNumber('contrastiveLoss', 'margin', margin, { above: 0 });
  return tf.tidy(() => {
    const squared = tf.sum(tf.squaredDifference(first, second), -1);
    // The root's gradient at 0 is not finite; the tiny number keeps equal pairs from giving NaN.
    const gap = tf.relu(tf.sub(margin, tf.sqrt(tf.add(squared, 1e-12))));
    const apart = tf.mul(tf.sub(1, same), tf.square(gap));
    return weighted(tf.mul(tf.add(tf.mul(same, squared), apart), 0.5), sampleWeights);
  });
}
