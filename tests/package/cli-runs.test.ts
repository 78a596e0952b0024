import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readEvents } from '../support/event-file.js';
import { runCli, startCli, type CliResult } from '../support/cli.js';

const EXAMPLE = fileURLToPath(new URL('../../examples/penguins/training-config.yaml', import.meta.url));

let folder: string;
let trained: string;
const run = (...args: readonly string[]): Promise<CliResult> => runCli(args, { cwd: folder });
const readJson = (...path: readonly string[]): unknown => JSON.parse(readFileSync(join(...path), 'utf8'));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-runs-'));
  trained = join(folder, 'trained');
  const targets = join(folder, 'evaluation-metrics.yaml');
  writeFileSync(targets, 'targets: { accuracy: 0.5, log_loss: 0.0001 }\n');
  const { code, stdout } = await run(
    ...['train', EXAMPLE, '--set', 'training.epochs=3', '--set', `targets=${targets}`],
    ...['--set', 'logging.tensorboard=true', '--output', trained],
  );
  expect(stdout).toMatch(/Target accuracy 0\.5: met, 0\.\d{4}\nTarget log_loss 0\.0001: missed, 0\.\d{4}/);
  // Everything ran, and a target is missed.
  expect(code).toBe(3);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('tensorkiln train', () => {
  it('records targets, commit, versions, seeds, data, machine, and processor time and memory of each epoch', () => {
    expect(readJson(trained, 'metrics.json')).toMatchObject({
      targets: [
        { metric: 'accuracy', threshold: 0.5, is_met: true },
        { metric: 'log_loss', threshold: 0.0001, is_met: false },
      ],
    });
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
    expect(readJson(trained, 'run.json')).toMatchObject({
      format: 'tensorkiln.run',
      // The folder is no checkout and has no lock file.
      git: null,
      lock_file: null,
      seeds: { split: 1, training: 1 },
      device: 'cpu',
      data: { sha256: hash },
      versions: { node: process.versions.node },
      machine: { cores: expect.any(Number) as number },
    });
    const { epochs } = readJson(trained, 'training_history.json') as {
      epochs: { cpu_seconds: number; resident_bytes: number }[];
    };
    expect(epochs).toHaveLength(3);
    for (const epoch of epochs) {
      expect(epoch.cpu_seconds).toBeGreaterThan(0);
      expect(epoch.resident_bytes).toBeGreaterThan(1e7);
    }
  });

  it('writes steps, losses and metrics as TensorBoard events', () => {
    const events = readEvents(join(trained, 'tensorboard'));
    const series = (tag: string): number[][] =>
      events.filter((event) => event.tag === tag).map(({ step, scalar }) => [step, scalar as number]);
    const { epochs } = readJson(trained, 'training_history.json') as {
      epochs: { epoch: number; train_loss: number; validation_accuracy: number }[];
    };
    expect(series('epoch/loss/train')).toEqual(epochs.map(({ epoch, train_loss }) => [epoch, Math.fround(train_loss)]));
    expect(series('epoch/accuracy/validation')).toEqual(
      epochs.map(({ epoch, validation_accuracy }) => [epoch, Math.fround(validation_accuracy)]),
    );
    // 16 steps in each of three epochs.
    expect(series('step/loss').map(([step]) => step)).toEqual(Array.from({ length: 48 }, (_, index) => index + 1));
  });

  it('--repeat gives mean and deviation over other seeds', async () => {
    const output = join(folder, 'repeated');
    const { code, stdout } = await run('train', EXAMPLE, '--set', 'training.epochs=2', '--repeat', '2', '--output', output);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Held-out result of 2 runs, mean ± standard deviation\n {2}accuracy {2}\d+\.\d % ± \d+\.\d %/);
    const scores = [1, 2].map(
      (index) => (readJson(output, `repeat-${index}`, 'metrics.json') as { test: { accuracy: number } }).test.accuracy,
    ) as [number, number];
    const { test } = readJson(output, 'summary.json') as { test: { accuracy: { mean: number; deviation: number } } };
    expect(test.accuracy.mean).toBeCloseTo((scores[0] + scores[1]) / 2, 12);
    expect(test.accuracy.deviation).toBeCloseTo(Math.abs(scores[0] - scores[1]) / Math.SQRT2, 12);
    const seeds = [1, 2].map((index) => (readJson(output, `repeat-${index}`, 'run.json') as { seeds: unknown }).seeds);
    expect(seeds).toEqual([
      { split: 1, training: 1 },
      { split: 2, training: 2 },
    ]);
  });
});

