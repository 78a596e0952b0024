import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../ts/run/config/load.js';
import { exportRunAs } from '../../ts/run/export-formats.js';
import type { RunEvent, RunResult } from '../../ts/run/run-events.js';
import { runTraining } from '../../ts/run/run-training.js';
import { crossValidate, repeatTraining } from '../../ts/run/series.js';

let folder: string;
let counter = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-tasks-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const write = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
};

async function run(config: string, set: readonly string[] = []): Promise<RunResult & { readonly events: readonly RunEvent[] }> {
  const events: RunEvent[] = [];
  const file = write(`config-${++counter}.yaml`, config);
  const result = await runTraining(await loadConfig(file, { set, output: join(folder, `run-${counter}`) }), {
    onEvent: (event) => events.push(event),
  });
  return { ...result, events };
}

const readJson = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

/** y = 1000 + 50 a - 20 b, a day per row. */
function numbers(rows: number): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const [a, b] = [(row * 7) % 11, (row * 5) % 13];
    const day = new Date(Date.UTC(2020, 0, 1 + row)).toISOString().slice(0, 10);
    return `${day},${a}.5,${b}.5,${row % 9},${1000.25 + 50 * a - 20 * b}`;
  });
  return write(`numbers-${rows}.csv`, ['day,a,b,group,y', ...lines, ''].join('\n'));
}

/** Squares at the left or at the right, 8 x 8, as a pair of IDX files. */
function squares(name: string, images: number): { readonly path: string; readonly labels: string } {
  const pixels = new Uint8Array(images * 64);
  for (let image = 0; image < images; image++) {
    for (let y = 2; y < 6; y++)
      for (let x = 0; x < 3; x++) pixels[image * 64 + y * 8 + x + (image % 2 === 0 ? 0 : 5)] = 200 + (image % 50);
  }
  const head = Buffer.from([0, 0, 8, 3, 0, 0, 0, images, 0, 0, 0, 8, 0, 0, 0, 8]);
  const labels = Buffer.from([0, 0, 8, 1, 0, 0, 0, images, ...Array.from({ length: images }, (_, image) => image % 2)]);
  return {
    path: write(`${name}-images-idx3-ubyte`, Buffer.concat([head, pixels])),
    labels: write(`${name}-labels-idx1-ubyte`, labels),
  };
}

