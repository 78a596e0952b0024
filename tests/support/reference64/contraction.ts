/** Products of matrices. */
import { broadcast_util } from '@tensorflow/tfjs-core';
import { broadcastIndex, build, flatIndex, reference, type Dense, type ReferenceKernel } from './dense.js';
import { ACTIVATIONS } from './elementwise.js';

interface MatMulInputs {
  a: Dense;
  b: Dense;
}
interface MatMulAttrs {
  transposeA: boolean;
  transposeB: boolean;
}

function matMul(a: Dense, b: Dense, transposeA: boolean, transposeB: boolean): Dense {
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const inner = a.shape.at(transposeA ? -2 : -1)!;
  const cols = b.shape.at(transposeB ? -2 : -1)!;
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const batch = broadcast_util.assertAndGetBroadcastShape([...batchA], [...batchB]);
  return build([...batch, rows, cols], a.dtype, (coords) => {
    const outer = coords.slice(0, -2);
    const [row, col] = coords.slice(-2) as [number, number];
    const startA = broadcastIndex(batchA, outer) * rows * inner;
    const startB = broadcastIndex(batchB, outer) * inner * cols;
    let sum = 0;
    for (let k = 0; k < inner; ++k) {
      const left = a.values[startA + (transposeA ? k * rows + row : row * inner + k)]!;
      const right = b.values[startB + (transposeB ? col * inner + k : k * cols + col)]!;
      sum += left * right;
    }
    return sum;
  });
}

/** What fused kernels take besides their product. */
export interface FusedInputs {
  bias?: Dense;
  preluActivationWeights?: Dense;
}
export interface FusedAttrs {
  activation: string;
  leakyreluAlpha?: number;
}

/**
 * y = activation(y + bias). A bias broadcasts, and so do the slopes of prelu; with channels first a bias or slopes of rank 1
 * belong to the channels.
 */
export function finish(y: Dense, inputs: FusedInputs, attrs: FusedAttrs, channelsFirst = false): Dense {
  const value = (x: Dense, coords: readonly number[]): number =>
    channelsFirst && x.shape.length === 1 && x.shape[0]! > 1
      ? x.values[coords.at(-3)!]!
      : x.values[broadcastIndex(x.shape, coords)]!;
  const { bias, preluActivationWeights: slopes } = inputs;
  const activation = ACTIVATIONS[attrs.activation]!;
  return build(y.shape, y.dtype, (coords) => {
    const sum = y.values[flatIndex(y.shape, coords)]! + (bias === undefined ? 0 : value(bias, coords));
    return activation(sum, slopes === undefined ? (attrs.leakyreluAlpha ?? 0) : value(slopes, coords));
  });
}

export const contractionKernels: readonly ReferenceKernel[] = [
  reference<MatMulInputs, MatMulAttrs>('BatchMatMul', ({ a, b }, { transposeA, transposeB }) =>
    matMul(a, b, transposeA, transposeB),
  ),
  reference<MatMulInputs & FusedInputs, MatMulAttrs & FusedAttrs>('_FusedMatMul', (inputs, attrs) =>
    finish(matMul(inputs.a, inputs.b, attrs.transposeA, attrs.transposeB), inputs, attrs),
  ),
];
