/** Kernels that draw random numbers from a seed given with the call. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorkilnBackend } from '../backend.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp } from '../../native/engine.js';
import { assertNumeric, consume, kernel, withDtype, type Kernel } from './kernel.js';
import { softmax } from './softmax.js';

const multinomialOp = declareOp('multinomial');

interface MultinomialAttrs {
  numSamples: number;
  seed: number;
  normalized: boolean;
}

/** The bits of a seed, which tfjs draws from [0, 1) when the caller gives none; as signed words, low first. */
function wordsOfSeed(seed: number): number[] {
  return [...new Int32Array(Float64Array.of(seed).buffer)];
}

function draw(backend: TensorkilnBackend, probabilities: TensorInfo, { numSamples, seed }: MultinomialAttrs): TensorInfo {
  const shape = [probabilities.shape[0] as number, numSamples];
  return withDtype(backend, [probabilities], 'float32', ([float]) =>
    backend.run(multinomialOp, [backend.operand(float as TensorInfo)], { shape, dtype: 'int32' }, wordsOfSeed(seed)),
  );
}

export const randomKernels: readonly Kernel[] = [
  // The same seed gives the same samples, also eager and replayed; they are not those of tfjs's own backends.
  kernel<{ logits: TensorInfo }, MultinomialAttrs>('Multinomial', ({ inputs, attrs, backend }) => {
    assertNumeric([inputs.logits], 'multinomial');
    if (inputs.logits.shape[1] === 0) {
      throw new TensorkilnError('E_SHAPE', '[multinomial] expected at least one event to draw from, got none.');
    }
    if (attrs.normalized) return draw(backend, inputs.logits, attrs);
    return consume(backend, softmax(backend, inputs.logits), (probabilities) => draw(backend, probabilities, attrs));
  }),
];