describe('regression from a configuration', () => {
  const config = (rows: number, more = ''): string =>
    `data: {path: ${numbers(rows)}, target: y}\nfeatures: {day: ignore, group: ignore}\nmodel: {hidden_units: []}\n` +
    `training: {epochs: 40, learning_rate: 0.05}\n${more}`;

  it('learns the scaled target and answers, judges and exports in its own unit', async () => {
    const { test, validation, baselines, files, verification, targets } = await run(
      config(200, 'targets: {rmse: 5, r2: 0.99}\n'),
    );
    expect(test).toMatchObject({ task: 'regression', rows: 30 });
    if (test.task !== 'regression') return;
    // The target is exactly linear; its deviation is about 180.
    expect(test.rmse).toBeLessThan(5);
    expect(test.r2).toBeGreaterThan(0.999);
    expect(validation).toMatchObject({ task: 'regression' });
    expect(baselines.map(({ name }) => name)).toEqual(['linear', 'mean']);
    expect(targets.map(({ metric, isMet }) => [metric, isMet])).toEqual([
      ['rmse', true],
      ['r2', true],
    ]);
    // The ONNX model ends with the scale of the target, checked against these answers.
    expect(verification).toMatchObject({ verified: true, rows: 200 });
    const saved = readJson(files.preprocessing) as { target_scale: { shift: number; scale: number } };
    expect(saved).toMatchObject({ task: 'regression', classes: [] });
    expect(saved.target_scale.shift).toBeGreaterThan(900);
    expect(readFileSync(files.report, 'utf8')).toContain('RMSE');
    const resolved = parse(readFileSync(files.config, 'utf8')) as Record<string, Record<string, unknown>>;
    expect(resolved['training']).toMatchObject({ loss: 'mean_squared_error' });
    expect(resolved['data']).toMatchObject({ task: 'regression' });
  });

  it('trains on all rows but the test part when the validation share is 0, judged by the training loss', async () => {
    const { validation, bestEpoch } = await run(config(100, 'split: {train: 0.8, validation: 0, test: 0.2}\n'), [
      'training.early_stopping=false',
      'training.epochs=2',
    ]);
    expect(validation).toBeUndefined();
    expect(bestEpoch).toBe(2);
    await expect(run(config(100, 'split: {train: 0.8, validation: 0, test: 0.2}\n'))).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining('training.early_stopping.monitor: expected train_loss') as string,
    });
  });

  it('splits by time: the last days test', async () => {
    const { events } = await run(config(100, 'split: {method: time, by: day}\n'), ['training.epochs=1']);
    expect(events.find(({ type }) => type === 'data_ready')).toMatchObject({ counts: { train: 70, validation: 15, test: 15 } });
  });

  it.each([
    ['training: {loss: focal}', /wrong training\.loss: expected mean_squared_error, .* for regression, got focal/],
    ['training: {class_weights: balanced}', /wrong training\.class_weights: expected none for regression/],
    [
      'targets: {accuracy: 0.9}',
      /wrong targets\.accuracy: expected rmse, mae, median_absolute_error, max_error, mape, r2 for regression/,
    ],
    ['model: {num_classes: 3}', /wrong model\.num_classes: expected auto, since "y" is a number, got 3/],
    ['augmentation: {enabled: true}', /wrong augmentation\.enabled: expected false for data that is not images/],
    ['training: {early_stopping: {monitor: validation_accuracy}}', /validation_loss or train_loss for regression/],
  ])('refuses %s', async (text, message) => {
    const base = `data: {path: ${numbers(100)}, target: y}\nfeatures: {day: ignore}\n${text}\n`;
    await expect(run(base)).rejects.toMatchObject({ code: 'E_CONFIG', message: expect.stringMatching(message) as string });
  });
});

describe('images from a configuration', () => {
  it('trains a network of the zoo on augmented IDX images and writes down how pixels are scaled', async () => {
    const { path, labels } = squares('squares', 80);
    const { test, files, events } = await run(
      `data: {path: ${path}, labels: ${labels}}\nsplit: {method: order, train: 0.6, validation: 0.2, test: 0.2}\n` +
        'augmentation: {enabled: true, transforms: [{shift: {x: 0.1, y: 0.1}}, {rotate: {degrees: 5}}]}\n' +
        'model: {architecture: cnn, filters: [8], batch_norm: false, head: flatten}\ntraining: {epochs: 4, batch_size: 16, learning_rate: 0.01}\n',
    );
    expect(test).toMatchObject({ task: 'classification', rows: 16, accuracy: 1 });
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['data_read', 'data_verdict', 'data_ready', 'epoch']),
    );
    const { image } = readJson(files.preprocessing) as { image: { shape: number[]; mean: number[]; deviation: number[] } };
    expect(image.shape).toEqual([8, 8, 1]);
    expect(image.mean[0]).toBeGreaterThan(0.1);
    expect(readJson(files.architecture)).toMatchObject({
      format: 'tensorkiln-model',
      type: 'sequential',
      inputShape: [8, 8, 1],
    });
    expect(readJson(files.record)).toMatchObject({ data: { path, others: { labels: { path: labels } } } });
    // With the scaling inside, the exported model takes bytes.
    for (const format of ['onnx', 'onnx-pipeline', 'tfjs'] as const)
      expect((await exportRunAs(files.folder, { format })).verification).toMatchObject({ verified: true, rows: 64 });
  });

  it('takes further images as the test part, class weights beside augmentation, and the same again after a resume', async () => {
    const [first, second] = [squares('first', 40), squares('second', 20)];
    const config =
      `data: {path: ${first.path}, labels: ${first.labels}, test_path: ${second.path}, test_labels: ${second.labels}}\n` +
      'augmentation: {enabled: true, transforms: [{flip: {vertical: 0.5}}]}\nsplit: {train: 0.8, validation: 0.1, test: 0.1}\n' +
      'model: {hidden_units: [8]}\ntraining: {epochs: 2, batch_size: 8, class_weights: balanced}\n';
    const { events, test } = await run(config);
    expect(test.rows).toBe(20);
    expect(events.find(({ type }) => type === 'data_ready')).toMatchObject({ counts: { test: 20, train: 36, validation: 4 } });
  });

  it('refuses lags, which images have not', async () => {
    const { path, labels } = squares('small', 20);
    const config = `data: {path: ${path}, labels: ${labels}, lags: {label: [1]}}\n`;
    await expect(run(config)).rejects.toThrow(/wrong data\.lags: expected none for images/);
  });

  it.each([
    ['features: {label: numeric}', /wrong features: expected none for images/],
    ['split: {method: time, by: label}', /wrong split\.method: expected random or order for images, got time/],
    ['preprocessing: {scaling: robust}', /wrong preprocessing\.scaling: expected standard, min_max or none for images/],
    ['preprocessing: {pca: {components: 2}}', /wrong preprocessing\.pca/],
  ])('refuses %s', async (text, message) => {
    const { path, labels } = squares('small', 20);
    await expect(run(`data: {path: ${path}, labels: ${labels}}\n${text}\n`)).rejects.toThrow(message);
  });
});

