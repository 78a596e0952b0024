/** Checks of call arguments, shared by every room: each returns the checked value or throws E_CONFIG naming place, key and value. */
import { TensorkilnError } from './errors.js';

export interface NumberRange {
  /** Smallest value allowed. */
  readonly min?: number;
  /** Largest value allowed. */
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  /** The value must be less than this. */
  readonly below?: number;
}

/** A value as it is shown in an error: short, one line, never the content of an array. */
export function show(value: unknown): string {
  if (typeof value === 'string') return value.length > 40 ? `'${value.slice(0, 40)}...'` : `'${value}'`;
  if (Array.isArray(value)) return value.length > 8 ? `an array of ${value.length}` : `[${value.map(show).join(', ')}]`;
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

function describeRange(range: NumberRange): string {
  const parts: string[] = [];
  if (range.min !== undefined) parts.push(`>= ${range.min}`);
  if (range.above !== undefined) parts.push(`> ${range.above}`);
  if (range.max !== undefined) parts.push(`<= ${range.max}`);
  if (range.below !== undefined) parts.push(`< ${range.below}`);
  return parts.length === 0 ? '' : ` ${parts.join(' and ')}`;
}

function isInRange(value: number, range: NumberRange): boolean {
  return (
    (range.min === undefined || value >= range.min) &&
    (range.max === undefined || value <= range.max) &&
    (range.above === undefined || value > range.above) &&
    (range.below === undefined || value < range.below)
  );
}

/**
 * Checks a finite number.
 *
 * @throws E_CONFIG when `value` is not a number, is NaN or infinite, or lies outside `range`
 */
export function checkNumber(place: string, key: string, value: unknown, range: NumberRange = {}): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || !isInRange(value, range)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong ${key}: expected a finite number${describeRange(range)}, got ${show(value)}.`,
    );
  }
  return value;
}

/**
 * Checks an integer that a double holds exactly.
 *
 * @throws E_CONFIG when `value` is not such an integer or lies outside `range`
 */
export function checkInteger(place: string, key: string, value: unknown, range: NumberRange = {}): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || !isInRange(value, range)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong ${key}: expected an integer${describeRange(range)}, got ${show(value)}.`,
    );
  }
  return value;
}

/** Checks a boolean. @throws E_CONFIG for anything else */
export function checkBoolean(place: string, key: string, value: unknown): boolean {
  if (typeof value !== 'boolean') {
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong ${key}: expected true or false, got ${show(value)}.`);
  }
  return value;
}

/** Checks a text that is not empty, such as a path. @throws E_CONFIG for anything else */
export function checkText(place: string, key: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') {
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong ${key}: expected a text that is not empty, got ${show(value)}.`);
  }
  return value;
}

/** Checks that a value is one of a list of names. @throws E_CONFIG listing the names */
export function checkOneOf<T extends string>(place: string, key: string, value: unknown, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[${place}] wrong ${key}: expected one of ${choices.join(', ')}, got ${show(value)}.`,
    );
  }
  return found;
}

/** Checks that options are an object, whatever their keys. @throws E_CONFIG */
export function checkObject(place: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TensorkilnError('E_CONFIG', `[${place}] wrong options: expected an object, got ${show(value)}.`);
  }
}

/** Checks that a value is a plain object with no key outside `allowed`. @throws E_CONFIG naming the unknown key */
export function checkKeys(place: string, value: unknown, allowed: readonly string[]): Readonly<Record<string, unknown>> {
  checkObject(place, value);
  for (const key of Object.keys(value as object)) {
    if (!allowed.includes(key)) {
      throw new TensorkilnError('E_CONFIG', `[${place}] unknown option '${key}': expected some of ${allowed.join(', ')}.`);
    }
  }
  return value as Readonly<Record<string, unknown>>;
}

/** A copy of an object without some keys. */
export function omitKeys<T extends object, K extends keyof T>(object: T, ...keys: readonly K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key as K))) as Omit<T, K>;
}
