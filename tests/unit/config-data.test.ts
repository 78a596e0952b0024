import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataConfig, imageTransforms } from '../../ts/run/config/data-config.js';
import { augmentation } from '../../ts/run/config/data-schema.js';
import { loadConfig } from '../../ts/run/config/load.js';
import type { TrainingConfig } from '../../ts/run/config/schema.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-config-data-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const MINIMAL = 'data:\n  path: table.csv\n  target: y\n';

function load(text: string): Promise<TrainingConfig> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return loadConfig(file);
}

describe('data sections', () => {
  it('say all that the adult census files need', async () => {
    const config = await load(
      [
        'data:',
        '  path: adult-train.csv',
        '  test_path: adult-test.csv',
        '  target: income',
        '  csv: {header: false, names: [age, income]}',
        '  test_replace: {income: {"<=50K.": "<=50K"}}',
        'features:',
        '  age: {type: numeric, scaling: robust, imputation: {constant: 40}}',
        '  note: {text: {encoding: sequence, max_tokens: 50}}',
        'split: {method: grouped, by: household}',
        'preprocessing: {encoding: target, pca: {variance: 0.9}}',
        '',
      ].join('\n'),
    );
    expect(dataConfig(config)).toMatchObject({
      path: join(folder, 'adult-train.csv'),
      testPath: join(folder, 'adult-test.csv'),
      csv: { header: false, names: ['age', 'income'] },
      replace: {},
      testReplace: { income: { '<=50K.': '<=50K' } },
      features: {
        age: { type: 'numeric', scaling: 'robust', imputation: { constant: 40 } },
        note: { text: { encoding: 'sequence', maxTokens: 50 } },
      },
      split: { method: 'grouped', by: 'household' },
      preprocessing: { encoding: 'target', pca: { variance: 0.9 } },
    });
  });

  it('take a folder for texts, unless they say that it holds images, and need no target there', async () => {
    mkdirSync(join(folder, 'classes'));
    expect((await load('data: {path: classes}\n')).data).toMatchObject({ format: 'text_folder', target: 'label' });
    const images = await load('data: {path: classes, image: {height: 8, width: 8}}\n');
    expect(images.data).toMatchObject({ format: 'image_folder', target: 'label' });
    await expect(load('data: {path: absent}\n')).rejects.toThrow(/data\.target is missing/);
  });

  it('leave the URL of a server as it is', async () => {
    const config = await load('data: {path: "env:DATABASE", query: SELECT 1, target: y}\n');
    expect(config.data.path).toBe('env:DATABASE');
  });

  it.each([
    [
      'a method without its column',
      'split: {method: time}\n',
      /wrong split: expected by: <column> beside method: time, got no column/,
    ],
    [
      'a scale whose least is above its most',
      'augmentation: {transforms: [{scale: {minimum: 1.2}}]}\n',
      /wrong augmentation\.transforms.*: expected minimum to be at most maximum, got 1\.2 and 1\.$/,
    ],
    [
      'a crop whose least is above its most',
      'augmentation: {transforms: [{flip: {}}, {crop: {minimum: 0.9, maximum: 0.5}}]}\n',
      /wrong augmentation\.transforms.*: expected minimum to be at most maximum, got 0\.9 and 0\.5\.$/,
    ],
    [
      'an unknown transform',
      'augmentation: {transforms: [{blur: 3}]}\n',
      /wrong augmentation\.transforms.*expected a list of flip/,
    ],
    [
      'an unknown encoding',
      'preprocessing: {encoding: binary}\n',
      /wrong preprocessing\.encoding: expected one_hot, label, target or hash/,
    ],
  ])('refuse %s', async (_, text, message) => {
    await expect(load(`${MINIMAL}${text}`)).rejects.toThrow(message);
  });

  it('turn transforms into those of the data room, none unless enabled', () => {
    const parse = (enabled: boolean): ReturnType<typeof imageTransforms> =>
      imageTransforms(
        augmentation.parse({
          enabled,
          transforms: [
            { flip: { horizontal: 0.5 } },
            { rotate: { degrees: 10 } },
            { scale: { minimum: 0.9 } },
            { shear: { x: 5 } },
            { elastic: { amount: 1.5 } },
          ],
        }),
      );
    expect(parse(true)).toEqual([
      { kind: 'flip', horizontal: 0.5, vertical: 0 },
      { kind: 'rotate', degrees: 10 },
      { kind: 'scale', minimum: 0.9, maximum: 1 },
      { kind: 'shear', x: 5, y: 0 },
      { kind: 'elastic', amount: 1.5, spacing: 8 },
    ]);
    expect(parse(false)).toEqual([]);
  });
});
