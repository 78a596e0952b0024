/**
 * Ops of several outputs with a gradient. `tf.customGrad` knows one output only, so each call goes through one kernel of
 * tfjs-core's registry, whose gradient hands over to the call's own.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { DataType, NamedAttrMap, NamedTensorMap, TensorInfo } from '@tensorflow/tfjs-core';
import type { NumericArray } from '../../native/addon.js';
import type { Operand, OpRef } from '../../native/engine.js';
import { storageOf } from '../record.js';
import { CPU_BACKEND, CUDA_BACKEND, currentBackend, tensorFromInfo } from '../tensors.js';

/** An input of an op: a tensor, an operand, or the dtype of one that is not given (an operand of 0 elements). */
export type FusedInput = tf.Tensor | Operand | 'float32' | 'int32' | 'bool';

/** Shape of an output that is not wanted. */
export const NOT_WANTED: readonly number[] = [0];

function emptyArray(dtype: DataType): NumericArray {
  if (dtype === 'int32') return new Int32Array(0);
  return dtype === 'bool' ? new Uint8Array(0) : new Float32Array(0);
}

/**
 * Runs an op whose outputs are float32.
 *
 * @param op      the op
 * @param inputs  its inputs in ops.def order; a tensor with another native shape as `backend.operand(tensor, shape)`
 * @param shapes  shapes of its outputs; the native shape where it differs stands second
 */
export function runFused(
  op: OpRef,
  inputs: readonly FusedInput[],
  shapes: readonly (readonly [shape: readonly number[], nativeShape?: readonly number[]])[],
  ints?: readonly number[],
  floats?: readonly number[],
): TensorInfo[] {
  const backend = currentBackend();
  const empties: number[] = [];
  try {
    const operands = inputs.map((input): Operand => {
      if (typeof input !== 'string') return 'handle' in input ? input : backend.operand(input);
      const storage = storageOf(input, op.name);
      const handle = backend.engine.create(storage, emptyArray(input));
      empties.push(handle);
      return { handle, storage, shape: [0] };
    });
    const outputs = shapes.map(([shape, nativeShape]) =>
      nativeShape === undefined ? { shape, dtype: 'float32' as const } : { shape, dtype: 'float32' as const, nativeShape },
    );
    return backend.runAll(op, operands, outputs, ints, floats);
  } finally {
    for (const handle of empties) backend.engine.release(handle);
  }
}

/** As `runFused`, with tensors of the current scope as result. */
export function fusedTensors(...call: Parameters<typeof runFused>): tf.Tensor[] {
  const backend = currentBackend();
  return runFused(...call).map((info) => tensorFromInfo(info, backend));
}

export interface DifferentiableCall {
  /** Tensors that get a gradient. */
  readonly inputs: readonly tf.Tensor[];
  /** Results of the call. */
  readonly outputs: readonly TensorInfo[];
  /** What the gradient needs: tensors of the caller, and results of the call that are no outputs, which are used up. */
  readonly kept: readonly (tf.Tensor | TensorInfo)[];
  /**
   * Gradients of all inputs from those of all outputs (zeros where none arrived) and from `kept`. Each must be a tensor of its
   * own.
   */
  readonly gradient: (dys: readonly tf.Tensor[], kept: readonly tf.Tensor[]) => readonly tf.Tensor[];
}

interface FusedAttributes {
  readonly outputs: readonly TensorInfo[];
  readonly gradient: DifferentiableCall['gradient'];
}

const registered = new Set<string>();

/** The kernel for calls that keep so many tensors: tfjs-core wants their names beforehand. */
function kernelFor(count: number): string {
  const kernelName = `TensorkilnFused${count}`;
  if (registered.has(kernelName)) return kernelName;
  for (const backendName of [CPU_BACKEND, CUDA_BACKEND]) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ attrs }) => [...(attrs as unknown as FusedAttributes).outputs],
    });
  }
  tf.registerGradient({
    kernelName,
    inputsToSave: Array.from({ length: count }, (_, index) => `kept${index}`),
    gradFunc: (dy: tf.Tensor | tf.Tensor[], kept: tf.Tensor[], attrs: NamedAttrMap) => {
      const gradients = (attrs as unknown as FusedAttributes).gradient(Array.isArray(dy) ? dy : [dy], kept);
      return Object.fromEntries(gradients.map((gradient, index) => [`input${index}`, () => gradient]));
    },
  });
  registered.add(kernelName);
  return kernelName;
}

/** Makes tensors of the results of an op call that has run, and puts the call on tfjs-core's tape. */
export function differentiable(call: DifferentiableCall): tf.Tensor[] {
  const backend = currentBackend();
  // Tensors of their own on the same storage: the tape would ask for a gradient of every input it has seen before.
  const kept = call.kept.map((item) => tensorFromInfo('id' in item ? backend.alias(item) : item, backend));
  const inputs: NamedTensorMap = {};
  call.inputs.forEach((tensor, index) => (inputs[`input${index}`] = tensor));
  kept.forEach((tensor, index) => (inputs[`kept${index}`] = tensor));
  const attributes: FusedAttributes = { outputs: call.outputs, gradient: call.gradient };
  const kernel = kernelFor(kept.length);
  // tfjs-core passes attributes on untouched; its type is narrower.
  const result = tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(kernel, inputs, attributes as unknown as NamedAttrMap);
  // The tape has made clones.
  tf.dispose(kept);
  return Array.isArray(result) ? result : [result];
}

/** The tensors among some that may be absent. */
export function present<T>(items: readonly (T | undefined)[]): T[] {
  return items.filter((item) => item !== undefined);
}
