import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

import type { TurnTaker } from './turn-taker.js';

/** Rows for a linear model of a number: features [rows, numFeatures] row-major, one target per row. */
export interface LeastSquaresProblem {
  readonly features: Float32Array;
  readonly targets: ArrayLike<number>;
  readonly rows: number;
  readonly numFeatures: number;
}

export interface LeastSquaresFit {
  /** [numFeatures] */
  readonly weights: Float64Array;
  readonly bias: number;
  readonly method: 'eigenvalues' | 'conjugate_gradients';
  readonly iterations: number;
  /** False when the iterations ran out before the residual was small. */
  readonly converged: boolean;
}

/** Above this the decomposition of the features' products, cubic in their number, takes more than a second. */
const MAX_DECOMPOSED = 300;
/** Multiply-adds to sum the products; a few seconds' worth. */
const MAX_PRODUCT_WORK = 5e9;
/** Multiply-adds between two looks at the clock, about a millisecond's worth. */
const WORK_PER_LOOK = 1e6;
/** Multiply-adds of all iterations together; about a minute. */
const MAX_ITERATION_WORK = 2e10;
const MAX_ITERATIONS = 200;
/** Directions in which the scaled features vary less than this, in relation to the most, carry rounding and no information. */
const SINGULAR = 1e-10;
/** Of the residual of the normal equations, in relation to where it began. */
const RESIDUAL_TOLERANCE = 1e-8;

/**
 * Least squares with an intercept. Features are centred and brought to one length first; of the many solutions for features
 * that depend on each other (one-hot blocks do) the one with the shortest scaled weights is taken.
 *
 * Up to 300 features the normal equations are solved by eigenvalues (ml-matrix), above that by conjugate gradients, which
 * need no square matrix. Results repeat: fixed order of sums, float64.
 *
 * @throws E_ABORTED when the signal of `turns` fires
 * @source Golub, Van Loan, Matrix Computations, sections 5.5 and 11.3
 */
export async function fitLeastSquares(problem: LeastSquaresProblem, turns: TurnTaker): Promise<LeastSquaresFit> {
  const centred = await centre(problem, turns);
  const isSmall = problem.numFeatures <= MAX_DECOMPOSED && problem.rows * problem.numFeatures ** 2 <= 2 * MAX_PRODUCT_WORK;
  const { scaled, ...how } = await (isSmall ? solveByEigenvalues(centred, turns) : solveByGradients(centred, turns));
  const weights = scaled.map((weight, i) => (centred.lengths[i] === 0 ? 0 : weight / centred.lengths[i]!));
  const bias = centred.targetMean - weights.reduce((sum, weight, i) => sum + weight * centred.means[i]!, 0);
  return { weights, bias, ...how };
}

/** Predictions of rows under a fit: [rows]. */
export async function predictLeastSquares(
  { weights, bias }: Pick<LeastSquaresFit, 'weights' | 'bias'>,
  features: Float32Array,
  rows: number,
  turns: TurnTaker,
): Promise<Float64Array> {
  const numFeatures = weights.length;
  const predictions = new Float64Array(rows);
  const rowsPerLook = Math.ceil(WORK_PER_LOOK / Math.max(1, numFeatures));
  for (let row = 0; row < rows; ++row) {
    if (row % rowsPerLook === 0) await turns.look();
    let sum = bias;
    for (let i = 0; i < numFeatures; ++i) sum += weights[i]! * features[row * numFeatures + i]!;
    predictions[row] = sum;
  }
  return predictions;
}

interface Centred extends LeastSquaresProblem {
  readonly means: Float64Array;
  /** Root of the summed squares of each centred feature; 0 for a constant one. */
  readonly lengths: Float64Array;
  readonly targetMean: number;
}

async function centre(problem: LeastSquaresProblem, turns: TurnTaker): Promise<Centred> {
  const { features, targets, rows, numFeatures } = problem;
  const means = new Float64Array(numFeatures);
  const squares = new Float64Array(numFeatures);
  let targetMean = 0;
  await eachRow(problem, turns, (row) => {
    targetMean += targets[row]!;
    for (let i = 0; i < numFeatures; ++i) means[i]! += features[row * numFeatures + i]!;
  });
  for (let i = 0; i < numFeatures; ++i) means[i]! /= rows;
  targetMean /= rows;
  await eachRow(problem, turns, (row) => {
    for (let i = 0; i < numFeatures; ++i) squares[i]! += (features[row * numFeatures + i]! - means[i]!) ** 2;
  });
  // A constant feature is centred to rounding, not always to zero.
  const lengths = squares.map((sum, i) => (sum <= rows * (1e-7 * means[i]!) ** 2 ? 0 : Math.sqrt(sum)));
  return { ...problem, means, lengths, targetMean };
}

