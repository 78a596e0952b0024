import { randomUUID } from 'node:crypto';
import { access, constants, readdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TensorkilnError } from '../errors.js';
import { makeFolder, writeFileAtomic } from '../write-file.js';
import type { RunFiles } from './run-events.js';

/** `runs/<name>-<UTC date>-<time>` below the working directory, with a number behind it when that is taken. */
export function defaultFolder(name: string, now: Date): string {
  const stamp = now.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const base = resolve('runs', `${name}-${stamp}`);
  let folder = base;
  for (let number = 2; existsSync(folder); number++) folder = `${base}-${number}`;
  return folder;
}

/** In the folder of evaluations: when the test rows of the run were looked at again. */
export const LOOKS_FILE = 'looks.json';

/** The names of a run's files. */
export function runFiles(folder: string): RunFiles {
  return {
    folder,
    config: join(folder, 'config.resolved.yaml'),
    metrics: join(folder, 'metrics.json'),
    history: join(folder, 'training_history.json'),
    architecture: join(folder, 'model-architecture.json'),
    report: join(folder, 'report.html'),
    markdown: join(folder, 'report.md'),
    curves: join(folder, 'training_curves.svg'),
    evaluations: join(folder, 'evaluations'),
    tfjs: join(folder, 'export', 'tfjs'),
    model: join(folder, 'export', 'model.onnx'),
    preprocessing: join(folder, 'export', 'preprocessing.json'),
    weights: join(folder, 'export', 'model.safetensors'),
    log: join(folder, 'log.jsonl'),
    record: join(folder, 'run.json'),
    checkpoints: join(folder, 'checkpoints'),
    tensorboard: join(folder, 'tensorboard'),
  };
}

/** What evaluations are called: a look at the test rows, or a time. */
const EVALUATION_NAME = /^(?:test-look-\d+|\d{8}-\d{6}\.\d{3})$/;

/** What is kept of training: it may be of another model. */
const CHECKPOINT_NAME = /^(?:best|step-\d+)\.safetensors$/;
/** TensorBoard would show the events of both runs as one curve. */
const EVENTS_NAME = /^events\.out\.tfevents\./;

/** The folder of one evaluation. @param look the number of the look at the test rows; undefined for other rows */
export function evaluationFolder(files: RunFiles, at: Date, look: number | undefined): string {
  const stamp = at.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 19);
  return join(files.evaluations, look === undefined ? stamp : `test-look-${look}`);
}

/**
 * Removes what an earlier run left in the folder, so that its results never stand beside the configuration of another one. The metrics
 * go first: a folder that holds them is complete. The record of looks at the test rows stays, since the rows may be the same, and so does
 * all that no run wrote: a folder without a run's configuration may be anyone's.
 *
 * @throws E_IO
 */
export async function removeEarlierResults(files: RunFiles): Promise<void> {
  if (!existsSync(files.config)) return;
  const exported = ['model.vocabulary.json', 'pipeline.onnx', 'pipeline.vocabulary.json'].map((name) =>
    join(files.folder, 'export', name),
  );
  const { metrics, history, architecture, report, markdown, curves, tfjs, model, weights, preprocessing } = files;
  const results = [metrics, history, architecture, report, markdown, curves, tfjs, model, weights, preprocessing];
  const inFolders = await Promise.all(
    Object.entries({
      [files.evaluations]: EVALUATION_NAME,
      [files.checkpoints]: CHECKPOINT_NAME,
      [files.tensorboard]: EVENTS_NAME,
    }).map(async ([folder, own]) =>
      (await listFolder(folder)).filter((name) => own.test(name)).map((name) => join(folder, name)),
    ),
  );
  for (const path of [...results, ...exported, ...inFolders.flat()]) {
    try {
      await rm(path, { recursive: true, force: true });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TensorkilnError(
        'E_IO',
        `[output] cannot remove ${path}, which an earlier run left there: ${reason}. Choose another folder with --output.`,
        { cause },
      );
    }
  }
}

/** The names in a folder; none when there is no folder. */
async function listFolder(path: string): Promise<readonly string[]> {
  return existsSync(path) ? readdir(path) : [];
}

/**
 * Makes the folder and proves that files can be written there, before any work is done for them.
 *
 * @throws E_IO naming the folder and the system's reason
 */
export async function createRunFolder(files: RunFiles): Promise<void> {
  try {
    await makeFolder(join(files.folder, 'export'));
    await access(files.folder, constants.W_OK);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TensorkilnError(
      'E_IO',
      `[output] cannot write to ${files.folder}: ${reason}. Choose another folder with --output.`,
      { cause },
    );
  }
  // Permissions do not tell of read-only or full disks; writing does.
  // Its name is its own: another run may be about to find that the folder is taken.
  const probe = join(files.folder, `.write-test-${randomUUID()}`);
  await writeFileAtomic(probe, 'x');
  await rm(probe, { force: true });
}