describe('texts from a configuration', () => {
  const reviews = (): string => {
    for (let row = 0; row < 40; row++) {
      const word = row % 2 === 0 ? 'good' : 'bad';
      write(
        join('reviews', word, `${row}.txt`),
        `film number ${row % 7} is ${word} and ${row % 3 === 0 ? 'very' : ''} long ${word}`,
      );
    }
    return join(folder, 'reviews');
  };

  it('become tokens for an embedding, whose size follows the vocabulary', async () => {
    const { test, files, verification } = await run(
      `data: {path: ${reviews()}}\nfeatures: {text: {type: text, text: {encoding: sequence, length: 8}}}\n` +
        'model: {architecture: bilstm-classifier, embedding_size: 8, units: 4, dropout: 0}\ntraining: {epochs: 20, learning_rate: 0.05, batch_size: 8}\n',
    );
    expect(test).toMatchObject({ task: 'classification', accuracy: 1 });
    expect(verification).toMatchObject({ verified: true, rows: 40 });
    expect(existsSync(files.model)).toBe(true);
    const vocabulary = readJson(files.model.replace('.onnx', '.vocabulary.json'));
    expect(vocabulary).toMatchObject({ format: 'tensorkiln.vocabulary', column: 'text', level: 'word', length: 8 });
    const tokens = vocabulary['tokens'] as Record<string, number>;
    // As the model's own preprocessing numbers them: the most frequent first, from 2 on.
    const { preprocessor } = readJson(files.preprocessing) as { preprocessor: { columns: [{ vocabulary: string[] }] } };
    expect(tokens).toEqual(Object.fromEntries(preprocessor.columns[0].vocabulary.map((token, place) => [token, place + 2])));

    const elsewhere = join(folder, 'elsewhere', 'reviews.onnx');
    expect((await exportRunAs(files.folder, { format: 'onnx', output: elsewhere })).verification).toMatchObject({
      verified: true,
      rows: 64,
    });
    expect(readJson(join(folder, 'elsewhere', 'reviews.vocabulary.json'))).toEqual(vocabulary);
    await expect(exportRunAs(files.folder, { format: 'tfjs' })).rejects.toThrow(/'mask' \(padding_mask\).*no counterpart/);
    await expect(exportRunAs(files.folder, { format: 'onnx-pipeline' })).rejects.toThrow(/column "text" \(sequence\)/);
  });
});

