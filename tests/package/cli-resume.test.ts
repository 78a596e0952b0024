import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startCli, type CliResult } from '../support/cli.js';

const EXAMPLE = fileURLToPath(new URL('../../examples/penguins/training-config.yaml', import.meta.url));
/** Dropout, a changing rate and a checkpoint at odd places of an epoch of 16 steps: everything that a resume must bring back. */
const SETTINGS = [
  'training.epochs=60',
  'training.scheduler={type: cosine, warmup_epochs: 2}',
  'training.early_stopping.patience=1000',
  'logging.checkpoint_every={steps: 7}',
].flatMap((setting) => ['--set', setting]);

let folder: string;
let reference: string;
let interrupted: string;

const run = (...args: readonly string[]): Promise<CliResult> => runCli(args, { cwd: folder });
const weightsOf = (output: string): Buffer => readFileSync(join(output, 'export', 'model.safetensors'));
const checkpointsOf = (output: string): string[] =>
  readdirSync(join(output, 'checkpoints'))
    .filter((name) => name.startsWith('step-'))
    .sort();
/** Losses of all epochs, without what the clock decides. */
const lossesOf = (output: string): unknown =>
  (
    JSON.parse(readFileSync(join(output, 'training_history.json'), 'utf8')) as {
      epochs: { train_loss: number; validation_loss: number; learning_rate: number }[];
    }
  ).epochs.map((epoch) => [epoch.train_loss, epoch.validation_loss, epoch.learning_rate]);
/** A copy of the interrupted run that a test may spoil. */
function copyOfInterrupted(name: string): string {
  const output = join(folder, name);
  cpSync(interrupted, output, { recursive: true });
  return output;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tensorkiln-resume-'));
  reference = join(folder, 'reference');
  interrupted = join(folder, 'interrupted');
  expect((await run('train', EXAMPLE, ...SETTINGS, '--output', reference)).code).toBe(0);
  const cli = startCli(['train', EXAMPLE, ...SETTINGS, '--output', interrupted, '--json'], { cwd: folder });
  await cli.waitFor('"type":"checkpoint","file":"' + join(interrupted, 'checkpoints', 'step-0000000168'));
  cli.process.kill('SIGKILL');
  expect((await cli.ended).code).toBe(null);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('a run killed with SIGKILL', () => {
  it('leaves whole checkpoints, no more than asked for, and no result', () => {
    expect(checkpointsOf(interrupted).length).toBeLessThanOrEqual(4);
    expect(existsSync(join(interrupted, 'metrics.json'))).toBe(false);
  });

  it('is resumed with bit-identical weights and losses, past a damaged checkpoint, which is told', async () => {
    const output = copyOfInterrupted('resumed');
    const [newest, previous] = checkpointsOf(output).reverse() as [string, string];
    const path = join(output, 'checkpoints', newest);
    truncateSync(path, Math.floor(readFileSync(path).length / 2));
    const { code, stdout, stderr } = await run('resume', output);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`Note: \\[checkpoint\\] .*${newest}.* The one before it is used\\.`));
    // 16 steps an epoch, a checkpoint every 7: in the middle of one.
    expect(stdout).toMatch(new RegExp(`Going on from .*${previous}: epoch \\d+, after step [1-9]`));
    expect(weightsOf(output)).toEqual(weightsOf(reference));
    expect(lossesOf(output)).toEqual(lossesOf(reference));
  });

  it('is refused with the difference when the configuration is different, and nothing is changed', async () => {
    const output = copyOfInterrupted('other');
    const before = readFileSync(join(output, 'config.resolved.yaml'));
    const changed = await run(
      'train',
      EXAMPLE,
      ...SETTINGS,
      '--set',
      'training.learning_rate=0.01',
      '--output',
      output,
      '--resume',
    );
    expect(changed.code).toBe(2);
    expect(changed.stderr).toMatch(/^error E_USAGE: \[resume\] .*belongs to another run/);
    expect(changed.stderr).toContain('training.learning_rate: was 0.003, is now 0.01');
    expect(readFileSync(join(output, 'config.resolved.yaml'))).toEqual(before);
  });

  it('is not overwritten by a run that does not resume', async () => {
    const { code, stderr } = await run('train', EXAMPLE, ...SETTINGS, '--output', interrupted);
    expect(code).toBe(2);
    expect(stderr).toMatch(/holds a run that has not ended .*--resume/);
  });
});

describe('two runs in one folder', () => {
  it('the second is refused while the first goes on, naming its process', async () => {
    const output = join(folder, 'shared');
    const endless = ['--set', 'training.epochs=1000000', '--set', 'training.early_stopping=false'];
    const first = startCli(['train', EXAMPLE, ...endless, '--output', output, '--json'], { cwd: folder });
    await first.waitFor('"epoch":1,');
    const second = await run('train', EXAMPLE, '--output', output);
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`process ${first.process.pid} on ${hostname()}`);
    first.process.kill('SIGKILL');
    await first.ended;
    expect(existsSync(join(output, 'run.lock'))).toBe(true);
    // Killed before its first checkpoint: a new run takes the folder over.
    const third = await run('train', EXAMPLE, '--output', output, '--set', 'training.epochs=2');
    expect(third.stdout).toContain(`the run of process ${first.process.pid} in this folder did not end`);
    expect(third.code).toBe(0);
    expect(existsSync(join(output, 'run.lock'))).toBe(false);
  });
});

describe('a full disk', () => {
  it('ends the run with a clear error; the earlier checkpoint survives and resumes', async (context) => {
    const disk = mkdtempSync(join(tmpdir(), 'tensorkiln-disk-'));
    const mounted = await new Promise<boolean>((resolve) => {
      spawn('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' })
        .once('error', () => resolve(false))
        .once('close', (code) => resolve(code === 0));
    });
    if (!mounted) {
      rmSync(disk, { recursive: true, force: true });
      context.skip('mounting a tmpfs needs rights that this process does not have');
    }
    try {
      const output = join(disk, 'run');
      // About 50 KB a checkpoint: two fit beside the filler, which leaves no room for more than a few.
      const wide = ['--set', 'model.hidden_units=[900]', '--set', 'logging.keep_checkpoints=20', '--set', 'training.epochs=60'];
      const { code, stderr } = await run(
        ...['train', EXAMPLE, ...wide, '--set', 'logging.checkpoint_every={steps: 5}', '--output', output],
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^error E_IO: \[checkpoint\] the checkpoint was not saved: .*ENOSPC.* bytes are free there\. The earlier one is untouched: /,
      );
      const names = checkpointsOf(output);
      expect(names.length).toBeGreaterThan(0);
      expect(readdirSync(join(output, 'checkpoints')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      // With room again, the run goes on where it stopped.
      rmSync(join(output, 'checkpoints', names[0] as string));
      const resumed = startCli(['resume', output, '--json'], { cwd: folder });
      await resumed.waitFor(names.at(-1) as string);
      resumed.process.kill('SIGKILL');
      await resumed.ended;
    } finally {
      execFileSync('umount', [disk]);
      rmSync(disk, { recursive: true, force: true });
    }
  });
});
