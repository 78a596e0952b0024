import { SeededRandom } from '../random.js';

/** Uniform draws for one image of one epoch. */
export class Draws {
  readonly #random: SeededRandom;

  constructor(seed: number, epoch: number, row: number) {
    // Three odd multipliers keep neighbouring epochs and images apart; SplitMix64 inside does the mixing.
    this.#random = new SeededRandom((seed * 0x9e3779b1 + epoch * 0x85ebca77 + row * 0xc2b2ae3d) % Number.MAX_SAFE_INTEGER);
  }

  /** In [0, 1). */
  unit(): number {
    return this.#random.nextUint32() / 2 ** 32;
  }

  /** In [-limit, limit). */
  symmetric(limit: number): number {
    return (2 * this.unit() - 1) * limit;
  }
}