describe('several runs', () => {
  const config = async (text: string): Promise<Awaited<ReturnType<typeof loadConfig>>> => {
    const file = write(`series-${++counter}.yaml`, text);
    return loadConfig(file, { output: join(folder, `series-${counter}`) });
  };
  const base = (): string =>
    `data: {path: ${numbers(60)}, target: y}\nfeatures: {day: ignore}\nmodel: {hidden_units: []}\ntraining: {epochs: 2}\n`;

  it('crossValidate holds each row out once and tells mean and deviation', async () => {
    const kinds: unknown[] = [];
    const {
      runs,
      test,
      folder: output,
    } = await crossValidate(await config(base()), 3, {
      onEvent: (event) => {
        if (event.type === 'series_run') kinds.push([event.kind, event.index, event.of]);
      },
    });
    expect(kinds).toEqual([
      ['fold', 1, 3],
      ['fold', 2, 3],
      ['fold', 3, 3],
    ]);
    expect(runs.map((one) => one.test.rows)).toEqual([20, 20, 20]);
    const scores = runs.map((one) => (one.test.task === 'regression' ? one.test.rmse : NaN));
    const mean = scores.reduce((sum, value) => sum + value, 0) / 3;
    expect(test['rmse']?.mean).toBeCloseTo(mean, 9);
    expect(test['rmse']?.deviation).toBeCloseTo(Math.sqrt(scores.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 2), 9);
    expect(readJson(join(output, 'summary.json'))).toMatchObject({
      kind: 'fold',
      runs: 3,
      planned: 3,
      aborted: false,
      test: { rmse: { mean } },
    });
  });

  it('a grouped split keeps groups together in folds, and times repeats all of them', async () => {
    const { runs } = await crossValidate(await config(`${base()}split: {method: grouped, by: group}\n`), 2, { times: 2 });
    expect(runs).toHaveLength(4);
    expect(runs[0]?.test.rows).toBeGreaterThan(20);
  });

  it('refuses folds of what must not be mixed', async () => {
    await expect(crossValidate(await config(`${base()}split: {method: time, by: day}\n`), 3)).rejects.toThrow(
      /expected no split\.method time\. Use --repeat/,
    );
    await expect(crossValidate(await config(base()), 61)).rejects.toThrow(/expected an integer from 2 to 60/);
  });

  it.each([
    ['while the second run trains', 'epoch', 'aborted'],
    ['before the second run trains', 'resolving', 'E_ABORTED'],
  ])('interrupted %s, only the first counts', async (_when, moment, outcome) => {
    const controller = new AbortController();
    const stops: unknown[] = [];
    let index = 0;
    const settings = await config(base());
    const output = settings.output!;
    const series = repeatTraining(settings, 3, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'series_run') index = event.index;
        if (event.type === 'end') stops.push(event.history.stopReason);
        if (index === 2 && event.type === (moment === 'epoch' ? 'epoch' : 'run_start')) controller.abort();
      },
    });
    const about = { planned: 3, aborted: true };
    if (outcome === 'E_ABORTED') {
      await expect(series).rejects.toMatchObject({ code: 'E_ABORTED' });
      expect(stops).toEqual(['epochs']);
    } else {
      const { runs, test, ...rest } = await series;
      expect(stops).toEqual(['epochs', 'aborted']);
      expect(runs.map(({ stopReason }) => stopReason)).toEqual(['epochs']);
      const [{ test: first }] = runs as [RunResult];
      expect(test['rmse']).toEqual({ mean: first.task === 'regression' ? first.rmse : NaN, deviation: 0 });
      expect(rest).toEqual({ ...about, folder: output });
    }
    expect(existsSync(join(output, 'repeat-3'))).toBe(false);
    expect(readJson(join(output, 'summary.json'))).toMatchObject({ kind: 'repeat', runs: 1, ...about });
  });

  it('repeatTraining changes both seeds', async () => {
    const { runs } = await repeatTraining(await config(base()), 2);
    const seeds = runs.map(({ files }) => readJson(files.record)['seeds']);
    expect(seeds).toEqual([
      { split: 0, training: 0 },
      { split: 1, training: 1 },
    ]);
  });
});
