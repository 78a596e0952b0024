/** Between tfjs tensors and native handles: for custom ops, optimizers and compiled steps. */
import * as tf from '@tensorflow/tfjs-core';
import type { DataType, Rank, Tensor, TensorInfo, Variable } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { TensorkilnBackend } from './backend.js';
import { isHalf, NO_HANDLE, storageOf, type TensorRecord } from './record.js';

/** Name of the CPU backend. */
export const CPU_BACKEND = 'tensorkiln-cpu';
/** Name of the CUDA backend. */
export const CUDA_BACKEND = 'tensorkiln-cuda';

/**
 * The Tensorkiln backend in use: tfjs-core's current one, else the CPU backend.
 *
 * @throws E_DEVICE when neither exists, because 'tensorkiln' has not been imported
 */
export function currentBackend(): TensorkilnBackend {
  const current = tf.backend();
  if (current instanceof TensorkilnBackend) return current;
  const cpu = tf.findBackend(CPU_BACKEND);
  if (cpu instanceof TensorkilnBackend) return cpu;
  throw new TensorkilnError('E_DEVICE', `[backend] no Tensorkiln backend is registered: import 'tensorkiln' first.`);
}

/**
 * The native handle behind a tensor. It stays the tensor's: do not release it, and retain it to outlive the tensor.
 *
 * @param tensor any float32, int32 or bool tensor
 * @throws E_DISPOSED when the tensor has been disposed, E_DTYPE for string and complex64
 */
export function handleOf(tensor: Tensor): number {
  const record = livingRecord(tensor, 'handleOf');
  // Whoever holds the handle may write through it, which a host copy of the values would not see.
  record.mirror = undefined;
  return record.handle;
}

/**
 * Wraps a native handle into a tensor of the current scope, which owns it from now on.
 *
 * @param handle handle of a buffer with as many elements as `shape`
 * @param shape  shape of the tensor
 * @param dtype  'float32', 'int32' or 'bool', matching the buffer's storage
 * @param storage  storage dtype by number where it is not the dtype's own
 */
export function tensorFromHandle<R extends Rank = Rank>(
  handle: number,
  shape: readonly number[],
  dtype: DataType,
  storage?: number,
): Tensor<R> {
  const backend = currentBackend();
  return tensorFromInfo<R>(backend.adopt(handle, [...shape], dtype, storage), backend);
}

/** A tensor of the current scope around a tensor info that a backend made. */
export function tensorFromInfo<R extends Rank = Rank>(info: TensorInfo, backend: TensorkilnBackend): Tensor<R> {
  return tf.engine().makeTensorFromTensorInfo(info, backend) as Tensor<R>;
}

/**
 * Makes a variable the only tensor on its data, so that it can be updated in place, and returns its native handle.
 *
 * Where tensors share the variable's data, as after a clone, they move to a new handle on the same storage and the variable
 * keeps its own: plans that were recorded with the handle stay valid. Where the variable has come to the data of another tensor,
 * as after `v.assign(t)`, the handle stays that tensor's, which a plan may know by it, and the variable gets a new one. The
 * storage is copied by the first in-place op, so the others keep their values.
 *
 * @throws E_DISPOSED when the variable has been disposed, E_DTYPE for string and complex64
 */
export function makeUnique(variable: Variable): number {
  const record = livingRecord(variable, 'makeUnique');
  record.mirror = undefined;
  const backend = currentBackend();
  // Variables are changed in place, in float32. One made from a 16-bit tensor is widened here, with all that share its data.
  if (isHalf(record.storage)) backend.widen(record);
  backend.autocast?.forget(record.handle);
  const isOwn = record.owner === variable.id;
  if (record.refCount === 1) {
    // A plan may have captured the handle as that of a tensor that is gone by now. A recording looks at the variable's own steps.
    if (!isOwn && !backend.engine.addon.isRecording()) {
      const former = record.handle;
      record.handle = backend.engine.alias(former, 0, record.size);
      backend.engine.release(former);
    }
    record.owner = variable.id;
    return record.handle;
  }
  const alias = backend.engine.alias(record.handle, 0, record.size);
  const handle = isOwn ? record.handle : alias;
  if (isOwn) {
    record.handle = alias;
    record.owner = undefined;
  }
  const info = backend.adopt(handle, [...variable.shape], variable.dtype);
  const carrier = tensorFromInfo(info, backend);
  variable.assign(carrier);
  carrier.dispose();
  backend.record(variable).owner = variable.id;
  return handle;
}

function livingRecord(tensor: Tensor, place: string): TensorRecord {
  if (tensor.isDisposed) {
    throw new TensorkilnError('E_DISPOSED', `[${place}] the tensor of shape [${tensor.shape.join(', ')}] has been disposed.`);
  }
  const record = currentBackend().record(tensor);
  if (record.handle === NO_HANDLE) storageOf(record.dtype, place);
  return record;
}
