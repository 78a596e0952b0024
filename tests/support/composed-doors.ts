/**
 * The fused doors of ts/backend/custom as compositions of tfjs ops, with the same names and arguments: what layers are computed
 * with in the double world (see double-world.ts), where there are no ops of ours.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { FusedActivation } from '../../ts/backend/custom/activations.js';
import type { AttentionOptions } from '../../ts/backend/custom/attention.js';
import type { EmbeddingOptions } from '../../ts/backend/custom/embedding.js';
import type { BatchNormOptions, BatchNormTrainOptions, ChannelNormOptions } from '../../ts/backend/custom/group-norm.js';
import type { ResidualNorm, RowNormOptions } from '../../ts/backend/custom/layer-norm.js';
import type { LinearOptions } from '../../ts/backend/custom/linear.js';
import type {
  GruOptions,
  LstmOptions,
  LstmResult,
  RecurrentWeights,
  RnnOptions,
  SequenceOptions,
  SequenceResult,
} from '../../ts/backend/custom/recurrent.js';

type T = tf.Tensor;

export const gelu = (x: T, isApproximate = false): T => {
  const inner = tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  const gate = isApproximate ? tf.tanh(inner) : tf.erf(tf.mul(x, Math.SQRT1_2));
  return tf.mul(tf.mul(x, 0.5), tf.add(gate, 1));
};
export const silu = (x: T): T => tf.mul(x, tf.sigmoid(x));
export const mish = (x: T): T => tf.mul(x, tf.tanh(tf.softplus(x)));

export const channelPrelu = (x: T, alpha: T): T => tf.prelu(x, alpha);

const FUNCTIONS: Readonly<Record<FusedActivation, (x: T) => T>> = {
  none: (x) => tf.clone(x),
  relu: tf.relu,
  sigmoid: tf.sigmoid,
  tanh: tf.tanh,
  gelu: (x) => gelu(x),
  geluTanh: (x) => gelu(x, true),
  silu,
  mish,
};

export function linear(x: T, w: T, { bias, activation = 'none' }: LinearOptions = {}): T {
  const flat = tf.matMul(tf.reshape(x, [-1, w.shape[0]]), w);
  const y = FUNCTIONS[activation](bias === undefined ? flat : tf.add(flat, bias));
  return tf.reshape(y, [...x.shape.slice(0, -1), w.shape[1]!]);
}

/** The row of padding is 0 and stays so. */
export function embedding(table: T, ids: T, { paddingIndex }: EmbeddingOptions = {}): T {
  const rows = tf.gather(table, ids);
  return paddingIndex === undefined
    ? rows
    : tf.mul(rows, tf.expandDims(tf.cast(tf.notEqual(ids, paddingIndex), 'float32'), -1));
}

const affine = (x: T, { scale, offset }: RowNormOptions): T => {
  const scaled = scale === undefined ? x : tf.mul(x, scale);
  return offset === undefined ? scaled : tf.add(scaled, offset);
};

function standardize(x: T, axes: number[], epsilon = 1e-5): T {
  const centered = tf.sub(x, tf.mean(x, axes, true));
  return tf.div(centered, tf.sqrt(tf.add(tf.mean(tf.square(centered), axes, true), epsilon)));
}

export const layerNorm = (x: T, options: RowNormOptions = {}): T =>
  affine(standardize(x, [x.rank - 1], options.epsilon), options);

export const rmsNorm = (x: T, options: RowNormOptions = {}): T =>
  affine(tf.div(x, tf.sqrt(tf.add(tf.mean(tf.square(x), -1, true), options.epsilon ?? 1e-5))), options);

export function residualLayerNorm(x: T, residual: T, options: RowNormOptions = {}): ResidualNorm {
  const sum = tf.add(x, residual);
  return { sum, y: layerNorm(sum, options) };
}

