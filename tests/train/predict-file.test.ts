/** What is done with a finished run: predicting files, judging it again, exporting it. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-web';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeParquetFromCsv } from '../../ts/data/index.js';
import { readParquet } from '../../ts/data/formats/parquet.js';
import { loadConfig } from '../../ts/run/config/load.js';
import { evaluateRun } from '../../ts/run/evaluate-run.js';
import { exportRunAs } from '../../ts/run/export-formats.js';
import { loadPredictor } from '../../ts/run/load-predictor.js';
import { predictFile, type PredictFileOptions, type PredictFileResult } from '../../ts/run/predict-file.js';
import { runTraining } from '../../ts/run/run-training.js';

ort.env.wasm.numThreads = 1;

let folder: string;
let classes: string;
let numbers: string;
let levels: string;

type Target = 'kind' | 'level' | 'amount';

/** Rows of a table; the classes follow from `size`, `amount` is linear in it. */
function table(rows: number, target: Target): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const size = ((row * 37) % 100) / 10;
    const colour = ['red', 'green', 'blue'][row % 3];
    const answers = { kind: size > 5 ? 'large' : 'small', level: size > 5 ? 1 : 0, amount: 3 + 2 * size };
    return `r${row},${size},${colour},${answers[target]}`;
  });
  return [`id,size,colour,${target}`, ...lines, ''].join('\n');
}

