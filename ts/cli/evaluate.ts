import { join, resolve } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { resolveInput } from '../data/formats/connection-url.js';
import type { EvaluatedRun } from '../run/evaluate-run.js';
import { withSnakeKeys } from '../run/snake-case.js';
import { Output } from './output.js';
import { relativePath } from './relative-path.js';
import { listenForSignals } from './signals.js';

interface EvaluateCommandOptions {
  readonly data?: string;
  readonly labels?: string;
  readonly sniff?: boolean;
  readonly device?: string;
  readonly json?: boolean;
}

/** `tensorkiln evaluate <run>`: judges a finished run's model. */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('judge the model of a finished run on other rows, or on its test rows once more, which is recorded')
    .argument('<run>', 'folder of a finished run')
    .option(
      '--data <path>',
      'CSV, JSON Lines or Parquet file with the target, labelled folders of images or texts, or a text for a language model (default: the test part of the run)',
    )
    .option('--labels <file>', 'labels of the images where --data is an IDX or npy file')
    .option('--sniff', 'find out how a CSV file is written, instead of reading it as the data of the run')
    .option('--device <name>', 'auto, cpu, cuda or cuda:<number> (default: TENSORKILN_DEVICE, else cpu)')
    .option('--json', 'print the result as one JSON object')
    .action(evaluate);
}

async function evaluate(run: string, options: EvaluateCommandOptions): Promise<void> {
  const output = new Output(process.stdout);
  const interruption = listenForSignals((name) => {
    output.line(`${name}: stopping.`);
  });
  try {
    const { evaluateRun } = await import('../run/evaluate-run.js');
    const result = await evaluateRun(resolve(run), {
      signal: interruption.signal,
      ...(options.data === undefined ? {} : { data: resolveInput(options.data) }),
      ...(options.labels === undefined ? {} : { labels: resolve(options.labels) }),
      ...(options.sniff === true ? { csv: {} } : {}),
      ...(options.device === undefined ? {} : { device: options.device }),
    });
    if (options.json === true) output.line(JSON.stringify(withSnakeKeys(result)));
    else for (const line of await describe(result, output.hasColors)) output.line(line);
  } finally {
    interruption.dispose();
    const code = interruption.exitCode();
    if (code !== undefined) process.exitCode = code;
  }
}

async function describe({ metrics, verdict, withoutTarget, folder }: EvaluatedRun, hasColors: boolean): Promise<string[]> {
  const { metricRows } = await import('../evaluate/index.js');
  const facts = { title: '', run: { seeds: {}, versions: {}, rows: {}, features: [] }, history: NO_HISTORY, baselines: [] };
  const rows = metricRows(
    metrics.task === 'classification'
      ? { ...facts, task: metrics.task, metrics }
      : metrics.task === 'regression'
        ? { ...facts, task: metrics.task, metrics }
        : { ...facts, task: metrics.task, metrics },
  );
  const width = Math.max(...rows.map(({ label }) => label.length));
  return [
    hasColors ? styleText('bold', verdict.headline) : verdict.headline,
    ...rows.map(({ label, value }) => `  ${label.padEnd(width)}  ${value}`),
    ...(withoutTarget === 0 ? [] : [`Note: ${withoutTarget} rows without a target were left out`]),
    ...verdict.notes.filter(({ tone }) => tone === 'warn' || tone === 'bad').map(({ text }) => `Note: ${text}`),
    `Open: ${relativePath(join(folder, 'report.html'))}`,
  ];
}

const NO_HISTORY = { epochs: [], bestEpoch: 0, stopReason: 'epochs' } as const;
