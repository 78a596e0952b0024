import * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkOneOf } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend } from '../tensors.js';
import { activationNumber, FUSED_ACTIVATIONS, savesResult, type FusedActivation } from './activations.js';
import { checkFloats, checkRank } from './checks.js';
import { differentiable, fusedTensors, NOT_WANTED, present, runFused } from './fused.js';

const LINEAR = declareOp('linear');
const GRADIENT = declareOp('linear_grad');

export interface LinearOptions {
  /** [N] float32; default none. */
  readonly bias?: tf.Tensor | undefined;
  /** Default 'none'. */
  readonly activation?: FusedActivation | undefined;
}

/**
 * A dense layer in one op: y = f(x w + bias). Its gradient is one op as well.
 *
 * Kept for the gradient: x, w, and the result or, for gelu, silu and mish, the argument of f.
 *
 * @param x        [..., K] float32, rank 1 to 8
 * @param w        [K, N] float32
 * @param options  bias and activation
 * @returns        [..., N] float32; gradients reach x, w and bias
 * @throws E_SHAPE, E_DTYPE; E_CONFIG for an unknown activation
 */
export function linear(x: tf.Tensor, w: tf.Tensor, options: LinearOptions = {}): tf.Tensor {
  checkKeys('linear', options, ['bias', 'activation']);
  const { bias } = options;
  checkRank('linear', 'x', x, '[..., K]', 1, 8);
  checkRank('linear', 'w', w, '[K, N]', 2);
  const [depth, units] = w.shape as [number, number];
  if (x.shape[x.rank - 1] !== depth) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[linear] inner sizes differ: expected x [..., ${depth}], got x [${x.shape.join(', ')}] and w [${w.shape.join(', ')}].`,
    );
  }
  checkFloats('linear', { x: [x], w: [w], bias: [bias, [units]] });
  const activation = checkOneOf('linear', 'activation', options.activation ?? 'none', FUSED_ACTIVATIONS);
  const kind = [activationNumber(activation)];
  const outer = x.shape.slice(0, -1);
  const rows = outer.reduce((a, b) => a * b, 1);
  const shape = [...outer, units];
  const native = [rows, units];
  // No tape, no gradient: the argument of f need not be written.
  const isTapeOn = tf.engine().state.gradientDepth > 0;
  const keepsArgument = isTapeOn && activation !== 'none' && !savesResult(activation);
  const backend = currentBackend();
  const [y, argument] = runFused(
    LINEAR,
    [backend.operand(x, [rows, depth]), w, bias ?? 'float32'],
    [[shape, native], [keepsArgument ? native : NOT_WANTED]],
    kind,
  ) as [tf.TensorInfo, tf.TensorInfo];
  const result = savesResult(activation) ? backend.alias(y) : undefined;
  const [value] = differentiable({
    inputs: present([x, w, bias]),
    outputs: [y],
    kept: present([x, w, argument, result]),
    gradient: ([dy], kept) => {
      const [input, kernel, savedArgument, savedResult] = kept as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?];
      const saved = savedResult === undefined ? savedArgument : currentBackend().operand(savedResult, native);
      const gradients = fusedTensors(
        GRADIENT,
        [currentBackend().operand(dy as tf.Tensor, native), currentBackend().operand(input, [rows, depth]), kernel, saved],
        [[x.shape, [rows, depth]], [w.shape], [bias?.shape ?? NOT_WANTED]],
        kind,
      );
      return present([gradients[0], gradients[1], bias && gradients[2]]);
    },
  });
  return value as tf.Tensor;
}
