import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkNumber } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type Operand } from '../../native/engine.js';
import { storageOf } from '../record.js';
import { currentBackend, makeUnique } from '../tensors.js';
import { checkFloats, checkRank } from './checks.js';
import { differentiable, fusedTensors, NOT_WANTED, present, runFused, type FusedInput } from './fused.js';

const GROUP = declareOp('group_norm');
const GROUP_GRADIENT = declareOp('group_norm_grad');
const TRAIN = declareOp('batch_norm_train');
const FIXED = declareOp('batch_norm');

type Triple<T> = [T, T, T];

export interface ChannelNormOptions {
  /** [C] float32 factor; default none (1). */
  readonly scale?: tf.Tensor | undefined;
  /** [C] float32 summand; default none (0). */
  readonly offset?: tf.Tensor | undefined;
  /** Added to the variance, > 0; default 1e-5. */
  readonly epsilon?: number | undefined;
}

export interface BatchNormTrainOptions extends ChannelNormOptions {
  /** [C] float32 variable, changed in place. */
  readonly runningMean: tf.Variable;
  /** [C] float32 variable, changed in place. */
  readonly runningVariance: tf.Variable;
  /**
   * How far running values move towards those of the batch, in [0, 1]: r += updateRate * (batch - r). Default 0.1: PyTorch's
   * momentum 0.1, Keras's momentum 0.9.
   */
  readonly updateRate?: number | undefined;
  /** Whether the variance that enters the running one is the unbiased one, as in PyTorch; default true. */
  readonly isUnbiased?: boolean | undefined;
}

export interface BatchNormOptions extends ChannelNormOptions {
  /** [C] float32 */
  readonly mean: tf.Tensor;
  /** [C] float32 */
  readonly variance: tf.Tensor;
}

interface Channels {
  readonly channels: number;
  readonly epsilon: number;
}

function readChannels(place: string, x: tf.Tensor, options: ChannelNormOptions, keys: readonly string[] = []): Channels {
  checkKeys(place, options, ['scale', 'offset', 'epsilon', ...keys]);
  const { scale, offset, epsilon } = options;
  checkRank(place, 'x', x, '[N, ..., C]', 2, 8);
  const channels = x.shape[x.rank - 1] as number;
  if (channels === 0) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong shape of x: expected [N, ..., C] with C > 0, got [${x.shape.join(', ')}].`,
    );
  }
  checkFloats(place, { x: [x], scale: [scale, [channels]], offset: [offset, [channels]] });
  return { channels, epsilon: checkNumber(place, 'epsilon', epsilon ?? 1e-5, { above: 0 }) };
}

function placesOf(x: tf.Tensor): number {
  return x.shape.slice(1, -1).reduce((a, b) => a * b, 1);
}

/** Puts a norm whose statistics the op has saved on the tape. `native` is x's shape [N, S, C] as the op sees it. */
function onTape(
  x: tf.Tensor,
  { scale, offset }: ChannelNormOptions,
  native: readonly number[],
  [y, mean, inverse]: Triple<tf.TensorInfo>,
  attributes: readonly [groups: number, isFixed: number],
): tf.Tensor {
  const [result] = differentiable({
    inputs: present([x, scale, offset]),
    outputs: [y],
    kept: present([x, mean, inverse, scale]),
    gradient: ([dy], kept) => {
      const backend = currentBackend();
      const [input, savedMean, savedInverse, factor] = kept as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?];
      const [dx, dscale, doffset] = fusedTensors(
        GROUP_GRADIENT,
        [
          backend.operand(dy as tf.Tensor, native),
          backend.operand(input, native),
          factor ?? 'float32',
          savedMean,
          savedInverse,
        ],
        [[x.shape, native], [scale?.shape ?? NOT_WANTED], [offset?.shape ?? NOT_WANTED]],
        attributes,
      );
      return present([dx, scale && dscale, offset && doffset]);
    },
  });
  return result as tf.Tensor;
}

function normGroups(x: tf.Tensor, groups: number, epsilon: number, options: ChannelNormOptions): tf.Tensor {
  const native = [x.shape[0], placesOf(x), x.shape[x.rank - 1] as number];
  const statistics = [native[0] as number, groups];
  const results = runFused(
    GROUP,
    [currentBackend().operand(x, native), options.scale ?? 'float32', options.offset ?? 'float32'],
    [[x.shape, native], [statistics], [statistics]],
    [groups],
    [epsilon],
  ) as Triple<tf.TensorInfo>;
  return onTape(x, options, native, results, [groups, 0]);
}

/**
 * Group norm: each image's channels are cut into groups, and each group is normalised over its channels and all places:
 * y = (x - mean) / sqrt(variance + epsilon) * scale + offset. One op forward and one back.
 *
 * @param x       [N, ..., C] float32, rank 2 to 8
 * @param groups  number of groups, a divisor of C
 * @returns       x's shape, float32; gradients reach x, scale and offset
 * @throws E_SHAPE, E_DTYPE; E_CONFIG when `groups` does not divide C
 * @source Wu, He 2018, arXiv:1803.08494, eq. 7
 */
export function groupNorm<T extends tf.Tensor>(x: T, groups: number, options: ChannelNormOptions = {}): T {
  const { channels, epsilon } = readChannels('groupNorm', x, options);
  checkInteger('groupNorm', 'groups', groups, { min: 1, max: channels });
  if (channels % groups !== 0) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[groupNorm] wrong groups: expected a divisor of ${channels} channels, got ${groups}.`,
    );
  }
  return normGroups(x, groups, epsilon, options) as T;
}

