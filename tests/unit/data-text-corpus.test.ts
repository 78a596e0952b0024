import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareText, type PreparedText } from '../../ts/data/index.js';
import { languageBaselines } from '../../ts/evaluate/index.js';
import { TextWindows } from '../../ts/run/language/text-windows.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-text-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const SPLIT = { train: 0.5, validation: 0.25, test: 0.25 };
const decode = ({ vocabulary, parts }: PreparedText, part: 'train' | 'validation' | 'test'): string =>
  [...parts[part]].map((token) => (token === 0 ? '?' : vocabulary[token - 1])).join('');

describe('prepareText', () => {
  it('cuts a text in order; characters are code points, those the training part lacks are token 0', async () => {
    const text = await prepareText({ path: write('a.txt', 'ab😀aéb' + 'abz' + '😀éy'), split: SPLIT, contextLength: 2 });
    expect(text.vocabulary).toEqual(['a', 'b', 'é', '😀']);
    expect([decode(text, 'train'), decode(text, 'validation'), decode(text, 'test')]).toEqual(['ab😀aéb', 'ab?', '😀é?']);
    expect(text.unknown).toEqual({ train: 0, validation: 1, test: 1 });
  });

  it('reads gzip, other encodings and a second text as the test part', async () => {
    const plain = 'aaaa äää bbbb aabb';
    const first = await prepareText({
      path: write('b.txt.gz', gzipSync(plain)),
      testPath: write('c.txt', 'bä!'),
      split: SPLIT,
      contextLength: 2,
    });
    expect(decode(first, 'train')).toBe('aaaa äää bbb');
    expect(decode(first, 'test')).toBe('bä?');
    const latin = { path: write('d.txt', Buffer.from(plain, 'latin1')), split: SPLIT, contextLength: 2 };
    expect((await prepareText({ ...latin, encoding: 'windows-1252' })).vocabulary).toContain('ä');
    const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(plain, 'utf16le')]);
    expect((await prepareText({ ...latin, path: write('e.txt', wide) })).vocabulary).toContain('ä');
  });

  it.each<[string, Uint8Array | string, { code: string; message: unknown }]>([
    [
      'bytes that are no UTF-8',
      Buffer.from('abcä'.repeat(9), 'latin1'),
      { code: 'E_DATA', message: expect.stringContaining('data.csv.encoding') },
    ],
    [
      'a text cut inside a character',
      Buffer.from('abcdefghä').subarray(0, 9),
      { code: 'E_DATA', message: expect.stringContaining('not UTF-8') },
    ],
    [
      'an empty text',
      '',
      { code: 'E_DATA', message: expect.stringMatching(/train part is too short: expected more than the 3 .*got 0/) },
    ],
    [
      'a text of one context',
      'abcdefgh',
      { code: 'E_DATA', message: expect.stringMatching(/validation part is too short.*got 2/) },
    ],
  ])('refuses %s', async (_, content, error) => {
    await expect(prepareText({ path: write('bad.txt', content), split: SPLIT, contextLength: 3 })).rejects.toMatchObject(error);
  });

  it('refuses a file that is not there', async () => {
    await expect(prepareText({ path: join(folder, 'none'), split: SPLIT, contextLength: 1 })).rejects.toMatchObject({
      code: 'E_IO',
    });
  });
});

describe('TextWindows', () => {
  const tokens = Int32Array.from({ length: 22 }, (_, index) => index);
  const starts = (windows: TextWindows, pass: number, shuffle = true, skip = 0): number[] =>
    [...windows.batches({ batchSize: 2, pass, seed: 5, shuffle, skip })].flatMap(({ rows, inputs, targets }) =>
      Array.from({ length: rows }, (_, row) => {
        const [x, y] = [inputs[0]!, targets[0]!].map((values) => values.subarray(row * 4, row * 4 + 4));
        expect([...y!]).toEqual([...x!].map((token) => token + 1));
        return x![0]!;
      }),
    );

  it('stand side by side from the start when they are not shuffled', () => {
    const windows = new TextWindows(tokens, { length: 4, shifts: false });
    expect(windows.size).toBe(5);
    expect(starts(windows, 0, false)).toEqual([0, 4, 8, 12, 16]);
  });

  it('begin elsewhere in each pass when they are, the same ones again for an equal pass, and after a skip', () => {
    const windows = new TextWindows(tokens, { length: 4, shifts: true });
    const passes = Array.from({ length: 12 }, (_, pass) => starts(windows, pass));
    for (const pass of passes) {
      const sorted = pass.toSorted((a, b) => a - b);
      expect(sorted).toEqual(sorted.map((_, index) => sorted[0]! + 4 * index));
      expect(sorted.at(-1)! + 4).toBeLessThan(22);
    }
    expect(new Set(passes.map((pass) => Math.min(...pass) % 4)).size).toBeGreaterThan(1);
    expect(starts(windows, 3)).toEqual(passes[3]);
    expect(starts(windows, 3, true, 1)).toEqual(passes[3]!.slice(2));
  });

  it('are one for the shortest text', () => {
    const windows = new TextWindows(tokens.subarray(0, 5), { length: 4, shifts: true });
    expect(windows.size).toBe(1);
    expect(starts(windows, 7)).toEqual([0]);
  });
});

describe('languageBaselines', () => {
  it('counts single tokens and pairs as worked out by hand', () => {
    // Training: 0 1 0 1 1, vocabulary 3. Single, one more than seen: 3/8, 4/8, 1/8.
    // After 0: 1 twice, one kind. After 1: 0 once, 1 once, two kinds. After 2: nothing, so the single shares.
    const [bigram, unigram] = languageBaselines(Int32Array.of(0, 1, 0, 1, 1), Int32Array.of(0, 1, 2, 1), 3);
    const mean = (...probabilities: number[]): number =>
      probabilities.reduce((sum, probability) => sum - Math.log(probability), 0) / probabilities.length;
    expect(unigram?.metrics.crossEntropy).toBeCloseTo(mean(4 / 8, 1 / 8, 4 / 8), 12);
    expect(unigram?.metrics.accuracy).toBeCloseTo(2 / 3, 12);
    expect(bigram?.metrics.crossEntropy).toBeCloseTo(mean((2 + 4 / 8) / 3, (0 + 2 / 8) / 4, 4 / 8), 12);
    expect(bigram?.metrics.accuracy).toBeCloseTo(2 / 3, 12);
    expect(bigram?.metrics.perplexity).toBeCloseTo(Math.exp(bigram!.metrics.crossEntropy), 12);
    expect(bigram?.metrics.bitsPerCharacter).toBeCloseTo(bigram!.metrics.crossEntropy / Math.log(2), 12);
  });
});
