import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Difference } from '../run/reproduce.js';
import { EXIT_TARGET_MISSED } from './failure.js';
import { Output } from './output.js';
import { runCommand } from './train.js';

/** Most differences that are listed. */
const MAX_SHOWN = 20;

/** `tensorkiln reproduce <run>`: trains again and compares. */
export function reproduceCommand(): Command {
  return new Command('reproduce')
    .description('train again as a finished run did and compare weights, losses and metrics bit for bit')
    .argument('<run>', 'folder of the run')
    .option('--output <folder>', 'where the repetition goes (default: runs/reproduce-<time>)')
    .option('--json', 'print one JSON object per event and nothing else')
    .action(async (folder: string, options: { readonly output?: string; readonly json?: boolean }) => {
      const output = new Output(process.stdout);
      await runCommand(options, async (reporter, signal) => {
        const { reproduceRun } = await import('../run/reproduce.js');
        const result = await reproduceRun(resolve(folder), {
          signal,
          onEvent: (event) => {
            reporter.event(event);
          },
          ...(options.output === undefined ? {} : { output: resolve(options.output) }),
        });
        if (options.json === true) output.line(JSON.stringify({ type: 'reproduction', ...result }));
        else for (const line of describeReproduction(result)) output.line(line);
        if (!result.isEqual) process.exitCode = EXIT_TARGET_MISSED;
        return [];
      });
    });
}

function describeReproduction(result: {
  readonly isEqual: boolean;
  readonly results: readonly Difference[];
  readonly circumstances: readonly Difference[];
}): string[] {
  const list = (differences: readonly Difference[]): string[] => [
    ...differences
      .slice(0, MAX_SHOWN)
      .map(
        ({ what, before, now }) => `  ${what}: was ${JSON.stringify(before ?? null)}, is now ${JSON.stringify(now ?? null)}`,
      ),
    ...(differences.length > MAX_SHOWN ? [`  and ${differences.length - MAX_SHOWN} more`] : []),
  ];
  return [
    '',
    result.isEqual
      ? 'Reproduced: weights, losses and metrics are equal bit for bit.'
      : `Not reproduced: ${result.results.length} results differ.`,
    ...list(result.results),
    ...(result.circumstances.length === 0
      ? []
      : ['Circumstances that are different from then:', ...list(result.circumstances)]),
  ];
}
