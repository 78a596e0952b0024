/** One op call over many tensors, as gradients are: no loop over tensors in JavaScript, and nothing waits for the device. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';
import { checkFloats } from './checks.js';
import { fusedTensors } from './fused.js';

const NORM = declareOp('multi_norm');
const SCALE = declareOp('multi_scale');
const CLIP_NORM = declareOp('multi_clip_norm');
const CLIP_EACH = declareOp('multi_clip_each');
const CLAMP = declareOp('multi_clamp');

/** A number that is fixed in a recorded step, or a float32 tensor of one element that a replay reads anew. */
export type DeviceNumber = number | tf.Tensor;

export interface GlobalNorm {
  /** [] float32: square root of the sum of all squares. */
  readonly norm: tf.Scalar;
  /** [] bool: whether every element is finite. */
  readonly isFinite: tf.Scalar;
}

function checkList(place: string, tensors: readonly tf.Tensor[]): void {
  if (tensors.length === 0) throw new TensorkilnError('E_SHAPE', `[${place}] wrong tensors: expected at least one, got none.`);
  tensors.forEach((tensor, index) => checkFloats(place, { [`tensors[${index}]`]: [tensor] }));
}

function deviceNumber(place: string, key: string, value: DeviceNumber): tf.Tensor {
  if (typeof value === 'number') return tf.scalar(value);
  checkFloats(place, { [key]: [value] });
  if (value.size !== 1) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[${place}] wrong shape of ${key}: expected one element, got [${value.shape.join(', ')}].`,
    );
  }
  return value;
}

function map(
  op: OpRef,
  place: string,
  scalars: Readonly<Record<string, DeviceNumber>>,
  tensors: readonly tf.Tensor[],
): tf.Tensor[] {
  checkList(place, tensors);
  return tf.tidy(() => {
    const numbers = Object.entries(scalars).map(([key, value]) => deviceNumber(place, key, value));
    return fusedTensors(
      op,
      [...numbers, ...tensors],
      tensors.map((tensor) => [tensor.shape]),
    );
  });
}

/**
 * The norm of all tensors as one vector, summed in double in a fixed order, and whether all elements are finite. Not
 * differentiable.
 *
 * @param tensors  float32, any shapes; at least one
 * @throws E_SHAPE, E_DTYPE
 */
export function globalNorm(tensors: readonly tf.Tensor[]): GlobalNorm {
  checkList('globalNorm', tensors);
  const backend = currentBackend();
  const inputs = tensors.map((tensor) => backend.operand(tensor));
  const outputs = [
    { shape: [], dtype: 'float32' as const },
    { shape: [], dtype: 'bool' as const },
  ];
  const [norm, isFinite] = backend.runAll(NORM, inputs, outputs).map((info) => tensorFromInfo(info, backend));
  return { norm: norm as tf.Scalar, isFinite: isFinite as tf.Scalar };
}

/** Every tensor times `factor`. Not differentiable. @throws E_SHAPE, E_DTYPE */
export function scaleTensors(tensors: readonly tf.Tensor[], factor: DeviceNumber): tf.Tensor[] {
  return map(SCALE, 'scaleTensors', { factor }, tensors);
}

/**
 * Every tensor times min(1, limit / (norm + 1e-6)). Tensors of a smaller norm come back bit for bit. Not differentiable.
 *
 * @param tensors  float32, any shapes; at least one
 * @param limit    largest norm
 * @param norm     what `globalNorm` gave for them
 * @throws E_SHAPE, E_DTYPE
 * @source Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1; the form of PyTorch's clip_grad_norm_
 */
export function clipByGlobalNorm(tensors: readonly tf.Tensor[], limit: DeviceNumber, norm: tf.Tensor): tf.Tensor[] {
  return map(CLIP_NORM, 'clipByGlobalNorm', { norm, limit }, tensors);
}

/**
 * Every tensor times min(1, limit / (its own norm + 1e-6)). Tensors of a smaller norm come back bit for bit. Not differentiable.
 *
 * @throws E_SHAPE, E_DTYPE
 */
export function clipEachByNorm(tensors: readonly tf.Tensor[], limit: DeviceNumber): tf.Tensor[] {
  return map(CLIP_EACH, 'clipEachByNorm', { limit }, tensors);
}

/** Every element brought into [-limit, limit]; NaN stays. Not differentiable. @throws E_SHAPE, E_DTYPE */
export function clipByValue(tensors: readonly tf.Tensor[], limit: DeviceNumber): tf.Tensor[] {
  return map(CLAMP, 'clipByValue', { limit }, tensors);
}
