/** What an input or attribute of a kernel must be: the rules that signatures.ts is made of. */
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { ErrorCode } from '../../errors.js';

/** Dtypes and ranks that a tensor may have. */
export interface TensorRule {
  readonly dtypes: readonly DataType[];
  readonly minRank: number;
  readonly maxRank: number;
  readonly isOptional: boolean;
  /** Whether a list of such tensors is expected in place of one. */
  readonly isList: boolean;
}

/** Gives what was expected when a value is wrong, undefined when it is right. */
export interface AttributeRule {
  (value: unknown): string | undefined;
  /** Code of the error; E_USAGE when not said. */
  readonly code?: ErrorCode;
}

/** No limit here: native ops refuse what is beyond theirs, and kernels that compute nothing have none. */
export const ANY_RANK = Infinity;
const MAX_INT = 0x7fffffff;
const NUMERIC: readonly DataType[] = ['float32', 'int32', 'bool'];
const ALL: readonly DataType[] = [...NUMERIC, 'complex64', 'string'];

function tensorOf(dtypes: readonly DataType[], minRank = 0, maxRank = minRank): TensorRule {
  return { dtypes, minRank, maxRank, isOptional: false, isList: false };
}

/** float32, int32 or bool, of a rank of the range; without a range of any rank. */
export function numeric(minRank?: number, maxRank?: number): TensorRule {
  return minRank === undefined ? tensorOf(NUMERIC, 0, ANY_RANK) : tensorOf(NUMERIC, minRank, maxRank);
}

/** Any dtype. */
export function anyDtype(minRank = 0, maxRank = ANY_RANK): TensorRule {
  return tensorOf(ALL, minRank, maxRank);
}

export function complex(minRank = 0): TensorRule {
  return tensorOf(['complex64'], minRank, ANY_RANK);
}

export function strings(minRank = 0, maxRank = ANY_RANK): TensorRule {
  return tensorOf(['string'], minRank, maxRank);
}

/** float32, int32, bool or complex64. */
export function numberOrComplex(): TensorRule {
  return tensorOf([...NUMERIC, 'complex64'], 0, ANY_RANK);
}

/** float32, int32, bool or string. */
export function numberOrString(minRank = 0, maxRank = ANY_RANK): TensorRule {
  return tensorOf([...NUMERIC, 'string'], minRank, maxRank);
}

export function onlyDtype(dtype: DataType, minRank = 0, maxRank = ANY_RANK): TensorRule {
  return tensorOf([dtype], minRank, maxRank);
}

/** A tensor that may be left out. */
export function maybe(rule: TensorRule): TensorRule {
  return { ...rule, isOptional: true };
}

export function listOf(rule: TensorRule): TensorRule {
  return { ...rule, isList: true };
}

// --- attributes

function isWhole(value: unknown, least = -MAX_INT - 1): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= MAX_INT;
}

function wholeOf(least: number, expected: string): AttributeRule {
  return (value) => (isWhole(value, least) ? undefined : expected);
}

export const whole: AttributeRule = wholeOf(-MAX_INT - 1, 'a 32-bit integer');
export const count: AttributeRule = wholeOf(0, 'an integer from 0 to 2^31 - 1');
export const positive: AttributeRule = wholeOf(1, 'an integer from 1 to 2^31 - 1');

/** An integer that JavaScript counts exactly. */
export const safeInteger: AttributeRule = (value) => (Number.isSafeInteger(value) ? undefined : 'an integer');

/** Any number, NaN and the infinities included. */
export const number: AttributeRule = (value) => (typeof value === 'number' ? undefined : 'a number');
export const finite: AttributeRule = (value) => (Number.isFinite(value) ? undefined : 'a finite number');
export const text: AttributeRule = (value) => (typeof value === 'string' ? undefined : 'a text');

/** A value of tf.fill. */
export const scalar: AttributeRule = (value) =>
  ['number', 'boolean', 'string'].includes(typeof value) ? undefined : 'a number, a boolean or a text';

