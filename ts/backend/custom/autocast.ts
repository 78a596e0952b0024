/** Mixed precision for what is computed, and its public face. */
import * as tf from '@tensorflow/tfjs-core';
import { checkOneOf } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { AutocastScope } from '../autocast.js';
import { STORAGE_DTYPES, type StorageDType } from '../../native/addon.js';
import { storageNumber } from '../../native/engine.js';
import { CUDA_BACKEND, currentBackend } from '../tensors.js';

/** How activations are stored: in 32 bits, as bfloat16 or as IEEE half precision. Parameters are float32 in each. */
export const PRECISIONS = ['float32', 'bf16', 'f16'] as const;
export type Precision = (typeof PRECISIONS)[number];

/**
 * Runs a function in mixed precision. Results of matrix work (products, convolutions, attention, recurrent layers) are stored in
 * 16 bits, after their inputs have been rounded to 16 bits and summed in float32; sums, exponentials, softmax and losses are
 * float32; all other ops store as their largest inputs are stored. Gradients taken inside follow the same rules.
 *
 * tfjs sees float32 tensors throughout, and reading one gives a Float32Array. Outside, an op on a 16-bit tensor gives float32.
 * Variables stay float32. 'float32' ends an outer scope for the call.
 *
 * What it brings everywhere is memory: what is kept for gradients takes about half. How products are computed on this machine
 * tells `halfProducts`.
 *
 * @param precision  'bf16', 'f16' or 'float32'
 * @param fn         a synchronous function
 * @returns          what the function returns
 * @throws E_CONFIG for an unknown precision or a function that returns a promise
 * @source Micikevicius et al. 2018, arXiv:1710.03740; which op belongs where as in PyTorch's torch.autocast
 */
export function autocast<Result>(precision: Precision, fn: () => Result): Result {
  const kind = checkOneOf('autocast', 'precision', precision, PRECISIONS);
  const backend = currentBackend();
  const inner = (): Result => {
    const result = fn();
    if (result instanceof Promise)
      throw new TensorkilnError(
        'E_CONFIG',
        '[autocast] wrong fn: expected a synchronous function, got one that returns a promise.',
      );
    return result;
  };
  if (kind === 'float32') return backend.withAutocast(undefined, inner);
  const storage = storageNumber(kind);
  // A scope within a scope of the same kind is the same scope: its copies of weights serve both.
  if (backend.autocast?.storage === storage) return inner();
  const variables = Object.values(tf.engine().registeredVariables).flatMap((variable) => backend.handleIfHere(variable) ?? []);
  return backend.withAutocast(new AutocastScope(storage, backend.engine, new Set(variables)), inner);
}

/** How a tensor's values are stored, which its dtype does not tell. @throws E_DISPOSED, E_DTYPE for string and complex64 */
export function storageDType(tensor: tf.Tensor): StorageDType {
  return STORAGE_DTYPES[currentBackend().operand(tensor).storage] as StorageDType;
}

/**
 * How products of 16-bit operands are computed here: `avx512_bf16`: by the processor's instruction for bfloat16; `float32`:
 * pieces are widened while they are multiplied, which gives the same sums but for their order and no speed; `device`: by a GPU's
 * own units.
 *
 * @param precision  'bf16' or 'f16'
 * @throws E_DEVICE unless the current backend is ours
 */
export function halfProducts(precision: Exclude<Precision, 'float32'>): HalfProducts {
  const { engine } = currentBackend();
  if (tf.getBackend() === CUDA_BACKEND) return 'device';
  const { bf16Products } = engine.addon.buildInfo();
  return precision === 'bf16' && bf16Products === 'avx512_bf16' ? 'avx512_bf16' : 'float32';
}
export type HalfProducts = 'avx512_bf16' | 'float32' | 'device';
