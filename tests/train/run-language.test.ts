import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generateCommand } from '../../ts/cli/generate.js';
import { loadConfig } from '../../ts/run/config/load.js';
import { evaluateRun } from '../../ts/run/evaluate-run.js';
import { exportRunAs } from '../../ts/run/export-formats.js';
import { loadTextGenerator } from '../../ts/run/language/text-generator.js';
import { loadPredictor } from '../../ts/run/load-predictor.js';
import { renderConfig } from '../../ts/run/render-config.js';
import { reproduceRun } from '../../ts/run/reproduce.js';
import type { RunResult } from '../../ts/run/run-events.js';
import { runTraining } from '../../ts/run/run-training.js';
import { crossValidate } from '../../ts/run/series.js';

let folder: string;
let corpus: string;
let counter = 0;
/** A language in which each character but the first of a word follows from the two before it. */
const WORDS = ['abcade', 'bcbade', 'cabdce'];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-language-'));
  corpus = join(folder, 'corpus.txt');
  const words = Array.from({ length: 700 }, (_, index) => WORDS[(index * 7 + (index >> 2)) % 3]);
  writeFileSync(corpus, `${words.join(' ')} Z`);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const CONFIG = (more = '', model = 'architecture: gpt, num_layers: 1, size: 16, heads: 2, dropout: 0.1'): string =>
  `data: {path: ${corpus}, context_length: 8}\nmodel: {${model}}\n` +
  `training: {epochs: 5, batch_size: 16, learning_rate: 0.01, optimizer: adamw}\nlogging: {checkpoint_every: 1}\n${more}`;

async function run(text: string, signal?: AbortSignal, onStep?: () => void): Promise<RunResult> {
  const file = join(folder, `config-${++counter}.yaml`);
  writeFileSync(file, text);
  return runTraining(await loadConfig(file, { output: join(folder, `run-${counter}`) }), {
    ...(signal === undefined ? {} : { signal }),
    onEvent: ({ type }) => {
      if (type === 'step') onStep?.();
    },
  });
}

