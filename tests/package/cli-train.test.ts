import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runCli, startCli, type CliResult } from '../support/cli.js';

const EXAMPLE = fileURLToPath(new URL('../../examples/penguins/training-config.yaml', import.meta.url));
const PENGUINS = fileURLToPath(new URL('../../examples/penguins/penguins.csv', import.meta.url));
const RUN_FILES = [
  'checkpoints',
  'config.resolved.yaml',
  'export',
  'log.jsonl',
  'metrics.json',
  'model-architecture.json',
  'report.html',
  'report.md',
  'run.json',
  'training_curves.svg',
  'training_history.json',
];

let folder: string;
let counter = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-cli-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const train = (...args: readonly string[]): Promise<CliResult> => runCli(['train', ...args], { cwd: folder });

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const newFolder = (): string => join(folder, `run-${++counter}`);

interface Metrics {
  readonly test: { readonly accuracy: number; readonly log_loss: number; readonly rows: number };
  readonly baselines: Readonly<Record<'majority' | 'logistic', { readonly accuracy: number }>>;
  readonly onnx_verification: { readonly verified: boolean };
}

interface History {
  readonly epochs: readonly { readonly epoch: number; readonly train_loss: number; readonly validation_loss: number }[];
  readonly best_epoch: number;
  readonly stop_reason: string;
}

const readJson = (...path: readonly string[]): unknown => JSON.parse(readFileSync(join(...path), 'utf8'));
const readMetrics = (output: string): Metrics => readJson(output, 'metrics.json') as Metrics;
const readHistory = (output: string): History => readJson(output, 'training_history.json') as History;

/** A run that would take minutes, for tests that interrupt it. */
const ENDLESS = ['--set', 'training.epochs=1000000', '--set', 'training.early_stopping.patience=1000000'];

describe('tensorkiln train', () => {
  it('goes from the penguins to a judged, exported model and a report', async () => {
    const output = newFolder();
    const { code, stdout, stderr } = await train(EXAMPLE, '--output', output);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readdirSync(output).sort()).toEqual(RUN_FILES);
    expect(readdirSync(join(output, 'export')).sort()).toEqual(['model.onnx', 'model.safetensors', 'preprocessing.json']);
    const metrics = readMetrics(output);
    expect(metrics.test.rows).toBe(51);
    // 44 % of the penguins are Adelie.
    expect(metrics.baselines.majority.accuracy).toBeCloseTo(23 / 51, 12);
    expect(metrics.test.accuracy).toBeGreaterThan(0.94);
    expect(metrics.onnx_verification.verified).toBe(true);
    expect(readHistory(output).epochs.length).toBeGreaterThan(10);
    expect(readFileSync(join(output, 'report.html'), 'utf8')).toContain('</html>');
    expect(stdout).toMatch(/this model +\d+\.\d %[^]*logistic regression +\d+\.\d %[^]*majority class +45\.1 %/);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`Open: run-${counter}/report.html`);
    // Quiet when piped: no redrawing, a handful of epochs.
    expect(stdout).not.toContain('\r');
    expect(stdout.match(/^epoch /gm)?.length).toBeLessThanOrEqual(10);
    const log = readFileSync(join(output, 'log.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string });
    expect(log.map((line) => line.event).filter((event) => event !== 'epoch')).toEqual([
      'run_start',
      'data_read',
      'data_columns',
      'data_verdict',
      'data_ready',
      'resolved',
      'start',
      'checkpoint',
      'end',
      'evaluated',
      'run_end',
    ]);
  });

  it('repeats itself from the resolved configuration', async () => {
    const [first, second] = [newFolder(), newFolder()];
    await train(EXAMPLE, '--output', first, '--set', 'training.epochs=5');
    const resolved = parse(readFileSync(join(first, 'config.resolved.yaml'), 'utf8')) as {
      data: { path: string };
      features: object;
      training: object;
    };
    expect(resolved.data.path).toBe(PENGUINS);
    expect(resolved.features).toMatchObject({ island: 'categorical', year: 'numeric' });
    expect(resolved.training).toMatchObject({ epochs: 5, batch_size: 16 });
    expect((await train(join(first, 'config.resolved.yaml'), '--output', second)).code).toBe(0);
    expect(readMetrics(second)).toEqual(readMetrics(first));
    const losses = (output: string): unknown =>
      readHistory(output).epochs.map((epoch) => [epoch.train_loss, epoch.validation_loss]);
    expect(losses(second)).toEqual(losses(first));
  });

  it('prints nothing but JSON with --json', async () => {
    const output = newFolder();
    const { code, stdout } = await train(EXAMPLE, '--output', output, '--json', '--set', 'training.epochs=3');
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; result?: { test: { accuracy: number } } });
    expect(events.map((event) => event.type)).toEqual([
      'run_start',
      'data_read',
      'data_columns',
      'data_verdict',
      'data_ready',
      'resolved',
      'start',
      'epoch',
      'epoch',
      'epoch',
      'checkpoint',
      'end',
      'evaluated',
      'run_end',
    ]);
    expect(events.at(-1)?.result?.test.accuracy).toBe(readMetrics(output).test.accuracy);
  });

  it('takes another data file, and puts results under runs/ unless told where', async () => {
    const data = write(
      'other.csv',
      `kind,size\n${Array.from({ length: 60 }, (_, row) => `${row % 2 === 0 ? 'a' : 'b'},${row % 2 === 0 ? row : 200 - row}.5`).join('\n')}\n`,
    );
    const config = write('small.yaml', 'data: {path: nowhere.csv, target: kind}\ntraining: {epochs: 2}\n');
    const { code, stdout } = await train(config, '--data', data);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Open: runs\/small-\d{8}-\d{6}\/report\.html$/m);
  });
});

