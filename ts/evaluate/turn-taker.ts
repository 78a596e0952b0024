import { TensorkilnError } from '../errors.js';

/** The event loop gets a turn at least this often. */
const SLICE_MS = 10;

/** Lets a long computation on the JavaScript thread give the event loop its turns and notice that it is no longer wanted. */
export class TurnTaker {
  readonly #place: string;
  readonly #signal: AbortSignal | undefined;
  #sliceStart = performance.now();

  constructor(place: string, signal?: AbortSignal) {
    this.#place = place;
    this.#signal = signal;
  }

  /**
   * To be called about every millisecond of work; waits only when the slice is used up.
   *
   * @throws E_ABORTED once the signal has fired
   */
  async look(): Promise<void> {
    if (performance.now() - this.#sliceStart > SLICE_MS) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#sliceStart = performance.now();
    }
    if (this.#signal?.aborted === true) {
      throw new TensorkilnError('E_ABORTED', `[${this.#place}] cancelled.`, { cause: this.#signal.reason });
    }
  }
}
