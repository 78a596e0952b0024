#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { describeFailure, exitCodeOf } from './failure.js';
import { Output } from './output.js';
import { createProgram } from './program.js';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

const program = createProgram(manifest.version);
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
