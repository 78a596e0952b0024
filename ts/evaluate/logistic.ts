import { CholeskyDecomposition, Matrix } from 'ml-matrix';

import { TensorkilnError } from '../errors.js';

/** Rows for a linear model: features [rows, numFeatures] row-major, labels in [0, numClasses). */
export interface LinearProblem {
  readonly features: Float32Array;
  readonly labels: ArrayLike<number>;
  readonly rows: number;
  readonly numFeatures: number;
  readonly numClasses: number;
  /** Strength of the penalty l2/2 * |weights|^2 beside the summed loss; biases are free. */
  readonly l2: number;
}

export interface LinearFit {
  /** [numClasses, numFeatures + 1] row-major; the bias comes last in each row. */
  readonly weights: Float64Array;
  readonly method: 'newton' | 'lbfgs';
  readonly iterations: number;
  /** False when the iterations ran out before the gradient was small. */
  readonly converged: boolean;
}

export interface FitOptions {
  readonly maxIterations: number;
  readonly method: 'newton' | 'lbfgs';
  readonly signal?: AbortSignal | undefined;
}

/** The gradient of the mean loss is called zero below this; weights then agree with the optimum to about six digits. */
const GRADIENT_TOLERANCE = 1e-8;
/** L-BFGS crawls near the optimum; a judge of models does not need more than this. */
const FIRST_ORDER_TOLERANCE = 1e-4;
/** Rows whose share of the Hessian is summed at once; bounds the scratch memory. */
const BLOCK_ROWS = 256;
/** Multiply-adds between two looks at the clock, about a millisecond's worth. */
const WORK_PER_LOOK = 1e6;
/** The event loop gets a turn at least this often. */
const SLICE_MS = 10;
/** Pairs of steps L-BFGS remembers (Nocedal and Wright recommend 3 to 20). */
const LBFGS_MEMORY = 10;
/** Share of the predicted decrease a step must reach (Nocedal and Wright, section 3.1). */
const ARMIJO = 1e-4;
const MAX_HALVINGS = 40;

/**
 * Fits multinomial logistic regression: minimises the summed cross-entropy plus l2/2 times the squared weights.
 *
 * 'newton' solves the full Newton system by Cholesky (iteratively reweighted least squares): a handful of steps to the
 * optimum. 'lbfgs' needs only gradients, so its memory grows with the parameters and not their square. Both start from zero,
 * use float64 and sum in a fixed order, so results repeat. The event loop gets a turn about every 10 ms.
 *
 * @throws E_ABORTED when `signal` fires
 * @source Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, section 4.4.1; Nocedal and Wright, Numerical
 *         Optimization, algorithms 3.1 and 7.4
 */
export async function fitLogistic(problem: LinearProblem, options: FitOptions): Promise<LinearFit> {
  const objective = new LogisticObjective(problem, options.signal);
  return options.method === 'newton' ? fitNewton(objective, options) : fitLbfgs(objective, options);
}

/** Class probabilities of rows under fitted weights: [rows, numClasses]. */
export function predictLogistic(
  weights: Float64Array,
  features: Float32Array,
  numFeatures: number,
  numClasses: number,
): Float64Array {
  const rows = features.length / numFeatures;
  const probabilities = new Float64Array(rows * numClasses);
  for (let row = 0; row < rows; ++row) {
    const scores = probabilities.subarray(row * numClasses, (row + 1) * numClasses);
    scoreRow(weights, features.subarray(row * numFeatures, (row + 1) * numFeatures), scores);
    softmaxInPlace(scores);
  }
  return probabilities;
}

/** scores[k] = weights[k] . [x, 1] */
function scoreRow(weights: Float64Array, x: Float32Array, scores: Float64Array): void {
  const width = x.length + 1;
  for (let k = 0; k < scores.length; ++k) {
    let sum = weights[k * width + x.length]!;
    for (let i = 0; i < x.length; ++i) sum += weights[k * width + i]! * x[i]!;
    scores[k] = sum;
  }
}

/** Turns scores into probabilities and returns the logarithm of what they were divided by. */
function softmaxInPlace(scores: Float64Array): number {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  let total = 0;
  for (let k = 0; k < scores.length; ++k) total += scores[k] = Math.exp(scores[k]! - largest);
  for (let k = 0; k < scores.length; ++k) scores[k]! /= total;
  return largest + Math.log(total);
}

interface Evaluation {
  /** Mean over rows, penalty included. */
  readonly loss: number;
  readonly gradient: Float64Array;
}

/** Loss, gradient and Hessian of the mean penalised cross-entropy, computed block by block so that others get a turn. */
class LogisticObjective {
  readonly size: number;
  readonly #problem: LinearProblem;
  readonly #signal: AbortSignal | undefined;
  #sliceStart = performance.now();

