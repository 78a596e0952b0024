/** What an optimizer keeps besides its rule's state: averages of the parameters, and slow copies to look ahead from. */
import * as tf from '@tensorflow/tfjs-core';
import { checkInteger, checkKeys, checkNumber, checkObject, checkOneOf, show } from '../arguments.js';
import { moveTowards, replaceVariable } from '../backend/custom/move-towards.js';
import { restoreVariable } from '../backend/custom/overwrite.js';
import { TensorkilnError } from '../errors.js';

/**
 * An average of the parameters over the steps, moved on after each of them.
 *
 * exponential: a += (1 - decay) (p - a), for good weights at any moment (EMA). equal: the plain mean of the parameters after
 * step `from`, every `every`-th step (SWA); the parameters themselves until the first of those steps.
 *
 * @source equal: Izmailov et al. 2018, arXiv:1803.05407; exponential: Polyak, Juditsky 1992; ramp: TensorFlow's
 *         ExponentialMovingAverage
 */
export type AveragingOptions =
  | {
      readonly kind: 'exponential';
      /** In [0, 1); default 0.999. */
      readonly decay?: number;
      /** Whether early steps count more: decay min(decay, (1 + t) / (10 + t)). Default false. */
      readonly ramp?: boolean;
    }
  | {
      readonly kind: 'equal';
      /** Steps before the average begins, >= 0; default 0. */
      readonly from?: number;
      /** >= 1; default 1. */
      readonly every?: number;
    };

/**
 * After every `every` steps the slow weights move towards the parameters, and the parameters begin anew from them.
 *
 * @source Zhang, Lucas, Hinton, Ba 2019, arXiv:1907.08610, algorithm 1
 */
export interface LookaheadOptions {
  /** >= 1; default 5. */
  readonly every?: number;
  /** Share of the way, above 0 and at most 1; default 0.5. */
  readonly weight?: number;
}

/** Checks averaging. @throws E_CONFIG */
export function checkAveraging(place: string, options: AveragingOptions): Required<AveragingOptions> {
  checkObject(`${place} average`, options);
  const kind: unknown = (options as { readonly kind?: unknown }).kind;
  if (checkOneOf(place, 'average.kind', kind, ['exponential', 'equal']) === 'exponential') {
    const { decay, ramp } = checkKeys(`${place} average`, options, ['kind', 'decay', 'ramp']) as {
      decay?: number;
      ramp?: unknown;
    };
    if (ramp !== undefined && typeof ramp !== 'boolean')
      throw new TensorkilnError('E_CONFIG', `[${place}] wrong average.ramp: expected true or false, got ${show(ramp)}.`);
    return {
      kind: 'exponential',
      decay: checkNumber(place, 'average.decay', decay ?? 0.999, { min: 0, below: 1 }),
      ramp: ramp ?? false,
    };
  }
  const { from, every } = checkKeys(`${place} average`, options, ['kind', 'from', 'every']) as {
    from?: number;
    every?: number;
  };
  return {
    kind: 'equal',
    from: checkInteger(place, 'average.from', from ?? 0, { min: 0 }),
    every: checkInteger(place, 'average.every', every ?? 1, { min: 1 }),
  };
}

/** Checks look-ahead. @throws E_CONFIG */
export function checkLookahead(place: string, options: LookaheadOptions): Required<LookaheadOptions> {
  checkKeys(`${place} lookahead`, options, ['every', 'weight']);
  return {
    every: checkInteger(place, 'lookahead.every', options.every ?? 5, { min: 1 }),
    weight: checkNumber(place, 'lookahead.weight', options.weight ?? 0.5, { above: 0, max: 1 }),
  };
}

/**
 * Moves copies and parameters after a step.
 *
 * @param share  the part of a move's weight that counts: the weight itself, or 0 when the step was left out
 */
type Move = (follower: Follower, parameters: readonly tf.Variable[], share: (weight: tf.Tensor) => tf.Tensor) => void;

/**
 * A copy of the parameters that follows them. Everything it decides, it decides on the device from a count of steps, so that a
 * recorded step repeats it: a few op calls per step, however many parameters there are.
 */
export class Follower {
  /** One per parameter. */
  readonly copies: readonly tf.Variable[];
  /** float32 [1]: steps done. */
  readonly count: tf.Variable;
  readonly #parameters: readonly tf.Variable[];
  readonly #move: Move;

  constructor(parameters: readonly tf.Variable[], move: Move) {
    this.#parameters = parameters;
    this.#move = move;
    this.copies = parameters.map((parameter) => tf.tidy(() => tf.variable(tf.clone(parameter as tf.Tensor), false)));
    this.count = tf.tidy(() => tf.variable(tf.zeros([1]), false));
  }

  /** Follows one step. @param active  float32 [1]: 0 when the step was left out; absent: it was done */
  advance(active: tf.Tensor | undefined): void {
    tf.tidy(() => {
      replaceVariable(this.count, tf.add(this.count, active ?? 1));
      this.#move(this, this.#parameters, (weight) => (active === undefined ? weight : tf.mul(weight, active)));
    });
  }

  /** Exchanges the parameters with the copies. Copies nothing: storages change hands. */
  swap(): void {
    this.#parameters.forEach((parameter, index) => {
      const copy = this.copies[index] as tf.Variable;
      const held = tf.clone(parameter);
      restoreVariable(parameter, copy);
      restoreVariable(copy, held);
      held.dispose();
    });
  }

  /** Gives the parameters the copies' values. */
  load(): void {
    this.#parameters.forEach((parameter, index) => restoreVariable(parameter, this.copies[index] as tf.Variable));
  }

  dispose(): void {
    tf.dispose([this.count, ...this.copies]);
  }
}

/** A follower that averages. */
export function averager(parameters: readonly tf.Variable[], options: Required<AveragingOptions>): Follower {
  return new Follower(parameters, ({ copies, count }, _, share) => {
    if (options.kind === 'exponential') {
      const ramp = options.ramp ? tf.div(tf.add(count, 1), tf.add(count, 10)) : undefined;
      const decay = ramp === undefined ? tf.tensor1d([options.decay]) : tf.minimum(ramp, options.decay);
      moveTowards(copies, parameters, share(tf.sub(1, decay)));
      return;
    }
    const after = tf.sub(count, options.from);
    // The n-th value that counts moves the mean by 1 / n of the way, all others by 0. Before the first there is no mean yet:
    // the copies are the parameters, so that who judges or keeps the average gets trained weights.
    const isEarly = tf.less(after, options.every);
    const isTurn = tf.logicalOr(isEarly, tf.equal(tf.mod(after, options.every), 0));
    const turn = tf.maximum(tf.div(after, options.every), 1);
    moveTowards(copies, parameters, share(tf.div(tf.cast(isTurn, 'float32'), turn)));
  });
}

/** A follower the parameters fall back to. */
export function lookahead(parameters: readonly tf.Variable[], options: Required<LookaheadOptions>): Follower {
  return new Follower(parameters, ({ copies, count }, _, share) => {
    const isTurn = share(tf.cast(tf.equal(tf.mod(count, options.every), 0), 'float32'));
    moveTowards(copies, parameters, tf.mul(isTurn, options.weight));
    moveTowards(parameters, copies, isTurn);
  });
}
