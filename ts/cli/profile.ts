import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import type { TrainingProfile } from '../run/profile-training.js';
import { Output } from './output.js';
import { loadConfigWith, withConfigOptions, type ConfigOptions } from './train.js';

async function profileConfig(file: string, options: ConfigOptions, steps: number): Promise<TrainingProfile> {
  const config = await loadConfigWith(file, options);
  // Loaded here so that help and a wrong configuration do not wait for the engine.
  const { profileTraining } = await import('../run/profile-training.js');
  return profileTraining(config, { steps });
}

/** `tensorkiln plan <config>`: what the training step compiles to. */
export function planCommand(): Command {
  return withConfigOptions(new Command('plan'))
    .description('print what the training step compiles to, before and after it is optimised')
    .option('--svg <file>', 'draw the optimised plan into this file')
    .option('--json', 'print both as one JSON object')
    .action(async (file: string, options: ConfigOptions & { readonly svg?: string; readonly json?: boolean }) => {
      const { recorded, optimised, fallback, picture } = await profileConfig(file, options, 1);
      const output = new Output(process.stdout);
      if (options.svg !== undefined && picture !== undefined) await writeFile(options.svg, picture);
      if (options.json === true) output.line(JSON.stringify({ recorded, optimised, fallback }));
      else if (fallback !== undefined) output.line(`not compiled: ${fallback}`);
      else output.write(`${recorded ?? ''}\n${optimised ?? ''}`);
    });
}

/** `tensorkiln profile <config>`: what the training step spends its time on. */
export function profileCommand(): Command {
  return withConfigOptions(new Command('profile'))
    .description('run training steps and print what they spend their time on, op by op')
    .option('--steps <count>', 'steps to profile (default: 20)', count)
    .option('--trace <file>', 'write a trace for chrome://tracing or ui.perfetto.dev')
    .option('--json', 'print it as one JSON object')
    .action(
      async (
        file: string,
        options: ConfigOptions & { readonly steps?: number; readonly trace?: string; readonly json?: boolean },
      ) => {
        const { steps, profile, fallback, table, trace } = await profileConfig(file, options, options.steps ?? 20);
        const output = new Output(process.stdout);
        if (options.trace !== undefined) await writeFile(options.trace, trace);
        if (options.json === true) {
          const { wallMs, kernelMs, rows, limits } = profile;
          output.line(JSON.stringify({ steps, wallMs, kernelMs, limits, rows, fallback }));
          return;
        }
        if (fallback !== undefined) output.line(`not compiled: ${fallback}`);
        output.write(`${String(steps)} steps\n${table}`);
      },
    );
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected an integer >= 1.');
  return value;
}