  constructor(problem: LinearProblem, signal: AbortSignal | undefined) {
    this.#problem = problem;
    this.#signal = signal;
    this.size = problem.numClasses * (problem.numFeatures + 1);
  }

  async evaluate(weights: Float64Array): Promise<Evaluation> {
    const { features, labels, rows, numFeatures, numClasses, l2 } = this.#problem;
    const width = numFeatures + 1;
    const gradient = new Float64Array(this.size);
    const scores = new Float64Array(numClasses);
    const rowsPerLook = Math.ceil(WORK_PER_LOOK / this.size);
    let loss = 0;
    for (let row = 0; row < rows; ++row) {
      if (row % rowsPerLook === 0) await this.#yieldWhenDue();
      const x = features.subarray(row * numFeatures, (row + 1) * numFeatures);
      const label = labels[row]!;
      scoreRow(weights, x, scores);
      const labelScore = scores[label]!;
      loss += softmaxInPlace(scores) - labelScore;
      scores[label]! -= 1;
      for (let k = 0; k < numClasses; ++k) {
        const residual = scores[k]!;
        for (let i = 0; i < numFeatures; ++i) gradient[k * width + i]! += residual * x[i]!;
        gradient[k * width + numFeatures]! += residual;
      }
    }
    for (let j = 0; j < this.size; ++j) {
      const penalty = j % width === numFeatures ? 0 : l2;
      loss += (penalty / 2) * weights[j]! ** 2;
      gradient[j] = (gradient[j]! + penalty * weights[j]!) / rows;
    }
    return { loss: loss / rows, gradient };
  }

  /**
   * The Hessian, [size, size]. Adding one number to all biases changes no probability, which makes the plain Hessian
   * singular; a unit of curvature in that direction makes it definite and leaves the steps as they are.
   */
  async hessian(weights: Float64Array): Promise<Matrix> {
    const { features, rows, numFeatures, numClasses, l2 } = this.#problem;
    const width = numFeatures + 1;
    const hessian = Matrix.zeros(this.size, this.size);
    for (let start = 0; start < rows; start += BLOCK_ROWS) {
      const end = Math.min(start + BLOCK_ROWS, rows);
      const block = features.subarray(start * numFeatures, end * numFeatures);
      const probabilities = predictLogistic(weights, block, numFeatures, numClasses);
      const x = withOnes(block, end - start, numFeatures);
      const transposed = x.transpose();
      for (let k = 0; k < numClasses; ++k) {
        for (let l = 0; l <= k; ++l) {
          await this.#yieldWhenDue();
          const scaled = scaleRows(x, (row) => {
            const p = probabilities[row * numClasses + k]!;
            return k === l ? p * (1 - p) : -p * probabilities[row * numClasses + l]!;
          });
          addBlock(hessian, transposed.mmul(scaled), k * width, l * width);
        }
      }
    }
    mirrorLower(hessian);
    hessian.div(rows);
    for (let j = 0; j < this.size; ++j) {
      if (j % width !== numFeatures) hessian.set(j, j, hessian.get(j, j) + l2 / rows);
    }
    for (let k = numFeatures; k < this.size; k += width) {
      for (let l = numFeatures; l < this.size; l += width) hessian.set(k, l, hessian.get(k, l) + 1);
    }
    return hessian;
  }

