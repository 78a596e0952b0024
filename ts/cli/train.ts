import { parse } from 'node:path';
import { Command } from 'commander';
import { loadConfig } from './config/load.js';
import { Output } from './output.js';
import { JsonReporter, TextReporter } from './run-reporter.js';
import { listenForSignals } from './signals.js';

interface TrainOptions {
  readonly output?: string;
  readonly data?: string;
  readonly set: readonly string[];
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `tensorkiln train <config>`: from a configuration to a trained, judged and exported model. */
export function trainCommand(): Command {
  return new Command('train')
    .description('train a model as a configuration says, judge it on held-out rows, export it')
    .argument('<config>', 'YAML file')
    .option('--output <folder>', 'where results go (default: runs/<config name>-<time>)')
    .option('--data <file>', 'data file in place of the one the configuration names')
    .option('--set <key=value>', 'change one key of the configuration, e.g. training.epochs=50; may be repeated', collect, [])
    .option('--force', 'train although the data failed its validation; the results say so')
    .option('--json', 'print one JSON object per event and nothing else')
    .action(train);
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

async function train(file: string, options: TrainOptions): Promise<void> {
  const output = new Output(process.stdout);
  const reporter = options.json === true ? new JsonReporter(output) : new TextReporter(output);
  const interruption = listenForSignals((name) => {
    reporter.notice(`${name}: finishing the step and saving what was learned. A second signal ends at once.`);
  });
  try {
    const config = await loadConfig(file, {
      set: options.set,
      ...(options.data === undefined ? {} : { data: options.data }),
      ...(options.output === undefined ? {} : { output: options.output }),
    });
    // Loaded here so that help and a wrong configuration do not wait for the engine.
    const { runTraining } = await import('./run-training.js');
    await runTraining(config, {
      name: parse(file).name,
      signal: interruption.signal,
      force: options.force ?? false,
      onEvent: (event) => reporter.event(event),
    });
  } catch (error) {
    reporter.failure(error);
    throw error;
  } finally {
    interruption.dispose();
    const code = interruption.exitCode();
    if (code !== undefined) process.exitCode = code;
  }
}
