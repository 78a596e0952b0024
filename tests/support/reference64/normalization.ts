/** Batch normalisation and local response normalisation. */
import { broadcastIndex, build, flatIndex, reference, type Dense, type ReferenceKernel } from './dense.js';

interface BatchNormInputs {
  x: Dense;
  mean: Dense;
  variance: Dense;
  offset?: Dense;
  scale?: Dense;
}

interface LrnAttrs {
  depthRadius: number;
  bias: number;
  alpha: number;
  beta: number;
}

/** Channels whose squares enter the norm of channel c. */
function neighbours(c: number, radius: number, channels: number): number[] {
  const result: number[] = [];
  for (let k = Math.max(0, c - radius); k <= Math.min(channels - 1, c + radius); ++k) result.push(k);
  return result;
}

/** bias + alpha * sum of squares of the neighbours, for the element at the coordinates. */
function norm(x: Dense, coords: readonly number[], { depthRadius, bias, alpha }: LrnAttrs): number {
  const squares = neighbours(coords.at(-1)!, depthRadius, x.shape.at(-1)!).map(
    (k) => x.values[flatIndex(x.shape, [...coords.slice(0, -1), k])]! ** 2,
  );
  return bias + alpha * squares.reduce((sum, square) => sum + square, 0);
}

export const normalizationKernels: readonly ReferenceKernel[] = [
  // Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 1; statistics belong to the last axes and broadcast.
  reference<BatchNormInputs, { varianceEpsilon: number }>('FusedBatchNorm', (inputs, { varianceEpsilon }) => {
    const { x, mean, variance, offset, scale } = inputs;
    return build(x.shape, 'float32', (coords, flat) => {
      const value = (statistic: Dense): number => statistic.values[broadcastIndex(statistic.shape, coords)]!;
      const normal = (x.values[flat]! - value(mean)) / Math.sqrt(value(variance) + varianceEpsilon);
      return normal * (scale === undefined ? 1 : value(scale)) + (offset === undefined ? 0 : value(offset));
    });
  }),
  // Krizhevsky, Sutskever, Hinton 2012, section 3.3.
  reference<{ x: Dense }, LrnAttrs>('LRN', ({ x }, attrs) =>
    build(x.shape, 'float32', (coords, flat) => x.values[flat]! * norm(x, coords, attrs) ** -attrs.beta),
  ),
  reference<{ x: Dense; y: Dense; dy: Dense }, LrnAttrs>('LRNGrad', ({ x, y, dy }, attrs) =>
    build(x.shape, 'float32', (coords, flat) => {
      const { depthRadius, alpha, beta } = attrs;
      const own = dy.values[flat]! * norm(x, coords, attrs) ** -beta;
      return neighbours(coords.at(-1)!, depthRadius, x.shape.at(-1)!).reduce((sum, c) => {
        const other = [...coords.slice(0, -1), c];
        const index = flatIndex(x.shape, other);
        const slope = (-2 * alpha * beta * x.values[flat]! * y.values[index]!) / norm(x, other, attrs);
        return sum + slope * dy.values[index]!;
      }, own);
    }),
  ),
];
