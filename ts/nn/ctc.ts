/** Connectionist temporal classification: labels without places in a sequence. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys } from '../arguments.js';
import { autocast } from '../backend/custom/autocast.js';
import { TensorkilnError } from '../errors.js';
import { classIndices, type Loss } from './losses.js';
import { formatBatchShape } from './shape.js';

export interface CtcOptions {
  /** Class that stands for no label, >= 0. Default 0. */
  readonly blank?: number;
}

/** The logarithm of 0, finite so that differences of two of them are numbers. */
const LOG_ZERO = -1e30;
/** What is above this is the sum of at least one path. */
const POSSIBLE = -1e29;

/** log(sum of exp) of tensors of one shape; LOG_ZERO where all are. */
function logAdd(terms: readonly tf.Tensor[]): tf.Tensor {
  const most = terms.reduce((a, b) => tf.maximum(a, b));
  return tf.add(most, tf.log(tf.addN(terms.map((term) => tf.exp(tf.sub(term, most))))));
}

/** States moved on by `count` places along the last axis; LOG_ZERO comes in. */
function moved(states: tf.Tensor2D, count: number): tf.Tensor2D {
  const [, width] = states.shape;
  return tf.pad(tf.slice(states, [0, 0], [-1, width - count]), [[0, 0], [count, 0]], LOG_ZERO); // prettier-ignore
}

/**
 * Minus the logarithm of the probability that a sequence of class scores spells a list of labels, summed over all ways to place
 * the labels: repeats merge unless a blank stands between them. Sequences are as long as the output, label lists are filled up
 * with -1.
 *
 * The forward recursion over T steps in logarithms, on all rows and states at once; its gradient is that of the recursion. About
 * a dozen op calls per step, which a compiled step replays.
 *
 *   predictions [N, T, C] float32 logits, targets int32 [N, L], values in [0, C) other than `blank`, then -1
 *   A row whose labels do not fit into T steps has loss Infinity.
 *
 * @throws E_CONFIG for wrong options
 * @source Graves, Fernandez, Gomez, Schmidhuber 2006, "Connectionist Temporal Classification", eq. 5 to 8
 */
export function ctcLoss(options: CtcOptions = {}): Loss {
  checkKeys('ctcLoss', options, ['blank']);
  const blank = checkInteger('ctcLoss', 'blank', options.blank ?? 0, { min: 0 });
  return {
    name: 'ctc',
    targetDType: 'int32',
    isClassification: false,
    rows: (predictions, targets) => tf.tidy(() => ctcRows(predictions as tf.Tensor3D, targets as tf.Tensor2D, blank)),
    check(place, outputShape, { targets, targetShape }) {
      const [steps, classes] = outputShape;
      if (outputShape.length !== 2 || steps === undefined || classes === undefined)
        throw new TensorkilnError(
          'E_SHAPE',
          `[${place}] wrong model output for ctc: expected logits [N, T, C], got ${formatBatchShape(outputShape)}.`,
        );
      if (targetShape.length !== 1)
        throw new TensorkilnError(
          'E_SHAPE',
          `[${place}] wrong target shape for ctc: expected lists of labels [N, L], got ${formatBatchShape(targetShape)}.`,
        );
      if (blank >= classes)
        throw new TensorkilnError('E_CONFIG', `[${place}] wrong blank of ctc: expected 0 to ${classes - 1}, got ${blank}.`);
      const width = targetShape[0] as number;
      const labels = classIndices(place, 'ctc', targets);
      for (let row = 0; row * width < labels.length; ++row)
        checkLabels(place, labels.subarray(row * width, (row + 1) * width), row);
      function checkLabels(where: string, list: Int32Array, row: number): void {
        const end = list.indexOf(-1);
        const used = end < 0 ? list : list.subarray(0, end);
        const wrong = used.find((label) => label < 0 || label >= (classes as number) || label === blank);
        if (wrong !== undefined || (end >= 0 && list.subarray(end).some((label) => label !== -1))) {
          throw new TensorkilnError(
            'E_DATA',
            `[${where}] labels of row ${row} are wrong: expected classes from 0 to ${(classes as number) - 1} without the blank ${blank}, then -1${wrong === undefined ? '' : `, got ${wrong}`}.`,
          );
        }
        const needed = used.length + used.filter((label, i) => i > 0 && label === used[i - 1]).length;
        if (needed > (steps as number)) {
          throw new TensorkilnError(
            'E_DATA',
            `[${where}] labels of row ${row} do not fit: they need ${needed} steps, the output has ${steps}.`,
          );
        }
      }
    },
  };
}