async function train(name: string, target: Target, more = ''): Promise<string> {
  const data = join(folder, `${name}.csv`);
  writeFileSync(data, table(300, target));
  const file = join(folder, `${name}.yaml`);
  writeFileSync(
    file,
    `data: {path: ${data}, target: ${target}${more}}\nfeatures: {id: ignore}\nmodel: {hidden_units: [8]}\n` +
      'training: {epochs: 15, learning_rate: 0.05, batch_size: 32}\nlogging: {checkpoint_every: false}\n',
  );
  const output = join(folder, name);
  // The rule is plain on purpose, so the data check takes the column for a leak.
  await runTraining(await loadConfig(file, { output }), { force: true });
  return output;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-predict-'));
  classes = await train('classes', 'kind');
  numbers = await train('numbers', 'amount');
  writeFileSync(join(folder, 'held-out.csv'), table(60, 'level'));
  const replace = 'replace: {id: {old: new}, colour: {crimson: red}}';
  levels = await train('levels', 'level', `, test_path: ${join(folder, 'held-out.csv')}, na_values: ['', unknown], ${replace}`);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;
const input = (content: string, ending = 'csv'): string => {
  const path = join(folder, `input-${++count}.${ending}`);
  writeFileSync(path, content);
  return path;
};

/** Predicts a table and gives the result and the lines that came out. */
async function predict(
  content: string,
  options: Partial<PredictFileOptions> & { readonly ending?: string; readonly run?: string } = {},
): Promise<PredictFileResult & { readonly lines: readonly string[] }> {
  const { ending = 'csv', run = classes, ...rest } = options;
  let text = '';
  const result = await predictFile(run, input(content, ending), {
    output: (part) => {
      text += part;
      return Promise.resolve();
    },
    ...rest,
  });
  return { ...result, lines: text.trimEnd().split('\n') };
}

describe('predictFile', () => {
  it('gives what predict gives, row by row in their order, with the columns kept', async () => {
    const { lines, rows } = await predict('id,size,colour\nb,9.5,red\na,0.5,blue\n', { keep: ['id'] });
    expect(rows).toBe(2);
    expect(lines[0]).toBe('id,prediction,probability_large,probability_small');
    const predictor = await loadPredictor(classes);
    const own = await predictor.predict([
      { size: 9.5, colour: 'red' },
      { size: 0.5, colour: 'blue' },
    ]);
    predictor.dispose();
    expect(lines.slice(1).map((line) => line.split(',').slice(0, 2))).toEqual([
      ['b', 'large'],
      ['a', 'small'],
    ]);
    own.forEach((prediction, row) => {
      if (!('probabilities' in prediction)) expect.fail('no class was predicted');
      expect(
        lines[row + 1]!.split(',')
          .slice(2)
          .map((cell) => Math.fround(Number(cell))),
      ).toEqual(prediction.probabilities);
    });
  });

  it("knows the run's spellings of a missing cell from its export folder alone", async () => {
    const rows = 'size,colour\n9.5,unknown\nunknown,red\n';
    const alone = join(folder, 'alone');
    cpSync(join(levels, 'export'), alone, { recursive: true });
    const [whole, exported] = [await predict(rows, { run: levels }), await predict(rows, { run: alone })];
    expect(exported.lines).toEqual(whole.lines);
    expect(exported.unseen).toEqual({});
  });

  it('passes over what a further column of JSON Lines holds, whatever it is', async () => {
    const { lines, extra } = await predict('{"size":9.5,"colour":"red","tags":[1],"more":{"a":1}}\n', { ending: 'jsonl' });
    expect(extra).toEqual(['tags', 'more']);
    expect(lines[1]).toMatch(/^large,/);
    const kept = predict('{"size":9.5,"colour":"red","tags":[1]}\n', { ending: 'jsonl', keep: ['tags'] });
    await expect(kept).rejects.toThrow(/line 1: column "tags" holds a list/);
  });

  it('replaces cells that lags are made of, and those of numbers', async () => {
    const run = await train('lagged', 'amount', ', lags: {size: [1]}, replace: {size: {"~5": "5"}}');
    const rows = (cell: string): string => `id,size,colour\na,${cell},red\nb,2,blue\n`;
    expect((await predict(rows('~5'), { run })).lines).toEqual((await predict(rows('5'), { run })).lines);
  });

  it('replaces cells for the model, not those that are only kept', async () => {
    const rows = (colour: string): string => `id,size,colour\nold,5.5,${colour}\nold,2,${colour}\n`;
    const replaced = await predict(rows('crimson'), { run: levels, keep: ['id'] });
    expect(replaced.unseen).toEqual({});
    expect(replaced.lines[1]).toMatch(/^old,/);
    expect(replaced.lines).toEqual((await predict(rows('red'), { run: levels, keep: ['id'] })).lines);
  });

  it('takes columns in any order, passes over others and counts unseen categories', async () => {
    const plain = await predict('size,colour\n9.5,red\n2,green\n');
    const shuffled = await predict('note,colour,size\nx,red,9.5\ny,green,2\n');
    expect(shuffled.lines).toEqual(plain.lines);
    expect(shuffled.extra).toEqual(['note']);
    const unseen = await predict('size,colour\n9.5,violet\n2,\n1,violet\n');
    expect(unseen.unseen).toEqual({ colour: 2 });
    expect(unseen.lines.length).toBe(4);
  });

  it('reads CSV, JSON Lines and Parquet alike, and numbers that are texts', async () => {
    const csv = 'size,colour\n9.5,red\n,green\n2,blue\n';
    const expected = (await predict(csv)).lines;
    const jsonl = '{"size": 9.5, "colour": "red"}\n{"colour": "green"}\n{"colour": "blue", "size": "2"}\n';
    expect((await predict(jsonl, { ending: 'jsonl' })).lines).toEqual(expected);
    const parquet = join(folder, 'rows.parquet');
    await writeParquetFromCsv(input(csv), parquet);
    const output = join(folder, 'from-parquet.csv');
    await predictFile(classes, parquet, { output });
    expect(readFileSync(output, 'utf8').trimEnd().split('\n')).toEqual(expected);
  });

  it('takes JSON Lines whose keys come up late, in the second part of 16,384 rows, and names those that never do', async () => {
    const early = '{"size": 9.5}\n'.repeat(16_390);
    const { lines } = await predict(`${early}{"colour": "red", "size": 9.5}\n`, { ending: 'jsonl' });
    expect(lines).toHaveLength(16_392);
    const [once] = (await predict('{"size": 9.5, "colour": null}\n', { ending: 'jsonl' })).lines.slice(1);
    expect(new Set(lines.slice(1, -1))).toEqual(new Set([once]));
    await expect(predict(early, { ending: 'jsonl' })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringMatching(/lacks 1 of the 2 columns .*"colour"/) as unknown,
    });
  });

  it('writes CSV, JSON Lines and Parquet, each only when it is whole', async () => {
    const rows = input('size,colour\n9.5,red\n2,blue\n');
    const [csv, jsonl, parquet] = ['out.csv', 'out.jsonl', 'out.parquet'].map((name) => join(folder, 'out', name)) as [
      string,
      string,
      string,
    ];
    for (const output of [csv, jsonl, parquet])
      expect(await predictFile(classes, rows, { output })).toMatchObject({ rows: 2, output });
    expect(readdirSync(join(folder, 'out')).sort()).toEqual(['out.csv', 'out.jsonl', 'out.parquet']);
    const [first = ''] = readFileSync(jsonl, 'utf8').split('\n');
    expect(JSON.parse(first)).toEqual({
      prediction: 'large',
      probability_large: expect.any(Number) as number,
      probability_small: expect.any(Number) as number,
    });
    expect(readFileSync(parquet).subarray(0, 4).toString()).toBe('PAR1');
    await expect(predictFile(classes, input('size,colour\n9.5,red\nmany,blue\n'), { output: csv })).rejects.toMatchObject({
      code: 'E_DATA',
    });
    expect(readdirSync(join(folder, 'out')).length).toBe(3);
    expect(readFileSync(csv, 'utf8').split('\n').length).toBe(4);
  });

  it('keeps cells in Parquet as they were: numbers only where they were read as such', async () => {
    const output = join(folder, 'types.parquet');
    const cells = [
      ['12345678901234567890', '1.10', '2020-01-01', 'true', '"a, ""b""\r\nc"'],
      ['00017', '2', '2021-05-06', 'false', ''],
    ] as const;
    const keep = ['id', 'price', 'day', 'Flag', 'note', 'size'];
    const rows = cells.map((own, row) => `${own.join(',')},${row + 0.5},red\n`).join('');
    await predictFile(classes, input(`id,price,day,Flag,note,size,colour\n${rows}`), { output, keep });
    const names = [...keep, 'prediction', 'probability_large'];
    const query = `SELECT ${names.map((name) => `typeof("${name}") AS "${name}"`).join(', ')} FROM data LIMIT 1`;
    const types = (await readParquet(output, { query })).columns.map((column) =>
      column.kind === 'categorical' ? column.categories.join() : expect.fail('no type'),
    );
    expect(types).toEqual([...Array.from({ length: 5 }, () => 'VARCHAR'), 'DOUBLE', 'VARCHAR', 'DOUBLE']);
    const table = await readParquet(output);
    const texts = (name: string): readonly (string | undefined)[] => {
      const column = table.column(name);
      return column.kind === 'categorical' ? [...column.codes].map((code) => column.categories[code]) : expect.fail(name);
    };
    expect(keep.slice(0, 4).map(texts)).toEqual([0, 1, 2, 3].map((place) => cells.map((own) => own[place])));
    expect(texts('note')).toEqual(['a, "b"\r\nc', undefined]);
    expect(table.column('size')).toMatchObject({ kind: 'numeric', values: Float64Array.of(0.5, 1.5) });

    const values = join(folder, 'values.parquet');
    const lines = '{"size": 5, "colour": "red", "code": 1}\n{"size": 2, "colour": "red", "code": "x"}\n';
    await predictFile(numbers, input(lines, 'jsonl'), { output: values, keep: ['code'] });
    const regression = await readParquet(values);
    expect(regression.columns.map(({ name, kind }) => [name, kind])).toEqual([
      ['code', 'categorical'],
      ['prediction', 'numeric'],
    ]);
  });

  it('predicts numbers in the unit of the target', async () => {
    const { lines } = await predict('size,colour\n5,red\n', { run: numbers });
    expect(lines[0]).toBe('prediction');
    expect(Math.abs(Number(lines[1]) - 13)).toBeLessThan(1.5);
  });

  it('quotes what CSV would misread and gives an empty table its head', async () => {
    const { lines } = await predict('id,size,colour\n"a, ""b""",9.5,red\n', { keep: ['id'] });
    expect(lines[1]).toMatch(/^"a, ""b""",large,/);
    expect((await predict('', { ending: 'jsonl' })).lines).toEqual(['prediction,probability_large,probability_small']);
  });

  const refused: [string, string, Partial<PredictFileOptions>, string, RegExp][] = [
    [
      'a missing column, with the nearest name',
      'sise,colour\n1,red\n',
      {},
      'E_DATA',
      /lacks 1 of the 2 columns .*"size" \(did you mean its "sise"\?\)/,
    ],
    [
      'a cell of another type, masked, with its line',
      'size,colour\n1,red\nsecret,red\n',
      {},
      'E_DATA',
      /"size" is not numeric: .* on line 3/,
    ],
    [
      'a column to keep that is not there',
      'size,colour\n1,red\n',
      { keep: ['name'] },
      'E_DATA',
      /no column "name": expected one of "size", "colour"/,
    ],
    [
      'a column to keep that is named as a prediction',
      'size,colour,prediction\n1,red,x\n',
      { keep: ['prediction'] },
      'E_USAGE',
      /two columns would be named "prediction": expected columns to keep/,
    ],
    [
      'a column to keep twice',
      'id,size,colour\na,1,red\n',
      { keep: ['id', 'id'] },
      'E_USAGE',
      /two columns would be named "id"/,
    ],
    ['a short row', 'size,colour\n1\n', {}, 'E_DATA', /1 row is malformed \(line 2\): expected 2 fields/],
    [
      'Parquet without a file',
      'size,colour\n1,red\n',
      { outputFormat: 'parquet' },
      'E_USAGE',
      /Parquet is written to files only/,
    ],
    ['a signal', 'size,colour\n1,red\n', { signal: AbortSignal.abort() }, 'E_ABORTED', /cancelled/],
  ];
  it.each(refused)('refuses %s', async (_, content, options, code, message) => {
    const found = await predict(content, options).then(
      () => expect.fail('nothing was refused'),
      (error: unknown) => error as Error,
    );
    expect(found).toMatchObject({ code });
    expect(found.message).toMatch(message);
    expect(found.message).not.toContain('secret');
  });

  it('loads no model for an output that is refused', async () => {
    const before = tf.memory().numTensors;
    const options = { output: () => Promise.resolve(), outputFormat: 'parquet' } as const;
    await expect(predictFile(classes, input('size\n1\n'), options)).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses what is no list of rows, and cells that are neither text nor number, which would be read as some', async () => {
    const predictor = await loadPredictor(classes);
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [{ size: 1, colour: 'red' }, /wrong rows: expected a list of rows, got an object\. Put a single row into a list\./],
      [undefined, /wrong rows: expected a list of rows, got undefined/],
      [[{ size: 1, colour: 'red' }, null], /wrong row 1: expected an object of column names and cells, got null/],
      [
        [{ size: [1], colour: 'red' }],
        /column "size" of row 0 holds no cell: expected a text, a number, true, false or null, got \[1\]/,
      ],
      [[{ size: 1, colour: { name: 'red' } }], /column "colour" of row 0 holds no cell: .*, got an object/],
    ];
    for (const [rows, message] of wrong)
      await expect(predictor.predict(rows as never), String(message)).rejects.toMatchObject({
        code: 'E_DATA',
        message: expect.stringMatching(message) as string,
      });
    predictor.dispose();
  });

  it('refuses a name whose ending is of no format, before any work', async () => {
    const rows = input('size,colour\n9.5,red\n');
    for (const name of ['out.xlsx', 'out.json', 'out.csv.gz'])
      await expect(predictFile('absent', rows, { output: join(folder, name) })).rejects.toMatchObject({
        code: 'E_USAGE',
        message: expect.stringMatching(
          /wrong ending of the output file .*: expected \.csv, \.jsonl or \.parquet, got/,
        ) as string,
      });
    const output = join(folder, 'without-ending');
    expect((await predictFile(classes, rows, { output })).rows).toBe(1);
    expect(readFileSync(output, 'utf8')).toMatch(/^prediction,/);
    const zipped = { output: join(folder, 'any.name'), outputFormat: 'csv' } as const;
    expect((await predictFile(classes, rows, zipped)).rows).toBe(1);
  });

  it('refuses a file that is not there and a folder that is no run', async () => {
    await expect(predictFile(classes, join(folder, 'absent.csv'), { output: () => Promise.resolve() })).rejects.toMatchObject({
      code: 'E_IO',
    });
    await expect(loadPredictor(folder)).rejects.toMatchObject({ code: 'E_IO' });
  });
});