  async #yieldWhenDue(): Promise<void> {
    if (performance.now() - this.#sliceStart > SLICE_MS) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#sliceStart = performance.now();
    }
    if (this.#signal?.aborted === true) {
      throw new TensorkilnError('E_ABORTED', '[logistic] fitting was cancelled.', { cause: this.#signal.reason });
    }
  }
}

/** [x, 1] as a matrix. */
function withOnes(block: Float32Array, rows: number, numFeatures: number): Matrix {
  const x = Matrix.ones(rows, numFeatures + 1);
  for (let row = 0; row < rows; ++row) {
    for (let i = 0; i < numFeatures; ++i) x.set(row, i, block[row * numFeatures + i]!);
  }
  return x;
}

function scaleRows(x: Matrix, factor: (row: number) => number): Matrix {
  const scaled = x.clone();
  for (let row = 0; row < x.rows; ++row) scaled.mulRow(row, factor(row));
  return scaled;
}

function addBlock(target: Matrix, block: Matrix, rowStart: number, columnStart: number): void {
  for (let i = 0; i < block.rows; ++i) {
    for (let j = 0; j < block.columns; ++j) {
      target.set(rowStart + i, columnStart + j, target.get(rowStart + i, columnStart + j) + block.get(i, j));
    }
  }
}

/** Copies the part below the diagonal to above it. */
function mirrorLower(target: Matrix): void {
  for (let i = 0; i < target.rows; ++i) {
    for (let j = 0; j < i; ++j) target.set(j, i, target.get(i, j));
  }
}

async function fitNewton(objective: LogisticObjective, options: FitOptions): Promise<LinearFit> {
  let weights: Float64Array = new Float64Array(objective.size);
  let current = await objective.evaluate(weights);
  for (let iteration = 0; iteration < options.maxIterations; ++iteration) {
    if (largestMagnitude(current.gradient) <= GRADIENT_TOLERANCE) return finish('newton', weights, iteration, true);
    const cholesky = new CholeskyDecomposition(await objective.hessian(weights));
    const step = cholesky.solve(Matrix.columnVector(current.gradient)).to1DArray();
    const next = await searchLine(objective, weights, current, Float64Array.from(step, (value) => -value));
    if (next === undefined) return finish('newton', weights, iteration, false);
    ({ weights, evaluation: current } = next);
  }
  return finish('newton', weights, options.maxIterations, largestMagnitude(current.gradient) <= GRADIENT_TOLERANCE);
}

async function fitLbfgs(objective: LogisticObjective, options: FitOptions): Promise<LinearFit> {
  let weights: Float64Array = new Float64Array(objective.size);
  let current = await objective.evaluate(weights);
  const memory: Correction[] = [];
  for (let iteration = 0; iteration < options.maxIterations; ++iteration) {
    if (largestMagnitude(current.gradient) <= FIRST_ORDER_TOLERANCE) return finish('lbfgs', weights, iteration, true);
    const next = await searchLine(objective, weights, current, lbfgsDirection(current.gradient, memory));
    if (next === undefined) return finish('lbfgs', weights, iteration, false);
    remember(memory, difference(next.weights, weights), difference(next.evaluation.gradient, current.gradient));
    ({ weights, evaluation: current } = next);
  }
  return finish('lbfgs', weights, options.maxIterations, largestMagnitude(current.gradient) <= FIRST_ORDER_TOLERANCE);
}

function finish(method: LinearFit['method'], weights: Float64Array, iterations: number, converged: boolean): LinearFit {
  return { method, weights, iterations, converged };
}

/** The longest of the steps 1, 1/2, 1/4, ... along `direction` that lowers the loss enough; undefined when none does. */
async function searchLine(
  objective: LogisticObjective,
  weights: Float64Array,
  current: Evaluation,
  direction: Float64Array,
): Promise<{ weights: Float64Array; evaluation: Evaluation } | undefined> {
  const slope = dot(current.gradient, direction);
  let length = 1;
  for (let halving = 0; halving < MAX_HALVINGS; ++halving) {
    const candidate = weights.map((value, j) => value + length * direction[j]!);
    const evaluation = await objective.evaluate(candidate);
    // Near the optimum the decrease drowns in rounding; a smaller gradient then counts as progress.
    const isBelow = evaluation.loss <= current.loss + ARMIJO * length * slope;
    const isLevel = Math.abs(evaluation.loss - current.loss) <= 4 * Number.EPSILON * Math.abs(current.loss);
    if (isBelow || (isLevel && largestMagnitude(evaluation.gradient) < largestMagnitude(current.gradient))) {
      return { weights: candidate, evaluation };
    }
    length /= 2;
  }
  return undefined;
}

/** A remembered step and the change of gradient along it. */
interface Correction {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly curvature: number;
}

/** Steps along which the gradient did not grow would break the positive definite estimate and are left out. */
function remember(memory: Correction[], step: Float64Array, change: Float64Array): void {
  const curvature = dot(step, change);
  if (curvature <= Number.EPSILON * dot(change, change)) return;
  memory.push({ step, change, curvature });
  if (memory.length > LBFGS_MEMORY) memory.shift();
}

/** Two-loop recursion: minus the estimated inverse Hessian times the gradient. */
function lbfgsDirection(gradient: Float64Array, memory: readonly Correction[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const factors: number[] = [];
  for (const { step, change, curvature } of [...memory].reverse()) {
    const factor = dot(step, direction) / curvature;
    factors.push(factor);
    addScaled(direction, change, -factor);
  }
  const last = memory.at(-1);
  if (last !== undefined) {
    const scale = last.curvature / dot(last.change, last.change);
    for (let j = 0; j < direction.length; ++j) direction[j]! *= scale;
  }
  for (const { step, change, curvature } of memory) {
    addScaled(direction, step, factors.pop()! - dot(change, direction) / curvature);
  }
  return direction;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; ++j) sum += a[j]! * b[j]!;
  return sum;
}

function addScaled(target: Float64Array, values: Float64Array, factor: number): void {
  for (let j = 0; j < target.length; ++j) target[j]! += factor * values[j]!;
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, j) => value - b[j]!);
}

function largestMagnitude(values: Float64Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
