/** How a layer's parameter begins, what it costs and what it may be: options every layer spells the same way. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkNumber, checkOneOf } from '../arguments.js';
import { checkInitializer, type Initializer } from './initializers.js';

/** Penalty added to the loss: l1 * sum |w| + l2 * sum w^2. Both >= 0, default 0. */
export interface Regularizer {
  readonly l1?: number;
  readonly l2?: number;
}

const CONSTRAINTS = ['non_negative', 'unit_norm', 'max_norm', 'min_max_norm'] as const;

/**
 * What a parameter is brought back to after each step. Norms are Euclidean, over `axis` (default 0, the inputs of a dense
 * kernel): `unit_norm`; `max_norm`: at most `max` (default 2); `min_max_norm`: between `min` (0) and `max` (1).
 *
 * @source Srivastava et al. 2014 (max norm); meanings and defaults as in Keras, `rate` of min_max_norm at 1
 */
export interface Constraint {
  readonly type: (typeof CONSTRAINTS)[number];
  readonly axis?: number | readonly number[];
  readonly min?: number;
  readonly max?: number;
}

/** Everything a parameter is made with. */
export interface ParameterOptions {
  readonly initializer: Initializer;
  readonly regularizer?: Regularizer;
  readonly constraint?: Constraint;
}

type Capitalized = 'Initializer' | 'Regularizer' | 'Constraint';
/** The options of a parameter by role: kernelInitializer, kernelRegularizer, kernelConstraint, ... */
export type RoleOptions<Role extends string> = {
  readonly [Key in `${Role}Initializer`]?: Initializer;
} & { readonly [Key in `${Role}Regularizer`]?: Regularizer } & { readonly [Key in `${Role}Constraint`]?: Constraint };

/** The option names of some roles. */
export function roleKeys(...roles: readonly string[]): string[] {
  return roles.flatMap((role) => [`${role}Initializer`, `${role}Regularizer`, `${role}Constraint`]);
}

function checkRegularizer(place: string, key: string, value: unknown): Regularizer {
  const { l1 = 0, l2 = 0 } = checkKeys(`${place} ${key}`, value, ['l1', 'l2']) as Regularizer;
  checkNumber(place, `${key}.l1`, l1, { min: 0 });
  checkNumber(place, `${key}.l2`, l2, { min: 0 });
  return value as Regularizer;
}

function checkConstraint(place: string, key: string, value: unknown): Constraint {
  const checked = checkKeys(`${place} ${key}`, value, ['type', 'axis', 'min', 'max']) as unknown as Constraint;
  checkOneOf(place, `${key}.type`, checked.type, CONSTRAINTS);
  for (const axis of [checked.axis ?? 0].flat()) checkInteger(place, `${key}.axis`, axis);
  const min = checkNumber(place, `${key}.min`, checked.min ?? 0, { min: 0 });
  checkNumber(place, `${key}.max`, checked.max ?? Math.max(2, min), { min });
  return checked;
}

/**
 * Reads the options of one role from a layer's options.
 *
 * @param place        names the layer in errors
 * @param options      the layer's options
 * @param role         e.g. 'kernel'
 * @param initializer  the default
 * @returns            checked options, and the part of getConfig that repeats them
 * @throws E_CONFIG naming place and key
 */
export function readRole(
  place: string,
  options: object,
  role: string,
  initializer: Initializer,
): { parameter: ParameterOptions; config: Readonly<Record<string, unknown>> } {
  const read = (part: Capitalized): unknown => (options as Readonly<Record<string, unknown>>)[`${role}${part}`];
  const checked = checkInitializer(place, `${role}Initializer`, read('Initializer') ?? initializer);
  const [regularizer, constraint] = [read('Regularizer'), read('Constraint')];
  const optional = {
    ...(regularizer === undefined ? {} : { regularizer: checkRegularizer(place, `${role}Regularizer`, regularizer) }),
    ...(constraint === undefined ? {} : { constraint: checkConstraint(place, `${role}Constraint`, constraint) }),
  };
  return {
    parameter: { initializer: checked, ...optional },
    config: {
      [`${role}Initializer`]: checked,
      ...(optional.regularizer === undefined ? {} : { [`${role}Regularizer`]: optional.regularizer }),
      ...(optional.constraint === undefined ? {} : { [`${role}Constraint`]: optional.constraint }),
    },
  };
}

/** Reads `useBias` and the bias's role; no parameter when there is none. @throws E_CONFIG */
export function readBias(
  place: string,
  options: { readonly useBias?: boolean },
): { parameter: ParameterOptions | undefined; config: Readonly<Record<string, unknown>> } {
  const useBias = checkBoolean(place, 'useBias', options.useBias ?? true);
  const { parameter, config } = readRole(place, options, 'bias', 'zeros');
  return { parameter: useBias ? parameter : undefined, config: { useBias, ...config } };
}

/** The penalty of one parameter, a differentiable scalar. */
export function penaltyOf({ l1 = 0, l2 = 0 }: Regularizer, parameter: tf.Tensor): tf.Scalar {
  return tf.tidy(() => {
    const first = tf.mul(tf.sum(tf.abs(parameter)), l1);
    return tf.add<tf.Scalar>(first, tf.mul(tf.sum(tf.square(parameter)), l2));
  });
}

/** Added to norms before dividing, as in Keras. */
const TINY_NORM = 1e-7;

/** The nearest values a constraint allows. */
export function constrained(constraint: Constraint, parameter: tf.Tensor): tf.Tensor {
  const { type, axis = 0 } = constraint;
  return tf.tidy(() => {
    if (type === 'non_negative') return tf.relu(parameter);
    const norm = tf.sqrt(tf.sum(tf.square(parameter), [axis].flat(), true));
    if (type === 'unit_norm') return tf.div(parameter, tf.add(norm, TINY_NORM));
    const { min = 0, max = type === 'max_norm' ? 2 : 1 } = constraint;
    const wanted = tf.maximum(tf.minimum(norm, max), min);
    return tf.mul(parameter, tf.div(wanted, tf.add(norm, TINY_NORM)));
  });
}
