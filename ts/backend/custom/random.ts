/** Random numbers made on the device by Philox 4x32-10, from a state that is a tensor: recorded steps draw anew at each replay. */
import * as tf from '@tensorflow/tfjs-core';
import { checkKeys, checkNumber, checkOneOf, show } from '../../arguments.js';
import { TensorkilnError } from '../../errors.js';
import { declareOp, type Operand } from '../../native/engine.js';
import { storageOf } from '../record.js';
import { currentBackend, makeUnique, tensorFromInfo } from '../tensors.js';
import { overwriteVariable } from './overwrite.js';
import { HostRandom, keyOfSeed } from './philox.js';

const UNIFORM = declareOp('random_uniform');
const NORMAL = declareOp('random_normal');

/** A random state as plain data for checkpoints; every entry is an unsigned 32-bit integer, low word first. */
export interface RandomStateData {
  readonly key: readonly [number, number];
  readonly counter: readonly [number, number];
}

function isWordPair(value: unknown): value is readonly [number, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((word) => Number.isInteger(word) && (word as number) >= 0 && (word as number) <= 0xffffffff)
  );
}

/**
 * State of a device generator: int32 [4] = {key low, key high, counter low, counter high}. Each op that draws from it moves
 * the counter on by the number of four-word blocks it used, on the device, after all its elements are done.
 *
 * @param seed    integer in [0, 2^53): the key, when no stream is named
 * @param stream  name of an independent stream of the same seed, e.g. a layer's path
 * @throws E_CONFIG for a wrong seed
 *
 * State saved in checkpoints: `getState()`.
 *
 * @source Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
 */
export class RandomState {
  /** The device's copy; changed in place by every draw. */
  readonly variable: tf.Variable;

  constructor(seed: number, options: { readonly stream?: string } = {}) {
    const key = keyOfSeed(seed);
    if (options.stream !== undefined) {
      const numbers = new HostRandom(seed, options.stream);
      key.set([numbers.nextUint32(), numbers.nextUint32()]);
    }
    const words = Int32Array.of(key[0] as number, key[1] as number, 0, 0);
    this.variable = tf.tidy(() => tf.variable(tf.tensor(words, [4], 'int32'), false));
  }

  /** Key and counter after everything enqueued so far. */
  async getState(): Promise<RandomStateData> {
    const words = Uint32Array.from(await this.variable.data<'int32'>());
    return { key: [words[0] as number, words[1] as number], counter: [words[2] as number, words[3] as number] };
  }

  /**
   * Continues from a saved state.
   *
   * @throws E_CONFIG when a word is missing or no unsigned 32-bit integer; E_RECORDING inside a recorded step
   */
  setState(state: RandomStateData): void {
    if (!isWordPair(state.key) || !isWordPair(state.counter)) {
      throw new TensorkilnError(
        'E_CONFIG',
        `[RandomState] wrong state: expected key and counter, two unsigned 32-bit integers each, got ${show(state.key)} and ${show(state.counter)}.`,
      );
    }
    overwriteVariable(this.variable, Int32Array.of(...state.key, ...state.counter));
  }

  dispose(): void {
    this.variable.dispose();
  }
}

/** The state as an in-place operand of an op call. */
export function randomOperand(state: RandomState): Operand {
  return { handle: makeUnique(state.variable), storage: storageOf('int32', 'random'), shape: [4] };
}

export interface RandomUniformOptions {
  /** Smallest value; default 0. An integer for int32. */
  readonly min?: number;
  /** All values are less than this; default 1 for float32, no default for int32. An integer for int32. */
  readonly max?: number;
  /** Default 'float32'. */
  readonly dtype?: 'float32' | 'int32';
}

/**
 * Uniform random numbers in [min, max). float32 values come from 24 random bits; int32 from 32 by multiply and shift.
 *
 * @param shape   shape of the result
 * @param random  state to draw from; moves on
 * @returns       `shape`, float32 or int32; the same bits eager, replayed, and on any number of threads
 * @throws E_CONFIG for wrong bounds
 */
export function randomUniform(shape: readonly number[], random: RandomState, options: RandomUniformOptions = {}): tf.Tensor {
  checkKeys('randomUniform', options, ['min', 'max', 'dtype']);
  const dtype = checkOneOf('randomUniform', 'dtype', options.dtype ?? 'float32', ['float32', 'int32']);
  const min = checkNumber('randomUniform', 'min', options.min ?? 0);
  const max = checkNumber('randomUniform', 'max', options.max ?? (dtype === 'float32' ? 1 : undefined), { above: min });
  if (dtype === 'int32' && ((min | 0) !== min || (max | 0) !== max)) {
    throw new TensorkilnError(
      'E_CONFIG',
      `[randomUniform] wrong bounds: expected 32-bit integers for int32, got ${min} and ${max}.`,
    );
  }
  const backend = currentBackend();
  return tensorFromInfo(
    backend.run(UNIFORM, [randomOperand(random)], { shape: [...shape], dtype }, undefined, [min, max]),
    backend,
  );
}

export interface RandomNormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Standard deviation, >= 0; default 1. */
  readonly stddev?: number;
}

/**
 * Normally distributed random numbers.
 *
 * @param shape   shape of the result
 * @param random  state to draw from; moves on
 * @returns       `shape`, float32; the same bits eager, replayed, and on any number of threads
 * @throws E_CONFIG for a wrong mean or deviation
 */
export function randomNormal(shape: readonly number[], random: RandomState, options: RandomNormalOptions = {}): tf.Tensor {
  checkKeys('randomNormal', options, ['mean', 'stddev']);
  const mean = checkNumber('randomNormal', 'mean', options.mean ?? 0);
  const stddev = checkNumber('randomNormal', 'stddev', options.stddev ?? 1, { min: 0 });
  const backend = currentBackend();
  return tensorFromInfo(
    backend.run(NORMAL, [randomOperand(random)], { shape: [...shape], dtype: 'float32' }, undefined, [mean, stddev]),
    backend,
  );
}
