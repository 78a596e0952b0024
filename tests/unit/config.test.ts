import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type LoadConfigOptions } from '../../ts/run/config/load.js';
import { configSchema, schemaAt, type TrainingConfig } from '../../ts/run/config/schema.js';
import { DEFAULT_NA_VALUES } from '../../ts/data/csv/read-csv.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-config-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const MINIMAL = 'data:\n  path: table.csv\n  target: y\n';

function load(text: string, options?: LoadConfigOptions): Promise<TrainingConfig> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return loadConfig(file, options);
}

/** The message of the E_CONFIG error that loading ends in, the folder taken out. */
async function message(text: string, options?: LoadConfigOptions): Promise<string> {
  const error: unknown = await load(text, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'E_CONFIG' });
  return error instanceof Error ? error.message.replaceAll(`${folder}/`, '') : '';
}

describe('loadConfig', () => {
  it('fills every default in', async () => {
    expect(await load(MINIMAL)).toEqual({
      data: {
        path: join(folder, 'table.csv'),
        target: 'y',
        na_values: DEFAULT_NA_VALUES,
        csv: {},
        replace: {},
        test_replace: {},
        duplicates: 'keep',
        outliers: { method: 'iqr', action: 'report' },
      },
      features: {},
      split: { train: 0.7, validation: 0.15, test: 0.15, method: 'random', stratify: true, seed: 0 },
      preprocessing: {
        numeric_imputation: 'median',
        categorical_imputation: 'mode',
        scaling: 'standard',
        encoding: 'one_hot',
        target_scaling: 'standard',
      },
      augmentation: { enabled: false, transforms: [] },
      model: {
        architecture: 'mlp',
        hidden_units: [32],
        activation: 'relu',
        dropout: 0,
        pretrained: false,
        num_classes: 'auto',
      },
      training: {
        batch_size: 'auto',
        epochs: 100,
        learning_rate: 0.001,
        optimizer: 'adam',
        weight_decay: 0,
        scheduler: { type: 'constant', warmup_epochs: 0 },
        early_stopping: { monitor: 'validation_loss', patience: 20, min_delta: 0, restore_best: true },
        loss: 'auto',
        label_smoothing: 0,
        class_weights: 'none',
        precision: 'float32',
        micro_batch_auto: true,
        non_finite: { skip: 4, rollbacks: 3, rate_factor: 0.5 },
        divergence: false,
        unfreeze: [],
        debug: false,
        shuffle: true,
        compile: true,
        fast_dev_run: false,
        sanity_validation_batches: 2,
        seed: 0,
      },
      logging: { tensorboard: false, checkpoint_every: { seconds: 60 }, keep_checkpoints: 3 },
      targets: {},
    });
  });

  it('keeps what is written and fills in the rest of a section', async () => {
    const config = await load(
      `${MINIMAL}features: {year: categorical}\nsplit: {train: 0.6, validation: 0.2, test: 0.2}\ndevice: cuda:1\n`,
    );
    expect(config.features).toEqual({ year: 'categorical' });
    expect(config.split).toEqual({ train: 0.6, validation: 0.2, test: 0.2, method: 'random', stratify: true, seed: 0 });
    expect(config.device).toBe('cuda:1');
  });

  it('describes every key for messages', () => {
    const undescribed: string[] = [];
    const visit = (node: unknown, path: readonly string[]): void => {
      if (schemaAt(path)?.description === undefined) undescribed.push(path.join('.'));
      if (typeof node === 'object' && node !== null && !Array.isArray(node))
        for (const [key, value] of Object.entries(node)) visit(value, [...path, key]);
    };
    visit(configSchema.parse({ data: { path: 'p', target: 't' }, features: { a: 'ignore' }, output: 'o', device: 'cpu' }), []);
    expect(undescribed).toEqual([]);
  });
});

