import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/files.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-library-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a module beside the package, where it is found by its own name; what it prints are the last line's results. */
function runModule(name: string, source: string): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, TENSORKILN_DEVICE: '', OUTPUT: join(folder, name) },
  });
}

describe('the library', () => {
  it('has every call that is written for it, and every name that a page imports from it', async () => {
    const library = (await import(pathToFileURL(join(ROOT, 'dist', 'library.js')).href)) as object;
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { default: string }>;
    };
    const missing: string[] = [];
    const check = async (entry: string, names: readonly string[], place: string): Promise<void> => {
      const target = exports[entry === 'tensorkiln' ? '.' : entry.replace('tensorkiln', '.')];
      if (typeof target !== 'object') return void missing.push(`${place}: ${entry}`);
      const found = (await import(pathToFileURL(join(ROOT, target.default)).href)) as object;
      missing.push(...names.filter((name) => !(name in found)).map((name) => `${place}: ${name} of ${entry}`));
    };
    await check('tensorkiln', Object.keys(library), 'ts/library.ts');
    const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => join('docs', name))];
    let imports = 0;
    for (const page of pages.filter((name) => name.endsWith('.md'))) {
      const text = readFileSync(join(ROOT, page), 'utf8');
      for (const [, names = '', entry = ''] of text.matchAll(/import \{([^}]*)\} from '(tensorkiln[^']*)'/g)) {
        const wanted = names.split(',').map((name) => name.trim());
        await check(
          entry,
          wanted.filter((name) => name !== '' && !name.startsWith('type ')),
          page,
        );
        ++imports;
      }
    }
    expect(missing).toEqual([]);
    expect(imports).toBeGreaterThan(10);
  });

  it('does what docs/getting-started.md shows, and prints nothing of its own', () => {
    const page = readFileSync(join(ROOT, 'docs', 'getting-started.md'), 'utf8');
    const code = [...page.matchAll(/```js\n([^]*?)```/g)]
      .map(([, text = '']) => text)
      .find((text) => text.includes('new Trainer'));
    expect(code).toBeDefined();
    const source = (code ?? '')
      .replace("folder: 'checkpoints'", 'folder: process.env.OUTPUT')
      .replace("path: 'penguins.onnx'", "path: process.env.OUTPUT + '.onnx'")
      .replace('epochs: 100', 'epochs: 15');
    const result = runModule(
      'tour',
      `const shown = []; const show = (record) => shown.push(record);\n${source}\nprocess.stdout.write(JSON.stringify({ accuracy, epochs: shown.length }));`,
    );
    expect(result.stderr).toBe('');
    const { accuracy, epochs } = JSON.parse(result.stdout) as { accuracy: number; epochs: number };
    expect(accuracy).toBeGreaterThan(0.8);
    expect(epochs).toBe(15);
    expect(existsSync(join(folder, 'tour', 'best.safetensors'))).toBe(true);
    expect(existsSync(join(folder, 'tour.onnx'))).toBe(true);
  });

  it('a run is quiet, tells its progress by events and ends by AbortSignal with what was learned', () => {
    const config = join(folder, 'config.yaml');
    writeFileSync(
      config,
      `data: {path: ${join(ROOT, 'examples', 'penguins', 'penguins.csv')}, target: species}\ntraining: {epochs: 100000, early_stopping: false}\n`,
    );
    const result = runModule(
      'run',
      `import { loadConfig, loadPredictor, evaluate, exportModel, prepareData, runTraining } from 'tensorkiln';
       const controller = new AbortController();
       const types = new Set();
       const config = await loadConfig(${JSON.stringify(config)}, { output: process.env.OUTPUT });
       const result = await runTraining(config, {
         signal: controller.signal,
         onEvent: (event) => {
           types.add(event.type);
           if (event.type === 'epoch' && event.record.epoch === 3) controller.abort();
         },
       });
       const predictor = await loadPredictor(result.files.folder);
       await exportModel(predictor, { format: 'safetensors', path: process.env.OUTPUT + '.safetensors' });
       const noFormat = await exportModel(predictor, { format: 'onxx', path: process.env.OUTPUT + '.onxx' }).catch((error) => error.code);
       const missing = await loadPredictor('/nowhere').catch((error) => error.code);
       const cancelled = await predictor.predict([], { signal: AbortSignal.abort() });
       predictor.dispose();
       process.stdout.write(JSON.stringify({ stopReason: result.stopReason, types: [...types], noFormat, missing, cancelled, columns: predictor.classes }));`,
    );
    expect(result.stderr).toBe('');
    expect(JSON.parse(result.stdout)).toMatchObject({
      stopReason: 'aborted',
      types: expect.arrayContaining([
        'run_start',
        'data_ready',
        'resolved',
        'start',
        'step',
        'epoch',
        'end',
        'run_end',
      ]) as string[],
      noFormat: 'E_CONFIG',
      missing: 'E_IO',
      cancelled: [],
      columns: ['Adelie', 'Chinstrap', 'Gentoo'],
    });
    expect(readFileSync(join(folder, 'run.safetensors'))).toEqual(
      readFileSync(join(folder, 'run', 'export', 'model.safetensors')),
    );
  });
});
