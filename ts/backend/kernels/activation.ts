/** Bias and activation behind a fused product or convolution, composed of their own kernels. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type OpRef } from '../../native/engine.js';
import { add, prelu } from './binary.js';
import { consume } from './kernel.js';
import { leakyRelu, unary } from './unary.js';

/** What tfjs's fused kernels carry besides their main inputs. */
export interface Epilogue {
  readonly bias: TensorInfo | null | undefined;
  readonly activation: string | null | undefined;
  readonly preluActivationWeights: TensorInfo | null | undefined;
  readonly leakyreluAlpha: number | undefined;
}

const OPS: Readonly<Record<string, OpRef>> = {
  relu: declareOp('relu'),
  relu6: declareOp('relu6'),
  elu: declareOp('elu'),
  sigmoid: declareOp('sigmoid'),
};
/** tfjs's slope of leakyrelu when the caller gives none. */
const LEAKY_SLOPE = 0.2;

/** activation(x + bias); gives up x. */
export function applyEpilogue(backend: TensorkilnBackend, x: TensorInfo, epilogue: Epilogue): TensorInfo {
  const { bias, activation } = epilogue;
  let y = x;
  if (bias !== null && bias !== undefined) y = consume(backend, y, (value) => add(backend, value, bias));
  if (activation === null || activation === undefined || activation === 'linear') return y;
  return consume(backend, y, (value) => activate(backend, value, activation, epilogue));
}

function activate(backend: TensorkilnBackend, x: TensorInfo, activation: string, epilogue: Epilogue): TensorInfo {
  const op = OPS[activation];
  if (op !== undefined) return unary(backend, op, x);
  if (activation === 'leakyrelu') return leakyRelu(backend, x, epilogue.leakyreluAlpha ?? LEAKY_SLOPE);
  if (activation === 'prelu' && epilogue.preluActivationWeights) return prelu(backend, x, epilogue.preluActivationWeights);
  throw new TensorkilnError('E_KERNEL', `[${backend.name}] has no fused activation '${activation}'.`);
}
