import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkKeys, checkOneOf, show } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { activationNumber } from './activations.js';
import { checkDType, checkFloats, checkRank, checkShape } from './checks.js';
import { differentiable, fusedTensors, NOT_WANTED, present, runFused, type FusedInput } from './fused.js';

const LSTM = declareOp('lstm');
const LSTM_GRADIENT = declareOp('lstm_grad');
const GRU = declareOp('gru');
const GRU_GRADIENT = declareOp('gru_grad');
const RNN = declareOp('rnn');
const RNN_GRADIENT = declareOp('rnn_grad');

export interface RecurrentWeights {
  /** [I, sH] float32; s gates, see the function. */
  readonly kernel: tf.Tensor;
  /** [H, sH] float32 */
  readonly recurrentKernel: tf.Tensor;
  /** [sH] float32 (GRU with reset after: [2, sH]); default none. */
  readonly bias?: tf.Tensor | undefined;
}

export interface SequenceOptions {
  /** [B, H] float32 state before the first step; default zeros. */
  readonly initialState?: tf.Tensor | undefined;
  /** [B, T] bool, true where a step counts; default: all. A step that does not leaves the state as it is. */
  readonly mask?: tf.Tensor | undefined;
  /** [B] int32, how many steps of each row count, instead of `mask`. */
  readonly lengths?: tf.Tensor | undefined;
  /** Run from the last step to the first; y[:, t] is still the output of step t. Default false. */
  readonly isReverse?: boolean | undefined;
  /** Output of a step that does not count: 'zero' (default, as PyTorch's packed sequences) or 'hold', the state it keeps. */
  readonly maskedOutput?: 'zero' | 'hold' | undefined;
  /** Whether the outputs of all steps are wanted; default true. Without them y is undefined, and nothing is spent on it. */
  readonly returnSequences?: boolean | undefined;
}

export interface LstmOptions extends SequenceOptions {
  /** [B, H] float32 cell before the first step; default zeros. */
  readonly initialCell?: tf.Tensor | undefined;
}

export interface GruOptions extends SequenceOptions {
  /** Whether the reset gate acts after the product with the recurrent kernel; default true, as Keras, cuDNN and PyTorch. */
  readonly isResetAfter?: boolean | undefined;
}

export interface RnnOptions extends SequenceOptions {
  /** Default 'tanh'. */
  readonly activation?: 'tanh' | 'relu' | undefined;
}

export interface SequenceResult {
  /** [B, T, H] outputs of all steps; undefined without `returnSequences`. */
  readonly y: tf.Tensor3D | undefined;
  /** [B, H] state after the last step that counts. */
  readonly state: tf.Tensor2D;
}

export interface LstmResult extends SequenceResult {
  /** [B, H] cell after the last step that counts. */
  readonly cell: tf.Tensor2D;
}

/** What differs between the three kinds of layers. */
interface Layer {
  readonly place: string;
  readonly op: OpRef;
  readonly gradient: OpRef;
  readonly gates: number;
  readonly biasShape: (width: number) => readonly number[];
  /** First state and, for LSTM, first cell. */
  readonly states: readonly (tf.Tensor | undefined)[];
  /** Arrays of [B, T, H] besides the gates that the gradient needs. */
  readonly extras: number;
  readonly ints: readonly number[];
}

const SEQUENCE_OPTIONS = ['initialState', 'mask', 'lengths', 'isReverse', 'maskedOutput', 'returnSequences'];

interface Sizes {
  readonly batch: number;
  readonly steps: number;
  readonly hidden: number;
  readonly width: number;
}

