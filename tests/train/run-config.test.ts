import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Dense, Sequential } from '../../ts/nn/index.js';
import { loadConfig } from '../../ts/run/config/load.js';
import type { TrainingConfig } from '../../ts/run/config/schema.js';
import { evaluateRun } from '../../ts/run/evaluate-run.js';
import { exportRunAs } from '../../ts/run/export-formats.js';
import { evaluate, exportModel } from '../../ts/run/judge-model.js';
import { loadPredictor } from '../../ts/run/load-predictor.js';
import { predictFile, type PredictFileOptions } from '../../ts/run/predict-file.js';
import type { RunEvent, RunResult } from '../../ts/run/run-events.js';
import { reproduceRun } from '../../ts/run/reproduce.js';
import { runTraining } from '../../ts/run/run-training.js';
import { selectDevice } from '../../ts/run/select-device.js';
import { crossValidate, repeatTraining } from '../../ts/run/series.js';

/** What the library's trainer can do, asked for by a configuration. */

let folder: string;
let table: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-config-runs-'));
  table = join(folder, 'table.csv');
  const rows = Array.from({ length: 60 }, (_, row) => {
    const [a, b] = [(row * 7) % 11, (row * 5) % 13];
    return `${a}.5,${b}.5,${a * 2 > b ? 'yes' : 'no'}`;
  });
  writeFileSync(table, ['a,b,y', ...rows, ''].join('\n'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let counter = 0;
interface Ended {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
  readonly weights: Buffer;
}

/** Trains; with `abortAfter` the run is ended after so many steps and then resumed. */
async function train(training: string, more: { readonly abortAfter?: number; readonly rest?: string } = {}): Promise<Ended> {
  const { abortAfter, rest = 'model: {hidden_units: [6], dropout: 0.2}\n' } = more;
  const file = join(folder, `config-${++counter}.yaml`);
  writeFileSync(
    file,
    `data: {path: ${table}, target: y}\n${rest}logging: {checkpoint_every: 2}\n` +
      `training: {epochs: 4, batch_size: 8, early_stopping: {patience: 100}, ${training}}\n`,
  );
  const config = await loadConfig(file, { output: join(folder, `run-${counter}`) });
  const events: RunEvent[] = [];
  const controller = new AbortController();
  let steps = 0;
  let result = await runTraining(config, {
    signal: controller.signal,
    onEvent: (event) => {
      events.push(event);
      if (event.type === 'step' && ++steps === abortAfter) controller.abort();
    },
  });
  if (abortAfter !== undefined) {
    expect(result.stopReason).toBe('aborted');
    result = await runTraining(config, { resume: true });
  }
  return { result, events, weights: readFileSync(result.files.weights) };
}

const ratesOf = ({ events }: Ended): number[] =>
  events.flatMap((event) => (event.type === 'epoch' ? [event.record.learningRate] : []));

describe('library calls', () => {
  it('refuse what is no configuration, path, format or number, where they would do nothing or fail without a word', async () => {
    const file = join(folder, 'plain.yaml');
    writeFileSync(file, `data: {path: ${table}, target: y}\ntraining: {epochs: 1}\nlogging: {checkpoint_every: false}\n`);
    const config = await loadConfig(file, { output: join(folder, 'plain') });
    const unchecked = { data: { path: table, target: 'y' } } as unknown as TrainingConfig;
    const none = undefined as unknown as string;
    const model = (): Sequential => new Sequential({ layers: [new Dense({ units: 1 })] });
    const wrong: readonly (readonly [() => Promise<unknown>, string, RegExp])[] = [
      [() => runTraining(unchecked), 'E_USAGE', /\[runTraining\] no checked configuration: expected what .*loadConfig/],
      [() => crossValidate(unchecked, 3), 'E_USAGE', /\[crossValidate\] no checked configuration/],
      [() => repeatTraining(config, 0), 'E_CONFIG', /\[repeatTraining\] wrong times: expected an integer >= 1, got 0/],
      [() => crossValidate(config, 'x' as unknown as number), 'E_CONFIG', /wrong folds: expected an integer >= 2, got 'x'/],
      [() => crossValidate(config, 2, { times: 0.5 }), 'E_CONFIG', /\[crossValidate\] wrong times/],
      [() => loadConfig(none), 'E_CONFIG', /\[loadConfig\] wrong file: expected a text that is not empty, got undefined/],
      [() => loadConfig(file, { set: 'a=1' as unknown as string[] }), 'E_CONFIG', /wrong set: expected a list of key=value/],
      [() => loadConfig(file, { sett: ['a=1'] } as never), 'E_CONFIG', /\[loadConfig\] unknown option 'sett'/],
      [() => evaluateRun(folder, { dato: table } as never), 'E_CONFIG', /\[evaluateRun\] unknown option 'dato'/],
      [() => reproduceRun(none), 'E_CONFIG', /\[reproduceRun\] wrong folder/],
      [
        () => predictFile(folder, table, { output: 'o', keep: 'x' } as never),
        'E_CONFIG',
        /wrong keep: expected a list of column/,
      ],
      [() => predictFile(folder, table, { output: 'o', outputFormat: 'xml' } as never), 'E_CONFIG', /wrong outputFormat/],
      [() => exportModel(none as never, { format: 'onnx', path: 'm' }), 'E_CONFIG', /wrong model: expected a model/],
      [() => exportModel(model(), { format: 'onnx' } as never), 'E_CONFIG', /\[exportModel\] wrong path/],
      [() => exportModel(model(), none as never), 'E_CONFIG', /\[exportModel\] wrong options/],
      [() => evaluate(model(), none as never), 'E_CONFIG', /\[evaluate data\] wrong options/],
      [() => evaluate(model(), {} as never, { batchsize: 1 } as never), 'E_CONFIG', /unknown option 'batchsize'/],
      [() => loadPredictor(none), 'E_CONFIG', /\[loadPredictor\] wrong run/],
      [() => evaluateRun(none), 'E_CONFIG', /\[evaluateRun\] wrong run/],
      [() => loadPredictor(folder, { devise: 'cpu' } as never), 'E_CONFIG', /\[loadPredictor\] unknown option 'devise'/],
      [
        () => predictFile(folder, table, undefined as unknown as PredictFileOptions),
        'E_CONFIG',
        /\[predictFile\] wrong options: expected an object, got undefined/,
      ],
      [() => selectDevice('gpu'), 'E_CONFIG', /^\[device\] expected auto, cpu, cuda or cuda:<number>, got 'gpu'/],
      [() => predictFile(folder, table, {} as PredictFileOptions), 'E_CONFIG', /\[predictFile\] wrong output/],
      [
        () => exportRunAs(folder, { format: 'onxx' as 'onnx' }),
        'E_CONFIG',
        /\[exportRunAs\] wrong format: expected one of onnx,/,
      ],
    ];
    for (const [call, code, message] of wrong)
      await expect(call(), String(message)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('tell a run that begins in a folder at the same moment that it is taken', async () => {
    const { result } = await train('seed: 2');
    const config = await loadConfig(result.files.config, { output: join(folder, 'at-once') });
    const ended = await Promise.allSettled([runTraining(config), runTraining(config), runTraining(config)]);
    const refused = ended.filter((run) => run.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused).toHaveLength(2);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'E_USAGE' });
  });
});

describe('a folder that holds a finished run', () => {
  it('keeps nothing of it beside the configuration of another one, but the looks at its test rows', async () => {
    const { result } = await train('seed: 1');
    const { files } = result;
    const stale = [
      join(files.folder, 'export', 'pipeline.onnx'),
      join(files.tfjs, 'model.json'),
      join(files.tensorboard, 'events.out.tfevents.1.host.2.0'),
      join(files.checkpoints, 'best.safetensors'),
    ];
    const looks = join(files.evaluations, 'looks.json');
    const evaluation = join(files.evaluations, 'test-look-2', 'metrics.json');
    for (const path of [...stale, looks, evaluation]) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, 'earlier');
    }
    const file = join(folder, 'again.yaml');
    writeFileSync(
      file,
      `data: {path: ${table}, target: y}\nmodel: {hidden_units: [3]}\ntraining: {epochs: 2, batch_size: 8}\n` +
        'logging: {checkpoint_every: false, tensorboard: true}\n',
    );
    const config = await loadConfig(file, { output: files.folder });
    const failing = runTraining(config, {
      onEvent: ({ type }) => {
        if (type === 'step') throw new Error('the power goes');
      },
    });
    await expect(failing).rejects.toThrow('the power goes');
    const left = [files.metrics, files.report, files.markdown, files.history, files.model, files.weights, ...stale, evaluation];
    expect(left.filter((path) => existsSync(path))).toEqual([]);
    expect(readdirSync(files.tensorboard)).toHaveLength(1);
    expect(readFileSync(files.config, 'utf8')).toMatch(/hidden_units:\s+- 3\n/);
    expect(readFileSync(looks, 'utf8')).toBe('earlier');
  });
});

describe('a folder of something else', () => {
  it('keeps what no run wrote, also beside the files of an earlier run', async () => {
    const output = join(folder, 'project');
    const own = [join(output, 'evaluations', 'survey.csv'), join(output, 'export', 'tfjs', 'notes.txt')];
    const notes = join(output, 'evaluations', 'notes.md');
    for (const path of [...own, notes]) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, 'mine');
    }
    const file = join(folder, 'project.yaml');
    writeFileSync(file, `data: {path: ${table}, target: y}\ntraining: {epochs: 1}\nlogging: {checkpoint_every: false}\n`);
    const config = await loadConfig(file, { output });
    await expect(
      runTraining(config, {
        onEvent: ({ type }) => {
          if (type === 'step') throw new Error('the power goes');
        },
      }),
    ).rejects.toThrow('the power goes');
    for (const path of [...own, notes]) expect(existsSync(path), path).toBe(true);
    const ended = await runTraining(config);
    await evaluateRun(ended.files.folder);
    await runTraining(config);
    expect(readFileSync(notes, 'utf8')).toBe('mine');
    expect(existsSync(join(ended.files.evaluations, 'test-look-2'))).toBe(false);
  });
});

