import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../ts/data/random.js';

describe('SeededRandom', () => {
  // From a C program with the authors' published xoshiro128** and SplitMix64 steps, SplitMix words split low half first.
  it.each([
    [0, [3737715805, 2584255861, 2876756834, 3286328325, 1553311962, 1625202774]],
    [42, [1776835114, 4165204688, 17111135, 2317295270, 2792088233, 2554630222]],
    [2 ** 53 - 1, [1233166643, 1287031142, 661813442, 2960669951, 2601079046, 1036114921]],
  ])('gives the reference sequence for seed %d', (seed, expected) => {
    const random = new SeededRandom(seed);
    expect(expected.map(() => random.nextUint32())).toEqual(expected);
  });

  it('draws each value below a bound about equally often', () => {
    const random = new SeededRandom(7);
    const counts = new Array<number>(6).fill(0);
    for (let draw = 0; draw < 60_000; draw++) {
      const value = random.nextBelow(6);
      counts[value] = (counts[value] ?? NaN) + 1;
    }
    // The standard deviation of one count is 91; 5 of them cannot be exceeded by chance, and the seed is fixed.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(455);
  });

  it('shuffles into a permutation that depends on the seed only', () => {
    const shuffled = (seed: number): Int32Array => {
      const values = Int32Array.from({ length: 50 }, (_, index) => index);
      new SeededRandom(seed).shuffle(values);
      return values;
    };
    expect(shuffled(3)).toEqual(shuffled(3));
    expect(shuffled(3)).not.toEqual(shuffled(4));
    expect(shuffled(3).toSorted()).toEqual(Int32Array.from({ length: 50 }, (_, index) => index));
  });

  it.each([-1, 0.5, NaN, 2 ** 53])('refuses seed %d', (seed) => {
    expect(() => new SeededRandom(seed)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