describe('a model of images', () => {
  it('predicts folders of images and judges them and IDX files, and nothing else', async () => {
    const images = join(folder, 'images');
    const shade = (value: number): Promise<Buffer> =>
      sharp({ create: { width: 12, height: 12, channels: 3, background: { r: value, g: value, b: value } } })
        .png()
        .toBuffer();
    for (const [name, base] of [
      // Named as the labels of an IDX file are.
      ['0', 20],
      ['1', 200],
    ] as const) {
      mkdirSync(join(images, name), { recursive: true });
      for (let index = 0; index < 30; ++index) writeFileSync(join(images, name, `${index}.png`), await shade(base + index));
    }
    const file = join(folder, 'images.yaml');
    writeFileSync(
      file,
      `data: {path: ${images}, format: image_folder, target: shade, image: {height: 8, width: 8, channels: 1}}\n` +
        'model: {architecture: layers, layers: [{type: flatten}, {type: dense, config: {units: 2}}]}\n' +
        'training: {epochs: 30, learning_rate: 0.05}\nlogging: {checkpoint_every: false}\n',
    );
    const run = join(folder, 'images-run');
    await runTraining(await loadConfig(file, { output: run }), { force: true });
    const unknown = join(folder, 'unknown');
    mkdirSync(unknown);
    writeFileSync(join(unknown, 'b.png'), await shade(230));
    writeFileSync(join(unknown, 'a.png'), await shade(10));
    const output = join(folder, 'images.csv');
    expect(await predictFile(run, unknown, { output })).toMatchObject({ rows: 2 });
    const lines = readFileSync(output, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => line.split(',').slice(0, 2))).toEqual([
      ['file', 'prediction'],
      ['a.png', '0'],
      ['b.png', '1'],
    ]);
    await expect(predictFile(run, input('size\n1\n'), { output })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('expected a folder of images') as string,
    });

    const held = join(folder, 'held-images');
    for (const [name, value] of [
      ['0/a.png', 15],
      ['1/b.png', 225],
      ['1/c.png', 12],
      ['without-class.png', 12],
    ] as const) {
      mkdirSync(dirname(join(held, name)), { recursive: true });
      writeFileSync(join(held, name), await shade(value));
    }
    const judged = await evaluateRun(run, { data: held });
    expect(judged).toMatchObject({
      withoutTarget: 1,
      testLook: undefined,
      metrics: {
        rows: 3,
        confusion: [
          [1, 0],
          [1, 1],
        ],
      },
    });
    const pixels = join(folder, 'held-images-idx3-ubyte');
    const labels = join(folder, 'held-labels-idx1-ubyte');
    const idx = (...shape: readonly number[]): Buffer => {
      const sizes = Buffer.alloc(4 * shape.length);
      shape.forEach((size, axis) => sizes.writeUInt32BE(size, 4 * axis));
      return Buffer.concat([Buffer.from([0, 0, 8, shape.length]), sizes]);
    };
    writeFileSync(pixels, Buffer.concat([idx(3, 8, 8), Buffer.alloc(64, 15), Buffer.alloc(64, 225), Buffer.alloc(64, 12)]));
    writeFileSync(labels, Buffer.concat([idx(3), Buffer.from([0, 1, 1])]));
    expect((await evaluateRun(run, { data: pixels, labels })).metrics).toMatchObject({
      rows: 3,
      confusion: [
        [1, 0],
        [1, 1],
      ],
    });
    await expect(evaluateRun(run, { data: pixels })).rejects.toThrow(/or an IDX or npy file with its labels beside it/);
    await expect(evaluateRun(run, { data: held, labels })).rejects.toThrow(/is a folder, .*: expected no labels beside it/);
    await expect(evaluateRun(classes, { data: pixels, labels })).rejects.toThrow(/labels go with a file of images/);
    writeFileSync(pixels, Buffer.concat([idx(3, 4, 4), Buffer.alloc(48)]));
    await expect(evaluateRun(run, { data: pixels, labels })).rejects.toThrow(
      /expected images of \[8, 8, 1\].* got \[4, 4, 1\]/,
    );
    mkdirSync(join(held, 'other'));
    writeFileSync(join(held, 'other', 'd.png'), await shade(100));
    await expect(evaluateRun(run, { data: held })).rejects.toThrow(/a class that the model does not know: expected only 0, 1/);
  });
});

