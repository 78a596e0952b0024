import { CholeskyDecomposition, Matrix } from 'ml-matrix';

import type { TurnTaker } from './turn-taker.js';

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
  readonly turns: TurnTaker;
}

/** The gradient of the mean loss is called zero below this; weights then agree with the optimum to about six digits. */
const GRADIENT_TOLERANCE = 1e-8;
/** L-BFGS crawls near the optimum; a judge of models does not need more than this. */
const FIRST_ORDER_TOLERANCE = 1e-4;
/** Multiply-adds between two looks at the clock, about a millisecond's worth. */
const WORK_PER_LOOK = 1e6;
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
 * use float64 and sum in a fixed order, so results repeat.
 *
 * @throws E_ABORTED when the signal of `turns` fires
 * @source Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, section 4.4.1; Nocedal and Wright, Numerical
 *         Optimization, algorithms 3.1 and 7.4
 */
export async function fitLogistic(problem: LinearProblem, options: FitOptions): Promise<LinearFit> {
  const objective = new LogisticObjective(problem, options.turns);
  return options.method === 'newton' ? fitNewton(objective, options) : fitLbfgs(objective, options);
}

/** Class probabilities of rows under fitted weights: [rows, numClasses]. */
export async function predictLogistic(
  weights: Float64Array,
  rows: Pick<LinearProblem, 'features' | 'numFeatures' | 'numClasses'>,
  turns: TurnTaker,
): Promise<Float64Array> {
  const { features, numFeatures, numClasses } = rows;
  const count = features.length / numFeatures;
  const probabilities = new Float64Array(count * numClasses);
  const rowsPerLook = Math.ceil(WORK_PER_LOOK / weights.length);
  for (let row = 0; row < count; ++row) {
    if (row % rowsPerLook === 0) await turns.look();
    const scores = probabilities.subarray(row * numClasses, (row + 1) * numClasses);
    scoreRow(weights, features, row * numFeatures, numFeatures, scores);
    softmaxInPlace(scores);
  }
  return probabilities;
}

/** scores[k] = weights[k] . [x, 1], where x starts at `start` in `features`. */
function scoreRow(
  weights: Float64Array,
  features: Float32Array,
  start: number,
  numFeatures: number,
  scores: Float64Array,
): void {
  let w = 0;
  for (let k = 0; k < scores.length; ++k) {
    let sum = 0;
    for (let i = 0; i < numFeatures; ++i) sum += weights[w++]! * features[start + i]!;
    scores[k] = sum + weights[w++]!;
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

/** Loss, gradient and Hessian of the mean penalised cross-entropy. */
class LogisticObjective {
  readonly size: number;
  readonly #problem: LinearProblem;
  readonly #turns: TurnTaker;

  constructor(problem: LinearProblem, turns: TurnTaker) {
    this.#problem = problem;
    this.#turns = turns;
    this.size = problem.numClasses * (problem.numFeatures + 1);
  }

  async evaluate(weights: Float64Array): Promise<Evaluation> {
    const { features, labels, rows, numFeatures, numClasses, l2 } = this.#problem;
    const width = numFeatures + 1;
    const gradient = new Float64Array(this.size);
    const scores = new Float64Array(numClasses);
    const rowsPerLook = Math.ceil(WORK_PER_LOOK / (2 * this.size));
    let loss = 0;
    for (let row = 0; row < rows; ++row) {
      if (row % rowsPerLook === 0) await this.#turns.look();
      const start = row * numFeatures;
      const label = labels[row]!;
      scoreRow(weights, features, start, numFeatures, scores);
      const labelScore = scores[label]!;
      loss += softmaxInPlace(scores) - labelScore;
      scores[label]! -= 1;
      let g = 0;
      for (let k = 0; k < numClasses; ++k) {
        const residual = scores[k]!;
        for (let i = 0; i < numFeatures; ++i) gradient[g++]! += residual * features[start + i]!;
        gradient[g++]! += residual;
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
    const { numFeatures, rows, l2 } = this.#problem;
    const { size } = this;
    const width = numFeatures + 1;
    const sums = await this.#sumCurvature(weights);
    const isBias = (j: number): boolean => j % width === numFeatures;
    return new Matrix(
      Array.from({ length: size }, (_, i) =>
        Array.from({ length: size }, (__, j) => {
          const data = i >= j ? sums[i * size + j]! : sums[j * size + i]!;
          if (isBias(i)) return data / rows + (isBias(j) ? 1 : 0);
          return (data + (i === j ? l2 : 0)) / rows;
        }),
      ),
    );
  }

  /**
   * Sum over rows of p_k (delta_kl - p_l) [x, 1][x, 1]^T for classes k >= l, laid out as the Hessian. Only what lies on and
   * below its diagonal is filled: the blocks k > l whole, the blocks k = l in their lower half.
   */
  async #sumCurvature(weights: Float64Array): Promise<Float64Array> {
    const { features, rows, numFeatures, numClasses } = this.#problem;
    const { size } = this;
    const width = numFeatures + 1;
    const sums = new Float64Array(size * size);
    const p = new Float64Array(numClasses);
    const x = new Float64Array(width).fill(1);
    const rowsPerLook = Math.ceil((2 * WORK_PER_LOOK) / size ** 2);
    for (let row = 0; row < rows; ++row) {
      if (row % rowsPerLook === 0) await this.#turns.look();
      scoreRow(weights, features, row * numFeatures, numFeatures, p);
      softmaxInPlace(p);
      for (let i = 0; i < numFeatures; ++i) x[i] = features[row * numFeatures + i]!;
      for (let k = 0; k < numClasses; ++k) {
        for (let l = 0; l <= k; ++l) {
          const curvature = p[k]! * ((k === l ? 1 : 0) - p[l]!);
          for (let i = 0; i < width; ++i) {
            const scaled = curvature * x[i]!;
            const target = (k * width + i) * size + l * width;
            const end = k === l ? i + 1 : width;
            for (let j = 0; j < end; ++j) sums[target + j]! += scaled * x[j]!;
          }
        }
      }
    }
    return sums;
  }
}

async function fitNewton(objective: LogisticObjective, options: FitOptions): Promise<LinearFit> {
  let weights: Float64Array = new Float64Array(objective.size);
  let current = await objective.evaluate(weights);
  for (let iteration = 0; iteration < options.maxIterations; ++iteration) {
    if (largestMagnitude(current.gradient) <= GRADIENT_TOLERANCE) return finish('newton', weights, iteration, true);
    const cholesky = new CholeskyDecomposition(await objective.hessian(weights));
    const step = cholesky.solve(Matrix.columnVector(current.gradient)).to1DArray();
    const next = await searchLine(
      objective,
      weights,
      current,
      Float64Array.from(step, (value) => -value),
    );
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
