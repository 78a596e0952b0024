import { parse, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { TensorkilnError } from '../errors.js';
import { loadConfig, loadRunConfig } from '../run/config/load.js';
import type { TrainingConfig } from '../run/config/schema.js';
import type { RunResult } from '../run/run-events.js';
import { runFiles } from '../run/run-folder.js';
import { EXIT_TARGET_MISSED } from './failure.js';
import { Output } from './output.js';
import { JsonReporter, TextReporter, type RunReporter } from './run-reporter.js';
import { listenForSignals } from './signals.js';

/** Options that choose and change a configuration; `train` and `render` share them. */
export interface ConfigOptions {
  readonly output?: string;
  readonly data?: string;
  readonly set: readonly string[];
}

interface TrainOptions extends ConfigOptions {
  readonly force?: boolean;
  readonly json?: boolean;
  readonly resume?: boolean;
  readonly repeat?: number;
  readonly kFold?: number;
}

export function withConfigOptions(command: Command): Command {
  return command
    .argument('<config>', 'YAML file')
    .option('--output <folder>', 'where results go (default: runs/<config name>-<time>)')
    .option('--data <file>', 'data file in place of the one the configuration names')
    .option(
      '--set <key=value>',
      'change the configuration: key=value, +key=value for a new key, ++key=value for either, ~key to take one away; may be repeated',
      collect,
      [],
    );
}

/** `tensorkiln train <config>`: from a configuration to a trained, judged and exported model. */
export function trainCommand(): Command {
  return withConfigOptions(new Command('train'))
    .description('train a model as a configuration says, judge it on held-out rows, export it')
    .option('--force', 'train although the data failed its validation; the results say so')
    .option('--resume', 'go on with the run in the output folder that was interrupted')
    .option(
      '--repeat <times>',
      'train so many times with other seeds (with --k-fold: all folds each time); tells mean and deviation',
      count,
    )
    .option(
      '--k-fold <folds>',
      'cross-validation: train so many times, each part held out once; tells mean and deviation',
      folds,
    )
    .option('--json', 'print one JSON object per event and nothing else')
    .action(train);
}

/** `tensorkiln resume <run>`: the rest of a run that was interrupted. */
export function resumeCommand(): Command {
  return new Command('resume')
    .description('go on with an interrupted run; it ends as if it had not been interrupted, bit for bit')
    .argument('<run>', 'folder of the run')
    .option('--json', 'print one JSON object per event and nothing else')
    .action(async (folder: string, options: { readonly json?: boolean }) => {
      const files = runFiles(resolve(folder));
      await runCommand(options, async (reporter, signal) => {
        const config = await loadRunConfig('resume', files, { output: files.folder });
        const { runTraining } = await import('../run/run-training.js');
        const result = await runTraining(config, {
          name: parse(files.folder).name,
          resume: true,
          signal,
          onEvent: (event) => {
            reporter.event(event);
          },
        });
        return [result];
      });
    });
}

export function loadConfigWith(file: string, options: ConfigOptions): Promise<TrainingConfig> {
  return loadConfig(file, {
    set: options.set,
    ...(options.data === undefined ? {} : { data: options.data }),
    ...(options.output === undefined ? {} : { output: options.output }),
  });
}

async function train(file: string, options: TrainOptions): Promise<void> {
  await runCommand(options, async (reporter, signal) => {
    const config = await loadConfigWith(file, options);
    const { name } = parse(file);
    const onEvent = (event: Parameters<RunReporter['event']>[0]): void => {
      reporter.event(event);
    };
    if (options.resume === true && config.output === undefined) {
      throw new TensorkilnError('E_USAGE', '[train] --resume needs the folder of the run: name it with --output.');
    }
    // Loaded here so that help and a wrong configuration do not wait for the engine.
    const { repeat, kFold } = options;
    if (repeat !== undefined || kFold !== undefined) {
      if (options.resume === true)
        throw new TensorkilnError(
          'E_USAGE',
          `[train] --resume and --${kFold === undefined ? 'repeat' : 'k-fold'} exclude each other: resume the single run in its folder.`,
        );
      const { crossValidate, repeatTraining } = await import('../run/series.js');
      const more = { name, force: options.force ?? false, signal, onEvent };
      const series =
        kFold === undefined
          ? await repeatTraining(config, repeat ?? 1, more)
          : await crossValidate(config, kFold, { ...more, times: repeat ?? 1 });
      reporter.series(series);
      return series.runs;
    }
    const { runTraining } = await import('../run/run-training.js');
    return [
      await runTraining(config, {
        name,
        resume: options.resume ?? false,
        force: options.force ?? false,
        signal,
        onEvent,
      }),
    ];
  });
}

/** Runs something that trains: reports, listens for signals, sets the exit code. */
export async function runCommand(
  options: { readonly json?: boolean },
  run: (reporter: RunReporter, signal: AbortSignal) => Promise<readonly RunResult[]>,
): Promise<void> {
  const output = new Output(process.stdout);
  const reporter = options.json === true ? new JsonReporter(output) : new TextReporter(output);
  const interruption = listenForSignals((name) => {
    reporter.notice(`${name}: finishing the step and saving what was learned. A second signal ends at once.`);
  });
  try {
    const results = await run(reporter, interruption.signal);
    if (results.some(({ targets }) => targets.some(({ isMet }) => !isMet))) process.exitCode = EXIT_TARGET_MISSED;
  } catch (error) {
    reporter.failure(error);
    throw error;
  } finally {
    interruption.dispose();
    const code = interruption.exitCode();
    if (code !== undefined) process.exitCode = code;
  }
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

function folds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 2) throw new InvalidArgumentError('expected an integer >= 2.');
  return value;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected an integer >= 1.');
  return value;
}
