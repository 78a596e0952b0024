/** Philox 4x32-10 on the host: the twin of the device's generator, for initial values, seeds and shuffles. */
import { checkInteger } from '../../arguments.js';
import { normalQuantile } from './normal-quantile.js';

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Upper 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16);
  const carry = (middle & 0xffff) + (Math.imul(aLow, bHigh) >>> 0);
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) >>> 0;
}

/**
 * One block of Philox 4x32-10: `counter` (four words) under `key` (two words), written into `output` (four words).
 *
 * @source Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"; constants from its section 4
 */
export function philoxBlock(counter: Uint32Array, key: Uint32Array, output: Uint32Array): void {
  let [c0, c1, c2, c3] = counter as unknown as [number, number, number, number];
  let [k0, k1] = key as unknown as [number, number];
  for (let round = 0; round < ROUNDS; ++round) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  output[0] = c0;
  output[1] = c1;
  output[2] = c2;
  output[3] = c3;
}

/** 32-bit FNV-1a of the UTF-8 bytes of `text`. @source Fowler, Noll, Vo; parameters of the 32-bit variant */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The two key words of a seed: its low 32 bits and the bits above. @throws E_CONFIG when it is not an integer in [0, 2^53) */
export function keyOfSeed(seed: number): Uint32Array {
  checkInteger('random', 'seed', seed, { min: 0 });
  return Uint32Array.of(seed >>> 0, Math.floor(seed / 0x1_0000_0000));
}

/**
 * A stream of random numbers that depends on nothing but `seed` and the name `stream`: the same on every machine, whatever
 * other streams were drawn from. The stream's name and its length are words of the Philox counter, so two names share
 * numbers only if both their hash and their length are equal.
 *
 * @param seed    integer in [0, 2^53)
 * @param stream  any text, e.g. the path of a parameter; default ''
 */
export class HostRandom {
  readonly #key: Uint32Array;
  readonly #counter: Uint32Array;
  readonly #block = new Uint32Array(4);
  #used = 4;

  constructor(seed: number, stream = '') {
    this.#key = keyOfSeed(seed);
    this.#counter = Uint32Array.of(0, 0, hashText(stream), stream.length);
  }

  /** The next unsigned 32-bit integer. */
  nextUint32(): number {
    if (this.#used === 4) {
      philoxBlock(this.#counter, this.#key, this.#block);
      this.#used = 0;
      this.#counter[0] = (this.#counter[0] as number) + 1;
      if (this.#counter[0] === 0) this.#counter[1] = (this.#counter[1] as number) + 1;
    }
    return this.#block[this.#used++] as number;
  }

  /** The next number in [0, 1), a multiple of 2^-32. */
  nextUniform(): number {
    return this.nextUint32() / 0x1_0000_0000;
  }

  /** An integer in [0, bound), every value equally likely (the uneven end of the range is drawn again). `bound` <= 2^32. */
  nextBelow(bound: number): number {
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound);
    let value = this.nextUint32();
    while (value >= limit) value = this.nextUint32();
    return value % bound;
  }

  /**
   * A standard normal number cut off at two standard deviations.
   *
   * Uniform proposals are accepted with probability exp(-x^2 / 2); the acceptance compares uniforms only, so no logarithm
   * or exponential enters and the numbers are equal on every machine.
   *
   * @source von Neumann 1951, "Various techniques used in connection with random digits" (rejection, comparison method)
   */
  nextTruncatedNormal(): number {
    for (;;) {
      const x = 4 * this.nextUniform() - 2;
      // x^2 / 2 lies in [0, 2]; exp(-t) is the product of two trials of exp(-t / 2), each with an argument in [0, 1].
      const half = (x * x) / 4;
      if (this.#acceptsExponential(half) && this.#acceptsExponential(half)) return x;
    }
  }

  /** A standard normal number, at most 6.34 in size. Equal on every machine, as nextTruncatedNormal. */
  nextNormal(): number {
    return normalQuantile((this.nextUint32() + 0.5) / 0x1_0000_0000);
  }

  /** True with probability exp(-t), 0 <= t <= 1: the first ascent in t, u1, u2, ... comes at an odd position. */
  #acceptsExponential(t: number): boolean {
    let previous = t;
    let length = 0;
    for (;;) {
      const u = this.nextUniform();
      ++length;
      if (u >= previous) return length % 2 === 1;
      previous = u;
    }
  }

  /** A random order of 0 .. count-1. @source Fisher, Yates 1938, in the form of Durstenfeld 1964 */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; --last) {
      const other = this.nextBelow(last + 1);
      const moved = order[last] as number;
      order[last] = order[other] as number;
      order[other] = moved;
    }
    return order;
  }
}
