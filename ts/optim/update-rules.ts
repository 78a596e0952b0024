/** Optimizers whose rule is one native call over all parameters and a few numbers. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkNumber, type NumberRange } from '../arguments.js';
import { DeviceScalars } from '../backend/custom/device-scalars.js';
import { RULE_SCALARS, ruleStep, type RuleName, type RuleScalar } from '../backend/custom/update-rules.js';
import { Optimizer, checkOptimizerOptions, type BindOptions, type NamedVariables, type OptimizerOptions } from './optimizer.js';
import type { BoundParameters } from './parameter-parts.js';

/** Hyper-parameters of a rule; each has a default. */
export type RuleOptions<Rule extends RuleName> = OptimizerOptions & {
  readonly [Name in RuleScalar<Rule>]?: number;
};

const RANGES: Readonly<Record<string, NumberRange>> = {
  learningRate: { min: 0 },
  weightDecay: { min: 0 },
  rateDecay: { min: 0 },
  momentumDecay: { min: 0 },
  epsilon: { above: 0 },
  beta1: { min: 0, below: 1 },
  beta2: { min: 0, below: 1 },
  alpha: { min: 0, below: 1 },
  rho: { min: 0, max: 1 },
  momentum: { min: 0, max: 1 },
};

/** What these optimizers share. Hyper-parameters are rounded to float32 on the device. */
abstract class RuleOptimizer<Rule extends RuleName> extends Optimizer<RuleScalar<Rule>> {
  readonly type: Rule;
  protected readonly scalarNames: readonly RuleScalar<Rule>[];
  protected readonly scalars: DeviceScalars<RuleScalar<Rule>>;
  /** Whether the rule counts steps. */
  protected readonly isCounting: boolean = true;

  constructor(
    rule: Rule,
    options: OptimizerOptions,
    more: { readonly defaults: Readonly<Record<RuleScalar<Rule>, number>>; readonly keys?: readonly string[] },
  ) {
    super(options);
    this.type = rule;
    this.scalarNames = RULE_SCALARS[rule];
    checkOptimizerOptions(rule, options, [...this.scalarNames, ...(more.keys ?? [])]);
    const given = options as Readonly<Record<string, unknown>>;
    const entries = this.scalarNames.map((name) => [name, this.checkScalar(name, given[name] ?? more.defaults[name])]);
    this.scalars = new DeviceScalars(this.scalarNames, Object.fromEntries(entries) as Record<RuleScalar<Rule>, number>);
  }

  protected override checkScalar(name: RuleScalar<Rule>, value: unknown): number {
    return checkNumber(this.type, name, value, RANGES[name] ?? {});
  }

  /** Integer attributes of the op. */
  protected flags(): readonly number[] | undefined {
    return undefined;
  }

  /** The state the op takes, in its order. */
  protected slotsOf({ slots }: BoundParameters): readonly (readonly tf.Variable[])[] {
    return this.slotNames.map((name) => slots[name] as readonly tf.Variable[]);
  }

  protected override update(
    bound: BoundParameters<RuleScalar<Rule>>,
    gradients: readonly tf.Tensor[],
    active: tf.Tensor | undefined,
  ): void {
    const flags = this.flags();
    ruleStep(this.type, {
      scalars: bound.scalars,
      counters: [...(this.isCounting ? [bound.step] : []), ...Object.values(bound.products)],
      parameters: bound.parameters,
      gradients,
      slots: this.slotsOf(bound),
      active,
      ...(flags === undefined ? {} : { flags }),
    });
  }
}

export interface RMSPropOptions extends RuleOptions<'rmsprop'> {
  /** Whether the variance of gradients is used instead of their mean square. Default false. */
  readonly centered?: boolean;
}

/**
 * RMSProp: steps along the gradient over the root of the mean of its squares. Defaults: learningRate 0.01, alpha (decay of the
 * mean) 0.99, epsilon 1e-8, momentum 0, weightDecay 0. Whether a velocity is kept is decided at construction.
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Tieleman, Hinton 2012; the form of PyTorch's torch.optim.RMSprop
 */
export class RMSProp extends RuleOptimizer<'rmsprop'> {
  protected readonly slotNames: readonly string[];
  protected override readonly isCounting = false;
  readonly #isCentered: boolean;
  readonly #hasMomentum: boolean;
  #none: tf.Variable | undefined;