/** Each element as `element` says, `length` of them when given. */
function list(element: (value: unknown) => boolean, expected: string, length?: number): AttributeRule {
  return (value) =>
    Array.isArray(value) && (length === undefined || value.length === length) && value.every(element) ? undefined : expected;
}

export const wholes: AttributeRule = list((value) => isWhole(value), 'a list of 32-bit integers');
export const positives: AttributeRule = list((value) => isWhole(value, 1), 'a list of integers of at least 1');
export const texts: AttributeRule = list((value) => typeof value === 'string', 'a list of texts');

/** A shape, `rank` dimensions long when given. */
export function shape(rank?: number): AttributeRule {
  const length = rank === undefined ? '' : `${String(rank)} `;
  const rule = list((value) => isWhole(value, 0), `a shape of ${length}integers from 0 to 2^31 - 1`, rank);
  return Object.assign((value: unknown) => rule(value), { code: 'E_SHAPE' } as const);
}

/** Height and width of an image. */
export const imageSize: AttributeRule = shape(2);

/** Elements before and after, for each axis; tensors have no negative padding. */
export const pairs: AttributeRule = list(
  (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((value) => isWhole(value, 0)),
  'a list of pairs of integers of at least 0',
);

/** One positive integer for all spatial axes or one for each of `axes`. */
export function perAxis(axes: number): AttributeRule {
  const several = list((value) => isWhole(value, 1), '', axes);
  return (value) =>
    isWhole(value, 1) || several(value) === undefined ? undefined : `an integer of at least 1, or ${String(axes)} of them`;
}

/** A number of pieces of one size, or the size of each; one may be -1 and take what is left. */
export const splits: AttributeRule = (value) =>
  isWhole(value, 1) || (Array.isArray(value) && value.length > 0 && value.every((size) => isWhole(size, -1)))
    ? undefined
    : 'an integer of at least 1 or a list of sizes';

/** An integer or a list of integers. */
export const wholeOrWholes: AttributeRule = (value) =>
  isWhole(value) || wholes(value) === undefined ? undefined : 'an integer or a list of integers';

/** Axes to reduce: null stands for all of them. */
export const axes: AttributeRule = (value) => (value === null || value === undefined ? undefined : wholeOrWholes(value));

export function oneOf(...allowed: readonly string[]): AttributeRule {
  return (value) => (allowed.includes(value as string) ? undefined : `one of ${allowed.join(', ')}`);
}

export const dtype: AttributeRule = oneOf(...ALL);
export const rounding: AttributeRule = optional(oneOf('floor', 'round', 'ceil'));

/** Padding of a convolution: by name, a number for all sides, or explicit pairs per axis. Rounding may need half elements. */
export const padding: AttributeRule = (value) =>
  value === 'valid' ||
  value === 'same' ||
  (Number.isFinite(value) && (value as number) >= 0) ||
  (pairs(value) === undefined && (value as unknown[]).length === 4)
    ? undefined
    : `'valid', 'same', a number of at least 0, or pairs of them for four axes`;

export function optional(rule: AttributeRule): AttributeRule {
  return (value) => (value === undefined || value === null ? undefined : rule(value));
}

/** float32 [2, 3], for messages. */
export function tensorText({ dtype: found, shape: dims }: TensorInfo): string {
  return `${found} [${dims.join(', ')}]`;
}

/** What a rule asks for, for messages. */
export function ruleText({ dtypes, minRank, maxRank }: TensorRule): string {
  const rank =
    minRank === maxRank
      ? ` of rank ${String(minRank)}`
      : minRank === 0 && maxRank === ANY_RANK
        ? ''
        : maxRank === ANY_RANK
          ? ` of rank ${String(minRank)} or more`
          : ` of rank ${String(minRank)} to ${String(maxRank)}`;
  return `a ${dtypes.length === ALL.length ? '' : `${dtypes.join(' or ')} `}tensor${rank}`;
}
