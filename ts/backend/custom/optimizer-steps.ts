/** Optimizer steps: one native call updates all parameters in place. Variables stay the same objects on the same handles. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type Operand } from '../../native/engine.js';
import { storageOf } from '../record.js';
import { currentBackend, makeUnique } from '../tensors.js';
import { DeviceScalars } from './device-scalars.js';

const ADAM = declareOp('adam');
const SGD = declareOp('sgd');
const SGD_MOMENTUM = declareOp('sgd_momentum');

/** Hyper-parameters of `adamStep`, in the order of the device buffer. */
export const ADAM_SCALARS = ['learningRate', 'beta1', 'beta2', 'epsilon', 'weightDecay'] as const;
export type AdamScalar = (typeof ADAM_SCALARS)[number];

/** Hyper-parameters of `sgdStep` and `sgdMomentumStep`, in the order of the device buffer. */
export const SGD_SCALARS = ['learningRate', 'momentum', 'weightDecay'] as const;
export type SgdScalar = (typeof SGD_SCALARS)[number];

/** Variables as operands that a call changes where they are. */
export function inPlace(variables: readonly tf.Variable[]): Operand[] {
  return variables.map((variable) => ({
    handle: makeUnique(variable),
    storage: storageOf(variable.dtype, 'optimizer'),
    shape: variable.shape,
  }));
}

/** Tensors as operands, one per variable. @throws E_SHAPE when number, dtype or shape differ */
export function gradientOperands(parameters: readonly tf.Variable[], gradients: readonly tf.Tensor[]): Operand[] {
  if (parameters.length !== gradients.length) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[optimizer] wrong number of gradients: expected ${parameters.length}, got ${gradients.length}.`,
    );
  }
  const backend = currentBackend();
  return gradients.map((gradient, index) => {
    const { name, shape } = parameters[index] as tf.Variable;
    if (gradient.dtype !== 'float32' || gradient.shape.join() !== shape.join()) {
      throw new TensorkilnError(
        'E_SHAPE',
        `[optimizer] wrong gradient of '${name}': expected float32 [${shape.join(', ')}], got ${gradient.dtype} [${gradient.shape.join(', ')}].`,
      );
    }
    return backend.operand(gradient);
  });
}

/** Hyper-parameters of a step: named ones, or float32 numbers in the same order, computed on the device. */
export type StepScalars<Name extends string> = DeviceScalars<Name> | tf.Tensor1D;

/** Hyper-parameters as an operand; `active` is put behind them, as optimizer ops take it. */
function scalarOperand<Name extends string>(scalars: StepScalars<Name>, active: tf.Tensor | undefined): Operand {
  if (scalars instanceof DeviceScalars) return scalars.operand(active);
  return currentBackend().operand(active === undefined ? scalars : tf.concat([scalars, active]));
}

/** What every step may take. */
export interface ConditionalStep {
  /** float32 [1]: 0 leaves the call without effect, step count included; decided on the device. Default: the step is done. */
  readonly active?: tf.Tensor | undefined;
}

export interface AdamGroup extends ConditionalStep {
  readonly scalars: StepScalars<AdamScalar>;
  /** int32 [1]: steps done; the call adds one first. */
  readonly step: tf.Variable;
  readonly parameters: readonly tf.Variable[];
  /** float32, one per parameter, of its shape. */
  readonly gradients: readonly tf.Tensor[];
  /** Running mean of gradients, one per parameter. */
  readonly means: readonly tf.Variable[];
  /** Running mean of squared gradients, one per parameter. */
  readonly squares: readonly tf.Variable[];
  /** true: weight decay acts on the parameter (AdamW); false: it is added to the gradient. */
  readonly decoupled: boolean;
}

/**
 * One Adam step for all parameters, t = step + 1:
 * m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 * p = p - learningRate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon),
 * with g + weightDecay * p for g, or, decoupled, p * (1 - learningRate * weightDecay) for p beforehand.
 *
 * @throws E_SHAPE when gradients do not match the parameters; E_DISPOSED
 * @source Kingma, Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov, Hutter 2019, arXiv:1711.05101, algorithm 2
 */
export function adamStep(group: AdamGroup): void {
  const gradients = gradientOperands(group.parameters, group.gradients);
  const operands = [
    scalarOperand(group.scalars, group.active),
    ...inPlace([group.step]),
    ...inPlace(group.parameters),
    ...gradients,
    ...inPlace(group.means),
    ...inPlace(group.squares),
  ];
  currentBackend().engine.call(ADAM, operands, [group.decoupled ? 1 : 0]);
}

export interface SgdGroup extends ConditionalStep {
  readonly scalars: StepScalars<SgdScalar>;
  readonly parameters: readonly tf.Variable[];
  /** float32, one per parameter, of its shape. */
  readonly gradients: readonly tf.Tensor[];
}

/**
 * One step of stochastic gradient descent for all parameters: p = p - learningRate * (g + weightDecay * p).
 *
 * @throws E_SHAPE when gradients do not match the parameters; E_DISPOSED
 * @source Robbins, Monro 1951
 */
export function sgdStep(group: SgdGroup): void {
  const gradients = gradientOperands(group.parameters, group.gradients);
  currentBackend().engine.call(SGD, [scalarOperand(group.scalars, group.active), ...inPlace(group.parameters), ...gradients]);
}

export interface SgdMomentumGroup extends SgdGroup {
  /** Velocities, one per parameter; zeros before the first step. */
  readonly velocities: readonly tf.Variable[];
  readonly nesterov: boolean;
}

/**
 * One step with momentum for all parameters: u = g + weightDecay * p; v = momentum * v + u; p = p - learningRate * v,
 * or, with Nesterov's look-ahead, p = p - learningRate * (u + momentum * v).
 *
 * @throws E_SHAPE when gradients do not match the parameters; E_DISPOSED
 * @source Sutskever, Martens, Dahl, Hinton 2013; the velocity without the learning rate, as in PyTorch
 */
export function sgdMomentumStep(group: SgdMomentumGroup): void {
  const gradients = gradientOperands(group.parameters, group.gradients);
  const operands = [
    scalarOperand(group.scalars, group.active),
    ...inPlace(group.parameters),
    ...gradients,
    ...inPlace(group.velocities),
  ];
  currentBackend().engine.call(SGD_MOMENTUM, operands, [group.nesterov ? 1 : 0]);
}