describe('a run that is interrupted in the middle of an epoch and resumed ends with the same bits', () => {
  it.each([
    'scheduler: {type: multi_step, at: [1, 3], factor: 0.5}, optimizer: {type: adamw, average: {kind: exponential, decay: 0.9, ramp: true}, clip: {value: 0.1}}',
    'scheduler: {type: chained, schedulers: [{type: linear}, {type: cosine_restarts, first: 2}]}, optimizer: {type: sgd, average: {kind: equal, from: 4}, lookahead: {every: 3}, clip: {norm: 0.5}}',
    'scheduler: {type: sequential, schedulers: [{type: cyclic, steps_up: 3}, {type: polynomial}], at: [9], unit: steps}, optimizer: {type: nadam, decoupled: true, groups: [{parameters: [/bias$/], rate_factor: 0.1, weight_decay: 0}]}',
    'scheduler: {type: one_cycle}, optimizer: {type: adagrad, initial_sum: 0.1, clip: {global_norm: 1}}, label_smoothing: 0.1, shuffle: false, non_finite: {skip: 1}, divergence: {factor: 5}',
    'scheduler: {type: inverse_sqrt, warmup_steps: 5}, optimizer: {type: muon, adjust: match_adam, groups: [{parameters: [/dense.*kernel/], rule: adamw, rate_factor: 0.5, weight_decay: 0.1}]}, precision: f16, debug: true, compile: false',
    'scheduler: {type: reduce_on_plateau, patience: 1}, precision: bf16, micro_batch: 3',
  ])('%s', async (training) => {
    const whole = await train(training);
    const resumed = await train(training, { abortAfter: 10 });
    expect(resumed.weights).toEqual(whole.weights);
  });
});