describe('a model of texts in folders', () => {
  it('predicts and judges folders and archives of texts, labelled or not', async () => {
    const texts = join(folder, 'texts');
    const put = (path: string, text: string): void => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    };
    for (let index = 0; index < 40; ++index) {
      put(join(texts, 'good', `${index}.txt`), `a fine and lovely film ${index}`);
      put(join(texts, 'bad', `${index}.txt`), `a dull and boring film ${index}`);
    }
    const file = join(folder, 'texts.yaml');
    writeFileSync(
      file,
      `data: {path: ${texts}}\nfeatures: {text: {type: text, text: {encoding: bag}}}\nmodel: {hidden_units: []}\n` +
        'training: {epochs: 20, learning_rate: 0.05}\nlogging: {checkpoint_every: false}\n',
    );
    const run = join(folder, 'texts-run');
    await runTraining(await loadConfig(file, { output: run }), { force: true });

    const fresh = join(folder, 'new-texts');
    put(join(fresh, 'b.txt'), 'boring');
    put(join(fresh, 'deep', 'er', 'a.txt'), 'lovely');
    const output = join(folder, 'texts.csv');
    expect(await predictFile(run, fresh, { output })).toMatchObject({ rows: 2, extra: [] });
    const rows = (): string[][] =>
      readFileSync(output, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => line.split(',').slice(0, 2));
    expect(rows()).toEqual([
      ['path', 'prediction'],
      ['b.txt', 'bad'],
      ['deep/er/a.txt', 'good'],
    ]);

    const held = join(folder, 'held-texts');
    put(join(held, 'good', 'a.txt'), 'lovely');
    put(join(held, 'bad', 'b.txt'), 'dull');
    put(join(held, 'bad', 'c.txt'), 'fine');
    put(join(held, 'd.txt'), 'fine');
    const archive = join(folder, 'held-texts.tar.gz');
    execFileSync('tar', ['-czf', archive, '-C', held, '.']);
    for (const data of [held, archive]) {
      expect(await evaluateRun(run, { data })).toMatchObject({ withoutTarget: 1, metrics: { rows: 3, accuracy: 2 / 3 } });
    }
    expect(await predictFile(run, archive, { output })).toMatchObject({ rows: 4 });
    const whole = readFileSync(archive);
    writeFileSync(archive, whole.subarray(0, whole.length - 20));
    await expect(predictFile(run, archive, { output })).rejects.toThrow(/the archive is cut off or damaged/);

    await expect(predictFile(classes, held, { output })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(/a folder of texts has one column .* trained on size, colour: expected a CSV/) as string,
    });
    put(join(folder, 'no-texts', 'a.bin'), '');
    await expect(predictFile(run, join(folder, 'no-texts'), { output })).rejects.toThrow(
      /no texts: expected files ending with/,
    );
    await expect(predictFile(run, input('size\n1\n'), { output })).rejects.toThrow(/lacks 1 of the 1 columns .*"text"/);
  });
});