describe('a wrong configuration', () => {
  it.each<[string, string, RegExp]>([
    ['a YAML syntax error', 'data:\n  path: [a\n  target: y\n', /^\[config\] config\.yaml:3:\d+: YAML syntax error: /],
    ['a bad indent', 'data:\n  path: a\n target: y\n', /^\[config\] config\.yaml:[23]:\d+: YAML syntax error: /],
    ['a key twice', `${MINIMAL}  path: b\n`, /^\[config\] config\.yaml:4:3: YAML syntax error: Map keys must be unique/],
    ['no mapping', 'just text\n', /^\[config\] config\.yaml: expected a mapping with a data section, got "just text"\.$/],
    ['an empty file', '', /^\[config\] config\.yaml: expected a mapping with a data section, got an empty value\.$/],
    [
      'an unknown section',
      `${MINIMAL}trainig: {epochs: 3}\n`,
      /^\[config\] config\.yaml:4:1: unknown key trainig: expected defaults, data, .*Did you mean "training"\?$/,
    ],
    [
      'an unknown key',
      `${MINIMAL}training:\n  epoch: 3\n`,
      /^\[config\] config\.yaml:5:3: unknown key training\.epoch: expected .*Did you mean "epochs"\?$/,
    ],
    [
      'a key of another section',
      `${MINIMAL}model:\n  batch_size: 3\n`,
      /unknown key model\.batch_size: .*Did you mean "training\.batch_size"\?$/,
    ],
    [
      'an unknown key far from all',
      `${MINIMAL}zzzzzz: 1\n`,
      /unknown key zzzzzz: expected defaults, data, features, split, preprocessing, augmentation, model, training, logging, targets, output, device\.$/,
    ],
    [
      'a wrong type',
      `${MINIMAL}training:\n  epochs: many\n`,
      /^\[config\] config\.yaml:5:11: wrong training\.epochs: expected an integer >= 1, got "many"\.$/,
    ],
    [
      'batch 0',
      `${MINIMAL}training: {batch_size: 0}\n`,
      /^\[config\] config\.yaml:4:24: wrong training\.batch_size: expected an integer >= 1, or auto, got 0\.$/,
    ],
    ['a fractional batch', `${MINIMAL}training: {batch_size: 1.5}\n`, /wrong training\.batch_size: .*got 1\.5\.$/],
    [
      'a section that is a value',
      `${MINIMAL}training: fast\n`,
      /:4:11: wrong training: expected a section with batch_size, .*got "fast"\.$/,
    ],
    ['a section left empty', `${MINIMAL}training:\n`, /wrong training: expected a section.*got an empty value\.$/],
    [
      'a missing key',
      'data:\n  path: a\n',
      /^\[config\] config\.yaml:1:1: data\.target is missing: expected the name of a column, got nothing\.$/,
    ],
    [
      'a text without its format, by its context',
      'data:\n  path: a\n  context_length: 64\n',
      /data\.target is missing: .* has no target, add data\.format: text\.$/m,
    ],
    [
      'a text without its format, by its name',
      'data:\n  path: a.txt\n',
      /data\.target is missing: .* has no target, add data\.format: text\.$/,
    ],
    [
      'no data section',
      'split: {seed: 1}\n',
      /^\[config\] config\.yaml: data is missing: expected a section with path and target, got nothing\.$/,
    ],
    [
      'a wrong choice',
      `${MINIMAL}model: {activation: rellu}\n`,
      /wrong model\.activation: expected one of linear, relu, .*got "rellu"\.$/,
    ],
    [
      'a wrong list item',
      `${MINIMAL}model: {hidden_units: [8, 0]}\n`,
      /:4:27: wrong model\.hidden_units\.1: expected a list of layer sizes.*got 0\.$/,
    ],
    [
      'a wrong feature type',
      `${MINIMAL}features: {a: number}\n`,
      /:4:15: wrong features\.a: expected one of numeric, categorical, boolean, date, text, ignore, or a section.*, got "number"\.$/,
    ],
    [
      'a YAML null among na_values',
      `${MINIMAL}  na_values: [NA, null]\n`,
      /wrong data\.na_values\.1: expected a list of texts.*in quotes.*got an empty value\.$/,
    ],
    [
      'shares beyond 1',
      `${MINIMAL}split: {train: 0.8}\n`,
      /:4:1: wrong split: expected train, validation and test to sum to 1, got 0\.8 \+ 0\.15 \+ 0\.15 = 1\.1\.$/,
    ],
    ['a wrong device', `${MINIMAL}device: gpu\n`, /wrong device: expected auto, cpu, cuda or cuda:<number>, got "gpu"\.$/],
    [
      'NaN',
      `${MINIMAL}training: {learning_rate: .nan}\n`,
      /wrong training\.learning_rate: expected a number above 0, or auto, got NaN\.$/,
    ],
  ])('%s is told with its place', async (_, text, expected) => {
    expect(await message(text)).toMatch(expected);
  });

  it.each([
    'postgres://me:canary@host/db',
    'POSTGRES://me:canary@host/db',
    'postgresql://host/db?user=me&password=canary',
    'postgres://me:can@ary/@host/db',
    'postgres://me:canary/1?x=2@host/db',
    'postgres://me:1/canary?3@host/db',
    'postgres://me:canary@host/db?application_name=a@b',
    'postgres://host/db?application_name=a@b&password=canary',
  ])('refuses a password, which would stand in the files of the run, and does not show it: %s', async (url) => {
    const text = await message(MINIMAL.replace('table.csv', JSON.stringify(url)));
    expect(text).toMatch(/config.yaml:2:3: wrong data.path: expected a URL without a password.*env:NAME/);
    const overridden = await message(MINIMAL, { set: [`data.path=${url}`] });
    const quoted = await message(MINIMAL, { set: [`data.path="${url}"`] });
    expect(overridden).toMatch(/--set data.path=postgres.* wrong data.path: expected a URL without a password/i);
    expect(text + overridden + quoted).not.toMatch(/canary|can@|ary\//);
  });

  it('takes the URL of a server without a password, and an environment variable', async () => {
    for (const path of [
      'postgres://me@host:5432/db',
      'postgres://me@host/db?application_name=a@b',
      'postgres://host:5432/db?sslmode=require&application_name=x:y@z',
      'postgres://[::1]:5432/db?application_name=a@b',
      'env:DATABASE_URL',
    ])
      expect((await load(MINIMAL.replace('table.csv', path))).data.path).toBe(path);
  });

  it.each([
    [
      'logging: {mlflow: true}\n',
      /:4:11: logging\.mlflow: logging to MLflow is not built in this version\. Use logging\.tensorboard/,
    ],
    ['logging: {wandb: {project: a}}\n', /logging\.wandb: logging to Weights & Biases is not built/],
    ['serving: {port: 80}\n', /:4:1: serving: an inference server is not built in this version\. Use loadPredictor/],
    ['tuning: {trials: 3}\n', /tuning: a search for hyperparameters is not built/],
    ['registry: {}\n', /registry: a registry of models is not built/],
    ['distributed: {}\n', /distributed: training on several machines or devices is not built/],
    ['model: {architecture: vit}\n', /model\.architecture vit: the architecture vit is not built in this version\. Use cnn/],
  ])('refuses a feature that is not built by its name: %s', async (text, expected) => {
    expect(await message(`${MINIMAL}${text}`)).toMatch(expected);
  });

  it.each([
    [
      'task: regression}\ntargets: {accuracy: 0.9, rmse: 2}',
      /:2:11: wrong targets\.accuracy: expected rmse, .* for regression, got accuracy/,
    ],
    ['task: classification}\ntargets: {rmse: 2}', /wrong targets\.rmse: expected accuracy, .* for classification, got rmse/],
    ['format: image_folder, image: {height: 8, width: 8}}\ntargets: {r2: 1}', /wrong targets\.r2: .* for classification/],
    ['format: text}\ntargets: {rmse: 1}', /wrong targets\.rmse: expected perplexity, .* for language_model/],
    ['na_values: [none]}\ntraining: {loss: huber}\ntargets: {mcc: 1}', /wrong targets\.mcc: .* for regression/],
    ['na_values: [none]}\ntraining: {loss: focal}\ntargets: {mae: 1}', /wrong targets\.mae: .* for classification/],
  ])('refuses a target of another task before any data is read: %s', async (rest, expected) => {
    expect(await message(`data: {path: absent, target: y, ${rest}\n`)).toMatch(expected);
  });

  it('leaves targets open where only the data tells the task', async () => {
    expect((await load(`${MINIMAL}targets: {accuracy: 0.9}\n`)).targets).toEqual({ accuracy: 0.9 });
  });

  it('lists every problem at once', async () => {
    expect(await message(`${MINIMAL}training: {epochs: 0, batch_size: 0}\nmodle: 1\n`)).toMatch(
      /^\[config\] 3 errors:\n(?=.*\n)[^]*config\.yaml:4:\d+: wrong training\.batch_size[^]*config\.yaml:5:1: unknown key modle/,
    );
  });

  it('names a file that is not there', async () => {
    await expect(loadConfig(join(folder, 'absent.yaml'))).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringMatching(/absent\.yaml: there is no such file/),
    });
  });
});