/** @throws E_CONFIG for weights that are no object of tensors, or hold others */
function checkWeights(place: string, weights: RecurrentWeights): void {
  const given = weights as unknown;
  const isTensor = given instanceof tf.Tensor;
  if (typeof given !== 'object' || given === null || Array.isArray(given) || isTensor) {
    const got = isTensor ? `a tensor [${String(given.shape)}]` : show(given);
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong weights: expected an object with the tensors kernel, recurrentKernel and, if wanted, bias, got ${got}.`,
    );
  }
  for (const key of Object.keys(weights)) {
    if (['kernel', 'recurrentKernel', 'bias'].includes(key)) continue;
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] unknown weight '${key}': expected kernel, recurrentKernel and, if wanted, bias.`,
    );
  }
  const { kernel, recurrentKernel, bias } = weights;
  for (const [key, tensor] of Object.entries({ kernel, recurrentKernel, bias })) {
    if ((tensor as unknown) instanceof tf.Tensor || (key === 'bias' && tensor === undefined)) continue;
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong ${key}: expected a tensor, got ${show(tensor)}.`);
  }
}

function checkSequence(layer: Layer, x: tf.Tensor, weights: RecurrentWeights): Sizes {
  const { place, gates } = layer;
  checkWeights(place, weights);
  const { kernel, recurrentKernel, bias } = weights;
  checkRank(place, 'x', x, '[B, T, I]', 3);
  checkRank(place, 'recurrentKernel', recurrentKernel, `[H, ${gates === 1 ? '' : gates}H]`, 2);
  const [batch, steps, inputs] = x.shape as [number, number, number];
  const hidden = recurrentKernel.shape[0];
  const width = gates * hidden;
  checkFloats(place, {
    x: [x],
    kernel: [kernel, [inputs, width]],
    recurrentKernel: [recurrentKernel, [hidden, width]],
    bias: [bias, layer.biasShape(width)],
    initialState: [layer.states[0], [batch, hidden]],
    initialCell: [layer.states[1], [batch, hidden]],
  });
  return { batch, steps, hidden, width };
}

function readMask(place: string, { mask, lengths }: SequenceOptions, { batch, steps }: Sizes): tf.Tensor | undefined {
  if (mask !== undefined && lengths !== undefined) {
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong options: expected mask or lengths, got both.`);
  }
  if (mask !== undefined) {
    checkDType(place, 'mask', mask, ['bool']);
    checkShape(place, 'mask', mask, [batch, steps]);
    return mask;
  }
  if (lengths === undefined) return undefined;
  checkDType(place, 'lengths', lengths, ['int32']);
  checkShape(place, 'lengths', lengths, [batch]);
  return tf.less(tf.range(0, steps, 1, 'int32').expandDims(0), lengths.expandDims(1));
}

/** Runs a layer; gives y (or undefined), then the last states. */
function runSequence(
  layer: Layer,
  x: tf.Tensor,
  weights: RecurrentWeights,
  options: SequenceOptions,
): (tf.Tensor | undefined)[] {
  const { place } = layer;
  const sizes = checkSequence(layer, x, weights);
  const { batch, steps, hidden, width } = sizes;
  const { kernel, recurrentKernel, bias } = weights;
  const returnsAll = checkBoolean(place, 'returnSequences', options.returnSequences ?? true);
  const isReverse = checkBoolean(place, 'isReverse', options.isReverse ?? false);
  const masked = checkOneOf(place, 'maskedOutput', options.maskedOutput ?? 'zero', ['zero', 'hold']);
  const ints = [isReverse ? 1 : 0, masked === 'hold' ? 1 : 0, ...layer.ints];
  const all = [batch, steps, hidden];
  const count = layer.states.length;
  const results = tf.tidy(() => {
    const mask = readMask(place, options, sizes);
    const states = layer.states.map((state) => state ?? tf.zeros([batch, hidden]));
    const infos = runFused(
      layer.op,
      [x, kernel, recurrentKernel, bias ?? 'float32', ...states, mask ?? 'bool'],
      [
        [returnsAll ? all : NOT_WANTED],
        ...layer.states.map(() => [[batch, hidden]] as const),
        [[batch, steps, width]],
        ...Array.from({ length: layer.extras }, () => [all] as const),
      ],
      ints,
    );
    // Without y its empty result is kept among the saved ones and goes with them.
    const first = returnsAll ? 0 : 1;
    return differentiable({
      inputs: present([x, kernel, recurrentKernel, bias, ...layer.states]),
      outputs: infos.slice(first, 1 + count),
      kept: present([x, kernel, recurrentKernel, ...infos.slice(1 + count), mask, ...infos.slice(0, first)]),
      gradient: (dys, kept) => {
        const [savedX, savedKernel, savedRecurrent, ...rest] = kept as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
        const saved = rest.slice(0, 1 + layer.extras);
        const savedMask = mask === undefined ? undefined : rest[1 + layer.extras];
        const upstream: FusedInput[] = returnsAll ? [...dys] : ['float32', ...dys];
        const gradients = fusedTensors(
          layer.gradient,
          [...upstream, savedX, savedKernel, savedRecurrent, savedMask ?? 'bool', ...saved],
          [
            [x.shape],
            [kernel.shape],
            [recurrentKernel.shape],
            [bias?.shape ?? NOT_WANTED],
            ...layer.states.map(() => [[batch, hidden]] as const),
          ],
          ints,
        );
        const [dx, dkernel, drecurrent, dbias, ...dstates] = gradients;
        return present([dx, dkernel, drecurrent, bias && dbias, ...layer.states.map((state, i) => state && dstates[i])]);
      },
    });
  });
  return returnsAll ? results : [undefined, ...results];
}

