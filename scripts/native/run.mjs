// Runs build tools: where their output goes, how parallel they work, what ccache is told.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from './sources.mjs';

/** A build tool ended with an error; `output` holds what it printed. */
export class BuildError extends Error {
  constructor(message, output) {
    super(message);
    this.output = output;
  }
}

/** How many compilers run at once: CMAKE_BUILD_PARALLEL_LEVEL when set, otherwise one per available core. */
export function jobs() {
  const wanted = Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : availableParallelism();
}

/** This process's environment with what ccache needs to find objects again in another checkout. */
export function buildEnvironment() {
  return {
    ...process.env,
    CCACHE_BASEDIR: process.env.CCACHE_BASEDIR ?? ROOT.replace(/[\\/]$/, ''),
    CCACHE_NOHASHDIR: process.env.CCACHE_NOHASHDIR ?? '1',
  };
}

/** Number of source files that CMake compiles in a configured build folder. */
export function compileCommands(folder) {
  return JSON.parse(readFileSync(join(folder, 'compile_commands.json'), 'utf8')).length;
}

/**
 * Runs one command in the package's folder, adds its output to a log file and, when given, to a progress display.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ logPath: string, env?: NodeJS.ProcessEnv, progress?: import('./progress.mjs').BuildProgress }} options
 * @returns {Promise<string>} the output
 * @throws BuildError when it ends badly
 */
export function run(command, args, { logPath, env = buildEnvironment(), progress }) {
  return new Promise((resolve, reject) => {
    mkdirSync(dirname(logPath), { recursive: true });
    const log = createWriteStream(logPath, { flags: 'a' });
    log.write(`$ ${[command, ...args].join(' ')}\n`);
    let output = '';
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const take = (chunk) => {
      const text = chunk.toString();
      output += text;
      log.write(text);
      progress?.feed(text);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      progress?.end();
      log.end();
      if (code === 0) resolve(output);
      else reject(new BuildError(`${command} ended with ${signal ?? `exit code ${code}`}`, output));
    });
  });
}