async function eachRow(
  { rows, numFeatures }: LeastSquaresProblem,
  turns: TurnTaker,
  visit: (row: number) => void,
  work = numFeatures,
): Promise<void> {
  const rowsPerLook = Math.ceil(WORK_PER_LOOK / Math.max(1, work));
  for (let row = 0; row < rows; ++row) {
    if (row % rowsPerLook === 0) await turns.look();
    visit(row);
  }
}

interface Solution extends Omit<LeastSquaresFit, 'weights' | 'bias'> {
  /** Weights of the centred features of length 1. */
  readonly scaled: Float64Array;
}

async function solveByEigenvalues(problem: Centred, turns: TurnTaker): Promise<Solution> {
  const { targets, numFeatures, targetMean } = problem;
  const how = { method: 'eigenvalues', iterations: 1, converged: true } as const;
  if (numFeatures === 0) return { scaled: new Float64Array(0), ...how };
  const products = new Float64Array(numFeatures * numFeatures);
  const right = new Float64Array(numFeatures);
  const x = new Float64Array(numFeatures);
  await eachRow(
    problem,
    turns,
    (row) => {
      scaledRow(problem, row, x);
      const target = targets[row]! - targetMean;
      for (let i = 0; i < numFeatures; ++i) {
        right[i]! += x[i]! * target;
        for (let j = 0; j <= i; ++j) products[i * numFeatures + j]! += x[i]! * x[j]!;
      }
    },
    numFeatures ** 2 / 2,
  );
  const matrix = new Matrix(
    Array.from({ length: numFeatures }, (_, i) =>
      Array.from({ length: numFeatures }, (__, j) => products[Math.max(i, j) * numFeatures + Math.min(i, j)]!),
    ),
  );
  const { realEigenvalues: values, eigenvectorMatrix: vectors } = new EigenvalueDecomposition(matrix, {
    assumeSymmetric: true,
  });
  const largest = Math.max(0, ...values);
  const scaled = new Float64Array(numFeatures);
  values.forEach((value, k) => {
    if (value <= SINGULAR * largest) return;
    let along = 0;
    for (let i = 0; i < numFeatures; ++i) along += vectors.get(i, k) * right[i]!;
    for (let i = 0; i < numFeatures; ++i) scaled[i]! += (vectors.get(i, k) * along) / value;
  });
  return { scaled, ...how };
}

/** Conjugate gradients on the normal equations; products with the features are done row by row. */
async function solveByGradients(problem: Centred, turns: TurnTaker): Promise<Solution> {
  const { targets, rows, numFeatures, targetMean } = problem;
  const limit = Math.max(1, Math.min(MAX_ITERATIONS, Math.floor(MAX_ITERATION_WORK / (2 * rows * numFeatures))));
  const x = new Float64Array(numFeatures);
  const scaled = new Float64Array(numFeatures);
  const residual = new Float64Array(numFeatures);
  await eachRow(problem, turns, (row) => {
    scaledRow(problem, row, x);
    const target = targets[row]! - targetMean;
    for (let i = 0; i < numFeatures; ++i) residual[i]! += x[i]! * target;
  });
  const direction = Float64Array.from(residual);
  const enough = RESIDUAL_TOLERANCE ** 2 * dot(residual, residual);
  let squared = dot(residual, residual);
  let iterations = 0;
  while (iterations < limit && squared > enough) {
    const product = new Float64Array(numFeatures);
    await eachRow(
      problem,
      turns,
      (row) => {
        scaledRow(problem, row, x);
        const along = dot(x, direction);
        for (let i = 0; i < numFeatures; ++i) product[i]! += along * x[i]!;
      },
      2 * numFeatures,
    );
    const step = squared / dot(direction, product);
    for (let i = 0; i < numFeatures; ++i) {
      scaled[i]! += step * direction[i]!;
      residual[i]! -= step * product[i]!;
    }
    const next = dot(residual, residual);
    for (let i = 0; i < numFeatures; ++i) direction[i] = residual[i]! + (next / squared) * direction[i]!;
    squared = next;
    iterations += 1;
  }
  return { scaled, method: 'conjugate_gradients', iterations, converged: squared <= enough };
}

/** Writes a row's centred features, each of length 1 over all rows, into `x`; constant ones as 0. */
function scaledRow({ features, numFeatures, means, lengths }: Centred, row: number, x: Float64Array): void {
  for (let i = 0; i < numFeatures; ++i) {
    const length = lengths[i]!;
    x[i] = length === 0 ? 0 : (features[row * numFeatures + i]! - means[i]!) / length;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += a[i]! * b[i]!;
  return sum;
}
