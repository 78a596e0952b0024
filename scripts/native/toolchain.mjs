// What the machine offers for building the addon, and the line that installs what it lacks.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Looks a program up on PATH.
 *
 * @param {string} name program name without extension, or a path
 * @returns {string | undefined} full path, undefined when absent
 */
export function findProgram(name) {
  const extensions = process.platform === 'win32' ? ['.exe', '.cmd', '.bat'] : [''];
  const folders = /[\\/]/.test(name) ? [''] : (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  for (const folder of folders) {
    for (const extension of extensions) {
      const candidate = folder === '' ? name + extension : join(folder, name + extension);
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {
        // Absent here: the next folder may have it.
      }
    }
  }
  return undefined;
}

/** First line a program prints for `--version`; undefined when it cannot run (a shim without a program behind it, say). */
export function programVersion(program) {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')[0]
      .trim();
  } catch {
    return undefined;
  }
}

/**
 * @typedef {object} Toolchain
 * @property {string | undefined} compiler  C++ compiler; always set on Windows, where CMake looks for Visual Studio itself
 * @property {string | undefined} cmake
 * @property {string | undefined} make      what drives the compiler: ninja or make; always set on Windows
 * @property {string | undefined} python    needed by node-gyp only
 */

/** @returns {Toolchain} */
export function findToolchain() {
  const windows = process.platform === 'win32';
  const first = (names) => names.map(findProgram).find((path) => path !== undefined && programVersion(path) !== undefined);
  const named = process.env.CXX?.trim();
  return {
    compiler: windows ? 'Visual Studio' : first(named ? [named.split(/\s+/)[0]] : ['g++', 'clang++', 'c++']),
    cmake: first(['cmake']),
    make: windows ? 'MSBuild' : first(['ninja', 'make']),
    python: first(process.env.PYTHON ? [process.env.PYTHON] : ['python3', 'python']),
  };
}

const INSTALL_LINES = {
  debian: 'sudo apt-get install -y g++ make cmake',
  fedora: 'sudo dnf install -y gcc-c++ make cmake',
  darwin: 'xcode-select --install && brew install cmake',
  win32: 'winget install Kitware.CMake Microsoft.VisualStudio.2022.BuildTools',
};

function distribution() {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    const ids = [...text.matchAll(/^(?:ID|ID_LIKE)="?([^"\n]*)/gm)].flatMap((match) => match[1].split(' '));
    if (ids.some((id) => id === 'debian' || id === 'ubuntu')) return 'debian';
    if (ids.some((id) => ['fedora', 'rhel', 'centos'].includes(id))) return 'fedora';
  } catch {
    // No os-release: all lines are shown.
  }
  return undefined;
}

/** The lines that install compiler and CMake: the one for this system when it is known, otherwise all. */
export function installLines() {
  const here = process.platform === 'linux' ? distribution() : process.platform;
  if (here !== undefined && here in INSTALL_LINES) return [`  ${INSTALL_LINES[here]}`];
  return [
    `  Debian, Ubuntu:  ${INSTALL_LINES.debian}`,
    `  Fedora:          ${INSTALL_LINES.fedora}`,
    `  macOS:           ${INSTALL_LINES.darwin}`,
  ];
}

/**
 * Why this machine cannot build the addon.
 *
 * @param {Toolchain} tools
 * @param {boolean} hasNodeGyp whether node-gyp was found
 * @returns {string | undefined} one sentence naming the missing programs; undefined when a build is possible
 */
export function missingTools(tools, hasNodeGyp) {
  const missing = [];
  if (tools.compiler === undefined) {
    missing.push(process.env.CXX ? `a C++ compiler (CXX=${process.env.CXX} does not run)` : 'a C++ compiler (g++ or clang++)');
  }
  if (tools.make === undefined) missing.push('make (or ninja)');
  const gypPossible = hasNodeGyp && tools.python !== undefined;
  if (tools.cmake === undefined && !gypPossible) missing.push('CMake (or node-gyp with Python)');
  return missing.length === 0 ? undefined : `cannot find ${missing.join(' and ')}`;
}
