import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { checkFloats } from './checks.js';
import { differentiable, fusedTensors, NOT_WANTED, runFused } from './fused.js';

const ACTIVATION = declareOp('activation');
const GRADIENT = declareOp('activation_grad');
const PRELU_GRADIENT = declareOp('prelu_grad');

/** Functions of fused ops; the order is that of native/ops/common/activation_math.h. */
export const FUSED_ACTIVATIONS = ['none', 'relu', 'sigmoid', 'tanh', 'gelu', 'geluTanh', 'silu', 'mish'] as const;
export type FusedActivation = (typeof FUSED_ACTIVATIONS)[number];

/** The number of a function in op calls. */
export function activationNumber(activation: FusedActivation): number {
  return FUSED_ACTIVATIONS.indexOf(activation);
}

/** Whether the derivative is taken from the result (else from the argument). */
export function savesResult(activation: FusedActivation): boolean {
  return activation === 'relu' || activation === 'sigmoid' || activation === 'tanh';
}

function activate(place: string, x: tf.Tensor, activation: FusedActivation): tf.Tensor {
  checkFloats(place, { x: [x] });
  const ints = [activationNumber(activation)];
  const outputs = runFused(ACTIVATION, [x], [[x.shape]], ints);
  const [y] = differentiable({
    inputs: [x],
    outputs,
    kept: [x],
    gradient: (dys, kept) => fusedTensors(GRADIENT, [...dys, ...kept], [[x.shape]], ints),
  });
  return y as tf.Tensor;
}

/**
 * Gaussian error linear unit: x * Phi(x), Phi the normal distribution function; or, approximate,
 * x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
 *
 * @param x              float32, any shape
 * @param isApproximate  default false
 * @returns              x's shape, float32
 * @throws E_DTYPE
 * @source Hendrycks, Gimpel 2016, arXiv:1606.08415, section 2
 */
export function gelu<T extends tf.Tensor>(x: T, isApproximate = false): T {
  return activate('gelu', x, isApproximate ? 'geluTanh' : 'gelu') as T;
}

/** SiLU or swish: x * sigmoid(x). x float32, any shape. @throws E_DTYPE @source Ramachandran et al. 2017, arXiv:1710.05941 */
export function silu<T extends tf.Tensor>(x: T): T {
  return activate('silu', x, 'silu') as T;
}

/** Mish: x * tanh(ln(1 + e^x)). x float32, any shape. @throws E_DTYPE @source Misra 2019, arXiv:1908.08681, eq. 1 */
export function mish<T extends tf.Tensor>(x: T): T {
  return activate('mish', x, 'mish') as T;
}

/**
 * PReLU: x for x > 0, else alpha * x, with one alpha for all or one per channel.
 *
 * @param x      [..., C] float32, rank 1 or more
 * @param alpha  [C] or [1] float32
 * @returns      x's shape, float32; gradients reach x and alpha
 * @throws E_SHAPE, E_DTYPE
 * @source He, Zhang, Ren, Sun 2015, arXiv:1502.01852, eq. 1
 */
export function channelPrelu<T extends tf.Tensor>(x: T, alpha: tf.Tensor): T {
  checkFloats('channelPrelu', { x: [x], alpha: [alpha] });
  const channels = x.shape[x.rank - 1];
  if (channels === undefined || alpha.rank !== 1 || (alpha.size !== 1 && alpha.size !== channels)) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[channelPrelu] shapes do not fit: expected x [..., C] and alpha [C] or [1], got x [${x.shape.join(', ')}] and alpha [${alpha.shape.join(', ')}].`,
    );
  }
  const run = tf.customGrad((...args) => {
    const [input, slope, save] = args as unknown as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([input, slope]);
    return {
      value: tf.prelu(input, slope),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        fusedTensors(PRELU_GRADIENT, [dy, ...saved], [[x.shape], [alpha.size === 0 ? NOT_WANTED : alpha.shape]]),
    };
  });
  return run(x, alpha) as T;
}