describe('overrides', () => {
  it('take YAML values, later ones over earlier', async () => {
    const config = await load(`${MINIMAL}model: {dropout: 0.5}\n`, {
      set: [
        'training.epochs=7',
        'model.hidden_units=[4, 5]',
        'model.dropout=0.1',
        'model.dropout=0.2',
        'preprocessing.numeric_imputation={constant: 0}',
      ],
    });
    expect(config.training.epochs).toBe(7);
    expect(config.model).toMatchObject({ hidden_units: [4, 5], dropout: 0.2 });
    expect(config.preprocessing.numeric_imputation).toEqual({ constant: 0 });
  });

  it('reach columns whose names hold dots, and sections left empty', async () => {
    const config = await load(`${MINIMAL}features:\n`, { set: ['features.bill.length=ignore'] });
    expect(config.features).toEqual({ 'bill.length': 'ignore' });
  });

  it('resolve paths against the working directory, the file its own against its folder', async () => {
    expect((await load(`${MINIMAL}output: out\n`)).output).toBe(join(folder, 'out'));
    const config = await load(`${MINIMAL}output: out\n`, { data: 'other.csv', output: 'elsewhere' });
    expect(config.data.path).toBe(resolve('other.csv'));
    expect(config.output).toBe(resolve('elsewhere'));
    expect((await load(MINIMAL, { set: ['data.path=third.csv'] })).data.path).toBe(resolve('third.csv'));
  });

  it.each<[string, RegExp]>([
    ['training.epoch=3', /^\[config\] --set training\.epoch=3: unknown key training\.epoch: .*Did you mean "epochs"\?$/],
    ['training.batch_size=0', /^\[config\] --set training\.batch_size=0: wrong training\.batch_size: .*got 0\.$/],
    ['training.epochs=', /wrong training\.epochs: .*got an empty value\.$/],
    ['training.epochs', /expected key=value/],
    ['=3', /expected key=value/],
    ['data.path.x=3', /data\.path is a plain value: expected a section there/],
    ['model.hidden_units=[1', /the value is not YAML/],
  ])('refuse %s', async (set, expected) => {
    expect(await message(MINIMAL, { set: [set] })).toMatch(expected);
  });
});

