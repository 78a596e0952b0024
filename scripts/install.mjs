// Makes sure that this package has its native addon. npm calls it as the `install` script; `npm run build:native` too.
//   node scripts/install.mjs [--gyp] [NAME=VALUE ...]
//     --gyp        build through node-gyp although CMake is there
//     NAME=VALUE   definitions for CMake, e.g. TENSORKILN_CHECK_OPS=ON
// Order: the platform package, cmake-js, node-gyp. In a clone every failure is loud and ends with exit code 1. As somebody's
// dependency a failure is one line and exit code 0: the rest of their installation is fine, and using the backend throws an
// error that lists what was tried.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join, sep } from 'node:path';
import { LOG_PATH, buildWithCmake, buildWithGyp, findNodeGyp } from './native/builders.mjs';
import { ADDON_PATH, fingerprint, forget, isUpToDate, remember } from './native/fingerprint.mjs';
import { hasPlatformPackage, platformPackageName } from './native/platform-package.mjs';
import { BuildError } from './native/run.mjs';
import { ROOT } from './native/sources.mjs';
import { findToolchain, installLines, missingTools } from './native/toolchain.mjs';

/** A clone holds the TypeScript sources, which the published package does not, and lies in no node_modules folder. */
const isClone = existsSync(join(ROOT, 'ts')) && !ROOT.includes(`${sep}node_modules${sep}`);

const say = (text) => console.log(`tensorkiln: ${text}`);

/** Loads the fresh addon in a process of its own: a broken one must not take this one down. */
function checkLoads() {
  const script = `process.dlopen({ exports: {} }, ${JSON.stringify(ADDON_PATH)})`;
  try {
    execFileSync(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    throw new BuildError('the addon was built but does not load', String(error.stderr));
  }
}

async function build(definitions, forceGyp) {
  const tools = findToolchain();
  const nodeGyp = findNodeGyp();
  const missing = missingTools(tools, nodeGyp !== undefined);
  if (missing !== undefined) throw new BuildError(`${missing}. Install with:\n${installLines().join('\n')}`, '');
  const withCmake = tools.cmake !== undefined && !forceGyp;
  // How warnings are taken makes no other addon: a build by CI serves a user's next command and the other way round.
  const lasting = definitions.filter((text) => !text.startsWith('TENSORKILN_WERROR='));
  const wanted = fingerprint([withCmake ? 'cmake' : 'gyp', process.env.CXX ?? '', ...lasting]);
  if (isUpToDate(wanted)) {
    say('native addon is up to date');
    return;
  }
  const started = performance.now();
  say(`building the native addon with ${withCmake ? 'CMake' : 'node-gyp'}`);
  forget();
  rmSync(LOG_PATH, { force: true });
  if (withCmake) await buildWithCmake({ definitions });
  else await buildWithGyp({ nodeGyp, python: tools.python, compiler: tools.compiler });
  checkLoads();
  remember(wanted);
  say(`native addon built in ${((performance.now() - started) / 1000).toFixed(0)} s`);
}

/** The lines of a build's output that tell what went wrong, or its end when no line says "error". */
function essence(output) {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const first = lines.findIndex((line) => /\berror\b|undefined reference|No such file/i.test(line));
  return (first < 0 ? lines.slice(-25) : lines.slice(Math.max(0, first - 2), first + 25)).join('\n');
}

async function main() {
  const args = process.argv.slice(2);
  const definitions = args.filter((arg) => arg.includes('='));
  const unknown = args.find((arg) => !arg.includes('=') && arg !== '--gyp');
  if (unknown !== undefined) throw new BuildError(`unknown argument '${unknown}': expected --gyp or NAME=VALUE`, '');
  if (process.env.TENSORKILN_SKIP_BUILD === '1') {
    say('native build skipped (TENSORKILN_SKIP_BUILD=1)');
    return;
  }
  if (!isClone && hasPlatformPackage()) {
    say(`using the ready-made addon of ${platformPackageName()}`);
    return;
  }
  // Warnings stop a build only where we choose the compiler: in our own checks, not on a user's newer one.
  if (!process.env.CI && !definitions.some((text) => text.startsWith('TENSORKILN_WERROR='))) {
    definitions.push('TENSORKILN_WERROR=OFF');
  }
  await build(definitions, args.includes('--gyp'));
}

try {
  await main();
} catch (error) {
  if (isClone) {
    console.error(`\ntensorkiln: the native addon was not built: ${error.message}`);
    if (error instanceof BuildError && error.output !== '') {
      console.error(`${essence(error.output)}\nFull output: ${LOG_PATH}`);
    } else if (!(error instanceof BuildError)) {
      console.error(error.stack);
    }
    process.exitCode = 1;
  } else {
    const reason = error.message.split('\n')[0];
    say(`native addon not built (${reason}); using the backend will say what to do`);
  }
}