describe('a language model from a configuration', () => {
  let trained: RunResult;
  beforeAll(async () => {
    trained = await run(CONFIG('targets: {perplexity: 3, accuracy: 0.7}\n'));
  });

  it('leaves ONNX with its characters beside it, and is exported again in each format that can express it', async () => {
    const { files, verification } = trained;
    expect(verification).toMatchObject({ verified: true });
    const vocabulary = JSON.parse(readFileSync(files.model.replace('.onnx', '.vocabulary.json'), 'utf8')) as unknown;
    expect(vocabulary).toMatchObject({ level: 'character', context_length: 8, unknown_token: 0 });
    const output = join(folder, 'language.onnx');
    expect((await exportRunAs(files.folder, { format: 'onnx', output })).verification).toMatchObject({ verified: true });
    expect(JSON.parse(readFileSync(join(folder, 'language.vocabulary.json'), 'utf8'))).toEqual(vocabulary);
    const weights = join(folder, 'language.safetensors');
    expect((await exportRunAs(files.folder, { format: 'safetensors', output: weights })).path).toBe(weights);
    await expect(exportRunAs(files.folder, { format: 'tfjs' })).rejects.toThrow(/\(transformer_encoder\): .*no attention/);
    await expect(exportRunAs(files.folder, { format: 'onnx-pipeline' })).rejects.toThrow(
      /no preprocessing that ONNX could hold/,
    );
  });

  it('learns what counting pairs cannot, and says so', () => {
    const { test, validation, baselines, targets, files } = trained;
    expect(test.task).toBe('language_model');
    if (test.task !== 'language_model') return;
    const bigram = baselines.find(({ name }) => name === 'bigram');
    if (bigram?.task !== 'language_model') throw new Error('the baseline is of another task');
    expect(test.perplexity).toBeLessThan(bigram.perplexity);
    expect(test.accuracy).toBeGreaterThan(bigram.accuracy);
    expect(validation).toMatchObject({ task: 'language_model' });
    expect(targets.map(({ isMet }) => isMet)).toEqual([true, true]);
    const metrics = JSON.parse(readFileSync(files.metrics, 'utf8')) as Record<string, Record<string, unknown>>;
    expect(metrics['test']!['perplexity']).toBeCloseTo(test.perplexity, 12);
    // Z stands in the last word alone, which is of the test part.
    expect(metrics['unknown']).toEqual({ train: 0, validation: 0, test: 1 });
    expect(readFileSync(files.report, 'utf8')).toContain('bits per character');
    expect(readFileSync(files.config, 'utf8')).toMatch(/method: order # because pieces of a text/);
  });

  it('is judged again on its own test part, which is recorded, and on another text', async () => {
    const { files, test } = trained;
    const again = await evaluateRun(files.folder);
    if (test.task !== 'language_model' || again.metrics.task !== 'language_model') throw new Error('metrics of another task');
    expect(again.metrics.rows).toBe(test.rows);
    expect(again.metrics.crossEntropy).toBeCloseTo(test.crossEntropy, 6);
    expect(again.metrics.accuracy).toBeCloseTo(test.accuracy, 6);
    expect(again.testLook).toBe(2);
    // Nothing else was judged, so that nothing is said to be beaten.
    expect(again.verdict.headline).toMatch(
      /^Perplexity [\d.]+ on [\d,]+ held-out characters, with no baseline to compare with\.$/,
    );
    expect((await evaluateRun(files.folder)).testLook).toBe(3);
    const saved = JSON.parse(readFileSync(join(again.folder, 'metrics.json'), 'utf8')) as Record<
      string,
      Record<string, unknown>
    >;
    expect(saved['metrics']!['perplexity']).toBeCloseTo(again.metrics.perplexity, 12);
    expect(readFileSync(join(again.folder, 'report.html'), 'utf8')).toContain('bits per character');

    const other = join(folder, 'other.txt');
    writeFileSync(other, 'abcade bcbade '.repeat(40));
    const judged = await evaluateRun(files.folder, { data: other });
    expect(judged.testLook).toBeUndefined();
    expect(judged.metrics).toMatchObject({ task: 'language_model', rows: Math.floor((14 * 40 - 1) / 8) * 8 });
    writeFileSync(other, 'QWXYQWXY'.repeat(70));
    const strange = await evaluateRun(files.folder, { data: other });
    if (judged.metrics.task !== 'language_model' || strange.metrics.task !== 'language_model') throw new Error('another task');
    expect(strange.metrics.perplexity).toBeGreaterThan(2 * judged.metrics.perplexity);
    expect(readFileSync(join(strange.folder, 'report.md'), 'utf8')).toContain('560 characters are none that the model knows');
    writeFileSync(other, 'abcade');
    await expect(evaluateRun(files.folder, { data: other })).rejects.toThrow(/too short: expected more than the 8 characters/);
    await expect(evaluateRun(files.folder, { data: join(folder, 'absent.txt') })).rejects.toMatchObject({ code: 'E_IO' });
    const before = readFileSync(corpus);
    writeFileSync(corpus, `${before.toString()} more`);
    await expect(evaluateRun(files.folder)).rejects.toThrow(/is not the data of the run any more/);
    writeFileSync(corpus, before);
  });

  it('is judged by the plain cross-entropy, whatever it was trained with', async () => {
    const { files, test } = await run(CONFIG().replace('epochs: 5', 'epochs: 1, label_smoothing: 0.4'));
    const { metrics } = await evaluateRun(files.folder);
    if (test.task !== 'language_model' || metrics.task !== 'language_model') throw new Error('metrics of another task');
    expect(test.crossEntropy).toBeCloseTo(metrics.crossEntropy, 6);
  });

  it('writes text of its language, the same for equal seeds, and remembers as if it read anew', async () => {
    const before = tf.memory().numTensors;
    const generator = await loadTextGenerator(trained.files.folder);
    const options = { length: 60, temperature: 0.1, seed: 4 };
    const text = await generator.generate('abcade ', options);
    expect(text).toHaveLength(60);
    const known = readFileSync(corpus, 'utf8');
    const pairs = Array.from({ length: 59 }, (_, at) => text.slice(at, at + 2));
    expect(pairs.filter((pair) => !known.includes(pair))).toEqual([]);
    // Within one context a character follows from what was read step by step as from what is read at once.
    const sure = await generator.generate('ab', { length: 6, temperature: 0 });
    for (let at = 0; at < 6; at++)
      expect(await generator.generate(`ab${sure.slice(0, at)}`, { length: 1, temperature: 0 })).toBe(sure[at]);
    const characters: string[] = [];
    expect(await generator.generate('abcade ', { ...options, onText: (one) => characters.push(one) })).toBe(text);
    expect(characters.join('')).toBe(text);
    expect([...generator.encode('aZ')]).toEqual([2, 0]);
    expect(await generator.generate('', { length: 3, topK: 1, seed: 1 })).toBe(
      await generator.generate('\n', { length: 3, temperature: 0 }),
    );
    const controller = new AbortController();
    controller.abort();
    await expect(generator.generate('a', { signal: controller.signal })).rejects.toMatchObject({ code: 'E_ABORTED' });
    await expect(generator.generate('a', { length: 0 })).rejects.toMatchObject({ code: 'E_CONFIG' });
    await expect(generator.generate('a', { topK: 0 })).rejects.toMatchObject({ code: 'E_CONFIG' });
    generator.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('tells on the command line of characters it does not know, and names the option that is wrong', async () => {
    const told: string[] = [];
    const silence = [
      vi.spyOn(process.stdout, 'write').mockImplementation((_text, done) => {
        (done as unknown as () => void)();
        return true;
      }),
      vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
        told.push(String(text));
        return true;
      }),
    ];
    try {
      for (const prompt of ['ab', 'aZ', 'aZÄ'])
        await generateCommand().parseAsync([trained.files.folder, '--length', '1', '--prompt', prompt], { from: 'user' });
      const wrong = generateCommand().exitOverride();
      for (const count of ['0', '1.5', 'x'])
        await expect(wrong.parseAsync([trained.files.folder, '--top-k', count], { from: 'user' })).rejects.toThrow(
          /option '--top-k <number>' argument '.*' is invalid\. expected/,
        );
    } finally {
      for (const spy of silence) spy.mockRestore();
    }
    expect(told.filter((text) => text.includes('does not know'))).toEqual([
      '1 character of the prompt the model does not know: all count as one and the same.\n',
      '2 characters of the prompt the model does not know: all count as one and the same.\n',
    ]);
  });

  it('is interrupted, resumed and reproduced with the same bits', async () => {
    const controller = new AbortController();
    let steps = 0;
    const text = CONFIG('targets: {perplexity: 3, accuracy: 0.7}\n');
    const stopped = await run(text, controller.signal, () => {
      if (++steps === 40) controller.abort();
    });
    expect(stopped.stopReason).toBe('aborted');
    const config = await loadConfig(stopped.files.config, { output: stopped.files.folder });
    const resumed = await runTraining(config, { resume: true });
    expect(readFileSync(resumed.files.weights)).toEqual(readFileSync(trained.files.weights));
    const again = await reproduceRun(trained.files.folder, { output: join(folder, 'again') });
    expect(again).toMatchObject({ isEqual: true, circumstances: [] });
  });

  it('takes layers of one own that score each place, read anew for each character', async () => {
    const layers = [
      '{type: embedding, config: {tokens: 7, units: 8}}',
      '{type: lstm, config: {units: 16, returnSequences: true}}',
      '{type: dense, config: {units: 7}}',
    ];
    const { test, files } = await run(
      CONFIG('', `architecture: layers, layers: [${layers.join(', ')}]`).replace(
        'context_length: 8',
        'context_length: 8, format: text',
      ),
    );
    expect(test).toMatchObject({ task: 'language_model' });
    const generator = await loadTextGenerator(files.folder);
    expect(await generator.generate('abc', { length: 5 })).toHaveLength(5);
    generator.dispose();
  });

  it('predicts no rows, and has no folds', async () => {
    await expect(loadPredictor(trained.files.folder)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('tensorkiln generate') as unknown,
    });
    await expect(evaluateRun(trained.files.folder, { csv: {} })).rejects.toMatchObject({ code: 'E_USAGE' });
    const config = await loadConfig(trained.files.config);
    await expect(crossValidate(config, 3)).rejects.toMatchObject({ code: 'E_CONFIG' });
  });
});