describe('tensorkiln predict', () => {
  it('ends quietly when its reader goes away, as head does', async () => {
    const rows = join(folder, 'many.jsonl');
    const row = { island: 'Biscoe', bill_length_mm: 46.1, bill_depth_mm: 13.2, flipper_length_mm: 211 };
    const line = `${JSON.stringify({ ...row, body_mass_g: 4500, sex: 'female', year: 2007 })}\n`;
    // Some parts: what is left when the reader goes fits into no pipe.
    writeFileSync(rows, line.repeat(40_000));
    const started = startCli(['predict', trained, rows], { cwd: folder });
    await started.waitFor('Gentoo');
    started.process.stdout?.destroy();
    expect(await started.ended).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('tensorkiln reproduce', () => {
  it('repeats a run bit for bit', async () => {
    const again = join(folder, 'again');
    const { code, stdout } = await run('reproduce', trained, '--output', again);
    expect(stdout).toContain('Reproduced: weights, losses and metrics are equal bit for bit.');
    expect(code).toBe(0);
    expect(readFileSync(join(again, 'export', 'model.safetensors'))).toEqual(
      readFileSync(join(trained, 'export', 'model.safetensors')),
    );
  });

  it('tells what differs, and what was different about the circumstances', async () => {
    const metrics = join(trained, 'metrics.json');
    const before = readFileSync(metrics, 'utf8');
    const record = readFileSync(join(trained, 'run.json'), 'utf8');
    writeFileSync(metrics, before.replace(/"best_epoch": \d+/, '"best_epoch": 77'));
    writeFileSync(join(trained, 'run.json'), record.replace(process.versions.node, '1.2.3'));
    const { code, stdout } = await run('reproduce', trained, '--output', join(folder, 'differs'));
    expect(code).toBe(3);
    expect(stdout).toMatch(/Not reproduced: 1 results differ\.\n {2}metrics\.best_epoch: was 77, is now \d/);
    expect(stdout).toContain(`versions.node: was "1.2.3", is now "${process.versions.node}"`);
    writeFileSync(metrics, before);
    writeFileSync(join(trained, 'run.json'), record);
  });
});

describe('tensorkiln render', () => {
  it('prints what a run would use, every auto decided with its reason, and writes nothing', async () => {
    const { code, stdout } = await run(
      'render',
      EXAMPLE,
      '--set',
      'training.batch_size=auto',
      '--set',
      'training.learning_rate=auto',
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/batch_size: 16 # because it is the power of two next to the square root of 241 training rows/);
    expect(stdout).toMatch(/learning_rate: 0\.001 # because it is the usual start for adamw/);
    expect(stdout).toMatch(/num_classes: 3 # because "species" has 3 classes/);
    expect(stdout).toMatch(/year: numeric # because /);
    expect(stdout).not.toMatch(/: auto\b/);
    expect(parse(stdout)).toMatchObject({ training: { batch_size: 16, epochs: 200 }, device: 'cpu' });
  });

  it('gives decisions to programs', async () => {
    const { stdout } = await run('render', EXAMPLE, '--json');
    const { config, decisions } = JSON.parse(stdout) as { config: object; decisions: { key: string }[] };
    expect(config).toMatchObject({ model: { num_classes: 3 } });
    expect(decisions.map(({ key }) => key)).toContain('model.num_classes');
  });
});
