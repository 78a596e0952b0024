import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { omitKeys } from '../../ts/arguments.js';
import { ROOT } from '../support/files.js';
import { runCli } from '../support/cli.js';

// The package imports itself by name, as an installed one is imported.
const example = (name: string): string => join(ROOT, 'examples', name);

describe('examples/tfjs-script', () => {
  it('runs unchanged on our backend and learns', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tensorkiln', example('tfjs-script/script.mjs')],
      { cwd: ROOT, encoding: 'utf8', env: { ...process.env, TENSORKILN_DEVICE: '' } },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^backend tensorkiln-cpu\ny = 2\.0\d x\^2 \+ -1\.0\d x \+ 0\.(49|50|51), loss \d\.\de-[456]\n$/);
  });
});

describe('examples/shakespeare', () => {
  const run = (script: string, args: readonly string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [example(`shakespeare/${script}`), ...args], { cwd: ROOT, encoding: 'utf8' });

  it('trains, judges, saves and samples', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tensorkiln-shakespeare-'));
    try {
      const data = join(folder, 'input.txt');
      // Lines of one pattern: what follows is soon known better than by guessing among 8 characters, which costs ln 8 = 2.08.
      writeFileSync(data, 'abcdefg\n'.repeat(400));
      const json = join(folder, 'result.json');
      const trained = run('train.mjs', ['--data', data, '--steps', '120', '--output', folder, '--json', json]);
      expect({ status: trained.status, stderr: trained.stderr }).toEqual({ status: 0, stderr: '' });
      const result = JSON.parse(readFileSync(json, 'utf8')) as { validation_loss: number };
      expect(result.validation_loss).toBeLessThan(1);
      const sampled = run('sample.mjs', [folder, '--start', 'ab', '--count', '14']);
      expect(sampled.status).toBe(0);
      expect(sampled.stdout).toMatch(/^ab[a-g\n]{14}\n$/);
      expect(run('sample.mjs', [folder, '--start', 'z']).stderr).toContain('the model does not know "z"');
      expect(run('train.mjs', ['--data', join(folder, 'none.txt')]).stderr).toContain('download https://');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('examples/embed', () => {
  let folder: string;
  let server: ChildProcess | undefined;
  let url: string;
  const ROW = {
    island: 'Biscoe',
    bill_length_mm: 46.1,
    bill_depth_mm: 13.2,
    flipper_length_mm: 211,
    body_mass_g: 4500,
    sex: 'female',
    year: 2007,
  };
  const post = async (body: string): Promise<{ status: number; content: unknown }> => {
    const response = await fetch(`${url}/predict`, { method: 'POST', body });
    return { status: response.status, content: await response.json() };
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tensorkiln-embed-'));
    const run = join(folder, 'penguins');
    const config = example('penguins/training-config.yaml');
    expect((await runCli(['train', config, '--output', run, '--set', 'training.epochs=20'], { cwd: folder })).code).toBe(0);
    const child = spawn(process.execPath, [example('embed/server.mjs'), run, '0'], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    server = child;
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const match = /listening on (\d+)/.exec(text);
        if (match?.[1] !== undefined) resolve(match[1]);
      });
      child.once('close', (code) => reject(new Error(`the server ended with ${String(code)}`)));
    });
    url = `http://127.0.0.1:${port}`;
  });
  afterAll(async () => {
    if (server !== undefined) {
      const ended = new Promise((resolve) => server?.once('close', resolve));
      server.kill('SIGTERM');
      expect(await ended).toBe(0);
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('predicts rows in any order of columns, many requests at once', async () => {
    const reordered = Object.fromEntries(Object.entries(ROW).reverse());
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post(JSON.stringify([ROW, { ...reordered, extra: 'x' }, { ...ROW, sex: null }]))),
    );
    for (const { status, content } of answers) {
      expect(status).toBe(200);
      const { classes, predictions } = content as {
        classes: string[];
        predictions: { label: string; probabilities: number[] }[];
      };
      expect(classes).toEqual(['Adelie', 'Chinstrap', 'Gentoo']);
      expect(predictions).toHaveLength(3);
      expect(predictions[0]?.label).toBe('Gentoo');
      expect(predictions[1]).toEqual(predictions[0]);
      expect(predictions[0]?.probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 6);
    }
    expect(answers[7]).toEqual(answers[0]);
  });

  it('tells what is wrong with a request, without repeating its cells', async () => {
    const short = omitKeys(ROW, 'year');
    expect(await post(JSON.stringify([short]))).toMatchObject({
      status: 400,
      content: { error: expect.stringMatching(/row 0 has no column "year"/) as string },
    });
    const typed = await post(JSON.stringify([{ ...ROW, year: 'secret' }]));
    expect(typed).toMatchObject({
      status: 400,
      content: { error: expect.stringMatching(/column "year" of row 0 .* expected a finite number/) as string },
    });
    expect(JSON.stringify(typed)).not.toContain('secret');
    expect(await post('not json')).toMatchObject({ status: 400 });
    expect((await fetch(`${url}/other`)).status).toBe(404);
  });
});