describe('a configuration that does not fit a running text', () => {
  it.each<[string, RegExp]>([
    ['features: {a: numeric}\n', /wrong features: expected none for a running text/],
    ['split: {method: time, by: a}\n', /wrong split\.method: expected order for a running text/],
    ['preprocessing: {pca: {components: 2}}\n', /wrong preprocessing\.pca/],
    ['targets: {rmse: 1}\n', /wrong targets\.rmse: expected perplexity, .* for language_model/],
    ['augmentation: {enabled: true}\n', /wrong augmentation\.enabled/],
  ])('is refused: %s', async (more, message) => {
    await expect(run(CONFIG(more))).rejects.toThrow(message);
  });

  it.each<[string, RegExp]>([
    ['data.lags={a: [1]}', /wrong data\.lags: expected none for a running text/],
    ['data.replace={a: {b: c}}', /wrong data\.replace: expected none for a running text/],
    ['data.test_replace={a: {b: c}}', /wrong data\.test_replace: expected none for a running text/],
    ['data.duplicates=drop', /wrong data\.duplicates: expected none for a running text/],
    ['data.outliers.action=drop', /wrong data\.outliers\.action: expected none for a running text/],
    ['data.task=regression', /wrong data\.task: expected language_model for format text/],
    ['model={architecture: mlp}', /wrong model\.architecture: expected gpt or layers for a running text, got mlp/],
    ['training.class_weights=balanced', /wrong training\.class_weights/],
    ['training.loss=focal', /wrong training\.loss: expected cross_entropy or auto for language_model/],
    [
      'data={path: a.csv, format: csv, target: y, context_length: 3}',
      /wrong data\.context_length: expected it only with format text/,
    ],
  ])('is refused: %s', async (set, message) => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, CONFIG().replace('path:', 'format: text, path:'));
    await expect(loadConfig(file, { set: [set] }).then((config) => renderConfig(config))).rejects.toThrow(message);
  });

  it('gpt for a table is refused', async () => {
    const table = join(folder, 'table.csv');
    writeFileSync(table, 'a,y\n' + 'x,1\ny,2\n'.repeat(30));
    const file = join(folder, 'table.yaml');
    writeFileSync(file, `data: {path: ${table}, target: y, format: csv}\nmodel: {architecture: gpt}\n`);
    await expect(renderConfig(await loadConfig(file))).rejects.toThrow(/wrong model\.architecture: expected another than gpt/);
  });
});
