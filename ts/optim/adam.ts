import type * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { ADAM_SCALARS, adamStep, type AdamScalar } from '../backend/custom/optimizer-steps.js';
import { Optimizer, checkOptimizerOptions, type OptimizerOptions } from './optimizer.js';
import type { BoundParameters } from './parameter-parts.js';

export interface AdamOptions extends OptimizerOptions {
  /** Step size, >= 0; default 0.001. */
  readonly learningRate?: number;
  /** Decay of the mean of gradients, in [0, 1); default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients, in [0, 1); default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, > 0; default 1e-8. */
  readonly epsilon?: number;
  /** >= 0; default 0 for Adam, 0.01 for AdamW. */
  readonly weightDecay?: number;
}

/** What Adam and AdamW share. Hyper-parameters are rounded to float32 on the device. */
abstract class AdamFamily extends Optimizer<AdamScalar> {
  protected readonly slotNames = ['means', 'squares'];
  protected readonly scalarNames = ADAM_SCALARS;
  protected readonly scalars: DeviceScalars<AdamScalar>;
  protected abstract readonly isDecoupled: boolean;
  readonly type: string;

  constructor(type: string, options: AdamOptions, defaultWeightDecay: number) {
    super(options);
    this.type = type;
    checkOptimizerOptions(type, options, ADAM_SCALARS);
    const defaults: Record<AdamScalar, number> = {
      learningRate: 1e-3,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: defaultWeightDecay,
    };
    const entries = ADAM_SCALARS.map((name): [AdamScalar, number] => [
      name,
      this.checkScalar(name, options[name] ?? defaults[name]),
    ]);
    this.scalars = new DeviceScalars(ADAM_SCALARS, Object.fromEntries(entries) as Record<AdamScalar, number>);
  }

  protected override checkScalar(name: AdamScalar, value: unknown): number {
    switch (name) {
      case 'learningRate':
      case 'weightDecay':
        return checkNumber(this.type, name, value, { min: 0 });
      case 'beta1':
      case 'beta2':
        return checkNumber(this.type, name, value, { min: 0, below: 1 });
      case 'epsilon':
        return checkNumber(this.type, name, value, { above: 0 });
    }
  }

  protected override update(
    { parameters, slots, step, scalars }: BoundParameters<AdamScalar>,
    gradients: readonly tf.Tensor[],
    active: tf.Tensor | undefined,
  ): void {
    const { means, squares } = slots as { means: readonly tf.Variable[]; squares: readonly tf.Variable[] };
    adamStep({ scalars, step, parameters, gradients, means, squares, decoupled: this.isDecoupled, active });
  }
}

/**
 * Adam: steps along the mean of gradients over the root of the mean of their squares, both corrected for their start at
 * zero. `weightDecay` is added to the gradient (L2 penalty). The update stands at `adamStep`.
 *
 * @throws E_CONFIG for options that are unknown, negative, NaN or otherwise out of range
 * @source Kingma, Ba 2015, arXiv:1412.6980
 */
export class Adam extends AdamFamily {
  protected readonly isDecoupled = false;

  constructor(options: AdamOptions = {}) {
    super('adam', options, 0);
  }
}

/**
 * Adam with decoupled weight decay: parameters shrink by learningRate * weightDecay beside the step.
 *
 * @throws E_CONFIG for options that are unknown, negative, NaN or otherwise out of range
 * @source Loshchilov, Hutter 2019, arXiv:1711.05101; decay scaled by the learning rate, as in PyTorch
 */
export class AdamW extends AdamFamily {
  protected readonly isDecoupled = true;

  constructor(options: AdamOptions = {}) {
    super('adamw', options, 0.01);
  }
}