describe('the grammar of --set', () => {
  it('adds, forces, deletes', async () => {
    const config = await load(`${MINIMAL}model: {dropout: 0.5, activation: tanh}\ntraining: {epochs: 7}\n`, {
      set: [
        '~model.dropout',
        '~model.activation=tanh',
        '+training.max_time=90m',
        '++training.epochs=9',
        '++logging.tensorboard=true',
      ],
    });
    expect(config.model).toMatchObject({ dropout: 0, activation: 'relu' });
    expect(config.training).toMatchObject({ epochs: 9, max_time: '90m' });
    expect(config.logging.tensorboard).toBe(true);
  });

  it.each<[string, RegExp]>([
    [
      '+training.epochs=3',
      /--set \+training\.epochs=3: training\.epochs is there already \(config\.yaml:4:20\): change it with/,
    ],
    ['~training.seed', /--set ~training\.seed: there is no training\.seed to take away\.$/],
    ['~training.epochs=8', /--set ~training\.epochs=8: expected training\.epochs to be 8, got 7\.$/],
    ['~', /expected key=value/],
    ['training..epochs=3', /expected key=value/],
    ['++training.epochs', /expected key=value/],
  ])('refuse %s', async (set, expected) => {
    expect(await message(`${MINIMAL}training: {epochs: 7}\n`, { set: [set] })).toMatch(expected);
  });
});