/**
 * Instance norm: each channel of each image is normalised over its places. As `groupNorm` with as many groups as channels.
 *
 * @source Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022
 */
export function instanceNorm<T extends tf.Tensor>(x: T, options: ChannelNormOptions = {}): T {
  const { channels, epsilon } = readChannels('instanceNorm', x, options);
  return normGroups(x, channels, epsilon, options) as T;
}

function inPlace(variable: tf.Variable): Operand {
  return { handle: makeUnique(variable), storage: storageOf('float32', 'batchNormTrain'), shape: variable.shape };
}

/**
 * Batch norm in training: each channel is normalised over the batch and all places with the statistics of the batch (variance
 * biased), and the running statistics move towards them, in device memory and in the same op. A replayed step goes on moving
 * them.
 *
 * @param x        [N, ..., C] float32, rank 2 to 8; an empty batch leaves the running statistics alone, and so
 *                 does every channel whose statistics are not finite: a step that is left out does not spoil them
 * @param options  running statistics, scale, offset, epsilon, update rate
 * @returns        x's shape, float32; gradients reach x, scale and offset
 * @throws E_SHAPE, E_DTYPE, E_CONFIG
 * @source Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 1; running values as in PyTorch's BatchNorm
 */
export function batchNormTrain<T extends tf.Tensor>(x: T, options: BatchNormTrainOptions): T {
  const place = 'batchNormTrain';
  const { channels, epsilon } = readChannels(place, x, options, ['runningMean', 'runningVariance', 'updateRate', 'isUnbiased']);
  const { runningMean, runningVariance, scale, offset } = options;
  checkFloats(place, { runningMean: [runningMean, [channels]], runningVariance: [runningVariance, [channels]] });
  const updateRate = checkNumber(place, 'updateRate', options.updateRate ?? 0.1, { min: 0, max: 1 });
  const isUnbiased = checkBoolean(place, 'isUnbiased', options.isUnbiased ?? true);
  const native = [1, x.shape[0] * placesOf(x), channels];
  const inputs: FusedInput[] = [currentBackend().operand(x, native), scale ?? 'float32', offset ?? 'float32'];
  const results = runFused(
    TRAIN,
    [...inputs, inPlace(runningMean), inPlace(runningVariance)],
    [[x.shape, native], [[1, channels]], [[1, channels]]],
    [isUnbiased ? 1 : 0],
    [epsilon, updateRate],
  ) as Triple<tf.TensorInfo>;
  return onTape(x, options, native, results, [channels, 0]) as T;
}

/**
 * Batch norm with given statistics, as constants: y = (x - mean) / sqrt(variance + epsilon) * scale + offset. Inference, and
 * training with frozen statistics.
 *
 * @param x        [N, ..., C] float32, rank 2 to 8
 * @param options  mean, variance, scale, offset, epsilon
 * @returns        x's shape, float32; gradients reach x, scale and offset, not mean and variance
 * @throws E_SHAPE, E_DTYPE, E_CONFIG
 * @source Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 2
 */
export function batchNormFixed<T extends tf.Tensor>(x: T, options: BatchNormOptions): T {
  const place = 'batchNormFixed';
  const { channels, epsilon } = readChannels(place, x, options, ['mean', 'variance']);
  const { mean, variance, scale, offset } = options;
  checkFloats(place, { mean: [mean, [channels]], variance: [variance, [channels]] });
  const backend = currentBackend();
  const y = backend.run(
    FIXED,
    present([x, mean, variance, scale, offset]).map((tensor) => backend.operand(tensor)),
    { shape: x.shape, dtype: 'float32' },
    [scale === undefined ? 0 : 1, offset === undefined ? 0 : 1],
    [epsilon],
  );
  const inverse = tf.tidy(() => tf.rsqrt(tf.add(variance, epsilon)));
  const native = [1, x.shape[0] * placesOf(x), channels];
  const result = onTape(x, options, native, [y, mean, inverse], [channels, 1]);
  inverse.dispose();
  return result as T;
}
