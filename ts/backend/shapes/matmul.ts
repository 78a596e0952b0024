/** Geometry of matrix products with broadcast batches. */
import { backend_util } from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';

export interface MatMulGeometry {
  /** Shape of the result as tfjs sees it. */
  readonly shape: number[];
  /** What the op sees: [batch or 1, rows, columns], before transposition. */
  readonly a: readonly [number, number, number];
  readonly b: readonly [number, number, number];
  readonly y: readonly [number, number, number];
  /** Batch shape to repeat an operand to first, where its batch is neither the result's nor 1; else undefined. */
  readonly expandA: number[] | undefined;
  readonly expandB: number[] | undefined;
}

/**
 * Works out y [..., M, N] = op(a) op(b).
 *
 * @param aShape     [..., M, K], or [..., K, M] with transposeA
 * @param bShape     [..., K, N], or [..., N, K] with transposeB; batch dimensions broadcast
 * @throws E_SHAPE when the inner sizes differ
 */
export function matMulGeometry(
  aShape: readonly number[],
  bShape: readonly number[],
  { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean },
): MatMulGeometry {
  const [aRows, aCols] = aShape.slice(-2) as [number, number];
  const [bRows, bCols] = bShape.slice(-2) as [number, number];
  const [m, k] = transposeA ? [aCols, aRows] : [aRows, aCols];
  const [kb, n] = transposeB ? [bCols, bRows] : [bRows, bCols];
  if (k !== kb) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[matMul] inner sizes differ: a is [${aShape.join(', ')}]${transposeA ? ' transposed' : ''} and gives ${String(k)}, ` +
        `b is [${bShape.join(', ')}]${transposeB ? ' transposed' : ''} and gives ${String(kb)}.`,
    );
  }
  const aBatchShape = aShape.slice(0, -2);
  const bBatchShape = bShape.slice(0, -2);
  const batchShape = backend_util.assertAndGetBroadcastShape(aBatchShape, bBatchShape);
  const batch = product(batchShape);
  const aBatch = product(aBatchShape);
  const bBatch = product(bBatchShape);
  const shape = [...batchShape, m, n];
  if (bBatch === 1 && aBatch === batch && !transposeA) {
    // One large product instead of a batch of small ones with the same right side.
    const rows = batch * m;
    return { shape, a: [1, rows, k], b: [1, bRows, bCols], y: [1, rows, n], expandA: undefined, expandB: undefined };
  }
  const expandA = aBatch === batch || aBatch === 1 ? undefined : [...batchShape, aRows, aCols];
  const expandB = bBatch === batch || bBatch === 1 ? undefined : [...batchShape, bRows, bCols];
  return {
    shape,
    a: [expandA === undefined ? aBatch : batch, aRows, aCols],
    b: [expandB === undefined ? bBatch : batch, bRows, bCols],
    y: [batch, m, n],
    expandA,
    expandB,
  };
}

function product(shape: readonly number[]): number {
  return shape.reduce((result, dim) => result * dim, 1);
}
