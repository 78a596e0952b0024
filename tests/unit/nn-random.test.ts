import { describe, expect, it } from 'vitest';
import { normalQuantile } from '../../ts/backend/custom/normal-quantile.js';
import { HostRandom, philoxBlock } from '../../ts/backend/custom/philox.js';
import { initialValues } from '../../ts/nn/initializers.js';

describe('philoxBlock', () => {
  // Known answers published with Random123 (kat_vectors, philox4x32 with 10 rounds).
  const words = (text: string): Uint32Array => Uint32Array.from(text.split(' '), (word) => parseInt(word, 16));
  it.each([
    ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('counter %s under key %s', (counter, key, expected) => {
    const output = new Uint32Array(4);
    philoxBlock(words(counter), words(key), output);
    expect(output).toEqual(words(expected));
  });
});

describe('HostRandom', () => {
  it('repeats itself for equal seed and stream and differs otherwise', () => {
    const draw = (seed: number, stream?: string): number[] => {
      const random = new HostRandom(seed, stream);
      return Array.from({ length: 9 }, () => random.nextUint32());
    };
    expect(draw(5, 'a')).toEqual(draw(5, 'a'));
    const streams = [draw(5, 'a'), draw(5, 'b'), draw(6, 'a'), draw(5), draw(5 + 2 ** 40)];
    expect(new Set(streams.map(String)).size).toBe(streams.length);
  });

  it('draws every integer below a bound about equally often', () => {
    const random = new HostRandom(11);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; ++i) counts[random.nextBelow(7)]! += 1;
    // Chi-square with 6 degrees of freedom: 35 is exceeded with probability below 1e-5, and the seed is fixed.
    expect(counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(35);
  });

  it('permutes without loss, differently per stream', () => {
    const a = new HostRandom(1, 'a').permutation(1000);
    const b = new HostRandom(1, 'b').permutation(1000);
    expect([...a].sort((x, y) => x - y)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(a).not.toEqual(b);
    expect(new HostRandom(1).permutation(0)).toHaveLength(0);
  });

  it('draws truncated normals with the right bounds and moments', () => {
    const random = new HostRandom(3);
    const n = 40_000;
    const values = Array.from({ length: n }, () => random.nextTruncatedNormal());
    const mean = values.reduce((a, b) => a + b) / n;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(2);
    // Five standard errors of the mean (0.88 / sqrt(n)) and about five of the deviation.
    expect(Math.abs(mean)).toBeLessThan(0.022);
    expect(Math.abs(deviation - 0.8796256610342398)).toBeLessThan(0.012);
    // Share within one deviation of the uncut normal: 0.6827 / 0.9545.
    expect(Math.abs(values.filter((x) => Math.abs(x) < 1).length / n - 0.7153)).toBeLessThan(0.012);
  });

  it('draws normals with the right moments and tails', () => {
    const random = new HostRandom(3);
    const n = 200_000;
    const values = Array.from({ length: n }, () => random.nextNormal());
    const moment = (power: number): number => values.reduce((sum, x) => sum + x ** power, 0) / n;
    // Five standard errors: sqrt(1 / n), sqrt(2 / n), sqrt(15 / n), sqrt(96 / n).
    expect(Math.abs(moment(1))).toBeLessThan(0.0112);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.0159);
    expect(Math.abs(moment(3))).toBeLessThan(0.0434);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.11);
    // 540 of 200,000 lie beyond three deviations, with a standard error of 23.
    expect(Math.abs(values.filter((x) => Math.abs(x) > 3).length - 540)).toBeLessThan(116);
  });

  it.each([
    // From scipy.stats.norm.ppf.
    [0.975, 1.959963984540054],
    [0.925, 1.4395314709384563],
    [0.0749999, -1.439532177375901],
    [1e-9, -5.9978070150076865],
    [2 ** -33, -6.3379577545537895],
    [1 - 2 ** -33, 6.3379577545537895],
  ])('has the quantile of %s', (p, expected) => {
    expect(Math.abs(normalQuantile(p) / expected - 1)).toBeLessThan(1e-15);
  });

  it('has the middle at 0', () => {
    expect(normalQuantile(0.5)).toBe(0);
  });

  it.each([-1, 1.5, NaN, 2 ** 53])('refuses seed %s', (seed) => {
    expect(() => new HostRandom(seed)).toThrow(expect.objectContaining({ code: 'E_CONFIG' }) as Error);
  });
});

describe('initialValues', () => {
  const random = { seed: 4, stream: 'dense/kernel' };

  it('scales glorot_uniform by fans, kernel taps included', () => {
    for (const [shape, fanSum] of [
      [[30, 50], 80],
      [[3, 3, 8, 16], 9 * 24],
    ] as const) {
      const values = initialValues('glorot_uniform', shape, random);
      const limit = Math.sqrt(6 / fanSum);
      const largest = Math.max(...values.map(Math.abs));
      expect(largest).toBeLessThanOrEqual(Math.fround(limit));
      expect(largest).toBeGreaterThan(0.98 * limit);
    }
  });

  it('gives he_normal the deviation sqrt(2 / fanIn)', () => {
    const values = initialValues('he_normal', [5, 5, 8, 40], random);
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    // 8000 values: five standard errors of a deviation are 4 %.
    expect(Math.abs(deviation / Math.sqrt(2 / 200) - 1)).toBeLessThan(0.04);
  });

  it('depends on seed and stream only', () => {
    const values = initialValues('glorot_uniform', [2, 3], random);
    expect(initialValues('glorot_uniform', [2, 3], { ...random })).toEqual(values);
    expect(initialValues('glorot_uniform', [2, 3], { ...random, seed: 5 })).not.toEqual(values);
    expect(initialValues('glorot_uniform', [2, 3], { ...random, stream: 'dense_1/kernel' })).not.toEqual(values);
  });

  it('fills constants and refuses other names', () => {
    expect([...initialValues('ones', [2, 2], random)]).toEqual([1, 1, 1, 1]);
    expect([...initialValues('zeros', [3], random)]).toEqual([0, 0, 0]);
    expect(() => initialValues('xavier' as 'ones', [1], random)).toThrow(
      /expected one of glorot_uniform, glorot_normal, .*zeros, ones, got 'xavier'/,
    );
  });
});
