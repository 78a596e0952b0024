import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys } from '../../arguments.js';
import { declareOp } from '../../native/engine.js';
import { currentBackend, tensorFromInfo } from '../tensors.js';
import { checkDType, checkFloats, checkIndices, checkRank } from './checks.js';
import { differentiable } from './fused.js';

const GATHER = declareOp('gather');
const SEGMENT_SUM = declareOp('unsorted_segment_sum');

export interface EmbeddingOptions {
  /** Row of the table that gets no gradient, such as that of padding; default none. */
  readonly paddingIndex?: number | undefined;
}

/**
 * Rows of a table by number: y[..., :] = table[ids[...], :].
 *
 * The gradient adds up the rows of dy that read one row of the table in the order of the ids, so that it is the same on every
 * run and with any number of threads.
 *
 * @param table    [V, D] float32
 * @param ids      [...] int32 in [0, V); get no gradient
 * @param options  padding
 * @returns        [..., D] float32; the gradient reaches the table
 * @throws E_SHAPE, E_DTYPE, E_CONFIG; E_INDEX for an id outside [0, V), at the call when the ids were written from JavaScript,
 *         else at the next synchronisation
 */
export function embedding(table: tf.Tensor, ids: tf.Tensor, options: EmbeddingOptions = {}): tf.Tensor {
  checkKeys('embedding', options, ['paddingIndex']);
  const { paddingIndex } = options;
  checkRank('embedding', 'table', table, '[V, D]', 2);
  checkFloats('embedding', { table: [table] });
  checkDType('embedding', 'ids', ids, ['int32']);
  const [rows, size] = table.shape as [number, number];
  if (paddingIndex !== undefined) checkInteger('embedding', 'paddingIndex', paddingIndex, { min: 0, below: rows });
  checkIndices('embedding', 'id', ids, rows);
  const backend = currentBackend();
  const y = backend.run(GATHER, [backend.operand(table, [1, rows, size]), backend.operand(ids)], {
    shape: [...ids.shape, size],
    dtype: 'float32',
    nativeShape: [1, ids.size, size],
  });
  const [result] = differentiable({
    inputs: [table],
    outputs: [y],
    kept: [ids],
    gradient: ([dy], [index]) => {
      const current = currentBackend();
      return [
        tf.tidy(() => {
          const places = index as tf.Tensor;
          // Rows of negative segments are left out.
          const segments =
            paddingIndex === undefined
              ? places
              : tf.where(tf.equal(places, tf.scalar(paddingIndex, 'int32')), tf.scalar(-1, 'int32'), places);
          const inputs = [current.operand(dy as tf.Tensor, [ids.size, size]), current.operand(segments)];
          return tensorFromInfo(current.run(SEGMENT_SUM, inputs, { shape: table.shape, dtype: 'float32' }), current);
        }),
      ];
    },
  });
  return result as tf.Tensor;
}
