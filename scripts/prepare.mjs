// npm's `prepare` in a clone: compiles TypeScript and links the command, so that `npx tensorkiln` works after `npm ci`.
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buildTypeScript } from './build-ts.mjs';
import { ROOT } from './native/sources.mjs';

function hasTypeScript() {
  try {
    createRequire(join(ROOT, 'package.json')).resolve('typescript/package.json');
    return true;
  } catch {
    return false;
  }
}

/** npm links the commands of dependencies only, never the package's own. */
function linkCommand() {
  const modules = join(ROOT, 'node_modules');
  // A node_modules shared between work trees belongs to another one of them.
  if (lstatSync(modules).isSymbolicLink()) return;
  const folder = join(modules, '.bin');
  mkdirSync(folder, { recursive: true });
  const link = join(folder, 'tensorkiln');
  rmSync(link, { force: true });
  if (process.platform === 'win32') {
    writeFileSync(`${link}.cmd`, '@node "%~dp0\\..\\..\\dist\\cli\\main.js" %*\r\n');
  } else {
    symlinkSync(join('..', '..', 'dist', 'cli', 'main.js'), link);
  }
}

if (hasTypeScript()) {
  await buildTypeScript();
  linkCommand();
} else if (existsSync(join(ROOT, 'dist', 'index.js'))) {
  console.log('tensorkiln: development dependencies are absent; keeping the compiled files in dist/');
} else {
  console.error('tensorkiln: cannot compile TypeScript without development dependencies: run `npm ci` without --omit=dev');
  process.exitCode = 1;
}
