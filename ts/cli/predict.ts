import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { resolveInput } from '../data/formats/connection-url.js';
import type { TableFormat } from '../data/index.js';
import type { PredictFileResult } from '../run/predict-file.js';
import { Output } from './output.js';
import { relativePath } from './relative-path.js';
import { listenForSignals } from './signals.js';
import { ReaderGone, stdoutWriter } from './stdout-writer.js';

interface PredictOptions {
  readonly output?: string;
  readonly keep?: string;
  readonly format?: TableFormat;
  readonly sniff?: boolean;
  readonly device?: string;
  readonly json?: boolean;
}

/** `tensorkiln predict <run> <input>`: rows of a file, or images or texts of a folder, to predictions. */
export function predictCommand(): Command {
  return new Command('predict')
    .description(
      'predict each row of a CSV, JSON Lines or Parquet file, each image of a folder, or each text of a folder or .tar.gz; of any size',
    )
    .argument('<run>', 'folder of a finished run')
    .argument('<input>', 'file, folder of images, or folder or .tar.gz of texts')
    .option('--output <file>', 'where predictions go; by its ending CSV, JSON Lines or Parquet (default: CSV on stdout)')
    .option('--keep <columns>', 'columns of the input to write before the predictions, parted by commas')
    .addOption(
      new Option('--format <name>', 'how the input is read (default: by its ending)').choices([
        'csv',
        'jsonl',
        'parquet',
        'text_folder',
      ]),
    )
    .option('--sniff', 'find out how a CSV file is written, instead of reading it as the data of the run')
    .option('--device <name>', 'auto, cpu, cuda or cuda:<number> (default: TENSORKILN_DEVICE, else cpu)')
    .option('--json', 'with --output: print the result as one JSON object')
    .action(predict);
}

async function predict(run: string, input: string, options: PredictOptions): Promise<void> {
  // Predictions go to stdout unless there is a file: what is said to people goes to stderr then.
  const output = new Output(options.output === undefined ? process.stderr : process.stdout);
  const interruption = listenForSignals((name) => {
    output.line(`${name}: stopping; no file is left behind.`);
  });
  try {
    const { predictFile } = await import('../run/predict-file.js');
    const result = await predictFile(resolve(run), resolveInput(input), {
      output: options.output === undefined ? stdoutWriter() : resolve(options.output),
      signal: interruption.signal,
      ...(options.keep === undefined ? {} : { keep: options.keep.split(',').map((name) => name.trim()) }),
      ...(options.format === undefined ? {} : { inputFormat: options.format }),
      ...(options.sniff === true ? { csv: {} } : {}),
      ...(options.device === undefined ? {} : { device: options.device }),
    });
    if (options.json === true) {
      output.line(
        JSON.stringify({ rows: result.rows, extra: result.extra, unseen: result.unseen, output: result.output ?? null }),
      );
    } else for (const line of describe(result)) output.line(line);
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
  } finally {
    interruption.dispose();
    const code = interruption.exitCode();
    if (code !== undefined) process.exitCode = code;
  }
}

function describe({ rows, extra, unseen, output }: PredictFileResult): string[] {
  const shown = extra.slice(0, 10).join(', ') + (extra.length > 10 ? ` and ${extra.length - 10} more` : '');
  return [
    `Predicted ${rows} ${rows === 1 ? 'row' : 'rows'}${output === undefined ? '' : `: ${relativePath(output)}`}`,
    ...(extra.length === 0 ? [] : [`Note: columns that the model does not know were passed over: ${shown}`]),
    ...Object.entries(unseen).map(
      ([name, count]) =>
        `Note: ${count} ${count === 1 ? 'row has' : 'rows have'} a value of "${name}" that no training row had; it counts as none of the known`,
    ),
  ];
}
