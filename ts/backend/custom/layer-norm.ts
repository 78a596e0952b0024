import type * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend } from '../tensors.js';
import { checkFloats } from './checks.js';
import { differentiable, fusedTensors, NOT_WANTED, present, runFused, type FusedInput } from './fused.js';

const NORM = declareOp('row_norm');
const NORM_GRADIENT = declareOp('row_norm_grad');
const RESIDUAL = declareOp('residual_norm');
const RESIDUAL_GRADIENT = declareOp('residual_norm_grad');

export interface RowNormOptions {
  /** [C] float32 factor; default none (1). */
  readonly scale?: tf.Tensor | undefined;
  /** [C] float32 summand; default none (0). */
  readonly offset?: tf.Tensor | undefined;
  /** Added to the variance (or mean square), > 0; default 1e-5. */
  readonly epsilon?: number | undefined;
}

/** What a pre-norm block needs: the running sum, and its normalised form. */
export interface ResidualNorm {
  /** x + residual. */
  readonly sum: tf.Tensor;
  /** The sum, normalised. */
  readonly y: tf.Tensor;
}

interface Rows {
  /** x's shape without its last dimension. */
  readonly outer: readonly number[];
  readonly epsilon: number;
}

function readRows(place: string, x: tf.Tensor, { scale, offset, epsilon }: RowNormOptions): Rows {
  const columns = x.shape[x.rank - 1];
  if (columns === undefined || columns === 0) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong shape of x: expected [..., C] with C > 0, got [${x.shape.join(', ')}].`,
    );
  }
  checkFloats(place, { x: [x], scale: [scale, [columns]], offset: [offset, [columns]] });
  return { outer: x.shape.slice(0, -1), epsilon: checkNumber(place, 'epsilon', epsilon ?? 1e-5, { above: 0 }) };
}

/** Gradients of x, scale and offset as far as they are given. */
function rowGradients(
  place: 'row' | 'residual',
  x: tf.Tensor,
  inputs: readonly FusedInput[],
  { scale, offset }: RowNormOptions,
  ints: readonly number[],
): tf.Tensor[] {
  const [dx, dscale, doffset] = fusedTensors(
    place === 'row' ? NORM_GRADIENT : RESIDUAL_GRADIENT,
    inputs,
    [[x.shape], [scale?.shape ?? NOT_WANTED], [offset?.shape ?? NOT_WANTED]],
    ints,
  );
  return present([dx, scale && dscale, offset && doffset]);
}

function normRows(place: string, x: tf.Tensor, options: RowNormOptions, isCentered: boolean): tf.Tensor {
  checkKeys(place, options, ['scale', 'offset', 'epsilon']);
  const { outer, epsilon } = readRows(place, x, options);
  const { scale, offset } = options;
  const ints = [isCentered ? 1 : 0];
  const given = [x, scale ?? 'float32', offset ?? 'float32'] as const;
  const [y, mean, inverse] = runFused(NORM, given, [[x.shape], [outer], [outer]], ints, [epsilon]) as [
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
  ];
  const [result] = differentiable({
    inputs: present([x, scale, offset]),
    outputs: [y],
    kept: present([x, mean, inverse, scale]),
    gradient: ([dy], [input, ...rest]) => {
      const [savedMean, savedInverse, factor] = rest as [tf.Tensor, tf.Tensor, tf.Tensor?];
      const all = [dy, input, factor ?? 'float32', savedMean, savedInverse] as FusedInput[];
      return rowGradients('row', x, all, options, ints);
    },
  });
  return result as tf.Tensor;
}

function normResidual(
  place: string,
  x: tf.Tensor,
  residual: tf.Tensor,
  options: RowNormOptions,
  isCentered: boolean,
): ResidualNorm {
  const { outer, epsilon } = readRows(place, x, options);
  checkFloats(place, { residual: [residual, x.shape] });
  const { scale, offset } = options;
  const ints = [isCentered ? 1 : 0];
  const given = [x, residual, scale ?? 'float32', offset ?? 'float32'] as const;
  const shapes = [[x.shape], [x.shape], [outer], [outer]] as const;
  const [sum, y, mean, inverse] = runFused(RESIDUAL, given, shapes, ints, [epsilon]) as [
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
    tf.TensorInfo,
  ];
  const results = differentiable({
    inputs: present([x, residual, scale, offset]),
    outputs: [sum, y],
    kept: present([currentBackend().alias(sum), mean, inverse, scale]),
    gradient: ([dsum, dy], [total, ...rest]) => {
      const [savedMean, savedInverse, factor] = rest as [tf.Tensor, tf.Tensor, tf.Tensor?];
      const all = [dy, dsum, total, factor ?? 'float32', savedMean, savedInverse] as FusedInput[];
      const [dx, ...parameters] = rowGradients('residual', x, all, options, ints) as [tf.Tensor, ...tf.Tensor[]];
      return [dx, dx.clone(), ...parameters];
    },
  });
  return { sum: results[0] as tf.Tensor, y: results[1] as tf.Tensor };
}

/**
 * Layer norm over the last axis: y = (x - mean) / sqrt(variance + epsilon) * scale + offset, one op forward and one back.
 *
 * Kept for the gradient: x, and two numbers per row. Gradients reach x, scale and offset.
 *
 * @param x        [..., C] float32, C > 0
 * @param options  scale, offset, epsilon
 * @returns        [..., C] float32
 * @throws E_SHAPE when scale or offset is not [C]; E_DTYPE; E_CONFIG for a wrong epsilon
 * @source Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 4
 */
export function layerNorm<T extends tf.Tensor>(x: T, options: RowNormOptions = {}): T {
  return normRows('layerNorm', x, options, true) as T;
}

/**
 * RMS norm over the last axis: y = x / sqrt(mean(x^2) + epsilon) * scale + offset. As `layerNorm` otherwise.
 *
 * @source Zhang, Sennrich 2019, arXiv:1910.07467, eq. 4
 */
export function rmsNorm<T extends tf.Tensor>(x: T, options: RowNormOptions = {}): T {
  return normRows('rmsNorm', x, options, false) as T;
}

/**
 * sum = x + residual and y = layerNorm(sum) in one pass; both results are differentiable.
 *
 * @param x         [..., C] float32
 * @param residual  x's shape, float32
 * @throws E_SHAPE, E_DTYPE, E_CONFIG as `layerNorm`
 */
export function residualLayerNorm(x: tf.Tensor, residual: tf.Tensor, options: RowNormOptions = {}): ResidualNorm {
  return normResidual('residualLayerNorm', x, residual, options, true);
}

/** sum = x + residual and y = rmsNorm(sum) in one pass; as `residualLayerNorm`. */
export function residualRmsNorm(x: tf.Tensor, residual: tf.Tensor, options: RowNormOptions = {}): ResidualNorm {
  return normResidual('residualRmsNorm', x, residual, options, false);
}