  constructor(options: RMSPropOptions = {}) {
    const defaults = { learningRate: 0.01, alpha: 0.99, epsilon: 1e-8, weightDecay: 0, momentum: 0 };
    super('rmsprop', options, { defaults, keys: ['centered'] });
    this.#isCentered = checkBoolean('rmsprop', 'centered', options.centered ?? false);
    this.#hasMomentum = (options.momentum ?? 0) > 0;
    this.slotNames = ['squares', ...(this.#isCentered ? ['averages'] : []), ...(this.#hasMomentum ? ['velocities'] : [])];
  }

  protected override flags(): readonly number[] {
    return [Number(this.#isCentered), Number(this.#hasMomentum)];
  }

  protected override slotsOf({ slots, parameters }: BoundParameters): readonly (readonly tf.Variable[])[] {
    const none = (): tf.Variable => (this.#none ??= tf.tidy(() => tf.variable(tf.zeros([0]), false)));
    const list = (name: string): readonly tf.Variable[] => slots[name] ?? parameters.map(none);
    return [list('squares'), list('averages'), list('velocities')];
  }

  override bind(variables: NamedVariables, options: BindOptions = {}): void {
    super.bind(variables, options);
    this.#none ??= tf.tidy(() => tf.variable(tf.zeros([0]), false));
  }

  override dispose(): void {
    super.dispose();
    this.#none?.dispose();
    this.#none = undefined;
  }
}

export interface AdagradOptions extends RuleOptions<'adagrad'> {
  /** What the sums of squares begin with, >= 0; default 0. */
  readonly initialSum?: number;
}

/**
 * Adagrad: steps along the gradient over the root of the sum of its squares. Defaults: learningRate 0.01, rateDecay 0,
 * epsilon 1e-10, weightDecay 0.
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Duchi, Hazan, Singer 2011; the form of PyTorch's torch.optim.Adagrad
 */
export class Adagrad extends RuleOptimizer<'adagrad'> {
  protected readonly slotNames = ['sums'];
  readonly #initialSum: number;

  constructor(options: AdagradOptions = {}) {
    const defaults = { learningRate: 0.01, rateDecay: 0, epsilon: 1e-10, weightDecay: 0 };
    super('adagrad', options, { defaults, keys: ['initialSum'] });
    this.#initialSum = checkNumber('adagrad', 'initialSum', options.initialSum ?? 0, { min: 0 });
  }

  protected override slotStart(): number {
    return this.#initialSum;
  }
}

/**
 * Adadelta: steps in units of the parameters, from the running means of squared gradients and of squared steps. Defaults:
 * learningRate 1, rho 0.9, epsilon 1e-6, weightDecay 0.
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Zeiler 2012, arXiv:1212.5701; the form of PyTorch's torch.optim.Adadelta
 */
export class Adadelta extends RuleOptimizer<'adadelta'> {
  protected readonly slotNames = ['squares', 'updates'];
  protected override readonly isCounting = false;

  constructor(options: RuleOptions<'adadelta'> = {}) {
    super('adadelta', options, { defaults: { learningRate: 1, rho: 0.9, epsilon: 1e-6, weightDecay: 0 } });
  }
}

/**
 * Adamax: Adam with the running maximum of gradients in place of their mean square. Defaults: learningRate 0.002, beta1 0.9,
 * beta2 0.999, epsilon 1e-8, weightDecay 0.
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Kingma, Ba 2015, arXiv:1412.6980, algorithm 2; the form of PyTorch's torch.optim.Adamax
 */
export class Adamax extends RuleOptimizer<'adamax'> {
  protected readonly slotNames = ['means', 'maxima'];

  constructor(options: RuleOptions<'adamax'> = {}) {
    const defaults = { learningRate: 2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
    super('adamax', options, { defaults });
  }
}

export interface NAdamOptions extends RuleOptions<'nadam'> {
  /** Whether weight decay acts on the parameters, as in AdamW, and not on the gradients. Default false. */
  readonly decoupled?: boolean;
}

/**
 * NAdam: Adam that looks ahead along the mean, as Nesterov's momentum does. Defaults: learningRate 0.002, beta1 0.9,
 * beta2 0.999, epsilon 1e-8, weightDecay 0, momentumDecay 0.004.
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Dozat 2016; the form of PyTorch's torch.optim.NAdam
 */
export class NAdam extends RuleOptimizer<'nadam'> {
  protected readonly slotNames = ['means', 'squares'];
  protected override readonly productStarts = { momenta: 1 };
  readonly #isDecoupled: boolean;

  constructor(options: NAdamOptions = {}) {
    const defaults = { learningRate: 2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, momentumDecay: 4e-3 };
    super('nadam', options, { defaults, keys: ['decoupled'] });
    this.#isDecoupled = checkBoolean('nadam', 'decoupled', options.decoupled ?? false);
  }

  protected override flags(): readonly number[] {
    return [Number(this.#isDecoupled)];
  }
}

/**
 * Lion: steps of one size along the sign of a mean of gradients. Defaults: learningRate 1e-4, beta1 0.9, beta2 0.99,
 * weightDecay 0 (decoupled).
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source Chen et al. 2023, arXiv:2302.06675, algorithm 2
 */
export class Lion extends RuleOptimizer<'lion'> {
  protected readonly slotNames = ['means'];
  protected override readonly isCounting = false;

  constructor(options: RuleOptions<'lion'> = {}) {
    super('lion', options, { defaults: { learningRate: 1e-4, beta1: 0.9, beta2: 0.99, weightDecay: 0 } });
  }
}

/**
 * LAMB: Adam's step, per parameter tensor made as long as the tensor itself, for large batches. Defaults: learningRate 0.001,
 * beta1 0.9, beta2 0.999, epsilon 1e-6, weightDecay 0.01 (decoupled, within the step).
 *
 * @throws E_CONFIG for options that are unknown or out of range
 * @source You et al. 2020, arXiv:1904.00962, algorithm 2
 */
export class LAMB extends RuleOptimizer<'lamb'> {
  protected readonly slotNames = ['means', 'squares'];

  constructor(options: RuleOptions<'lamb'> = {}) {
    const defaults = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weightDecay: 0.01 };
    super('lamb', options, { defaults });
  }
}