describe('defaults lists', () => {
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  beforeAll(() => {
    write('base.yaml', 'training: {epochs: 5, seed: 3}\nsplit: {seed: 9}\n');
    write('model/small.yaml', 'hidden_units: [4]\nactivation: tanh\n');
    write('model/big.yaml', 'defaults: [small]\nhidden_units: [64, 64]\n');
    write('sub/table.yaml', 'data: {path: own.csv, target: y}\n');
    write('circle.yaml', 'defaults: [circle]\n');
    write('wrong.yaml', 'training: {epochs: many}\n');
    write('training/optimizer/any.yaml', 'x: 1\n');
  });

  it('put files and choices together, the file itself last', async () => {
    const config = await load(`defaults: [base, {model: big}]\n${MINIMAL}training: {epochs: 6}\n`);
    expect(config.training).toMatchObject({ epochs: 6, seed: 3 });
    expect(config.split.seed).toBe(9);
    expect(config.model).toMatchObject({ hidden_units: [64, 64], activation: 'tanh' });
  });

  it('_self_ says where the file itself comes; optional files may be missing; null is no choice', async () => {
    const config = await load(
      `defaults: [_self_, base, {optional model: huge}, {training: null}]\n${MINIMAL}training: {epochs: 6}\n`,
    );
    expect(config.training.epochs).toBe(5);
  });

  it('are changed from the command line and by including files', async () => {
    const text = `defaults: [{model: big}]\n${MINIMAL}`;
    expect((await load(text, { set: ['model=small'] })).model).toMatchObject({ hidden_units: [4] });
    expect((await load(text, { set: ['~model'] })).model).toMatchObject({ hidden_units: [32] });
    expect((await load(MINIMAL, { set: ['+model=small', 'model.dropout=0.1'] })).model).toMatchObject({
      hidden_units: [4],
      dropout: 0.1,
    });
    write('chooses.yaml', 'defaults: [{model: big}]\n');
    expect((await load(`defaults: [chooses, {override model: small}]\n${MINIMAL}`)).model).toMatchObject({ hidden_units: [4] });
  });

  it('resolve paths against the folder of the file they stand in', async () => {
    expect((await load('defaults: [sub/table]\n')).data.path).toBe(join(folder, 'sub', 'own.csv'));
  });

  it.each<[string, string, readonly string[], RegExp]>([
    [
      'a file that is not there',
      `defaults: [absent]\n${MINIMAL}`,
      [],
      /config\.yaml:1:12: there is no file .*absent\.yaml for "absent"/,
    ],
    [
      'a choice that is not there',
      `defaults: [{model: huge}]\n${MINIMAL}`,
      [],
      /there is no file .*model\/huge\.yaml for "huge"/,
    ],
    ['a circle', `defaults: [circle]\n${MINIMAL}`, [], /circle\.yaml includes itself/],
    ['no list', `defaults: base\n${MINIMAL}`, [], /config\.yaml:1:11: wrong defaults: expected a list.*got "base"/],
    ['a number', `defaults: [3]\n${MINIMAL}`, [], /config\.yaml:1:12: wrong defaults: .*got 3/],
    ['_self_ twice', `defaults: [_self_, _self_]\n${MINIMAL}`, [], /_self_ twice/],
    [
      'a package',
      `defaults: [{'model@x': small}]\n${MINIMAL}`,
      [],
      /packages in defaults lists \("model@x"\) are not built yet/,
    ],
    ['a group no list has', MINIMAL, ['model=small'], /--set model=small: no defaults list has the group "model".*\+model=/],
    ['an override of nothing', `defaults: [{override model: small}]\n${MINIMAL}`, [], /no defaults list has the group "model"/],
    [
      'a value of an included file',
      `defaults: [wrong]\n${MINIMAL}`,
      [],
      /wrong\.yaml:1:20: wrong training\.epochs: .*got "many"/,
    ],
  ])('%s is told with its place', async (_, text, set, expected) => {
    expect(await message(text, { set })).toMatch(expected);
  });

  it('model and targets may be files of their own', async () => {
    const layers = [{ type: 'dense', name: 'a', config: { units: 3 } }];
    write(
      'model-architecture.json',
      JSON.stringify({ format: 'tensorkiln-model', version: 1, type: 'sequential', name: 'm', config: { seed: 0, layers } }),
    );
    write('evaluation-metrics.yaml', 'targets: {accuracy: 0.9, log_loss: 0.3}\n');
    const config = await load(`${MINIMAL}model: model-architecture.json\ntargets: evaluation-metrics.yaml\n`);
    expect(config.model).toMatchObject({ architecture: 'layers', layers });
    expect(config.targets).toEqual({ accuracy: 0.9, log_loss: 0.3 });
    // An absolute path is a file, never a choice of a group.
    const set = [`targets=${join(folder, 'evaluation-metrics.yaml')}`];
    expect((await load(MINIMAL, { set })).targets).toEqual(config.targets);
    expect(await message(`${MINIMAL}targets: absent.yaml\n`)).toMatch(/config\.yaml:4:10: targets: cannot read .*absent\.yaml/);
    write('evaluation-metrics.yaml', 'accuracy: high\n');
    expect(await message(`${MINIMAL}targets: evaluation-metrics.yaml\n`)).toMatch(
      /evaluation-metrics\.yaml:1:11: wrong targets\.accuracy: expected a number, got "high"/,
    );
  });
});