export function residualRmsNorm(x: T, residual: T, options: RowNormOptions = {}): ResidualNorm {
  const sum = tf.add(x, residual);
  return { sum, y: rmsNorm(sum, options) };
}

export function groupNorm(x: T, groups: number, options: ChannelNormOptions = {}): T {
  const grouped = tf.reshape(x, [x.shape[0], -1, groups, x.shape.at(-1)! / groups]);
  return affine(tf.reshape(standardize(grouped, [1, 3], options.epsilon), x.shape), options);
}

export const instanceNorm = (x: T, options: ChannelNormOptions = {}): T => groupNorm(x, x.shape.at(-1)!, options);

export function batchNormFixed(x: T, options: BatchNormOptions): T {
  const deviation = tf.sqrt(tf.add(options.variance, options.epsilon ?? 1e-5));
  return affine(tf.div(tf.sub(x, options.mean), deviation), options);
}

export function batchNormTrain(x: T, options: BatchNormTrainOptions): T {
  const { runningMean, runningVariance, updateRate = 0.1 } = options;
  const axes = Array.from({ length: x.rank - 1 }, (_, axis) => axis);
  const { mean, variance } = tf.moments(x, axes);
  const count = x.size / x.shape.at(-1)!;
  const move = (running: tf.Variable, value: T): void =>
    running.assign(tf.add(running, tf.mul(tf.sub(value, running), updateRate)));
  move(runningMean, mean);
  move(runningVariance, tf.mul(variance, count / Math.max(count - 1, 1)));
  return affine(standardize(x, axes, options.epsilon), options);
}

const gateOf = (x: T, index: number, units: number): T => tf.slice(x, [0, index * units], [x.shape[0], units]);

/** Next states from the products of one step with the kernel and the states before. */
type Cell = (product: T, states: readonly T[]) => readonly T[];

function runCell(
  x: T,
  weights: RecurrentWeights,
  options: SequenceOptions,
  cell: Cell,
  first: readonly (T | undefined)[],
): T[] {
  const [batch, steps, size] = x.shape as [number, number, number];
  const units = weights.recurrentKernel.shape[0];
  const flat = tf.matMul(tf.reshape(x, [-1, size]), weights.kernel);
  const products = tf.unstack(tf.reshape(flat, [batch, steps, -1]), 1);
  let states: readonly T[] = first.map((state) => state ?? tf.zeros([batch, units]));
  const outputs: T[] = [];
  for (let n = 0; n < steps; ++n) {
    const t = options.isReverse === true ? steps - 1 - n : n;
    const next = cell(products[t]!, states);
    if (options.mask === undefined) {
      states = next;
      outputs[t] = next[0]!;
      continue;
    }
    const counts = tf.tile(tf.slice(options.mask, [0, t], [batch, 1]), [1, units]);
    outputs[t] = tf.where(counts, next[0]!, tf.zeros([batch, units]));
    states = next.map((value, i) => tf.where(counts, value, states[i]!));
  }
  return [tf.stack(outputs, 1), ...states];
}

const plus = (x: T, bias: T | undefined): T => (bias === undefined ? x : tf.add(x, bias));

export function lstm(x: T, weights: RecurrentWeights, options: LstmOptions = {}): LstmResult {
  const units = weights.recurrentKernel.shape[0];
  const cell: Cell = (product, [h, c]) => {
    const sum = plus(tf.add(product, tf.matMul(h!, weights.recurrentKernel)), weights.bias);
    const [i, f, o] = [0, 1, 3].map((index) => tf.sigmoid(gateOf(sum, index, units))) as [T, T, T];
    const next = tf.add(tf.mul(f, c!), tf.mul(i, tf.tanh(gateOf(sum, 2, units))));
    return [tf.mul(o, tf.tanh(next)), next];
  };
  const [y, state, last] = runCell(x, weights, options, cell, [options.initialState, options.initialCell]);
  return {
    y: options.returnSequences === false ? undefined : (y as tf.Tensor3D),
    state: state as tf.Tensor2D,
    cell: last as tf.Tensor2D,
  };
}