describe('a run that was forced to train on data that failed its validation', () => {
  const leaking = async (): Promise<TrainingConfig> => {
    const path = join(folder, 'leaking.csv');
    const rows = Array.from({ length: 60 }, (_, row) => `${(row * 7) % 11}.5,${row % 2},${row % 2 === 0 ? 'yes' : 'no'}`);
    writeFileSync(path, ['a,answer,y', ...rows, ''].join('\n'));
    const file = join(folder, `config-${++counter}.yaml`);
    writeFileSync(file, `data: {path: ${path}, target: y}\ntraining: {epochs: 3, batch_size: 8, early_stopping: false}\n`);
    return loadConfig(file, { output: join(folder, `run-${counter}`) });
  };

  it('says so in its record, metrics, verdict and reports, and is resumed and reproduced without being forced again', async () => {
    await expect(runTraining(await leaking())).rejects.toThrow(/failed its validation/);
    const config = await leaking();
    const controller = new AbortController();
    const aborted = await runTraining(config, {
      force: true,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step') controller.abort();
      },
    });
    expect(aborted.stopReason).toBe('aborted');
    const { files, stopReason } = await runTraining(config, { resume: true });
    expect(stopReason).toBe('epochs');
    expect(JSON.parse(readFileSync(files.record, 'utf8'))).toMatchObject({ forced: true });
    expect(JSON.parse(readFileSync(files.metrics, 'utf8'))).toMatchObject({ data: { forced: true } });
    const told = /Trained with --force although the data failed its validation: Column (&quot;|&#34;|")answer/;
    for (const report of [files.report, files.markdown]) expect(readFileSync(report, 'utf8')).toMatch(told);
    const { isEqual } = await reproduceRun(files.folder, { output: join(folder, `run-${counter}-again`) });
    expect(isEqual).toBe(true);
  });
});

