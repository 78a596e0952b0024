import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber, checkOneOf } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { moveTowards, type MoveScalar } from '../backend/custom/move-towards.js';
import { ADAM_SCALARS, adamStep, sgdStep, type AdamScalar, type SgdScalar } from '../backend/custom/optimizer-steps.js';
import { TensorkilnError } from '../errors.js';
import { Optimizer, checkOptimizerOptions, type OptimizerOptions } from './optimizer.js';
import type { BoundParameters } from './parameter-parts.js';

const MUON_SCALARS = ['learningRate', 'momentum', 'weightDecay'] as const;
type MuonScalar = (typeof MUON_SCALARS)[number];

export interface MuonOptions extends OptimizerOptions {
  /** Step size, >= 0; default 0.001. */
  readonly learningRate?: number;
  /** Decay of the mean of gradients, in [0, 1); default 0.95. */
  readonly momentum?: number;
  /** Decoupled decay of matrices, >= 0; default 0.1. */
  readonly weightDecay?: number;
  /** Whether to look ahead along the mean. Default true. */
  readonly nesterov?: boolean;
  /** Newton-Schulz steps, >= 1; default 5. */
  readonly iterations?: number;
  /**
   * Factor on the rate for a matrix [rows, columns] as PyTorch stores it: 'original': sqrt(max(1, rows / columns));
   * 'match_adam': 0.2 sqrt(max(rows, columns)). Dense kernels here are [in, out], PyTorch's [out, in]; the factor follows the
   * stored shape. Default 'original'.
   */
  readonly adjust?: 'original' | 'match_adam';
}

/** Coefficients of the quintic iteration (Jordan 2024). */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const EPSILON = 1e-7;

/** Brings the singular values of a matrix near 1: x = A x + (B g + C g^2) x, g = x x^T, from x / |x|. */
function orthogonalized(matrix: tf.Tensor2D, iterations: number): tf.Tensor2D {
  const [rows, columns] = matrix.shape;
  const isTall = rows > columns;
  const start = isTall ? tf.transpose(matrix) : matrix;
  let x = tf.div<tf.Tensor2D>(start, tf.maximum(tf.sqrt(tf.sum(tf.square(start))), EPSILON));
  for (let i = 0; i < iterations; ++i) {
    const gram: tf.Tensor2D = tf.matMul(x, x, false, true);
    const polynomial = tf.add<tf.Tensor2D>(tf.mul(gram, B), tf.mul(tf.matMul(gram, gram), C));
    x = tf.add(tf.mul(x, A), tf.matMul(polynomial, x));
  }
  return isTall ? tf.transpose(x) : x;
}

/** What one group keeps besides the base's part. */
interface Helpers {
  readonly mean: DeviceScalars<MoveScalar>;
  readonly matrices: DeviceScalars<SgdScalar>;
  readonly rest: DeviceScalars<AdamScalar>;
}

/**
 * Muon: matrices step along the orthogonalised mean of their gradients; all other parameters take AdamW steps at the same rate
 * (betas 0.9 and 0.999, no decay). Give embeddings and the last layer to another optimizer, as the author advises.
 *
 *   m = m + (1 - momentum) (g - m); u = g + momentum (m - g) with nesterov, else m;
 *   p = p (1 - learningRate weightDecay) - learningRate factor orthogonal(u)
 *
 * The matrix products run in float32 (PyTorch: bfloat16), one group of calls per matrix; all else is one call per group.
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Jordan 2024, "Muon: an optimizer for hidden layers in neural networks"; decay and factors as in torch.optim.Muon
 */
export class Muon extends Optimizer<MuonScalar> {
  readonly type = 'muon';
  protected readonly slotNames = ['means', 'squares'];
  protected readonly scalarNames = MUON_SCALARS;
  protected readonly scalars: DeviceScalars<MuonScalar>;
  readonly #isNesterov: boolean;
  readonly #iterations: number;
  readonly #adjust: 'original' | 'match_adam';
  readonly #helpers: Helpers;