/**
 * Score of each state at each step: a product with ones and zeros, whose gradient is one too. Under autocast both stay in float32,
 * as all else here does.
 *
 * @param scores     [N, T, C]
 * @param selection  [N, states, C], a one for the class of each state
 * @returns          [N, T, states]
 */
function selected(scores: tf.Tensor3D, selection: tf.Tensor): tf.Tensor {
  const product = tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([selection]);
    return {
      value: autocast('float32', () => tf.matMul(x as tf.Tensor, selection, false, true)),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => autocast('float32', () => tf.matMul(dy, saved[0] as tf.Tensor)),
    };
  });
  return product(scores);
}

function ctcRows(logits: tf.Tensor3D, labels: tf.Tensor2D, blank: number): tf.Tensor1D {
  const [rows, steps, classes] = logits.shape;
  const width = labels.shape[1];
  const states = 2 * width + 1;
  const logProbabilities = tf.logSoftmax(logits);
  // Blank, label, blank, label, ..., blank. Behind the end of a list stand blanks, which the last selection leaves out.
  const isLabel = tf.greaterEqual(labels, tf.scalar(0, 'int32'));
  const filled = tf.where<tf.Tensor2D>(isLabel, labels, tf.fill([rows, width], blank, 'int32'));
  const blanks = tf.fill([rows, width, 1], blank, 'int32');
  const pairs = tf.reshape(tf.concat([blanks, tf.expandDims(filled, 2)], 2), [rows, 2 * width]);
  const path = tf.concat([pairs, tf.fill([rows, 1], blank, 'int32')], 1) as tf.Tensor2D;
  const selection = tf.oneHot(tf.reshape<tf.Rank.R1>(path, [-1]), classes).reshape([rows, states, classes]);
  const emissions = selected(logProbabilities, tf.cast(selection, 'float32'));
  // A label may follow the one before it without a blank when they differ.
  const before = tf.pad(tf.slice(path, [0, 0], [-1, states - 2 < 0 ? 0 : states - 2]), [[0, 0], [2, 0]], blank); // prettier-ignore
  const odd = tf.tensor1d(Float32Array.from({ length: states }, (_, i) => i % 2));
  const maySkip =
    states < 3 ? undefined : tf.logicalAnd(tf.cast(tf.broadcastTo(odd, [rows, states]), 'bool'), tf.notEqual(path, before));
  const zeroLog = tf.fill([rows, states], LOG_ZERO);
  const emissionAt = (step: number): tf.Tensor2D => tf.reshape(tf.slice(emissions, [0, step, 0], [-1, 1, -1]), [rows, states]);
  const isStart = tf.cast(
    tf.broadcastTo(tf.tensor1d(Float32Array.from({ length: states }, (_, i) => Number(i < 2))), [rows, states]),
    'bool',
  );
  let alpha = tf.where(isStart, emissionAt(0), zeroLog) as tf.Tensor2D;
  for (let step = 1; step < steps; ++step) {
    const terms: tf.Tensor[] = [alpha];
    if (states > 1) terms.push(moved(alpha, 1));
    if (maySkip !== undefined) terms.push(tf.where(maySkip, moved(alpha, 2), zeroLog));
    alpha = tf.maximum(tf.add(logAdd(terms), emissionAt(step)), LOG_ZERO);
  }
  // A path ends in the last label or in the blank behind it.
  const lengths = tf.sum(tf.cast(isLabel, 'int32'), 1, true);
  const places = tf.range(0, states, 1, 'int32');
  const last = tf.mul(lengths, tf.scalar(2, 'int32'));
  const isEnd = tf.logicalOr(tf.equal(places, last), tf.equal(places, tf.sub(last, tf.scalar(1, 'int32'))));
  const ends = tf.where(isEnd, alpha, zeroLog);
  const most = tf.max(ends, 1, true);
  const total = tf.add(tf.squeeze(most, [1]), tf.log(tf.sum(tf.exp(tf.sub(ends, most)), 1)));
  // Without a path the sum is LOG_ZERO or so, and the second term beyond float32.
  return tf.add(tf.neg(total), tf.mul(tf.relu(tf.sub(POSSIBLE, total)), 1e10));
}
