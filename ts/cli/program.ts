import { Command } from 'commander';
import { benchCommand } from './bench.js';
import { evaluateCommand } from './evaluate.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { inspectCommand } from './inspect.js';
import { predictCommand } from './predict.js';
import { planCommand, profileCommand } from './profile.js';
import { renderCommand } from './render.js';
import { reproduceCommand } from './reproduce.js';
import { resumeCommand, trainCommand } from './train.js';

/** The command line with all its commands; docs/cli.md is made from it. */
export function createProgram(version: string): Command {
  const program = new Command('tensorkiln')
    .description('From raw data to an exported model, on own C++ kernels.')
    .version(version)
    .option('--verbose', 'show stacks and causes of errors (also: TENSORKILN_DEBUG=1)')
    .showHelpAfterError('(tensorkiln --help lists commands and options)')
    .exitOverride();
  for (const command of [
    trainCommand(),
    resumeCommand(),
    renderCommand(),
    reproduceCommand(),
    predictCommand(),
    evaluateCommand(),
    generateCommand(),
    exportCommand(),
    planCommand(),
    profileCommand(),
    inspectCommand(),
    benchCommand(),
  ]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  return program;
}
