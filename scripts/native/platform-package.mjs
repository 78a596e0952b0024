// The ready-made addon of this platform, when its package is installed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './sources.mjs';

/** Name of the package that would hold a ready-made addon for this machine, e.g. @tensorkiln/linux-x64-glibc. */
export function platformPackageName() {
  const base = `@tensorkiln/${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return base;
  const glibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return `${base}-${glibc ? 'glibc' : 'musl'}`;
}

/** Whether that package is installed in the version of this one. */
export function hasPlatformPackage() {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  try {
    return createRequire(join(ROOT, 'package.json'))(`${platformPackageName()}/package.json`).version === version;
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return false;
    throw error;
  }
}