describe('conflicts and features that are not built', () => {
  it.each<[string, RegExp]>([
    ['model: {architecture: layers}', /wrong model\.layers: expected a list of layers for architecture layers, got nothing/],
    [
      'model: {architecture: layers, layers: [{type: dense}], dropout: 0.1}',
      /:4:56: wrong model\.dropout: expected it only with architecture mlp or dnn or .*, got it with architecture layers/,
    ],
    ['model: {layers: [{type: dense}]}', /expected it only with architecture layers/],
    ['training: {momentum: 0.9}', /wrong training\.momentum: expected it only with optimizer sgd, got it with adam/],
    [
      'training: {overfit_batches: 1, fast_dev_run: true}',
      /expected only one of overfit_batches, limit_train_batches, fast_dev_run, got overfit_batches and fast_dev_run/,
    ],
    ['training: {scheduler: {type: cosin}}', /wrong training\.scheduler/],
    ['training: {scheduler: {type: step, evry: 3}}', /unknown key training\.scheduler\.evry: .*Did you mean "every"/],
    [
      'training: {early_stopping: {patience: 0}}',
      /wrong training\.early_stopping\.patience: expected a number of epochs >= 1, got 0/,
    ],
    ['model: {architecture: resnet}', /:4:23: wrong model\.architecture: expected one of mlp, dnn, .*, got "resnet"/],
    [
      'model: {architecture: cnn, units: 8}',
      /wrong model\.units: expected it only with architecture bilstm-classifier, got it with/,
    ],
    ['model: {architecture: lenet, pooling: first}', /wrong model\.pooling: expected average or max for lenet, got first/],
    [
      'training: {optimizer: {type: adamw, momentum: 0.9}}',
      /optimizer\.momentum: expected it only with sgd or rmsprop or muon, got/,
    ],
    [
      'training: {optimizer: {type: sgd, clip: {value: 1, norm: 1}}}',
      /wrong training\.optimizer\.clip: expected one of value, norm/,
    ],
    [
      'training: {optimizer: {type: adam, groups: [{parameters: [head], rule: adamw}]}}',
      /wrong training\.optimizer\.groups: expected rule only with muon, got it with adam/,
    ],
    ['training: {optimizer: {type: muon, groups: [{parameters: [head], rule: adam}]}}', /wrong training\.optimizer\.groups/],
    ['training: {focal_gamma: 1}', /wrong training\.focal_gamma: expected it only with loss focal, got it with auto/],
    ['split: {fold: {index: 0, of: 1}}', /wrong split\.fold\.of: expected an integer >= 2, got 1/],
    [
      'model: {pretrained: true}',
      /wrong model\.pretrained: expected false, the path of a safetensors or ONNX file, or a section .*, got true/,
    ],
  ])('%s', async (text, expected) => {
    expect(await message(`${MINIMAL}${text}\n`)).toMatch(expected);
  });
});
