/** Kernels of strings, which live in JavaScript. They cannot be part of a recorded step. */
import { type TensorInfo } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import { hashBuckets, nGrams, replacePattern, splitStrings, type NGramOptions } from '../host/strings.js';
import { fromHost, hostStrings, hostValues, kernel, type Kernel } from './kernel.js';

export const stringKernels: readonly Kernel[] = [
  kernel<{ data: TensorInfo; dataSplits: TensorInfo }, NGramOptions>('StringNGrams', ({ inputs, attrs, backend }) => {
    const { data, dataSplits } = inputs;
    const { grams, splits } = nGrams(hostStrings(backend, data, 'stringNGrams'), hostValues(backend, dataSplits), attrs);
    return [fromHost(backend, grams, [grams.length], 'string'), fromHost(backend, splits, dataSplits.shape, 'int32')];
  }),
  kernel<{ input: TensorInfo; delimiter: TensorInfo }, { skipEmpty: boolean }>('StringSplit', ({ inputs, attrs, backend }) => {
    const { input, delimiter } = inputs;
    if (input.shape.length !== 1 || delimiter.shape.length !== 0) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[stringSplit] expected a vector and a scalar delimiter, got [${input.shape.join(', ')}] and [${delimiter.shape.join(', ')}].`,
      );
    }
    const [delimiters] = hostStrings(backend, delimiter, 'stringSplit') as [Uint8Array];
    const { indices, tokens, shape } = splitStrings(hostStrings(backend, input, 'stringSplit'), delimiters, attrs.skipEmpty);
    return [
      fromHost(backend, indices, [tokens.length, 2], 'int32'),
      fromHost(backend, tokens, [tokens.length], 'string'),
      fromHost(backend, Int32Array.from(shape), [2], 'int32'),
    ];
  }),
  kernel<{ input: TensorInfo }, { numBuckets: number }>('StringToHashBucketFast', ({ inputs, attrs, backend }) => {
    if (attrs.numBuckets <= 0) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[stringToHashBucketFast] expected at least one bucket, got ${String(attrs.numBuckets)}.`,
      );
    }
    const strings = hostStrings(backend, inputs.input, 'stringToHashBucketFast');
    return fromHost(backend, hashBuckets(strings, attrs.numBuckets), inputs.input.shape, 'int32');
  }),
  kernel<{ x: TensorInfo }, { pattern: string; rewrite: string; replaceGlobal: boolean }>(
    'StaticRegexReplace',
    ({ inputs, attrs, backend }) => {
      const strings = hostStrings(backend, inputs.x, 'staticRegexReplace');
      return fromHost(backend, replacePattern(strings, attrs), inputs.x.shape, 'string');
    },
  ),
];
