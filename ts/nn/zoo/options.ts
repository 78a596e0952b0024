/** What the architectures of the zoo read from their descriptions. */
import { checkInteger, checkKeys, checkNumber, checkOneOf, show, type NumberRange } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { ACTIVATIONS, type ActivationName } from '../activations.js';
import { sizeOfShape, type Shape } from '../shape.js';

/** What every description may hold besides the options of its architecture. */
export interface ZooCommon {
  /** Shape of one row: [C], [H, W, C], [T] tokens, or [T, C] numbers. */
  readonly inputShape: Shape;
  /** Number of outputs: one score per class, or of values to be predicted. Not for gpt, which scores tokens. */
  readonly numClasses?: number;
  /** Number of tokens; for rows of tokens. */
  readonly vocabulary?: number;
  /** Seed of initial values and dropout masks. Default 0. */
  readonly seed?: number;
}

/** A description's options, read with checks; errors name the architecture and the option. */
export class ZooOptions {
  readonly place: string;
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws E_CONFIG for an option that the architecture has not */
  constructor(architecture: string, description: object, keys: readonly string[]) {
    this.place = `zoo ${architecture}`;
    const known = ['architecture', 'inputShape', 'numClasses', 'vocabulary', 'seed', ...keys];
    this.#values = checkKeys(this.place, description, known);
  }

  get inputShape(): Shape {
    const shape = this.#values['inputShape'];
    const isShape = Array.isArray(shape) && shape.every((dim) => Number.isSafeInteger(dim) && (dim as number) > 0);
    if (isShape && shape.length > 0) return shape as Shape;
    throw this.error('inputShape', 'a non-empty list of positive integers without the batch dimension', show(shape));
  }

  /** The input shape of an architecture for images. */
  get imageShape(): readonly [number, number, number] {
    const shape = this.inputShape;
    if (shape.length === 3) return shape as unknown as [number, number, number];
    throw this.error('inputShape', 'an image [H, W, C]', show(shape));
  }

  get seed(): number {
    return this.integer('seed', 0, { min: 0 });
  }

  get numClasses(): number {
    return this.required('numClasses');
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined;
  }

  /** An integer >= 1 without a default. */
  required(key: string): number {
    return checkInteger(this.place, key, this.#values[key], { min: 1 });
  }

  integer(key: string, fallback: number, range: NumberRange = { min: 1 }): number {
    return checkInteger(this.place, key, this.#values[key] ?? fallback, range);
  }

  /** A probability below 1. */
  rate(key: string, fallback: number): number {
    return checkNumber(this.place, key, this.#values[key] ?? fallback, { min: 0, below: 1 });
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#values[key] ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.error(key, 'true or false', show(value));
  }

  oneOf<T extends string>(key: string, fallback: T, choices: readonly T[]): T {
    return checkOneOf(this.place, key, this.#values[key] ?? fallback, choices);
  }

  activation(fallback: ActivationName): ActivationName {
    return this.oneOf('activation', fallback, ACTIVATIONS);
  }

  /** A list of integers >= 1. */
  integers(key: string, fallback: readonly number[], minLength = 1): readonly number[] {
    const value = this.#values[key] ?? fallback;
    if (!Array.isArray(value) || value.length < minLength)
      throw this.error(key, `a list of ${minLength === 0 ? '' : `at least ${minLength} `}integers >= 1`, show(value));
    value.forEach((item: unknown, i) => checkInteger(this.place, `${key}[${i}]`, item, { min: 1 }));
    return value as readonly number[];
  }

  /** Refuses options that mean nothing here. */
  refuse(reason: string, ...keys: readonly string[]): void {
    for (const key of keys) if (this.has(key)) throw this.error(key, `none: ${reason}`, show(this.#values[key]));
  }

  error(key: string, expected: string, got: string): TensorkilnError {
    return new TensorkilnError('E_CONFIG', `[${this.place}] wrong ${key}: expected ${expected}, got ${got}.`);
  }

  /** Whether rows are tokens; else they are sequences of numbers. @throws E_CONFIG for any other shape */
  get isTokens(): boolean {
    const shape = this.inputShape;
    if (this.has('vocabulary') && shape.length === 1) return true;
    if (!this.has('vocabulary') && shape.length === 2) return false;
    throw this.error(
      'inputShape',
      'tokens [T] with a vocabulary, or numbers [T, C] without one',
      `${show(shape)} ${this.has('vocabulary') ? 'with' : 'without'} a vocabulary`,
    );
  }

  /** How many values a row has. */
  get rowSize(): number {
    return sizeOfShape(this.inputShape);
  }
}