describe('evaluateRun', () => {
  it('repeats the figures of the test rows, and records each look', async () => {
    const saved = JSON.parse(readFileSync(join(classes, 'metrics.json'), 'utf8')) as {
      test: { log_loss: number };
      test_look: number;
    };
    expect(saved.test_look).toBe(1);
    const second = await evaluateRun(classes);
    const third = await evaluateRun(classes);
    expect([second.testLook, third.testLook]).toEqual([2, 3]);
    if (second.metrics.task !== 'classification') expect.fail('the task is another');
    expect(second.metrics.logLoss).toBe(saved.test.log_loss);
    expect(third.verdict.notes.map(({ text }) => text)).toEqual(
      expect.arrayContaining([expect.stringContaining('looked at 3 times')]),
    );
    expect(readdirSync(third.folder).sort()).toEqual(['metrics.json', 'report.html', 'report.md']);
  });

  it('judges other rows, and leaves out those without a target', async () => {
    const rows = input(table(60, 'amount') + 'x,5,red,\n');
    const { metrics, withoutTarget, testLook } = await evaluateRun(numbers, { data: rows });
    expect(metrics).toMatchObject({ task: 'regression', rows: 60 });
    expect([withoutTarget, testLook]).toEqual([1, undefined]);
  });

  it('knows classes that are numbers in whatever spelling', async () => {
    const rows = 'size,colour,level\n9.5,red,1.0\n1,red,0\n2,blue,00.0\n8,red,\n';
    const { metrics, withoutTarget } = await evaluateRun(levels, { data: input(rows) });
    expect(metrics).toMatchObject({ task: 'classification', rows: 3, accuracy: 1 });
    expect(withoutTarget).toBe(1);
    await expect(evaluateRun(levels, { data: input(`${rows}1,red,2\n`) })).rejects.toThrow(/expected one of 0, 1/);
  });

  it('refuses a class the model does not know, a table without the target and data that has changed', async () => {
    const unknown = input('size,colour,kind\n1,red,huge\n');
    await expect(evaluateRun(classes, { data: unknown })).rejects.toThrow(
      /has a class that the model does not know: expected one of large, small/,
    );
    await expect(evaluateRun(classes, { data: input('size,colour\n1,red\n') })).rejects.toThrow(
      '[evaluate] no column "kind": expected one of "size", "colour".',
    );
    await expect(evaluateRun(folder)).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringMatching(/^\[evaluate\] no run in .*: expected config\.resolved\.yaml there/) as string,
    });
    const data = join(folder, 'numbers.csv');
    const before = readFileSync(data);
    writeFileSync(data, table(301, 'amount'));
    await expect(evaluateRun(numbers)).rejects.toThrow(/is not the data of the run any more/);
    writeFileSync(data, before);
    const heldOut = join(folder, 'held-out.csv');
    const rows = readFileSync(heldOut);
    expect((await evaluateRun(levels)).metrics.rows).toBe(60);
    writeFileSync(heldOut, table(61, 'level'));
    await expect(evaluateRun(levels)).rejects.toThrow(/held-out\.csv is not the data of the run any more/);
    writeFileSync(heldOut, rows);
  });
});

