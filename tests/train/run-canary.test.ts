import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../ts/run/config/load.js';
import type { RunEvent } from '../../ts/run/run-events.js';
import { runTraining } from '../../ts/run/run-training.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-planted-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What is planted in cells that no file of a run may hold; digits of a number are looked for as text too. */
const CANARIES = ['canaryidentifier', 'canarynote', 'canaryrare', '731982461', '2031-07-13'];

/** Files of a folder that hold a text, with the text. */
function leaks(run: string, canaries: readonly string[]): string[] {
  const files = readdirSync(run, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    const content = readFileSync(path).toString('latin1');
    return canaries.filter((canary) => content.includes(canary)).map((canary) => `${relative(run, path)}: ${canary}`);
  });
}

function table(rows: number, cell: (row: number) => string): string {
  const header = 'person,note,city,salary,born,x,label';
  const lines = Array.from({ length: rows }, (_, row) => {
    const isPlanted = row === 17;
    return [
      isPlanted ? 'canaryidentifier' : `person${row}`,
      isPlanted ? 'a canarynote that one row alone holds' : `a plain note of some words ${row % 5}`,
      row % 3 === 0 ? 'Bergen' : 'Oslo',
      // Beside the others by far, so that it would show as a maximum.
      isPlanted ? '731982461' : String(1000 + ((row * 37) % 101)),
      isPlanted ? '2031-07-13' : `2019-0${1 + (row % 9)}-1${row % 10}`,
      cell(row),
      row % 2 === 0 ? 'yes' : 'no',
    ].join(',');
  });
  return [header, ...lines, ''].join('\n');
}

describe('canaries in the data', () => {
  it('are in no file and no event of a run, but for declared categories and the words of a vocabulary', async () => {
    const path = join(folder, 'table.csv');
    writeFileSync(
      path,
      table(120, (row) => `${(row * 13) % 29}.5`),
    );
    const config = join(folder, 'config.yaml');
    writeFileSync(
      config,
      [
        `data: {path: ${path}, target: label}`,
        // An identifier and a date of birth would be told by categories and ranges: what is left of them is numbers.
        'features: {note: {type: text, text: {min_rows: 2}}, person: {type: categorical, encoding: hash}}',
        'training: {epochs: 2}',
        'model: {hidden_units: [4]}',
        'logging: {tensorboard: true, checkpoint_every: 1}',
        '',
      ].join('\n'),
    );
    const events: RunEvent[] = [];
    const run = join(folder, 'run');
    await runTraining(await loadConfig(config, { output: run }), { onEvent: (event) => events.push(event) });
    expect(leaks(run, CANARIES)).toEqual([]);
    const told = JSON.stringify(events);
    expect(CANARIES.filter((canary) => told.includes(canary))).toEqual([]);
    // The search does find what is meant to be there: categories and a vocabulary.
    expect(leaks(run, ['Bergen', 'plain']).map((leak) => leak.split(':')[0])).toContain(join('export', 'preprocessing.json'));
  });

  it('are in no error and no log when the data is refused', async () => {
    const path = join(folder, 'broken.csv');
    writeFileSync(
      path,
      table(120, (row) => (row === 50 ? 'canaryrare' : '1.5')),
    );
    const config = join(folder, 'broken.yaml');
    writeFileSync(config, `data: {path: ${path}, target: label}\nfeatures: {x: numeric}\n`);
    const run = join(folder, 'refused');
    const message = await runTraining(await loadConfig(config, { output: run })).then(
      () => 'no error',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
    // The place, and of the cell its first letter and length.
    expect(message).toMatch(/column "x" is not numeric: .*the first "c\.\.\." \(10 characters\) on line 52/);
    expect(message).not.toContain('canary');
    expect(leaks(run, CANARIES)).toEqual([]);
  });
});

describe('small data', () => {
  it('of fewer rows than a batch trains in one step an epoch', async () => {
    const path = join(folder, 'small.csv');
    writeFileSync(
      path,
      ['a,b,y', ...Array.from({ length: 12 }, (_, row) => `${row % 5}.5,${row % 3},${row % 2}`), ''].join('\n'),
    );
    const config = join(folder, 'small.yaml');
    writeFileSync(
      config,
      `data: {path: ${path}, target: y}\nmodel: {hidden_units: []}\ntraining: {batch_size: 64, epochs: 3}\n`,
    );
    const events: RunEvent[] = [];
    const { bestEpoch } = await runTraining(await loadConfig(config, { output: join(folder, 'small') }), {
      onEvent: (event) => events.push(event),
    });
    expect(events.find(({ type }) => type === 'start')).toMatchObject({ stepsPerEpoch: 1, epochs: 3 });
    expect(bestEpoch).toBeGreaterThan(0);
  });
});