  constructor(options: MuonOptions = {}) {
    super(options);
    checkOptimizerOptions('muon', options, [...MUON_SCALARS, 'nesterov', 'iterations', 'adjust']);
    if (options.groups !== undefined)
      throw new TensorkilnError('E_CONFIG', '[muon] wrong groups: it has none; give other parameters to another optimizer.');
    const values = {
      learningRate: this.checkScalar('learningRate', options.learningRate ?? 1e-3),
      momentum: this.checkScalar('momentum', options.momentum ?? 0.95),
      weightDecay: this.checkScalar('weightDecay', options.weightDecay ?? 0.1),
    };
    this.#isNesterov = checkBoolean('muon', 'nesterov', options.nesterov ?? true);
    this.#iterations = checkInteger('muon', 'iterations', options.iterations ?? 5, { min: 1 });
    this.#adjust = checkOneOf('muon', 'adjust', options.adjust ?? 'original', ['original', 'match_adam']);
    this.scalars = new DeviceScalars(MUON_SCALARS, values);
    this.#helpers = {
      mean: new DeviceScalars(['weight'], { weight: 1 - values.momentum }),
      matrices: new DeviceScalars(['learningRate', 'momentum', 'weightDecay'], { ...values, momentum: 0 }),
      rest: new DeviceScalars(ADAM_SCALARS, {
        learningRate: values.learningRate,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0,
      }),
    };
  }

  protected override checkScalar(name: MuonScalar, value: unknown): number {
    return checkNumber('muon', name, value, name === 'momentum' ? { min: 0, below: 1 } : { min: 0 });
  }

  protected override scalarsChanged(): void {
    const { learningRate, momentum, weightDecay } = this.hyperParameters();
    this.#helpers.mean.set({ weight: 1 - momentum });
    this.#helpers.matrices.set({ learningRate, weightDecay });
    this.#helpers.rest.set({ learningRate });
  }

  protected override update(
    bound: BoundParameters<MuonScalar>,
    gradients: readonly tf.Tensor[],
    active: tf.Tensor | undefined,
  ): void {
    const { means, squares } = bound.slots as { means: readonly tf.Variable[]; squares: readonly tf.Variable[] };
    const select = (isMatrix: boolean): number[] =>
      [...bound.parameters.keys()].filter((i) => (bound.parameters[i]?.rank === 2) === isMatrix);
    const pick = <T>(list: readonly T[], indices: readonly number[]): T[] => indices.map((i) => list[i] as T);
    const [matrices, others] = [select(true), select(false)];
    if (matrices.length > 0) {
      const grads = pick(gradients, matrices) as tf.Tensor2D[];
      const weight = active === undefined ? this.#helpers.mean : tf.mul(this.#helpers.mean.tensor('weight'), active);
      moveTowards(pick(means, matrices), grads, weight);
      const steps = grads.map((gradient, i) => this.#stepOf(gradient, means[matrices[i] as number] as tf.Variable));
      sgdStep({ scalars: this.#helpers.matrices, parameters: pick(bound.parameters, matrices), gradients: steps, active });
    }
    if (others.length === 0) return;
    adamStep({
      active,
      scalars: this.#helpers.rest,
      step: bound.step,
      parameters: pick(bound.parameters, others),
      gradients: pick(gradients, others),
      means: pick(means, others),
      squares: pick(squares, others),
      decoupled: true,
    });
  }

  #stepOf(gradient: tf.Tensor2D, mean: tf.Tensor): tf.Tensor {
    const [rows, columns] = gradient.shape;
    // g + momentum (m - g), with the momentum read on the device: 1 - weight of the mean.
    const direction = this.#isNesterov ? this.#lookAhead(gradient, mean) : (mean as tf.Tensor2D);
    const factor =
      this.#adjust === 'original' ? Math.sqrt(Math.max(1, rows / columns)) : 0.2 * Math.sqrt(Math.max(rows, columns));
    return tf.mul(orthogonalized(direction, this.#iterations), factor);
  }

  #lookAhead(gradient: tf.Tensor2D, mean: tf.Tensor): tf.Tensor2D {
    const momentum = this.scalars.tensor('momentum');
    return tf.add(gradient, tf.mul(momentum, tf.sub(mean, gradient)));
  }

  override dispose(): void {
    super.dispose();
    for (const scalars of Object.values(this.#helpers)) (scalars as DeviceScalars<string>).dispose();
  }
}