describe('exportRunAs', () => {
  it('puts the preprocessing inside an ONNX model, missing and unknown cells included', async () => {
    for (const run of [classes, numbers]) {
      const path = join(folder, 'pipeline.onnx');
      const { verification } = await exportRunAs(run, { format: 'onnx-pipeline', output: path });
      expect(verification).toMatchObject({ verified: true, rows: 64 });
      if (!('largestError' in verification)) expect.fail('nothing was compared');
      expect(verification.largestError).toBeLessThan(1e-4);
    }
  });

  it('takes an empty text for the category that it is where na_values lacks it, in predict, in the library and in ONNX', async () => {
    const data = join(folder, 'empty.csv');
    const cells = ['red', '', 'green', 'unknown', 'red'];
    const lines = Array.from({ length: 300 }, (_, row) => `${row % 7},${cells[row % 5]},${row % 5 === 1 ? 'yes' : 'no'}`);
    writeFileSync(data, `size,colour,y\n${lines.join('\n')}\n`);
    const file = join(folder, 'empty.yaml');
    writeFileSync(
      file,
      `data: {path: ${data}, target: y, na_values: [unknown]}\nmodel: {hidden_units: [4]}\n` +
        'training: {epochs: 3, batch_size: 32}\nlogging: {checkpoint_every: false}\n',
    );
    const run = join(folder, 'empty');
    await runTraining(await loadConfig(file, { output: run }), { force: true });

    const asked = ['', 'unknown', 'red', 'green', 'blue'];
    const { lines: predicted } = await predict(`size,colour\n${asked.map((cell) => `3,${cell}`).join('\n')}\n`, { run });
    const probability = predicted.slice(1).map((line) => Number(line.split(',')[1]));
    // Five different rows for the model: the empty text is neither the missing cell nor an unknown colour.
    expect(new Set([probability[0], probability[1], probability[4]]).size).toBe(3);

    const predictor = await loadPredictor(run);
    const rows = await predictor.predict(asked.map((colour) => ({ size: 3, colour })));
    const [none] = await predictor.predict([{ size: 3, colour: null }]);
    // A number is neither made of nothing nor of what tables do not take for one.
    for (const size of ['', ' ', '0x10'])
      await expect(predictor.predict([{ size, colour: 'red' }]), size).rejects.toThrow(
        'column "size" of row 0 is of another type than in training',
      );
    predictor.dispose();
    const firstOf = (prediction: (typeof rows)[number] | undefined): number =>
      prediction !== undefined && 'probabilities' in prediction ? prediction.probabilities[0]! : NaN;
    expect(rows.map(firstOf)).toEqual(probability.map(Math.fround));
    expect(firstOf(none)).toBe(Math.fround(probability[1]!));

    const path = join(folder, 'empty.onnx');
    await exportRunAs(run, { format: 'onnx-pipeline', output: path });
    const session = await ort.InferenceSession.create(readFileSync(path), { executionProviders: ['wasm'] });
    const outputs = await session.run({
      size: new ort.Tensor('float32', new Float32Array(5).fill(3), [5, 1]),
      colour: new ort.Tensor('string', asked, [5, 1]),
    });
    const found = [...(outputs[session.outputNames[0]!]!.data as Float32Array)].filter((_, index) => index % 2 === 0);
    found.forEach((value, row) => {
      expect(value).toBeCloseTo(probability[row]!, 5);
    });
    await session.release();
  });

  it('writes each format beside the run, checked where it can be run', async () => {
    expect((await exportRunAs(numbers, { format: 'tfjs' })).verification).toMatchObject({ verified: true, rows: 64 });
    expect(readdirSync(join(numbers, 'export', 'tfjs')).sort()).toEqual(['model.json', 'weights.bin']);
    const path = join(folder, 'model.onnx');
    expect(await exportRunAs(numbers, { format: 'onnx', output: path })).toMatchObject({
      path,
      verification: { verified: true },
    });
    expect(
      (await exportRunAs(classes, { format: 'safetensors', output: join(folder, 'm.safetensors') })).verification.verified,
    ).toBe(true);
  });
});
