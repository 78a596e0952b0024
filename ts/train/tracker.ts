/** Whether a figure still gets better. */
import type { CheckedWatching } from './options.js';

export interface TrackerState {
  /** Best value so far; null before the first. */
  readonly best: number | null;
  /** Epochs since. */
  readonly since: number;
}

export class Tracker {
  readonly #watching: CheckedWatching;
  #best: number | undefined;
  #since = 0;

  constructor(watching: CheckedWatching) {
    this.#watching = watching;
  }

  /** Epochs since the best one. */
  get since(): number {
    return this.#since;
  }

  /**
   * Takes the value of one epoch; whether it is the best so far.
   *
   * @param mayBeBest whether the epoch may become the best one. Where it may not, a better value is passed over: it is neither
   *                  kept nor counted as an epoch without a better one
   */
  observe(value: number, mayBeBest = true): boolean {
    const { mode, minDelta } = this.#watching;
    const gain = this.#best === undefined ? Infinity : mode === 'min' ? this.#best - value : value - this.#best;
    const isBetter = gain > (this.#best === undefined ? 0 : minDelta);
    if (isBetter && !mayBeBest) return false;
    if (isBetter) this.#best = value;
    this.#since = isBetter ? 0 : this.#since + 1;
    return isBetter;
  }

  /** Starts counting anew without forgetting the best value. */
  restart(): void {
    this.#since = 0;
  }

  getState(): TrackerState {
    return { best: this.#best ?? null, since: this.#since };
  }

  setState({ best, since }: TrackerState): void {
    this.#best = best ?? undefined;
    this.#since = since;
  }
}
