/** How a layer's parameter begins, what it costs and what it may be: options every layer spells the same way. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkNumber, checkOneOf } from '../arguments.js';
import { checkInitializer, type Initializer } from './initializers.js';

/**
 * Penalty added to the loss: l1 * sum |w| + l2 * sum w^2 + orthogonal * (mean |cosine| of all pairs of rows, or of columns). Each
 * >= 0, default 0.
 *
 * @source Brock et al. 2016, arXiv:1609.07093 (orthogonal); meanings as in Keras
 */
export interface Regularizer {
  readonly l1?: number;
  readonly l2?: number;
  /** For matrices; convolution kernels are seen as [taps * in, out]. */
  readonly orthogonal?: number;
  /** What should be orthogonal. Default 'rows'. */
  readonly mode?: 'rows' | 'columns';
}

const CONSTRAINTS = ['non_negative', 'unit_norm', 'max_norm', 'min_max_norm'] as const;

/**
 * What a parameter is brought back to after each step. Norms are Euclidean, over `axis` (default 0, the inputs of a dense
 * kernel): `unit_norm`; `max_norm`: at most `max` (default 2); `min_max_norm`: between `min` (0) and `max` (1), by the share
 * `rate` (1) of the way.
 *
 * @source Srivastava et al. 2014 (max norm); meanings and defaults as in Keras
 */
export interface Constraint {
  readonly type: (typeof CONSTRAINTS)[number];
  readonly axis?: number | readonly number[];
  readonly min?: number;
  readonly max?: number;
  /** In [0, 1]. */
  readonly rate?: number;
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
  const checked = checkKeys(`${place} ${key}`, value, ['l1', 'l2', 'orthogonal', 'mode']) as Regularizer;
  const { l1 = 0, l2 = 0, orthogonal = 0, mode = 'rows' } = checked;
  checkNumber(place, `${key}.orthogonal`, orthogonal, { min: 0 });
  checkOneOf(place, `${key}.mode`, mode, ['rows', 'columns']);
  checkNumber(place, `${key}.l1`, l1, { min: 0 });
  checkNumber(place, `${key}.l2`, l2, { min: 0 });
  return value as Regularizer;
}

function checkConstraint(place: string, key: string, value: unknown): Constraint {
  const checked = checkKeys(`${place} ${key}`, value, ['type', 'axis', 'min', 'max', 'rate']) as unknown as Constraint;
  checkOneOf(place, `${key}.type`, checked.type, CONSTRAINTS);
  for (const axis of [checked.axis ?? 0].flat()) checkInteger(place, `${key}.axis`, axis);
  const min = checkNumber(place, `${key}.min`, checked.min ?? 0, { min: 0 });
  checkNumber(place, `${key}.max`, checked.max ?? Math.max(2, min), { min });
  checkNumber(place, `${key}.rate`, checked.rate ?? 1, { min: 0, max: 1 });
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

/** Added to norms before dividing, as in Keras. */
const TINY_NORM = 1e-7;

/** The penalty of one parameter, a differentiable scalar. */
export function penaltyOf(regularizer: Regularizer, parameter: tf.Tensor): tf.Scalar {
  const { l1 = 0, l2 = 0, orthogonal = 0, mode = 'rows' } = regularizer;
  return tf.tidy(() => {
    const first = tf.mul(tf.sum(tf.abs(parameter)), l1);
    const sum = tf.add<tf.Scalar>(first, tf.mul(tf.sum(tf.square(parameter)), l2));
    return orthogonal === 0 ? sum : tf.add(sum, tf.mul(overlap(parameter, mode), orthogonal));
  });
}

/** Mean of |cosine| over all pairs of rows or columns of a matrix; 0 when there is only one. */
function overlap(parameter: tf.Tensor, mode: 'rows' | 'columns'): tf.Scalar {
  const matrix = tf.reshape(parameter, [-1, parameter.shape.at(-1) ?? 1]);
  const vectors = mode === 'rows' ? matrix : tf.transpose(matrix);
  const count = vectors.shape[0];
  if (count < 2) return tf.mul(tf.sum<tf.Scalar>(parameter), 0);
  const units = tf.mul(vectors, tf.rsqrt(tf.add(tf.sum(tf.square(vectors), 1, true), TINY_NORM ** 2)));
  const cosines = tf.mul(tf.abs(tf.matMul(units, units, false, true)), tf.sub(1, tf.eye(count)));
  return tf.mul(tf.sum<tf.Scalar>(cosines), 1 / (count * (count - 1)));
}

/** The nearest values a constraint allows. */
export function constrained(constraint: Constraint, parameter: tf.Tensor): tf.Tensor {
  const { type, axis = 0 } = constraint;
  return tf.tidy(() => {
    if (type === 'non_negative') return tf.relu(parameter);
    const norm = tf.sqrt(tf.sum(tf.square(parameter), [axis].flat(), true));
    if (type === 'unit_norm') return tf.div(parameter, tf.add(norm, TINY_NORM));
    const { min = 0, max = type === 'max_norm' ? 2 : 1 } = constraint;
    const { rate = 1 } = constraint;
    const nearest = tf.maximum(tf.minimum(norm, max), min);
    const wanted = rate === 1 ? nearest : tf.add(tf.mul(nearest, rate), tf.mul(norm, 1 - rate));
    return tf.mul(parameter, tf.div(wanted, tf.add(norm, TINY_NORM)));
  });
}
