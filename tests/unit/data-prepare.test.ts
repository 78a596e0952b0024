import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PREPROCESSING } from '../../ts/data/preprocessing-options.js';
import { prepareImages, type ImageConfig } from '../../ts/data/images/prepare-images.js';
import { prepareText, type TextConfig } from '../../ts/data/text-corpus.js';
import { prepareData, type DataConfig, type DataEvent } from '../../ts/data/prepare.js';

const PENGUINS: DataConfig = {
  path: fileURLToPath(new URL('../../examples/penguins/penguins.csv', import.meta.url)),
  target: 'species',
  split: { train: 0.7, validation: 0.15, test: 0.15, stratify: true, seed: 1 },
  preprocessing: DEFAULT_PREPROCESSING,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-prepare-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function withTable(text: string): DataConfig {
  const path = join(folder, 'table.csv');
  writeFileSync(path, text);
  return { ...PENGUINS, path, target: 'y' };
}

describe('prepareData', () => {
  it('prepares the penguins: 344 rows, three classes, ten features', async () => {
    const events: DataEvent[] = [];
    const data = await prepareData(PENGUINS, { onEvent: (event) => events.push(event) });
    expect(data.classes).toEqual(['Adelie', 'Chinstrap', 'Gentoo']);
    expect(data.counts).toMatchObject({ rows: 344, missingTarget: 0, train: 241, validation: 52, test: 51 });
    expect(data.preprocessor.featureNames).toEqual([
      'island=Biscoe',
      'island=Dream',
      'island=Torgersen',
      'bill_length_mm',
      'bill_depth_mm',
      'flipper_length_mm',
      'body_mass_g',
      'sex=female',
      'sex=male',
      'year',
    ]);
    for (const part of ['train', 'validation', 'test'] as const) {
      expect(data[part].features.length).toBe(data[part].size * 10);
      expect(data[part].features.every(Number.isFinite)).toBe(true);
      expect(data[part].targets.length).toBe(data[part].size);
    }
    // The file lists 152 Adelie, then 124 Gentoo, then 68 Chinstrap: targets must follow their rows.
    expect(Array.from(data.test.targets)).toEqual(Array.from(data.split.test, (row) => (row < 152 ? 0 : row < 276 ? 2 : 1)));
    expect(events.map((event) => event.type)).toEqual(['data_read', 'data_columns', 'data_verdict', 'data_ready']);
  });

  it('scales the training part, and only it, to mean 0 and variance 1', async () => {
    const { train } = await prepareData(PENGUINS);
    const mass = Array.from({ length: train.size }, (_, row) => train.features[row * 10 + 6] ?? NaN);
    const mean = mass.reduce((sum, value) => sum + value, 0) / mass.length;
    const variance = mass.reduce((sum, value) => sum + (value - mean) ** 2, 0) / mass.length;
    // float32 cells: each is off by up to 1e-7, and so are their means.
    expect(mean).toBeCloseTo(0, 6);
    expect(variance).toBeCloseTo(1, 6);
  });

  it('repeats itself bit for bit, with worker threads as without', async () => {
    const inline = await prepareData(PENGUINS);
    const pooled = await prepareData(PENGUINS, { poolFromCells: 0, threads: 2 });
    expect(Array.from(pooled.train.features)).toEqual(Array.from(inline.train.features));
    expect(pooled.split).toEqual(inline.split);
  });

  it('leaves rows without a target out, and says how many', async () => {
    const rows = Array.from({ length: 40 }, (_, row) => `${row * row},${row % 8 === 0 ? 'NA' : row % 2}`);
    const data = await prepareData(withTable(`x,y\n${rows.join('\n')}\n`));
    expect(data.counts).toMatchObject({ rows: 40, missingTarget: 5 });
    expect(data.train.size + data.validation.size + data.test.size).toBe(35);
    expect(data.warnings).toEqual([expect.stringContaining('5 of 40 rows have no value in the target "y"')]);
  });

  it('takes 1 and 1.0 for one class and sorts numeric classes as numbers', async () => {
    const labels = ['1', '1.0', '10', '2'];
    const rows = Array.from({ length: 40 }, (_, row) => `${row * row},${labels[row % 4] ?? ''}`);
    expect((await prepareData(withTable(`x,y\n${rows.join('\n')}\n`))).classes).toEqual(['1', '2', '10']);
  });

  it('warns of a class that a part has no row of, and refuses an empty part', async () => {
    const rows = Array.from({ length: 40 }, (_, row) => `${row * row},${row === 3 ? 'rare' : row % 2}`);
    const data = await prepareData(withTable(`x,y\n${rows.join('\n')}\n`));
    expect(data.warnings).toContain('The test part has no row of class "rare".');
    expect(data.warnings).not.toContain('The train part has no row of class "rare".');
    await expect(prepareData(withTable('x,y\n1,a\n2,b\n'))).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringContaining('too few rows'),
    });
  });
});

