#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { describeFailure, exitCodeOf } from './failure.js';
import { inspectCommand } from './inspect.js';
import { Output } from './output.js';
import { trainCommand } from './train.js';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

const program = new Command('tensorkiln')
  .description('From raw data to an exported model, on own C++ kernels.')
  .version(manifest.version)
  .option('--verbose', 'show stacks and causes of errors (also: TENSORKILN_DEBUG=1)')
  .showHelpAfterError('(tensorkiln --help lists commands and options)')
  .exitOverride();

for (const command of [trainCommand(), inspectCommand()]) {
  program.addCommand(command.copyInheritedSettings(program));
}

const errors = new Output(process.stderr);
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed its message already; help and version are not failures.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const verbose = program.opts<{ verbose?: boolean }>().verbose === true || (process.env['TENSORKILN_DEBUG'] ?? '') !== '';
    errors.line(describeFailure(error, verbose));
    process.exitCode ??= exitCodeOf(error);
  }
}
