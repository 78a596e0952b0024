import type * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkNumber } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { SGD_SCALARS, sgdMomentumStep, sgdStep, type SgdScalar } from '../backend/custom/optimizer-steps.js';
import { TensorkilnError } from '../errors.js';
import { Optimizer, checkOptimizerOptions, type OptimizerOptions } from './optimizer.js';
import type { BoundParameters } from './parameter-parts.js';

export interface SGDOptions extends OptimizerOptions {
  /** Step size, >= 0; default 0.01. */
  readonly learningRate?: number;
  /** Decay of the velocity, in [0, 1]; default 0: no velocity is kept. */
  readonly momentum?: number;
  /** Whether to look ahead along the velocity; needs momentum. Default false. */
  readonly nesterov?: boolean;
  /** L2 penalty added to the gradient, >= 0; default 0. */
  readonly weightDecay?: number;
}

/**
 * Stochastic gradient descent with optional momentum, Nesterov's variant and weight decay. The updates stand at `sgdStep`
 * and `sgdMomentumStep`. Whether a velocity is kept is decided at construction: without momentum it stays 0.
 *
 * @throws E_CONFIG for options that are unknown, negative, NaN or otherwise out of range, or nesterov without momentum
 * @source Robbins, Monro 1951; Sutskever, Martens, Dahl, Hinton 2013
 */
export class SGD extends Optimizer<SgdScalar> {
  readonly type = 'sgd';
  protected readonly scalarNames = SGD_SCALARS;
  protected readonly slotNames: readonly string[];
  protected readonly scalars: DeviceScalars<SgdScalar>;
  readonly #hasVelocity: boolean;
  readonly #isNesterov: boolean;

  constructor(options: SGDOptions = {}) {
    super(options);
    checkOptimizerOptions('sgd', options, [...SGD_SCALARS, 'nesterov']);
    const momentum = checkNumber('sgd', 'momentum', options.momentum ?? 0, { min: 0, max: 1 });
    this.#hasVelocity = momentum > 0;
    this.#isNesterov = checkBoolean('sgd', 'nesterov', options.nesterov ?? false);
    if (this.#isNesterov && !this.#hasVelocity) {
      throw new TensorkilnError('E_CONFIG', '[sgd] wrong nesterov: it needs momentum > 0, got momentum 0.');
    }
    this.slotNames = this.#hasVelocity ? ['velocities'] : [];
    this.scalars = new DeviceScalars(SGD_SCALARS, {
      learningRate: this.checkScalar('learningRate', options.learningRate ?? 0.01),
      momentum,
      weightDecay: this.checkScalar('weightDecay', options.weightDecay ?? 0),
    });
  }

  protected override checkScalar(name: SgdScalar, value: unknown): number {
    if (name !== 'momentum') return checkNumber('sgd', name, value, { min: 0 });
    return checkNumber('sgd', name, value, { min: 0, max: this.#hasVelocity ? 1 : 0 });
  }

  protected override update(
    { parameters, slots, scalars }: BoundParameters<SgdScalar>,
    gradients: readonly tf.Tensor[],
    active: tf.Tensor | undefined,
  ): void {
    if (!this.#hasVelocity) sgdStep({ scalars, parameters, gradients, active });
    else
      sgdMomentumStep({
        scalars,
        parameters,
        gradients,
        velocities: slots.velocities as readonly tf.Variable[],
        nesterov: this.#isNesterov,
        active,
      });
  }
}