describe('what is asked for', () => {
  it('has the defaults of a configuration file where nothing is said', async () => {
    const { path, target } = PENGUINS;
    const said = await prepareData({
      ...PENGUINS,
      split: { train: 0.7, validation: 0.15, test: 0.15, stratify: true, seed: 0 },
    });
    expect((await prepareData({ path, target })).train).toEqual(said.train);
    const scaled = await prepareData({ path, target, preprocessing: { scaling: 'standard' } });
    expect(scaled.train).toEqual(said.train);
    const shares = await prepareData({ path, target, split: { train: 0.7, validation: 0.15, test: 0.15 } });
    expect(shares.split).toEqual(said.split);
  });

  it.each([
    [undefined, 'wrong options: expected an object, got undefined'],
    [{ path: undefined }, 'wrong path: expected a text that is not empty, got undefined'],
    [{ target: 3 }, 'wrong target: expected a text that is not empty, got 3'],
    [{ preprocesing: {} }, "unknown option 'preprocesing': expected some of path,"],
    [{ task: 'clasification' }, 'wrong task: expected one of classification, regression'],
    [{ split: { train: '0.7', validation: 0.15, test: 0.15 } }, 'wrong split.train: expected a share of the rows'],
    [{ split: { ...PENGUINS.split, stratfy: true } }, "split] unknown option 'stratfy'"],
    [{ split: { ...PENGUINS.split, method: 'shuffle' } }, 'wrong split.method: expected one of random, grouped, time, order'],
    [
      { preprocessing: { scaling: 'Standard' } },
      'wrong preprocessing.scaling: expected one of standard, min_max, robust, none',
    ],
    [{ preprocessing: { scale: 'none' } }, "preprocessing] unknown option 'scale'"],
    [{ features: { year: 'ignore' } }, "features.year] wrong options: expected an object, got 'ignore'"],
    [{ features: { year: { type: 'numerik' } } }, 'wrong features.year.type: expected one of numeric,'],
    [{ duplicates: true }, 'wrong duplicates: expected one of keep, drop, got true'],
    [{ outliers: { method: 'sigma' } }, 'wrong outliers.method: expected one of iqr, z_score'],
    [{ outliers: { method: 'iqr', threshold: 'x' } }, 'wrong outliers.threshold: expected a finite number > 0'],
    [{ format: 'cvs' }, 'wrong format: expected one of csv,'],
    [{ csv: { delimeter: ';' } }, "csv] unknown option 'delimeter'"],
    [{ naValues: 'NA' }, "wrong naValues: expected a list of texts, got 'NA'"],
    [{ preprocessing: { pca: { component: 2 } } }, "pca] unknown option 'component'"],
    [{ preprocessing: { pca: {} } }, 'wrong preprocessing.pca: expected one of components and variance'],
    [{ preprocessing: { pca: { components: 0 } } }, 'wrong preprocessing.pca.components: expected an integer >= 1'],
    [{ preprocessing: { pca: { variance: 2 } } }, 'wrong preprocessing.pca.variance: expected a finite number'],
    [{ features: { island: { buckets: -3 } } }, 'wrong features.island.buckets: expected an integer >= 1'],
    [{ features: { island: { dateOrder: 'myd' } } }, 'wrong features.island.dateOrder: expected one of ymd,'],
    [{ features: { island: { dateParts: ['yeer'] } } }, 'wrong features.island.dateParts: expected one of trend,'],
    [{ features: { island: { dateParts: 'year' } } }, 'wrong features.island.dateParts: expected a list of trend,'],
    [{ features: { island: { text: { maxToken: 3 } } } }, "text] unknown option 'maxToken'"],
    [{ features: { island: { text: { counts: 'log' } } } }, 'wrong features.island.text.counts: expected one of plain,'],
    [{ features: { island: { text: { ngrams: 6 } } } }, 'wrong features.island.text.ngrams: expected an integer >= 1 and <= 5'],
    [{ features: { island: { text: { lowercase: 'no' } } } }, 'wrong features.island.text.lowercase'],
  ])('is checked before any work: %j', async (change, message) => {
    const config = (change === undefined ? undefined : { ...PENGUINS, ...change }) as unknown as DataConfig;
    await expect(prepareData(config)).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining(message) as string,
    });
  });

  it.each([
    [{ input: { path: 'photos' } }, '[images] wrong height: expected an integer >= 1, got undefined'],
    [{ input: { path: 'photos', height: 8, width: 1.5 } }, '[images] wrong width: expected an integer >= 1, got 1.5'],
    [
      { input: { path: 'photos', height: 8, width: 8, channels: 4 } },
      '[images] wrong channels: expected 1 for grey or 3 for colour',
    ],
    [{ input: 'photos' }, "input] wrong options: expected an object, got 'photos'"],
    [{ input: { path: 'photos', height: 8, width: 8 }, scaling: 'min_max' }, 'wrong scaling: expected one of standard, none'],
    [{ input: { path: 'photos', height: 8, width: 8 }, split: { train: 1 } }, 'wrong split.validation: expected a share'],
  ])('images: %j', async (config, message) => {
    await expect(prepareImages(config as unknown as ImageConfig)).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining(message) as string,
    });
  });

  it.each([
    [{ path: 'text.txt' }, '[prepareText] wrong contextLength: expected an integer >= 1, got undefined'],
    [
      { path: 'text.txt', contextLength: 8, split: { train: 1, validation: 0, test: 0, seed: 1 } },
      "split] unknown option 'seed'",
    ],
  ])('texts: %j', async (config, message) => {
    await expect(prepareText(config as unknown as TextConfig)).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining(message) as string,
    });
  });
});
