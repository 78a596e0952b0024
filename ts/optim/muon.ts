import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber, checkOneOf } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { moveTowards } from '../backend/custom/move-towards.js';
import { adamStep, sgdStep } from '../backend/custom/optimizer-steps.js';
import { Optimizer, checkOptimizerOptions, type OptimizerOptions } from './optimizer.js';
import { checkGroups, type ParameterGroup } from './parameter-groups.js';
import type { BoundParameters } from './parameter-parts.js';

const MUON_SCALARS = ['learningRate', 'momentum', 'weightDecay'] as const;
type MuonScalar = (typeof MUON_SCALARS)[number];

const GROUP_RULES = ['muon', 'adamw'] as const;

/** Some of Muon's parameters. */
export interface MuonGroup extends ParameterGroup {
  /**
   * 'adamw': all of them, matrices too, take AdamW steps, with `weightDecay` or, without one, no decay. For embeddings and the
   * last layer. Default 'muon': matrices are orthogonalised.
   */
  readonly rule?: (typeof GROUP_RULES)[number];
}

export interface MuonOptions extends OptimizerOptions {
  /**
   * Parameters with a rate, a decay or a rule of their own; the first group that matches counts. `weightDecay` of a group of
   * Muon's acts on its matrices. Default: none.
   */
  readonly groups?: readonly MuonGroup[];
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

/** Betas and epsilon of the AdamW steps. */
const ADAM = [0.9, 0.999, 1e-8] as const;

/**
 * Muon: matrices step along the orthogonalised mean of their gradients; all other parameters take AdamW steps at the same rate
 * (betas 0.9 and 0.999, no decay). Put embeddings and the last layer, matrices as well, into a group with `rule: 'adamw'`, as the
 * author advises, and a rate that suits AdamW: `{ parameters: ['embedding', 'head'], rule: 'adamw', rateFactor: 0.1 }`.
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
  readonly #rules: readonly MuonGroup['rule'][];

  constructor(options: MuonOptions = {}) {
    const groups = (options as MuonOptions | null)?.groups;
    super(groups === undefined ? options : { ...options, groups: withOwnDecays(groups) }, ['rule']);
    checkOptimizerOptions('muon', options, [...MUON_SCALARS, 'nesterov', 'iterations', 'adjust']);
    this.#rules = (options.groups ?? []).map(({ rule }, i) =>
      checkOneOf('muon', `groups[${i}].rule`, rule ?? 'muon', GROUP_RULES),
    );
    const values = {
      learningRate: this.checkScalar('learningRate', options.learningRate ?? 1e-3),
      momentum: this.checkScalar('momentum', options.momentum ?? 0.95),
      weightDecay: this.checkScalar('weightDecay', options.weightDecay ?? 0.1),
    };
    this.#isNesterov = checkBoolean('muon', 'nesterov', options.nesterov ?? true);
    this.#iterations = checkInteger('muon', 'iterations', options.iterations ?? 5, { min: 1 });
    this.#adjust = checkOneOf('muon', 'adjust', options.adjust ?? 'original', ['original', 'match_adam']);
    this.scalars = new DeviceScalars(MUON_SCALARS, values);
  }

  protected override checkScalar(name: MuonScalar, value: unknown): number {
    return checkNumber('muon', name, value, name === 'momentum' ? { min: 0, below: 1 } : { min: 0 });
  }

  protected override update(
    bound: BoundParameters<MuonScalar>,
    gradients: readonly tf.Tensor[],
    active: tf.Tensor | undefined,
  ): void {
    const { scalars } = bound;
    const { means, squares } = bound.slots as { means: readonly tf.Variable[]; squares: readonly tf.Variable[] };
    const isAdamOnly = this.#rules[bound.group] === 'adamw';
    const select = (isOrthogonal: boolean): number[] =>
      [...bound.parameters.keys()].filter((i) => (!isAdamOnly && bound.parameters[i]?.rank === 2) === isOrthogonal);
    const pick = <T>(list: readonly T[], indices: readonly number[]): T[] => indices.map((i) => list[i] as T);
    const [matrices, others] = [select(true), select(false)];
    const [rate, decay] = [scalars.tensor('learningRate'), scalars.tensor('weightDecay')];
    if (matrices.length > 0) {
      const grads = pick(gradients, matrices) as tf.Tensor2D[];
      const weight = tf.sub(1, scalars.tensor('momentum'));
      moveTowards(pick(means, matrices), grads, active === undefined ? weight : tf.mul(weight, active));
      const steps = grads.map((gradient, i) => this.#stepOf(gradient, means[matrices[i] as number] as tf.Variable));
      const numbers = tf.concat([rate, tf.zeros<tf.Rank.R1>([1]), decay]);
      sgdStep({ scalars: numbers, parameters: pick(bound.parameters, matrices), gradients: steps, active });
    }
    if (others.length === 0) return;
    adamStep({
      active,
      scalars: tf.concat([rate, tf.tensor1d([...ADAM]), isAdamOnly ? decay : tf.zeros<tf.Rank.R1>([1])]),
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
}

/** Groups in which AdamW's steps have the decay they name or none; that of others is the optimizer's where they name none. */
function withOwnDecays(groups: readonly MuonGroup[]): readonly MuonGroup[] {
  return checkGroups('muon', groups, ['rule']).map((group) => ({
    ...((group as MuonGroup).rule === 'adamw' ? { weightDecay: 0 } : {}),
    ...group,
  }));
}
