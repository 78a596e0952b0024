// The two ways to build the addon: cmake-js over CMakeLists.txt, and node-gyp over binding.gyp where CMake is missing.
import { spawn } from 'node:child_process';
import { cpSync, createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { BuildProgress } from './progress.mjs';
import { ROOT, sourcesOf } from './sources.mjs';
import { findProgram } from './toolchain.mjs';

const require = createRequire(join(ROOT, 'package.json'));
const BUILD_DIR = join(ROOT, 'build');
export const LOG_PATH = join(BUILD_DIR, 'install.log');

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

/** Runs one command, adds its output to the log file and, when given, to a progress display. */
function run(command, args, { env = buildEnvironment(), progress } = {}) {
  return new Promise((resolve, reject) => {
    mkdirSync(BUILD_DIR, { recursive: true });
    const log = createWriteStream(LOG_PATH, { flags: 'a' });
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

/**
 * Builds through cmake-js; no header is downloaded, since the addon needs Node-API only.
 *
 * @param {{ definitions: string[] }} options definitions: NAME=VALUE pairs for CMake
 */
export async function buildWithCmake({ definitions }) {
  const cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  const common = ['--directory', ROOT, '--parallel', String(jobs())];
  for (const definition of definitions) common.push(`--CD${definition}`);
  await run(process.execPath, [cmakeJs, 'configure', ...common]);
  const steps = JSON.parse(readFileSync(join(BUILD_DIR, 'compile_commands.json'), 'utf8')).length;
  // `build`, not `compile`: the latter answers a compile error by deleting everything and failing a second time.
  await run(process.execPath, [cmakeJs, 'build', ...common], { progress: new BuildProgress(steps) });
}

/** node-gyp: our own development dependency, or the copy npm brings and names to install scripts. */
export function findNodeGyp() {
  try {
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return process.env.npm_config_node_gyp;
  }
}

// node-gyp asks for a folder of Node headers and downloads them otherwise. Node-API headers are all that the addon needs,
// and a common.gypi with the two configurations is all that node-gyp needs.
const COMMON_GYPI = `{
  'variables': { 'standalone_static_library': 1 },
  'target_defaults': {
    'default_configuration': 'Release',
    'configurations': {
      'Release': { 'cflags': ['-O3'], 'defines': ['NDEBUG'], 'xcode_settings': { 'GCC_OPTIMIZATION_LEVEL': '3' } },
      'Debug': { 'cflags': ['-O0', '-g'], 'xcode_settings': { 'GCC_OPTIMIZATION_LEVEL': '0' } },
    },
  },
}
`;

function writeNodeDir() {
  const nodeDir = join(BUILD_DIR, 'node-headers');
  const include = join(nodeDir, 'include', 'node');
  rmSync(nodeDir, { recursive: true, force: true });
  mkdirSync(include, { recursive: true });
  cpSync(require('node-api-headers').include_dir, include, { recursive: true });
  writeFileSync(join(include, 'common.gypi'), COMMON_GYPI);
  writeFileSync(join(include, 'config.gypi'), JSON.stringify({ target_defaults: {}, variables: {} }));
  return nodeDir;
}

/**
 * Builds through node-gyp, which needs Python.
 *
 * @param {{ nodeGyp: string, python: string, compiler: string }} options paths of the three programs
 */
export async function buildWithGyp({ nodeGyp, python, compiler }) {
  const ccache = findProgram('ccache');
  const cxx = ccache === undefined ? compiler : `${ccache} ${compiler}`;
  const levels = process.arch === 'x64' ? 3 : 1;
  // One step per object, one for the module itself.
  const steps = sourcesOf('engine').length + sourcesOf('binding').length + levels * sourcesOf('level').length + 1;
  // Not `rebuild`: it would delete the headers and the log, which live in the same folder.
  rmSync(BUILD_DIR, { recursive: true, force: true });
  const common = [`--nodedir=${writeNodeDir()}`, `--python=${python}`];
  const env = { ...buildEnvironment(), CXX: cxx, LINK: compiler };
  await run(process.execPath, [nodeGyp, 'configure', ...common], { env });
  await run(process.execPath, [nodeGyp, 'build', ...common, `--jobs=${jobs()}`], { env, progress: new BuildProgress(steps) });
}
