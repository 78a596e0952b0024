// The two ways to build the addon: cmake-js over CMakeLists.txt, and node-gyp over binding.gyp where CMake is missing.
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BuildProgress } from './progress.mjs';
import { buildEnvironment, compileCommands, jobs, run } from './run.mjs';
import { ROOT, sourcesOf } from './sources.mjs';
import { findProgram } from './toolchain.mjs';

const require = createRequire(join(ROOT, 'package.json'));
const BUILD_DIR = join(ROOT, 'build');
export const LOG_PATH = join(BUILD_DIR, 'install.log');

/**
 * Builds through cmake-js; no header is downloaded, since the addon needs Node-API only.
 *
 * @param {{ definitions: string[] }} options definitions: NAME=VALUE pairs for CMake
 */
export async function buildWithCmake({ definitions }) {
  const cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  const common = ['--directory', ROOT, '--parallel', String(jobs())];
  for (const definition of definitions) common.push(`--CD${definition}`);
  await run(process.execPath, [cmakeJs, 'configure', ...common], { logPath: LOG_PATH });
  const steps = compileCommands(BUILD_DIR);
  // `build`, not `compile`: the latter answers a compile error by deleting everything and failing a second time.
  await run(process.execPath, [cmakeJs, 'build', ...common], {
    logPath: LOG_PATH,
    progress: new BuildProgress(steps),
  });
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
  const options = { env, logPath: LOG_PATH };
  await run(process.execPath, [nodeGyp, 'configure', ...common], options);
  await run(process.execPath, [nodeGyp, 'build', ...common, `--jobs=${jobs()}`], {
    ...options,
    progress: new BuildProgress(steps),
  });
}
