/** Whether a figure still gets better. */
import type { CheckedWatching } from './options.js';
import type { EpochRecord } from './types.js';

/** A figure of an epoch by the name it is monitored under. */
export function figureOf(record: EpochRecord, monitor: string): number {
  const figures: Readonly<Record<string, number | undefined>> = {
    ...Object.fromEntries(Object.entries(record.validationMetrics ?? {}).map(([name, value]) => [`validation_${name}`, value])),
    train_loss: record.trainLoss,
    validation_loss: record.validationLoss,
    validation_accuracy: record.validationAccuracy,
  };
  return figures[monitor] ?? NaN;
}

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
