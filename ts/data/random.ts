import { TensorkilnError } from '../errors.js';

/**
 * Random integers for splits and shuffles on the host: xoshiro128** with its 128-bit state filled by SplitMix64 from the seed.
 *
 * Equal seeds give equal sequences on every machine: all arithmetic is on unsigned 32-bit integers.
 *
 * @param seed integer in [0, 2^53)
 * @throws E_USAGE when the seed is outside that range
 * @source Blackman, Vigna 2018, "Scrambled linear pseudorandom number generators" (xoshiro128**); Steele, Lea, Flood 2014 (SplitMix)
 */
export class SeededRandom {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new TensorkilnError(
        'E_USAGE',
        `[random] invalid seed: expected an integer from 0 to 2^53 - 1, got ${String(seed)}.`,
      );
    }
    this.#state = expandSeed(BigInt(seed));
  }

  /** The next 32 bits as an integer in [0, 2^32). */
  nextUint32(): number {
    const state = this.#state;
    const [s0, s1, s2, s3] = [state[0] ?? 0, state[1] ?? 0, state[2] ?? 0, state[3] ?? 0];
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const t = s1 << 9;
    const x2 = s2 ^ s0;
    const x3 = s3 ^ s1;
    state[1] = s1 ^ x2;
    state[0] = s0 ^ x3;
    state[2] = x2 ^ t;
    state[3] = rotateLeft(x3, 11);
    return result;
  }

  /** A uniform integer in [0, bound), without bias: draws past the last full multiple of `bound` are thrown away. 1 <= bound <= 2^32. */
  nextBelow(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let draw = this.nextUint32();
    while (draw >= limit) draw = this.nextUint32();
    return draw % bound;
  }

  /** Shuffles in place, every order equally likely (Fisher-Yates in Durstenfeld's form, from the last place down). */
  shuffle(values: Int32Array): void {
    for (let last = values.length - 1; last > 0; last--) {
      const other = this.nextBelow(last + 1);
      const kept = values[last] ?? 0;
      values[last] = values[other] ?? 0;
      values[other] = kept;
    }
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

const MASK_64 = (1n << 64n) - 1n;

function expandSeed(seed: bigint): Uint32Array {
  const state = new Uint32Array(4);
  let counter = seed;
  for (let pair = 0; pair < 2; pair++) {
    counter = (counter + 0x9e3779b97f4a7c15n) & MASK_64;
    let mixed = counter;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK_64;
    mixed ^= mixed >> 31n;
    state[2 * pair] = Number(mixed & 0xffffffffn);
    state[2 * pair + 1] = Number(mixed >> 32n);
  }
  return state;
}