export function gru(x: T, weights: RecurrentWeights, options: GruOptions = {}): SequenceResult {
  const { recurrentKernel, bias } = weights;
  const units = recurrentKernel.shape[0];
  const part = (index: number): T => tf.slice(recurrentKernel, [0, index * units], [units, units]);
  const isAfter = options.isResetAfter !== false;
  const rows = bias === undefined ? undefined : tf.reshape(bias, [-1, 3 * units]);
  const biasOf = (row: number, index: number): T | undefined =>
    rows === undefined ? undefined : tf.slice(rows, [row, index * units], [1, units]);
  const cell: Cell = (product, [h]) => {
    const fromState = (index: number, state: T): T =>
      plus(tf.matMul(state, part(index)), isAfter ? biasOf(1, index) : undefined);
    const fromInput = (index: number): T => plus(gateOf(product, index, units), biasOf(0, index));
    const [z, r] = [0, 1].map((index) => tf.sigmoid(tf.add(fromInput(index), fromState(index, h!)))) as [T, T];
    const state = isAfter ? tf.mul(r, fromState(2, h!)) : fromState(2, tf.mul(r, h!));
    const g = tf.tanh(tf.add(fromInput(2), state));
    return [tf.add(g, tf.mul(z, tf.sub(h!, g)))];
  };
  const [y, state] = runCell(x, weights, options, cell, [options.initialState]);
  return { y: options.returnSequences === false ? undefined : (y as tf.Tensor3D), state: state as tf.Tensor2D };
}

export function rnn(x: T, weights: RecurrentWeights, options: RnnOptions = {}): SequenceResult {
  const f = options.activation === 'relu' ? tf.relu : tf.tanh;
  const cell: Cell = (product, [h]) => [f(plus(tf.add(product, tf.matMul(h!, weights.recurrentKernel)), weights.bias))];
  const [y, state] = runCell(x, weights, options, cell, [options.initialState]);
  return { y: options.returnSequences === false ? undefined : (y as tf.Tensor3D), state: state as tf.Tensor2D };
}

/** Added to hidden scores in place of -Infinity, whose differences are no numbers. */
const HIDDEN = -1e9;

export function attention(q: T, k: T, v: T, options: AttentionOptions = {}): tf.Tensor4D {
  const [batch, queries, heads, size] = q.shape as [number, number, number, number];
  const [, keys, keyHeads] = k.shape as [number, number, number];
  const byHead = (x: T): T => {
    const repeated = tf.tile(tf.expandDims(x, 3), [1, 1, 1, heads / x.shape[2]!, 1]);
    return tf.transpose(tf.reshape(repeated, [batch, x.shape[1]!, heads, x.shape[3]!]), [0, 2, 1, 3]);
  };
  if (heads % keyHeads !== 0) throw new Error('heads do not fit');
  const scores = tf.mul(tf.matMul(byHead(q), byHead(k), false, true), options.scale ?? 1 / Math.sqrt(size));
  let visible: T = tf.ones([1, 1, queries, keys]);
  if (options.keyMask !== undefined)
    visible = tf.mul(visible, tf.reshape(tf.cast(options.keyMask, 'float32'), [batch, 1, 1, keys]));
  if (options.isCausal === true) visible = tf.mul(visible, tf.linalg.bandPart(tf.ones([queries, keys]), -1, keys - queries));
  const { mask } = options;
  if (mask !== undefined) visible = tf.mul(visible, tf.cast(tf.greater(mask, HIDDEN), 'float32'));
  const moved = mask === undefined ? scores : tf.add(scores, tf.maximum(mask, HIDDEN));
  const soft = tf.softmax(tf.add(moved, tf.mul(tf.sub(1, visible), HIDDEN)));
  return tf.transpose(tf.matMul(tf.mul(soft, visible), byHead(v)), [0, 2, 1, 3]);
}
