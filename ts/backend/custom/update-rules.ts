/** Further optimizer steps: one native call updates all parameters in place. Formulas stand in native/ops/optim/update_rules.h. */
import type * as tf from '@tensorflow/tfjs-core';
import { declareOp } from '../../native/engine.js';
import { currentBackend } from '../tensors.js';
import type { DeviceScalars } from './device-scalars.js';
import { gradientOperands, inPlace, type ConditionalStep } from './optimizer-steps.js';

/** Hyper-parameters of each rule, in the order of the device buffer. */
export const RULE_SCALARS = {
  rmsprop: ['learningRate', 'alpha', 'epsilon', 'weightDecay', 'momentum'],
  adagrad: ['learningRate', 'rateDecay', 'epsilon', 'weightDecay'],
  adadelta: ['learningRate', 'rho', 'epsilon', 'weightDecay'],
  adamax: ['learningRate', 'beta1', 'beta2', 'epsilon', 'weightDecay'],
  nadam: ['learningRate', 'beta1', 'beta2', 'epsilon', 'weightDecay', 'momentumDecay'],
  lion: ['learningRate', 'beta1', 'beta2', 'weightDecay'],
  lamb: ['learningRate', 'beta1', 'beta2', 'epsilon', 'weightDecay'],
} as const;
export type RuleName = keyof typeof RULE_SCALARS;
export type RuleScalar<Rule extends RuleName> = (typeof RULE_SCALARS)[Rule][number];

const OPS: Readonly<Record<RuleName, ReturnType<typeof declareOp>>> = {
  rmsprop: declareOp('rmsprop'),
  adagrad: declareOp('adagrad'),
  adadelta: declareOp('adadelta'),
  adamax: declareOp('adamax'),
  nadam: declareOp('nadam'),
  lion: declareOp('lion'),
  lamb: declareOp('lamb'),
};

export interface RuleGroup<Scalar extends string = string> extends ConditionalStep {
  readonly scalars: DeviceScalars<Scalar>;
  /** What the rule keeps for the whole group: int32 [1] step count, raised by the call, then float32 [1] products. */
  readonly counters: readonly tf.Variable[];
  readonly parameters: readonly tf.Variable[];
  /** float32, one per parameter, of its shape. */
  readonly gradients: readonly tf.Tensor[];
  /** The rule's state in the order of its contract, one list per kind, one variable per parameter; empty ones where unused. */
  readonly slots: readonly (readonly tf.Variable[])[];
  /** Integer attributes of the op. */
  readonly flags?: readonly number[];
}

/**
 * One step of a rule for all parameters.
 *
 * @throws E_SHAPE when gradients do not match the parameters; E_DISPOSED
 */
export function ruleStep(rule: RuleName, group: RuleGroup): void {
  const gradients = gradientOperands(group.parameters, group.gradients);
  const operands = [
    group.scalars.operand(group.active),
    ...inPlace(group.counters),
    ...inPlace(group.parameters),
    ...gradients,
    ...group.slots.flatMap((slot) => inPlace(slot)),
  ];
  currentBackend().engine.call(OPS[rule], operands, group.flags === undefined ? undefined : [...group.flags]);
}