describe('what a configuration asks for reaches the trainer', () => {
  it('a schedule', async () => {
    const rates = ratesOf(await train('learning_rate: 0.01, scheduler: {type: multi_step, at: [1, 3], factor: 0.5}'));
    expect(rates).toEqual([0.01, 0.005, 0.005, 0.0025].map((rate) => expect.closeTo(rate, 8) as number));
  });

  it('divergence, with a rate that makes the loss grow', async () => {
    const { result } = await train(
      'learning_rate: 0.1, scheduler: {type: linear, from: 1, to: 500}, optimizer: {type: sgd, clip: {global_norm: 1}}, divergence: {factor: 1.01}',
    );
    expect(result.stopReason).toBe('diverged');
  });

  it('debug tells norms of gradients, and the data is looked at', async () => {
    const { events } = await train('debug: true');
    expect(events.filter(({ type }) => type === 'gradients')).toHaveLength(4);
  });
});

describe('model.pretrained', () => {
  it('begins with the weights of another run, leaves a last layer of another size anew, freezes and thaws', async () => {
    const first = await train('seed: 1');
    const { events, result } = await train('seed: 2, unfreeze: [{epoch: 3, layers: [dense]}]', {
      rest: `model: {hidden_units: [6], pretrained: ${first.result.files.weights}, freeze: [dense]}\n`,
    });
    const told = events.find(({ type }) => type === 'pretrained');
    expect(told).toMatchObject({ loaded: expect.arrayContaining(['dense/kernel', 'dense/bias']) as unknown, missing: [] });
    expect(events.find(({ type }) => type === 'unfrozen')).toMatchObject({ epoch: 3 });
    const record = JSON.parse(readFileSync(result.files.record, 'utf8')) as { data: { others: Record<string, unknown> } };
    expect(record.data.others['pretrained']).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown });
  });

  it('refuses a file that fits in nothing, with strict any that does not fit whole, and one that is not there', async () => {
    const { result } = await train('seed: 1');
    const other = (pretrained: string): Promise<Ended> =>
      train('seed: 2', { rest: `model: {hidden_units: [5], pretrained: ${pretrained}}\n` });
    await expect(other(`{path: ${result.files.weights}, strict: true}`)).rejects.toMatchObject({ code: 'E_DATA' });
    await expect(other('nowhere.safetensors')).rejects.toMatchObject({ code: 'E_IO' });
    await expect(other(`{path: ${result.files.weights}, rename: [{from: '^', to: 'other/'}]}`)).rejects.toMatchObject({
      code: 'E_DATA',
    });
  });
});
