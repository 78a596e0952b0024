/** Results of enqueued steps that are still on their way. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type * as tf from '@tensorflow/tfjs-core';

/** Longest time that results may keep coming in without a turn of the event loop. */
const MAX_TURN_MS = 4;

interface Pending<T> {
  readonly value: Promise<ArrayLike<number>>;
  readonly tag: T;
}

/**
 * Reads back small tensors in the order they were pushed and keeps at most `limit` steps ahead of the engine, so that the queue
 * stays short. Results of small steps are there at once, and awaiting them never leaves the microtask queue: so the event
 * loop also gets a turn every few milliseconds.
 */
export class InFlight<T> {
  readonly #pending: Pending<T>[] = [];
  readonly #limit: number;
  readonly #onValue: (values: ArrayLike<number>, tag: T) => void;
  #lastTurn = performance.now();

  /** @param onValue  called with each result, oldest first */
  constructor(limit: number, onValue: (values: ArrayLike<number>, tag: T) => void) {
    this.#limit = limit;
    this.#onValue = onValue;
  }

  /** Takes over a result of a step just enqueued, and waits while more than `limit` are open. */
  async push(tensor: tf.Tensor, tag: T): Promise<void> {
    const value = tensor.data();
    // Marked as handled here; whoever takes the value sees the error.
    value.catch(() => undefined);
    tensor.dispose();
    this.#pending.push({ value, tag });
    while (this.#pending.length > this.#limit) await this.#takeOldest();
    if (performance.now() - this.#lastTurn < MAX_TURN_MS) return;
    await nextTurn();
    this.#lastTurn = performance.now();
  }

  /** Waits for everything pushed so far. */
  async drain(): Promise<void> {
    while (this.#pending.length > 0) await this.#takeOldest();
  }

  /** Waits for the engine to finish what is open, forgetting values and errors: for a caller that is already failing or done. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#pending.splice(0).map(({ value }) => value));
  }

  async #takeOldest(): Promise<void> {
    const { value, tag } = this.#pending.shift() as Pending<T>;
    this.#onValue(await value, tag);
  }
}