describe('usage and configuration errors end with code 2 before any work', () => {
  const DATA = `data: {path: ${PENGUINS}, target: species}\n`;

  it.each<[string, () => readonly string[], RegExp]>([
    ['an unknown command', () => ['trian'], /unknown command 'trian'[^]*train/],
    ['an unknown option', () => ['train', EXAMPLE, '--epochs', '3'], /unknown option '--epochs'/],
    ['no configuration', () => ['train'], /missing required argument 'config'/],
    [
      'a missing configuration',
      () => ['train', 'absent.yaml'],
      /^error E_CONFIG: \[config\] cannot read absent\.yaml: there is no such file/,
    ],
    [
      'a YAML syntax error',
      () => ['train', write('a.yaml', 'data: [\n  path: x\n')],
      /^error E_CONFIG: .*a\.yaml:\d+:\d+: YAML syntax error/,
    ],
    [
      'an unknown key',
      () => ['train', write('b.yaml', `${DATA}trainig: {}\n`)],
      /b\.yaml:2:1: unknown key trainig: .*Did you mean "training"\?/,
    ],
    [
      'a wrong type',
      () => ['train', write('c.yaml', `${DATA}training: {epochs: ten}\n`)],
      /c\.yaml:2:20: wrong training\.epochs: expected an integer >= 1, got "ten"/,
    ],
    [
      'batch 0',
      () => ['train', EXAMPLE, '--set', 'training.batch_size=0'],
      /--set training\.batch_size=0: wrong training\.batch_size: .*got 0/,
    ],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await runCli(args(), { cwd: folder });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('failures end with code 1 and one readable block', () => {
  const table = (name: string, text: string): readonly string[] => ['--data', write(name, text), '--set', 'data.target=y'];

  it.each<[string, () => readonly string[], RegExp]>([
    [
      'a missing file',
      () => ['--data', 'absent.csv'],
      /^error E_IO: \[read\] cannot read .*absent\.csv: there is no such file/,
    ],
    ['an empty file', () => table('empty.csv', ''), /^error E_DATA: .*empty\.csv: the file is empty/],
    ['a header alone', () => table('header.csv', 'x,y\n'), /^error E_DATA: .*header line but no rows/],
    [
      'ragged rows',
      () => table('ragged.csv', 'x,y\n1,a\nsecret\n2,b\n'),
      /^error E_DATA: .*ragged\.csv: 1 row is malformed \(line 3\): expected 2 fields/,
    ],
    [
      'an absent column',
      () => ['--set', 'data.target=specie'],
      /^error E_DATA: \[data\.target\] no column "specie": .*Did you mean "species"\?/,
    ],
    ['a target of one class', () => table('one.csv', 'x,y\n1,a\n2,a\n3,a\n'), /^error E_DATA: .*"y" has one class only/],
    ['a device that is not there', () => ['--set', 'device=cuda'], /^error E_DEVICE: \[cuda:0\] /],
    [
      'an output folder inside a file',
      () => ['--output', join(write('occupied', ''), 'run')],
      /^error E_IO: \[output\] cannot write to .*occupied.*--output/,
    ],
    [
      'an output folder nobody may write',
      () => ['--output', '/proc/tensorkiln'],
      /^error E_IO: \[output\] cannot write to \/proc\/tensorkiln/,
    ],
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await train(EXAMPLE, '--output', newFolder(), ...args());
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(stderr).not.toMatch(/^\s+at |secret/m);
  });

  it('shows stacks when asked', async () => {
    const { code, stderr } = await train(EXAMPLE, '--data', 'absent.csv', '--output', newFolder(), '--verbose');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\s+at /m);
    expect(stderr).toContain('ENOENT');
  });

  it('tells a program with --json', async () => {
    const { code, stdout } = await train(EXAMPLE, '--data', 'absent.csv', '--output', newFolder(), '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ type: 'error', code: 'E_IO' });
  });
});

describe('interruptions', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s finishes the step, judges and saves the best weights so far', async (signal, exitCode) => {
    const output = newFolder();
    const cli = startCli(['train', EXAMPLE, '--output', output, ...ENDLESS, '--json'], { cwd: folder });
    await cli.waitFor('"epoch":3,');
    cli.process.kill(signal);
    const { code, stdout } = await cli.ended;
    expect(code).toBe(exitCode);
    expect(stdout).toContain(`${signal}: finishing the step`);
    expect(readdirSync(output).sort()).toEqual(RUN_FILES);
    const history = readHistory(output);
    expect(history.stop_reason).toBe('aborted');
    expect(history.epochs.length).toBeGreaterThanOrEqual(3);
    const best = history.epochs.reduce((a, b) => (b.validation_loss < a.validation_loss ? b : a));
    expect(history.best_epoch).toBe(best.epoch);
    expect(readMetrics(output).onnx_verification.verified).toBe(true);
  });

  it('a second signal ends at once', async () => {
    const cli = startCli(['train', EXAMPLE, '--output', newFolder(), ...ENDLESS, '--json'], { cwd: folder });
    await cli.waitFor('"epoch":2,');
    cli.process.kill('SIGINT');
    await cli.waitFor('finishing the step');
    cli.process.kill('SIGINT');
    expect((await cli.ended).code).toBe(130);
  });

  it('a reader that goes away does not cost the run', async () => {
    const output = newFolder();
    const cli = startCli(['train', EXAMPLE, '--output', output, '--json'], { cwd: folder });
    await cli.waitFor('data_ready');
    cli.process.stdout?.destroy();
    const { code, stderr } = await cli.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(existsSync(join(output, 'metrics.json'))).toBe(true);
  });

  it('leaves the results of an earlier run alone when it fails', async () => {
    const output = newFolder();
    mkdirSync(output);
    writeFileSync(join(output, 'metrics.json'), 'earlier');
    expect((await train(EXAMPLE, '--output', output, '--data', 'absent.csv')).code).toBe(1);
    expect(readFileSync(join(output, 'metrics.json'), 'utf8')).toBe('earlier');
    expect(readdirSync(output).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