/**
 * A long short-term memory over a whole sequence in one direction, one op forward and one back:
 * i, f, o = sigmoid(x W + h R + b), g = tanh(x W + h R + b); c = f c + i g; h = o tanh(c). Gates stand in the order i, f, c, o, as
 * in Keras (PyTorch's i, f, g, o is the same order; add its two biases).
 *
 * Layers stack by feeding y to the next; two directions are two calls, one with `isReverse`, whose outputs are concatenated. A
 * row of which no step counts keeps its initial state and has outputs 0 (or, held, that state).
 *
 * Kept for the gradient: x, the weights, the gates and the states of all steps: T (4 + 2) H numbers per row.
 *
 * @param x        [B, T, I] float32
 * @param weights  kernel [I, 4H], recurrentKernel [H, 4H], bias [4H]
 * @param options  initial state and cell, mask or lengths, direction
 * @returns        y [B, T, H], state [B, H], cell [B, H]; gradients reach x, weights and given initial states
 * @throws E_SHAPE, E_DTYPE, E_CONFIG
 * @source Hochreiter, Schmidhuber 1997; forget gate: Gers, Schmidhuber, Cummins 2000; backpropagation through time: Werbos 1990
 */
export function lstm(x: tf.Tensor, weights: RecurrentWeights, options: LstmOptions = {}): LstmResult {
  checkKeys('lstm', options, [...SEQUENCE_OPTIONS, 'initialCell']);
  const layer: Layer = {
    place: 'lstm',
    op: LSTM,
    gradient: LSTM_GRADIENT,
    gates: 4,
    biasShape: (width) => [width],
    states: [options.initialState, options.initialCell],
    extras: 2,
    ints: [],
  };
  const [y, state, cell] = runSequence(layer, x, weights, options);
  return { y: y as tf.Tensor3D | undefined, state: state as tf.Tensor2D, cell: cell as tf.Tensor2D };
}

/**
 * A gated recurrent unit over a whole sequence in one direction: z, r = sigmoid(x W + h R + b), h = z h + (1 - z) g with
 * g = tanh(x W + b0 + r (h R + b1)), or, reset before, g = tanh(x W + (r h) R + b). Gates stand in the order z, r, h, as in Keras
 * (PyTorch has r, z, n). As `lstm` otherwise.
 *
 * @param weights  kernel [I, 3H], recurrentKernel [H, 3H], bias [2, 3H] (of x and of h), or [3H] with reset before
 * @source Cho et al. 2014, arXiv:1406.1078; reset after: the variant of cuDNN
 */
export function gru(x: tf.Tensor, weights: RecurrentWeights, options: GruOptions = {}): SequenceResult {
  checkKeys('gru', options, [...SEQUENCE_OPTIONS, 'isResetAfter']);
  const isResetAfter = checkBoolean('gru', 'isResetAfter', options.isResetAfter ?? true);
  const layer: Layer = {
    place: 'gru',
    op: GRU,
    gradient: GRU_GRADIENT,
    gates: 3,
    biasShape: (width) => (isResetAfter ? [2, width] : [width]),
    states: [options.initialState],
    extras: 2,
    ints: [isResetAfter ? 1 : 0],
  };
  const [y, state] = runSequence(layer, x, weights, options);
  return { y: y as tf.Tensor3D | undefined, state: state as tf.Tensor2D };
}

/**
 * A simple recurrent layer over a whole sequence in one direction: h = f(x W + h R + b). As `lstm` otherwise.
 *
 * @param weights  kernel [I, H], recurrentKernel [H, H], bias [H] (of PyTorch's two biases the sum)
 * @source Elman 1990
 */
export function rnn(x: tf.Tensor, weights: RecurrentWeights, options: RnnOptions = {}): SequenceResult {
  checkKeys('rnn', options, [...SEQUENCE_OPTIONS, 'activation']);
  const activation = checkOneOf('rnn', 'activation', options.activation ?? 'tanh', ['tanh', 'relu']);
  const layer: Layer = {
    place: 'rnn',
    op: RNN,
    gradient: RNN_GRADIENT,
    gates: 1,
    biasShape: (width) => [width],
    states: [options.initialState],
    extras: 1,
    ints: [activationNumber(activation)],
  };
  const [y, state] = runSequence(layer, x, weights, options);
  return { y: y as tf.Tensor3D | undefined, state: state as tf.Tensor2D };
}
